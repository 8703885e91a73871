//! Space that is kept for records of calls when the disk is full (invariant 13).

use std::{
    fs, io,
    io::Write as _,
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::layout;

/// A file that is given up so that others can grow.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    bytes: u64,
    /// Held while the file is made or removed.
    changing: Mutex<()>,
    short: AtomicBool,
}

impl Reserve {
    /// A reserve of so many bytes; 0 means none.
    pub(crate) fn new(path: PathBuf, bytes: u64) -> Self {
        Self {
            path,
            bytes,
            changing: Mutex::new(()),
            short: AtomicBool::new(false),
        }
    }

    /// Whether space is short, so that records about nobody are not written.
    pub(crate) fn is_short(&self) -> bool {
        self.short.load(Ordering::Relaxed)
    }

    /// Makes the file, or leaves things as they are where there is no space for it.
    pub(crate) fn fill(&self) -> io::Result<()> {
        let _held = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if fs::metadata(&self.path).is_ok_and(|file| file.len() == self.bytes) || self.bytes == 0 {
            self.short.store(false, Ordering::Relaxed);
            return Ok(());
        }
        match self.write() {
            Ok(()) => {
                self.short.store(false, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                self.short.store(true, Ordering::Relaxed);
                remove(&self.path)?;
                Err(error)
            }
        }
    }

    fn write(&self) -> io::Result<()> {
        remove(&self.path)?;
        let mut file = layout::private_append(&self.path)?;
        // Written and not only sized: a file with holes reserves nothing.
        let zeros = [0; 64 * 1024];
        let mut left = self.bytes;
        while left > 0 {
            let part = usize::try_from(left)
                .unwrap_or(zeros.len())
                .min(zeros.len());
            file.write_all(zeros.get(..part).unwrap_or(&zeros))?;
            left -= part as u64;
        }
        Ok(())
    }

    /// Gives the space up; whether there was any.
    pub(crate) fn release(&self) -> bool {
        self.short.store(true, Ordering::Relaxed);
        let _held = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        fs::remove_file(&self.path).is_ok()
    }
}

fn remove(path: &std::path::Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
