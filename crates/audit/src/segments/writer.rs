//! The end of a chain's last segment, where records are appended.

use std::{
    io, mem,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use gatewright_core::TenantId;

use super::{chain::Setting, recover::Tail};
use crate::{
    AppendError,
    chain::Head,
    disk::{Disk, Segment},
    layout,
};

/// Appends whole batches of records, or nothing.
pub(crate) struct Writer {
    tenant: TenantId,
    setting: Arc<Setting>,
    segment: u64,
    len: u64,
    head: Head,
    file: Option<Arc<dyn Segment>>,
    /// Files with bytes that may not be on the disk.
    unsynced: Vec<Arc<dyn Segment>>,
    dir_unsynced: bool,
    /// This process said that it writes here.
    pub(crate) opened: bool,
    /// The reserve was given up, and the chain should say so.
    pub(crate) took_reserve: bool,
    broken: Option<String>,
    /// Ticks of the log's thread since the last record.
    idle: u32,
}

/// What [`Writer::write`] did.
pub(crate) struct Written {
    /// The head before the first of the records.
    pub(crate) before: Head,
    pub(crate) took_reserve: bool,
}

/// What is written and may not be on the disk.
pub(crate) struct Unsynced {
    pub(crate) head: Head,
    files: Vec<Arc<dyn Segment>>,
    dir: Option<PathBuf>,
    disk: Arc<dyn Disk>,
}

impl Writer {
    pub(crate) fn new(tenant: &TenantId, setting: &Arc<Setting>, tail: &Tail) -> Self {
        Self {
            tenant: tenant.clone(),
            setting: Arc::clone(setting),
            segment: tail.segment,
            len: tail.len,
            head: tail.head,
            file: None,
            unsynced: Vec::new(),
            dir_unsynced: false,
            opened: false,
            took_reserve: false,
            broken: None,
            idle: 0,
        }
    }

    /// Appends these records with one write.
    pub(crate) fn write<'a>(
        &mut self,
        lines: impl Iterator<Item = &'a str>,
    ) -> Result<Written, AppendError> {
        self.is_whole()?;
        let before = self.head;
        let (mut bytes, mut head) = (Vec::new(), before);
        for line in lines {
            head = head.append(line.as_bytes(), &mut bytes);
        }
        let reserve = &Arc::clone(&self.setting).reserve;
        let mut took_reserve = false;
        let file = match self.file() {
            Err(AppendError::Io(error)) if is_full(&error) => {
                took_reserve = reserve.release();
                self.file()?
            }
            other => other?,
        };
        let mut result = file.append(&bytes);
        if result.as_ref().is_err_and(is_full) {
            self.undo(&*file)?;
            if reserve.release() {
                took_reserve = true;
                result = file.append(&bytes);
            }
        }
        if let Err(error) = result {
            self.took_reserve |= took_reserve;
            self.undo(&*file)?;
            return Err(error.into());
        }
        self.len += bytes.len() as u64;
        self.head = head;
        self.idle = 0;
        let known = self.unsynced.last();
        if !known.is_some_and(|last| Arc::ptr_eq(last, &file)) {
            self.unsynced.push(file);
        }
        let since_checkpoint = &self.setting.since_checkpoint;
        since_checkpoint.fetch_add(head.seq - before.seq, Ordering::Relaxed);
        Ok(Written {
            before,
            took_reserve,
        })
    }

    /// Takes a half-written batch out of the file, so that the chain does not fork.
    fn undo(&mut self, file: &dyn Segment) -> Result<(), AppendError> {
        file.truncate(self.len).map_err(|error| {
            self.break_off(format!(
                "a part of a record could not be taken back: {error}"
            ))
        })
    }

    /// The segment to write to, opened or begun where needed.
    fn file(&mut self) -> Result<Arc<dyn Segment>, AppendError> {
        if self.len >= self.setting.segment_bytes {
            self.segment += 1;
            self.len = 0;
            self.file = None;
        }
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        let path = self.dir().join(layout::segment_name(self.segment));
        let file = self.setting.disk.open(&path)?;
        if file.len()? != self.len {
            return Err(
                self.break_off(format!("`{}` was changed by somebody else", path.display()))
            );
        }
        self.dir_unsynced |= self.len == 0;
        self.file = Some(Arc::clone(&file));
        Ok(file)
    }

    fn dir(&self) -> PathBuf {
        layout::chain_dir(&self.setting.dir, &self.tenant, &self.setting.writer)
    }

    fn is_whole(&self) -> Result<(), AppendError> {
        match &self.broken {
            Some(reason) => Err(AppendError::Broken(reason.clone())),
            None => Ok(()),
        }
    }

    /// From now on nothing is appended: what the file holds is in doubt.
    pub(crate) fn break_off(&mut self, reason: String) -> AppendError {
        tracing::error!(tenant = %self.tenant, reason, "an audit chain is broken off");
        self.broken = Some(reason.clone());
        AppendError::Broken(reason)
    }

    /// Hands over what must be synced.
    pub(crate) fn take_unsynced(&mut self) -> Result<Unsynced, AppendError> {
        self.is_whole()?;
        let dir = mem::take(&mut self.dir_unsynced).then(|| self.dir());
        Ok(Unsynced {
            head: self.head,
            files: mem::take(&mut self.unsynced),
            dir,
            disk: Arc::clone(&self.setting.disk),
        })
    }

    /// Counts a tick without a record, and lets go of the file after many.
    pub(crate) fn tick(&mut self, idle_ticks: u32) {
        self.idle = self.idle.saturating_add(1);
        if self.idle > idle_ticks && self.unsynced.is_empty() {
            self.file = None;
        }
    }
}

impl Unsynced {
    /// Waits for the disk. Not for the serving runtime.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.files.iter().try_for_each(|file| file.sync())?;
        self.dir
            .as_ref()
            .map_or(Ok(()), |dir| self.disk.sync_dir(dir))
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
