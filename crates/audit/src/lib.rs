//! AuditLayer, RecordLayer and the log that proves its own integrity.

mod anonymous;
mod answer;
mod chain;
mod checkpoint;
mod disk;
mod key;
mod layer;
mod layout;
mod lines;
mod read;
mod record;
mod segments;
mod service;
mod sink;
#[cfg(test)]
mod testing;
mod text;
mod verify;

pub use chain::Digest;
pub use checkpoint::{ChainHead, Checkpoint};
pub use key::{CheckpointKey, LoadKeyError, PublicKey};
pub use layer::{AuditLayer, RecordLayer};
pub use read::{Filter, ReadLogError, Tail, export};
pub use record::{Ended, Record, RecordKind};
pub use segments::{OpenLogError, RecoverError, SegmentFiles, SegmentFilesBuilder};
pub use service::{AuditService, RecordService};
pub use sink::{AppendError, AuditSink, Durability, Held, Receipt};
pub use verify::{
    ChainReport, Finding, OpenAdmission, Problem, Report, VerifyLogError, VerifyOptions, verify,
};
