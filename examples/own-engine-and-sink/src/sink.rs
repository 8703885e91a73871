//! An audit sink of one's own: one JSON line per record, to whatever can be written to.

use std::{
    io::Write,
    sync::{Mutex, PoisonError},
};

use gatewright_audit::{AppendError, AuditSink, Durability, Receipt, Record};

/// Writes records as lines. It proves nothing about itself, as `SegmentFiles` does.
#[derive(Debug)]
pub(crate) struct Lines<W>(Mutex<W>);

impl<W: Write + Send + 'static> Lines<W> {
    pub(crate) const fn new(to: W) -> Self {
        Self(Mutex::new(to))
    }

    fn write(&self, record: &Record) -> Result<(), AppendError> {
        let mut to = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(to, "{}", record.to_json())?;
        Ok(to.flush()?)
    }
}

impl<W: Write + Send + 'static> AuditSink for Lines<W> {
    /// An error here refuses the call: no record, no call. A sink that cannot do what `Synced` promises says so.
    async fn append(&self, record: Record, durability: Durability) -> Result<Receipt, AppendError> {
        if durability == Durability::Synced {
            return Err(AppendError::Other(
                "these lines are not synced to a disk".to_owned(),
            ));
        }
        self.write(&record)?;
        Ok(Receipt::default())
    }

    /// Refusals and outcomes: nobody waits for them.
    fn enqueue(&self, record: Record) {
        if let Err(error) = self.write(&record) {
            eprintln!("a record is lost: {error}");
        }
    }
}
