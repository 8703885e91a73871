use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use gatewright_core::{Timestamp, Withdrawal};
use tokio_util::sync::CancellationToken;

use super::{ApiKeyId, ApiKeyRecord, KeyHolder};

/// Why a key is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnfitKey {
    Malformed,
    Unknown,
    Revoked,
    Expired,
    OtherServer,
    PeopleOff,
    NotLoaded,
    NoMacKey,
}

/// A key in memory.
pub(crate) struct Key {
    pub(crate) record: ApiKeyRecord,
    /// What stands for the OAuth client of other credentials.
    pub(crate) client_id: Arc<str>,
    /// Ends what is open on the key.
    pub(crate) withdrawal: Withdrawal,
    cut: CancellationToken,
    revoked: AtomicBool,
    last_used: AtomicI64,
    /// Whether it waits for its last use to be written.
    noted: AtomicBool,
}

/// [`Key::last_used`] of a key that never was.
const NEVER: i64 = i64::MIN;

impl Key {
    pub(crate) fn entry(record: ApiKeyRecord) -> (ApiKeyId, Arc<Self>) {
        let last_used = record.last_used_at.map_or(NEVER, Timestamp::millis);
        let cut = CancellationToken::new();
        let waited = cut.clone();
        let key = Self {
            withdrawal: Withdrawal::new(move || waited.clone().cancelled_owned()),
            cut,
            client_id: format!("api-key:{}", record.id).into(),
            revoked: AtomicBool::new(record.revoked_at.is_some()),
            last_used: AtomicI64::new(last_used),
            noted: AtomicBool::new(false),
            record,
        };
        (key.record.id.clone(), Arc::new(key))
    }

    /// The same key, revoked. Whoever holds the one of before sees it too, and what is open on it ends.
    pub(crate) fn revoked(&self, at: Timestamp) -> Arc<Self> {
        self.revoked.store(true, Ordering::Release);
        let mut record = self.shown();
        record.revoked_at.get_or_insert(at);
        self.cut.cancel();
        let (_, key) = Self::entry(record);
        key
    }

    /// The same key, on which nothing is open any more.
    pub(crate) fn cleared(&self) -> Arc<Self> {
        self.cut.cancel();
        let (_, key) = Self::entry(self.shown());
        key
    }

    /// Ends what is open on it, for it is no more.
    pub(crate) fn cut(&self) {
        self.revoked.store(true, Ordering::Release);
        self.cut.cancel();
    }

    pub(crate) fn is_a_persons(&self) -> bool {
        matches!(self.record.holder, KeyHolder::User(_))
    }

    pub(crate) fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::Acquire)
    }

    pub(crate) fn used(&self, now: Timestamp) {
        self.last_used.fetch_max(now.millis(), Ordering::AcqRel);
    }

    /// Others saw it used, too.
    pub(crate) fn used_at(&self, at: Option<Timestamp>) {
        if let Some(at) = at {
            self.used(at);
        }
    }

    /// Notes that the last use is to be written, and says whether that was not noted yet.
    pub(crate) fn note(&self) -> bool {
        !self.noted.swap(true, Ordering::AcqRel)
    }

    /// The record with the last use.
    pub(crate) fn shown(&self) -> ApiKeyRecord {
        let last_used = self.last_used.load(Ordering::Acquire);
        ApiKeyRecord {
            last_used_at: (last_used != NEVER).then(|| Timestamp::from_millis(last_used)),
            ..self.record.clone()
        }
    }

    /// What is to be written of the last use; a use from now on is noted again.
    pub(crate) fn take_use(&self) -> (ApiKeyId, Timestamp) {
        self.noted.store(false, Ordering::Release);
        let last_used = self.last_used.load(Ordering::Acquire);
        (self.record.id.clone(), Timestamp::from_millis(last_used))
    }
}
