//! The few operations on files that must survive a bad disk, apart so that tests can have one.

use std::{fs::File, io, io::Write as _, path::Path, sync::Arc};

use crate::layout;

pub(crate) trait Disk: Send + Sync + 'static {
    /// Opens a segment to append to; makes it, and its directory, where there is none.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn Segment>>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

pub(crate) trait Segment: Send + Sync {
    fn append(&self, bytes: &[u8]) -> io::Result<()>;
    fn len(&self) -> io::Result<u64>;
    fn truncate(&self, len: u64) -> io::Result<()>;
    fn sync(&self) -> io::Result<()>;
}

#[derive(Debug)]
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn Segment>> {
        if let Some(dir) = path.parent().filter(|dir| !dir.exists()) {
            layout::private_dir(dir)?;
        }
        Ok(Arc::new(layout::private_append(path)?))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        // The chain's directory, its tenant's and the log's: any of them may be new.
        dir.ancestors()
            .take(3)
            .filter(|dir| !dir.as_os_str().is_empty())
            .try_for_each(|dir| File::open(dir)?.sync_all())
    }
}

impl Segment for File {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        (&mut &*self).write_all(bytes)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
