use std::{fmt, num::NonZeroU32, time::Duration};

use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter, clock, middleware::NoOpMiddleware, nanos::Nanos};
use tokio::time::Instant;

/// The longest time in which a full burst comes back. The arithmetic of the bucket overflows only far beyond.
const LONGEST_REFILL: Duration = Duration::from_secs(24 * 60 * 60);

/// So many per time, and so many at once after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    quota: Quota,
}

impl Rate {
    /// So many a second, and as many at once.
    #[must_use]
    pub const fn per_second(many: NonZeroU32) -> Self {
        Self {
            quota: Quota::per_second(many),
        }
    }

    /// So many a minute, and as many at once.
    #[must_use]
    pub const fn per_minute(many: NonZeroU32) -> Self {
        Self {
            quota: Quota::per_minute(many),
        }
    }

    /// Another number at once; at most what a day gives.
    #[must_use]
    pub fn burst(self, many: NonZeroU32) -> Self {
        let period = self.quota.replenish_interval().as_nanos().max(1);
        let most = u32::try_from(LONGEST_REFILL.as_nanos() / period).unwrap_or(u32::MAX);
        let many = many.min(NonZeroU32::new(most).unwrap_or(NonZeroU32::MIN));
        Self {
            quota: self.quota.allow_burst(many),
        }
    }

    /// After so long without a call a bucket is as good as new.
    fn refill(self) -> Duration {
        self.quota
            .replenish_interval()
            .saturating_mul(self.quota.burst_size().get())
    }
}

/// Time since the table was made: the runtime's clock, which does not go back and which tests can halt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticks(Instant);

impl Ticks {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }
}

impl clock::Clock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

/// The bucket of one key.
pub(super) struct Bucket {
    limiter: RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Nanos>>,
    refill: Duration,
}

impl Bucket {
    pub(super) fn new(rate: Rate, ticks: Ticks) -> Self {
        Self {
            limiter: RateLimiter::direct_with_clock(rate.quota, ticks),
            refill: rate.refill(),
        }
    }

    /// Takes one.
    ///
    /// # Errors
    /// How long it takes until there is one.
    pub(super) fn take(&self) -> Result<(), Duration> {
        let now = || clock::Clock::now(self.limiter.clock());
        self.limiter
            .check()
            .map_err(|until| until.wait_time_from(now()))
    }

    /// Whether nothing is lost when it is forgotten, its last use being so long ago.
    pub(super) fn is_full_after(&self, pause: Duration) -> bool {
        pause >= self.refill
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").finish_non_exhaustive()
    }
}
