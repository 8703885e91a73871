use std::{fmt, sync::Arc, time::Duration};

use gatewright_core::Route;
use http::Uri;

use crate::{era::EraMemory, program::Program};

/// How a server's era is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EraSetting {
    /// By asking it.
    #[default]
    Probe,
    /// It speaks 2025-11-25 or earlier.
    Legacy,
    /// It speaks 2026-07-28 or later.
    Modern,
}

/// How long a server may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the head of its answer; for a child process, until it has started and greeted.
    pub first_byte: Duration,
    /// Between two pieces of an answer; standing streams may be silent. Child processes give no head, so for them
    /// also until the first piece.
    pub idle: Duration,
    /// For a whole answer, whatever progress it reports; standing streams may last.
    pub total: Duration,
}

impl Default for Timeouts {
    /// A minute, 5 minutes, an hour.
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(60),
            idle: Duration::from_secs(5 * 60),
            total: Duration::from_secs(60 * 60),
        }
    }
}

/// How a server is reached.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// Streamable HTTP, at this URL.
    Http(Uri),
    /// The standard streams of child processes, started like this.
    Stdio(Program),
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Paths and queries of some servers are secrets.
            Self::Http(url) => f.debug_tuple("Http").field(&url.host()).finish(),
            Self::Stdio(program) => f.debug_tuple("Stdio").field(program).finish(),
        }
    }
}

/// An MCP server as it is reached.
pub struct Target {
    transport: Transport,
    era: EraSetting,
    timeouts: Timeouts,
    max_response: usize,
    pub(crate) memory: EraMemory,
}

impl Target {
    /// A server at this URL, of an era that is probed, with the default timeouts and answers of at most 32 MiB.
    #[must_use]
    pub fn new(url: Uri) -> Self {
        Self::by(Transport::Http(url))
    }

    /// A server that runs in child processes, with the same defaults.
    #[must_use]
    pub fn stdio(program: Program) -> Self {
        Self::by(Transport::Stdio(program))
    }

    fn by(transport: Transport) -> Self {
        Self {
            transport,
            era: EraSetting::default(),
            timeouts: Timeouts::default(),
            max_response: 32 * 1024 * 1024,
            memory: EraMemory::default(),
        }
    }

    /// Says how its era is known.
    #[must_use]
    pub const fn with_era(mut self, era: EraSetting) -> Self {
        self.era = era;
        self
    }

    /// Says how long it may take.
    #[must_use]
    pub const fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Says how large one message of it may be, in bytes.
    #[must_use]
    pub const fn with_max_response(mut self, bytes: usize) -> Self {
        self.max_response = bytes;
        self
    }

    /// How it is reached.
    #[must_use]
    pub const fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Where it is; `None` for child processes.
    #[must_use]
    pub const fn url(&self) -> Option<&Uri> {
        match &self.transport {
            Transport::Http(url) => Some(url),
            Transport::Stdio(_) => None,
        }
    }

    /// How its era is known.
    #[must_use]
    pub const fn era(&self) -> EraSetting {
        self.era
    }

    /// How long it may take.
    #[must_use]
    pub const fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// How large one message of it may be, in bytes.
    #[must_use]
    pub const fn max_response(&self) -> usize {
        self.max_response
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("transport", &self.transport)
            .field("era", &self.era)
            .finish_non_exhaustive()
    }
}

/// Finds the server behind a route. What a caller sends never chooses it.
pub trait Targets: Send + Sync + 'static {
    /// The server, if the route has one.
    fn target(&self, route: &Route) -> Option<Arc<Target>>;
}

/// One server for every route.
impl Targets for Arc<Target> {
    fn target(&self, _: &Route) -> Option<Self> {
        Some(Self::clone(self))
    }
}
