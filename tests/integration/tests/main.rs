//! Behaviour across layers: a whole gateway over loopback, with a fake identity provider in front and fake and
//! real MCP servers behind.

mod access;
mod bad_input;
mod bed;
mod credentials;
mod lifecycle;
mod relay;
mod stacks;
