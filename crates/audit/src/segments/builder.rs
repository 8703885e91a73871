use std::{
    collections::HashMap,
    fmt,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, RwLock, atomic::AtomicBool, atomic::AtomicU64},
    time::Duration,
};

use gatewright_core::{Clock, SystemClock};

use super::{
    SegmentFiles, Shared,
    chain::{Chain, Setting},
    recover::{self, RecoverError},
    reserve::Reserve,
    worker::Worker,
};
use crate::{
    AppendError, CheckpointKey, LoadKeyError, PublicKey, Record,
    disk::{Disk, RealDisk},
    layout,
};

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenLogError {
    /// The directory, or a file in it, cannot be read or made.
    #[error("cannot use `{}`: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process writes to it.
    #[error("another process writes to `{}` as `{writer}`: stop it, or choose another writer name", dir.display())]
    InUse {
        /// Which directory.
        dir: PathBuf,
        /// As which writer.
        writer: String,
    },
    /// The name cannot be a writer's.
    #[error(
        "`{0}` cannot be a writer's name: use 1 to 63 of a-z, 0-9 and `-`, starting with a letter or digit"
    )]
    Writer(String),
    /// A chain cannot be continued.
    #[error(transparent)]
    Chain(#[from] RecoverError),
    /// The key of checkpoints cannot be had.
    #[error(transparent)]
    Key(#[from] LoadKeyError),
    /// What a crash had cut off could not be recorded.
    #[error("cannot record what a crash left: {0}")]
    Append(#[from] AppendError),
}

/// Settings of a log; each has a good default.
#[must_use]
pub struct SegmentFilesBuilder {
    dir: PathBuf,
    writer: String,
    key: Option<PathBuf>,
    clock: Arc<dyn Clock>,
    disk: Arc<dyn Disk>,
    segment_bytes: u64,
    reserve_bytes: u64,
    queue_records: usize,
    checkpoint_records: u64,
    checkpoint_interval: Duration,
}

impl SegmentFilesBuilder {
    pub(super) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            writer: "local".to_owned(),
            key: None,
            clock: Arc::new(SystemClock),
            disk: Arc::new(RealDisk),
            segment_bytes: 64 * 1024 * 1024,
            reserve_bytes: 16 * 1024 * 1024,
            queue_records: 65_536,
            checkpoint_records: 10_000,
            checkpoint_interval: Duration::from_secs(60),
        }
    }

    /// The name of this replica in the log; `local` if not said. No two processes may share one.
    pub fn writer(mut self, name: &str) -> Self {
        name.clone_into(&mut self.writer);
        self
    }

    /// The file of the key that signs checkpoints, made where there is none. Best where whoever can change the
    /// log cannot read it, and where backups of the log do not take it along.
    pub fn checkpoint_key(mut self, path: impl AsRef<Path>) -> Self {
        self.key = Some(path.as_ref().to_owned());
        self
    }

    /// Where the time of the log's own records comes from.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// A segment that is longer than this gets a successor, in bytes; 64 MiB if not said.
    pub const fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// Space that is kept for records of calls when the disk is full, in bytes; 16 MiB if not said, 0 for none.
    pub const fn reserve_bytes(mut self, bytes: u64) -> Self {
        self.reserve_bytes = bytes;
        self
    }

    /// How many records of a tenant may wait to be written; 65,536 if not said. Memory for them is bounded to
    /// 16 MiB besides.
    pub const fn queue_records(mut self, records: usize) -> Self {
        self.queue_records = records;
        self
    }

    /// Signs a checkpoint after so many records, or after so much time with any; 10,000 and one minute if not
    /// said.
    pub const fn checkpoint_every(mut self, records: u64, interval: Duration) -> Self {
        self.checkpoint_records = records;
        self.checkpoint_interval = interval;
        self
    }

    #[cfg(test)]
    pub(crate) fn disk(mut self, disk: impl Disk) -> Self {
        self.disk = Arc::new(disk);
        self
    }

    /// Opens the log: continues the chains of this writer, and records what a crash had cut off.
    ///
    /// # Errors
    /// [`OpenLogError`] when the directory cannot be used, another process writes to it, or the end of a chain
    /// is damaged.
    pub fn open(self) -> Result<SegmentFiles, OpenLogError> {
        if !layout::is_writer(&self.writer) {
            return Err(OpenLogError::Writer(self.writer));
        }
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| OpenLogError::Io { path, source }
        };
        let dir = self.dir;
        layout::private_dir(&dir).map_err(failed(&dir))?;
        let lock = lock(&dir, &self.writer)?;
        let key_path = self.key.unwrap_or_else(|| layout::default_key(&dir));
        let key = CheckpointKey::load_or_create(&key_path)?;
        publish(&dir, &self.writer, key.public()).map_err(failed(&dir))?;
        if let Some(checkpoint) = recover::last_checkpoint(&dir, &self.writer)? {
            recover::hold_against(&dir, &self.writer, &checkpoint)?;
        }

        let reserve = Reserve::new(layout::reserve(&dir, &self.writer), self.reserve_bytes);
        if let Err(error) = reserve.fill() {
            tracing::warn!(%error, "no space to reserve for the audit log");
        }
        let setting = Arc::new(Setting {
            dir,
            writer: self.writer,
            clock: self.clock,
            disk: self.disk,
            reserve,
            segment_bytes: self.segment_bytes,
            queue_records: self.queue_records,
            queue_bytes: 16 * 1024 * 1024,
            since_checkpoint: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        });
        let shared = Shared {
            chains: RwLock::new(continued(&setting)?),
            setting,
            worker: Worker::new(key, self.checkpoint_records, self.checkpoint_interval),
            lock: Mutex::new(Some(lock)),
        };
        SegmentFiles::start(shared)
    }
}

