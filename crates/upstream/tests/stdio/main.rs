//! Servers in child processes, with real ones: what they get, who shares them, how they fail and how they end.

#[cfg(test)]
mod ending;
#[cfg(test)]
mod failing;
#[cfg(test)]
mod isolation;
#[cfg(test)]
mod legacy;
#[cfg(test)]
mod modern;
#[cfg(test)]
mod sharing;
#[cfg(test)]
mod support;
