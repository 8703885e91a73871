//! Behaviour across layers: a whole gateway over loopback, with a fake identity provider in front and fake and
//! real MCP servers behind.

// Said for the lints: what stands between the tests is of tests too.
#[cfg(test)]
mod access;
#[cfg(test)]
mod admin;
#[cfg(test)]
mod api_keys;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod bed;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod offboarding;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod relay;
#[cfg(test)]
mod stacks;