/// Puts the public key beside the log. One that was there before stays under another name: after a restore that
/// left the key out, what the old one signed must not look forged.
fn publish(dir: &Path, writer: &str, key: PublicKey) -> io::Result<()> {
    let path = layout::public_key(dir, writer);
    if let Ok(before) = PublicKey::load(&path)
        && before != key
    {
        fs::rename(&path, layout::former_public_key(dir, writer, &before.id()))?;
    }
    fs::write(&path, key.to_pem())
}

/// The chains of this writer that are on the disk.
fn continued(
    setting: &Arc<Setting>,
) -> Result<HashMap<gatewright_core::TenantId, Arc<Chain>>, OpenLogError> {
    let (dir, writer) = (&setting.dir, setting.writer.as_str());
    let mut chains = HashMap::new();
    let all = layout::chains(dir).map_err(|source| OpenLogError::Io {
        path: dir.clone(),
        source,
    })?;
    for (tenant, _) in all.into_iter().filter(|(_, name)| name == writer) {
        let tail = recover::tail(dir, &tenant, writer)?;
        let chain = if tail.unfinished > 0 {
            let cut = recover::cut(dir, &tenant, writer, &tail)?;
            let (file, aside) = (
                layout::segment_name(tail.segment),
                layout::cut_name(tail.segment),
            );
            let now = setting.clock.now();
            let record = Record::recovered(tenant.clone(), &file, &aside, &cut, now);
            let chain = Chain::new(tenant.clone(), Arc::clone(setting), &tail);
            chain.write_first(&record)?;
            chain
        } else {
            Chain::new(tenant.clone(), Arc::clone(setting), &tail)
        };
        chains.insert(tenant, Arc::new(chain));
    }
    Ok(chains)
}

/// The lock of a writer; it goes with the process.
fn lock(dir: &Path, writer: &str) -> Result<File, OpenLogError> {
    let path = layout::lock(dir, writer);
    let file = layout::private_append(&path).map_err(|source| OpenLogError::Io {
        path: path.clone(),
        source,
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenLogError::InUse {
            dir: dir.to_owned(),
            writer: writer.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(OpenLogError::Io { path, source }),
    }
}

impl fmt::Debug for SegmentFilesBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentFilesBuilder")
            .field("dir", &self.dir)
            .field("writer", &self.writer)
            .finish_non_exhaustive()
    }
}
