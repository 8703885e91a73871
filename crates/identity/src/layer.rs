use std::{fmt, sync::Arc};

use gatewright_core::{AnyIdentified, Clock, Resolver, Subjects, SystemClock};
use tower_layer::Layer;

use crate::{IdentityService, cors::Origins};

/// What the services of a layer share.
pub(crate) struct Shared<R> {
    pub(crate) resolver: Arc<R>,
    pub(crate) subjects: Arc<dyn Subjects>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) origins: Origins,
}

impl<R> Clone for Shared<R> {
    fn clone(&self) -> Self {
        Self {
            resolver: Arc::clone(&self.resolver),
            subjects: Arc::clone(&self.subjects),
            clock: Arc::clone(&self.clock),
            origins: self.origins.clone(),
        }
    }
}

/// Adds the [`Principal`](gatewright_core::Principal) to the request, or answers with a challenge. Belongs below
/// `RouteLayer`, and above everything that reads the body: who is nobody makes us neither wait nor parse.
pub struct IdentityLayer<R> {
    shared: Arc<Shared<R>>,
}

impl<R: Resolver> IdentityLayer<R> {
    /// A layer that asks this resolver. Without [`with_subjects`](Self::with_subjects) whoever it identifies is taken
    /// as alive.
    #[must_use]
    pub fn new(resolver: R) -> Self {
        Self {
            shared: Arc::new(Shared {
                resolver: Arc::new(resolver),
                subjects: Arc::new(AnyIdentified),
                clock: Arc::new(SystemClock),
                origins: Origins::default(),
            }),
        }
    }

    /// Who is alive. Asked on every request, and by every open stream.
    #[must_use]
    pub fn with_subjects(self, subjects: impl Subjects) -> Self {
        self.map(|shared| shared.subjects = Arc::new(subjects))
    }

    /// Where the time comes from.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock) -> Self {
        self.map(|shared| shared.clock = Arc::new(clock))
    }

    /// Origins whose web pages may call, as browsers send them (`https://app.example.com`): their preflights are
    /// answered, and their scripts may read the answers.
    #[must_use]
    pub fn with_origins(self, origins: impl IntoIterator<Item = String>) -> Self {
        let origins = Origins::new(origins);
        self.map(|shared| shared.origins = origins)
    }

    fn map(self, change: impl FnOnce(&mut Shared<R>)) -> Self {
        let mut shared = (*self.shared).clone();
        change(&mut shared);
        Self {
            shared: Arc::new(shared),
        }
    }
}

impl<S, R> Layer<S> for IdentityLayer<R> {
    type Service = IdentityService<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        IdentityService {
            inner,
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<R> Clone for IdentityLayer<R> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<R> fmt::Debug for IdentityLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityLayer").finish_non_exhaustive()
    }
}
