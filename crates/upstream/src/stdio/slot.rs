//! What stands at a place: a child, or one that is being started.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use gatewright_core::UpstreamAuth;
use tokio::{sync::OnceCell, time::Instant};

use super::{link::Link, place::Place};
use crate::{program::Program, target::Target};

/// How a child is started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start<'a> {
    pub(crate) place: &'a Place,
    pub(crate) target: &'a Target,
    pub(crate) program: &'a Program,
    pub(crate) auth: &'a UpstreamAuth,
}

/// A child, or one that is being started. Another credential or another program takes its place over.
pub(crate) struct Slot {
    credential: String,
    program: Program,
    pub(super) cell: OnceCell<Arc<Link>>,
    /// What had the place before: it ends with its calls, once this one has been started or could not be.
    before: Mutex<Option<Arc<Self>>>,
    /// Another has its place.
    gone: AtomicBool,
}

impl Slot {
    /// Empty, instead of what is there.
    pub(crate) fn new(start: &Start<'_>, before: Option<Arc<Self>>) -> Self {
        Self {
            credential: start.auth.key(),
            program: start.program.clone(),
            cell: OnceCell::new(),
            before: Mutex::new(before),
            gone: AtomicBool::new(false),
        }
    }

    /// Whether it is for this credential and program.
    pub(crate) fn suits(&self, start: &Start<'_>) -> bool {
        self.credential == start.auth.key() && self.program == *start.program
    }

    /// Whether another has its place.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    /// Whatever had the place before goes.
    pub(crate) fn settle(&self) {
        if let Some(before) = self.before().take() {
            before.retire();
        }
    }

    /// It ends with its calls.
    pub(crate) fn retire(&self) {
        self.gone.store(true, Ordering::SeqCst);
        self.settle();
        if let Some(link) = self.cell.get() {
            link.retire();
        }
    }

    /// It ends now.
    pub(crate) fn stop(&self) {
        self.gone.store(true, Ordering::SeqCst);
        self.settle();
        if let Some(link) = self.cell.get() {
            link.stop();
        }
    }

    /// Since when nothing has been under way; `None` while something is, or it is being started.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        self.cell.get()?.idle_since()
    }

    fn before(&self) -> MutexGuard<'_, Option<Arc<Self>>> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
