use std::{fmt, sync::Arc};

use gatewright_core::PolicyEngine;
use tower_layer::Layer;

use crate::PolicyService;

/// The largest answer, and the largest event of a stream, that is read to be filtered.
const ANSWER_LIMIT: usize = 16 * 1024 * 1024;

/// Turns `Request<CallBody>` into `Request<Permitted>`, or refuses; filters what comes back.
///
/// Clones share the engine.
pub struct PolicyLayer<E> {
    engine: Arc<E>,
    answer_limit: usize,
}

impl<E: PolicyEngine> PolicyLayer<E> {
    /// A layer that asks this engine.
    #[must_use]
    pub fn new(engine: E) -> Self {
        Self {
            engine: Arc::new(engine),
            answer_limit: ANSWER_LIMIT,
        }
    }

    /// The largest JSON answer, and the largest event of a stream, in bytes; 16 MiB if not said. A larger one
    /// cannot be filtered and is refused.
    #[must_use]
    pub const fn answer_limit(mut self, bytes: usize) -> Self {
        self.answer_limit = bytes;
        self
    }
}

impl<S, E> Layer<S> for PolicyLayer<E> {
    type Service = PolicyService<S, E>;

    fn layer(&self, inner: S) -> Self::Service {
        PolicyService {
            inner,
            engine: Arc::clone(&self.engine),
            answer_limit: self.answer_limit,
        }
    }
}

impl<E> Clone for PolicyLayer<E> {
    fn clone(&self) -> Self {
        Self {
            engine: Arc::clone(&self.engine),
            answer_limit: self.answer_limit,
        }
    }
}

impl<E> fmt::Debug for PolicyLayer<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyLayer")
            .field("answer_limit", &self.answer_limit)
            .finish_non_exhaustive()
    }
}
