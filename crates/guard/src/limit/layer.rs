use std::{fmt, num::NonZeroU32, sync::Arc, time::Duration};

use tower_layer::Layer;

use super::{ByPrincipal, ByServer, LimitService, Rate, table::Table};

/// What one key may do, and what all of them together may.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How fast a key may ask; as it likes if not set.
    pub rate: Option<Rate>,
    /// Calls of a key at a time, from the request to the end of the answer.
    pub calls: usize,
    /// Calls of a key that wait for one of those to end.
    pub queued: usize,
    /// How long one waits.
    pub patience: Duration,
    /// Streams of a key that stand open. They do not count as calls.
    pub streams: usize,
    /// Everything of all keys that is under way, waits or stands: more is shed.
    pub total: usize,
    /// Keys that are remembered. Beyond that those that do nothing at the moment are forgotten, and what they used up
    /// with them.
    pub keys: usize,
}

impl Limits {
    /// Generous to a person and an agent, and too little for one to fill a gateway.
    #[must_use]
    pub const fn for_principals() -> Self {
        Self {
            rate: match NonZeroU32::new(200) {
                Some(many) => Some(Rate::per_second(many)),
                None => None,
            },
            calls: 64,
            queued: 64,
            patience: Duration::from_secs(5),
            streams: 32,
            total: 16 * 1024,
            keys: 64 * 1024,
        }
    }

    /// More than one principal may have, so that none can take all of a server; no rate.
    #[must_use]
    pub const fn for_servers() -> Self {
        Self {
            rate: None,
            calls: 512,
            queued: 512,
            patience: Duration::from_secs(5),
            streams: 4096,
            total: 16 * 1024,
            keys: 16 * 1024,
        }
    }
}

/// Bounds rate and concurrency by what `C` counts. Clones share what they counted.
pub struct LimitLayer<C> {
    count_by: Arc<C>,
    pub(super) table: Arc<Table>,
}

impl LimitLayer<ByPrincipal> {
    /// Counts by tenant and principal. Belongs below the identity layer; the body need not be a call yet.
    #[must_use]
    pub fn per_principal(limits: Limits) -> Self {
        Self::new(ByPrincipal, limits)
    }
}

impl LimitLayer<ByServer> {
    /// Counts by tenant and server, and lets principals take turns. Belongs below the envelope layer.
    #[must_use]
    pub fn per_server(limits: Limits) -> Self {
        Self::new(ByServer, limits)
    }
}

impl<C> LimitLayer<C> {
    /// Counts by something else.
    #[must_use]
    pub fn new(count_by: C, limits: Limits) -> Self {
        Self {
            count_by: Arc::new(count_by),
            table: Arc::new(Table::new(limits)),
        }
    }
}

impl<S, C> Layer<S> for LimitLayer<C> {
    type Service = LimitService<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        LimitService {
            inner,
            count_by: Arc::clone(&self.count_by),
            table: Arc::clone(&self.table),
        }
    }
}

impl<C> Clone for LimitLayer<C> {
    fn clone(&self) -> Self {
        Self {
            count_by: Arc::clone(&self.count_by),
            table: Arc::clone(&self.table),
        }
    }
}

impl<C> fmt::Debug for LimitLayer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitLayer")
            .field("limits", self.table.limits())
            .finish_non_exhaustive()
    }
}
