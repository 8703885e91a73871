use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use gatewright_store::transfer::Copied;

const EVERY: Duration = Duration::from_millis(200);

/// How much is copied, on one line of a terminal; nobody else waits for it.
pub(super) struct Progress {
    said: Option<Instant>,
    shown: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        let shown = io::stderr().is_terminal();
        Self { said: None, shown }
    }

    pub(super) fn tell(&mut self, copied: Copied) {
        let lately = self.said.is_some_and(|said| said.elapsed() < EVERY);
        if !self.shown || lately {
            return;
        }
        self.said = Some(Instant::now());
        // It is of no account whether somebody sees it.
        let _shown = write!(io::stderr(), "\r\x1b[Krows copied: {}", copied.rows);
    }

    pub(super) fn end(&self) {
        if self.said.is_some() {
            let _shown = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
