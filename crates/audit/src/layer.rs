use std::{fmt, sync::Arc};

use gatewright_core::{Clock, SystemClock};
use tower_layer::Layer;

use crate::{AuditService, AuditSink, Held, RecordService, tally::Tally};

/// What the services of a log share.
pub(crate) struct Recording<S: AuditSink> {
    pub(crate) sink: Arc<S>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tally: Arc<Tally<S>>,
}

/// Opens the draft of a record that every layer below fills, writes each refusal below, and how each answer
/// ended. Belongs above everything that refuses, and below `RouteLayer`.
pub struct AuditLayer<S: AuditSink> {
    recording: Arc<Recording<S>>,
}

impl<S: AuditSink> AuditLayer<S> {
    /// A layer that writes to this log.
    #[must_use]
    pub fn new(log: S) -> Self {
        let sink = Arc::new(log);
        let tally = Arc::new(Tally::new(Arc::clone(&sink)));
        let weak = Arc::downgrade(&tally);
        sink.register(weak as std::sync::Weak<dyn Held>);
        Self {
            recording: Arc::new(Recording {
                sink,
                clock: Arc::new(SystemClock),
                tally,
            }),
        }
    }

    /// Where the time comes from.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock) -> Self {
        Self {
            recording: Arc::new(Recording {
                sink: Arc::clone(&self.recording.sink),
                clock: Arc::new(clock),
                tally: Arc::clone(&self.recording.tally),
            }),
        }
    }
}

impl<S: AuditSink, I> Layer<I> for AuditLayer<S> {
    type Service = AuditService<I, S>;

    fn layer(&self, inner: I) -> Self::Service {
        AuditService {
            inner,
            recording: Arc::clone(&self.recording),
        }
    }
}

impl<S: AuditSink> Clone for AuditLayer<S> {
    fn clone(&self) -> Self {
        Self {
            recording: Arc::clone(&self.recording),
        }
    }
}

impl<S: AuditSink> fmt::Debug for AuditLayer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLayer").finish_non_exhaustive()
    }
}

impl<S: AuditSink> Drop for Recording<S> {
    fn drop(&mut self) {
        // The counts of a layer that goes would go with it.
        if Arc::strong_count(&self.tally) == 1 {
            self.tally.flush_all(self.clock.now());
        }
    }
}

/// Writes the admission of each call before its server sees it: no record, no call. Belongs below everything
/// that refuses, right above the server.
pub struct RecordLayer<S> {
    sink: Arc<S>,
    clock: Arc<dyn Clock>,
}

impl<S: AuditSink> RecordLayer<S> {
    /// A layer that writes to this log.
    #[must_use]
    pub fn new(log: S) -> Self {
        Self {
            sink: Arc::new(log),
            clock: Arc::new(SystemClock),
        }
    }

    /// Where the time comes from.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }
}

impl<S, I> Layer<I> for RecordLayer<S> {
    type Service = RecordService<I, S>;

    fn layer(&self, inner: I) -> Self::Service {
        RecordService {
            inner,
            sink: Arc::clone(&self.sink),
            clock: Arc::clone(&self.clock),
        }
    }
}

impl<S> Clone for RecordLayer<S> {
    fn clone(&self) -> Self {
        Self {
            sink: Arc::clone(&self.sink),
            clock: Arc::clone(&self.clock),
        }
    }
}

impl<S> fmt::Debug for RecordLayer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordLayer").finish_non_exhaustive()
    }
}
