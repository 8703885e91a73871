//! Whole databases: copies, backups, and the way from one kind to the other.

mod backup;
mod copy;
mod moving;
mod tables;

pub use backup::{BackupError, RestoreError, backup, restore};
pub use copy::{Copied, CopyError, copy};
pub use moving::{MoveError, move_to_postgres};
pub(crate) use tables::TABLES;
