//! Where the log lines of the process go: standard error, as text or JSON.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{EnvFilter, fmt, prelude::*, util::TryInitError};

use crate::config::{LogFormat, Logging};

/// Writes the log lines of this process from now on.
pub(super) fn start(logging: &Logging) -> Result<(), TryInitError> {
    // The level was checked with the file.
    let filter =
        EnvFilter::try_new(&logging.level).unwrap_or_else(|_checked| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_writer(io::stderr);
    match logging.format {
        LogFormat::Text => registry
            .with(lines.with_ansi(io::stderr().is_terminal()))
            .try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    }
}
