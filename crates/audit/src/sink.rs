use std::{
    future::Future,
    io,
    sync::{Arc, Weak},
};

use gatewright_core::Timestamp;

use crate::Record;

/// What must be true of a record before [`AuditSink::append`] returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Durability {
    /// It is where a crash of this process does not lose it.
    Written,
    /// It is where a loss of power does not lose it.
    Synced,
}

/// That a record is in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// Its number in its chain, where the sink numbers.
    pub seq: Option<u64>,
}

impl Receipt {
    /// For a record that has this number.
    #[must_use]
    pub const fn numbered(seq: u64) -> Self {
        Self { seq: Some(seq) }
    }
}

/// Why a record is not in the log. Where one is required, the call is refused.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The disk, or what else the sink writes to, does not take it.
    #[error("the log cannot be written: {0}")]
    Io(Arc<io::Error>),
    /// Too many records wait to be written.
    #[error("too many records wait to be written")]
    Full,
    /// The log was closed.
    #[error("the log is closed")]
    Closed,
    /// An earlier error left it unknown what the file holds; the log must be opened again.
    #[error("the log must be opened again: {0}")]
    Broken(String),
    /// A sink's own reason.
    #[error("{0}")]
    Other(String),
}

impl From<io::Error> for AppendError {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

/// What holds records back for a while, and must let go of them in time.
pub trait Held: Send + Sync {
    /// Hands over what is due at `now`.
    fn flush(&self, now: Timestamp);

    /// Hands over everything: the sink is about to close.
    fn flush_all(&self, now: Timestamp);
}

/// Where records go. [`SegmentFiles`](crate::SegmentFiles) is the one that can be verified.
///
/// ```
/// use std::sync::Mutex;
/// use gatewright_audit::{AppendError, AuditSink, Durability, Receipt, Record};
///
/// #[derive(Default)]
/// struct InMemory(Mutex<Vec<String>>);
///
/// impl AuditSink for InMemory {
///     async fn append(&self, record: Record, _: Durability) -> Result<Receipt, AppendError> {
///         let mut lines = self.0.lock().unwrap();
///         lines.push(record.to_json());
///         Ok(Receipt::numbered(lines.len() as u64))
///     }
///
///     fn enqueue(&self, record: Record) {
///         self.0.lock().unwrap().push(record.to_json());
///     }
/// }
/// ```
pub trait AuditSink: Send + Sync + 'static {
    /// Writes the record and returns once it is as durable as asked.
    fn append(
        &self,
        record: Record,
        durability: Durability,
    ) -> impl Future<Output = Result<Receipt, AppendError>> + Send;

    /// Takes the record to write it soon. It does not wait, and counts what it cannot keep.
    fn enqueue(&self, record: Record);

    /// Makes somebody known who holds records back. A sink that closes asks them first; one that does not
    /// know time may ignore them, and gets their records with the next request.
    fn register(&self, held: Weak<dyn Held>) {
        drop(held);
    }
}

impl<S: AuditSink> AuditSink for Arc<S> {
    fn append(
        &self,
        record: Record,
        durability: Durability,
    ) -> impl Future<Output = Result<Receipt, AppendError>> + Send {
        (**self).append(record, durability)
    }

    fn enqueue(&self, record: Record) {
        (**self).enqueue(record);
    }

    fn register(&self, held: Weak<dyn Held>) {
        (**self).register(held);
    }
}
