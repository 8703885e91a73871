//! How many files the process may have open: every connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The share of them that connections of clients may take, in quarters. The rest is for what they ask for (connections
/// to servers, pipes of child processes) and for the log: whoever only connects must not keep it from being written.
const QUARTERS: u64 = 3;

/// How many connections of clients there may be where so many are wanted. Asks the system for as many files as it
/// gives.
pub(crate) fn room(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    // Many shells and service managers start a process with few, and let it have more.
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let most = files.map_or(usize::MAX, |files| {
        usize::try_from(files / 4 * QUARTERS).unwrap_or(usize::MAX)
    });
    if most < wanted {
        tracing::warn!(
            wanted,
            most,
            "fewer connections than configured, since the process may not open more files"
        );
    }
    wanted.min(most.max(1))
}
