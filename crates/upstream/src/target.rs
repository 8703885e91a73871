use std::{fmt, sync::Arc, time::Duration};

use gatewright_core::Route;
use http::Uri;

use crate::era::EraMemory;

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
    /// Until the head of its answer.
    pub first_byte: Duration,
    /// Between two pieces of an answer; standing streams may be silent.
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

/// An MCP server as it is reached.
pub struct Target {
    url: Uri,
    era: EraSetting,
    timeouts: Timeouts,
    max_response: usize,
    pub(crate) memory: EraMemory,
}

impl Target {
    /// A server at this URL, of an era that is probed, with the default timeouts and answers of at most 32 MiB.
    #[must_use]
    pub fn new(url: Uri) -> Self {
        Self {
            url,
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

    /// Where it is.
    #[must_use]
    pub const fn url(&self) -> &Uri {
        &self.url
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
            // Paths and queries of some servers are secrets.
            .field("host", &self.url.host())
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
