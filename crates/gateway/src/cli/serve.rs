//! `gatewright serve`: starts, and then does what signals ask.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{ConfigArgs, Failure, Found, Outcome, block_on, logging};
use crate::{
    config::Settings,
    serve::{self, Running},
};

pub(super) fn run(args: &ConfigArgs) -> Outcome {
    let settings = args.settings()?;
    logging::start(&settings.logging)?;
    block_on(async move {
        // Before anything else: from here on no signal ends the process by itself.
        let mut signals = Signals::listen()?;
        let running = serve::start(settings).await?;
        let url = &running.settings().public_url;
        tracing::info!(address = %running.public, %url, "serving");
        if let Some(address) = running.metrics {
            tracing::info!(%address, "health and metrics");
        }
        until_ended(running, &mut signals).await;
        Ok(Found::Good)
    })
}

/// Serves until a signal asks for the end; reloads at each SIGHUP.
pub(super) async fn until_ended(running: Running, signals: &mut Signals) {
    while signals.next().await == Wish::Reload {
        match reload(&running) {
            Ok(()) => tracing::info!("the settings and the certificate were read again"),
            Err(error) => tracing::error!(
                "the settings were not taken over, and what was in force stays in force:\n{error}"
            ),
        }
    }
    tokio::select! {
        () = running.shutdown() => tracing::info!("ended"),
        () = signals.end() => tracing::warn!("asked twice: what is still under way is cut off"),
    }
}

fn reload(running: &Running) -> Result<(), Failure> {
    let outcome = read_again(running);
    if outcome.is_err() {
        running.reload_refused();
    }
    outcome
}

fn read_again(running: &Running) -> Result<(), Failure> {
    let settings = running.settings();
    let now = Settings::load(&settings.file)?;
    if now != *settings {
        let file = settings.file.display();
        tracing::warn!(%file, "what has changed in this file takes effect at the next start");
    }
    Ok(running.reload()?)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Reload,
    End,
}

/// The signals that we heed.
pub(super) struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next wish.
    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.hangup.recv() => Wish::Reload,
            _ = self.terminate.recv() => Wish::End,
            _ = self.interrupt.recv() => Wish::End,
        }
    }

    /// Waits until somebody wants the end.
    pub(super) async fn end(&mut self) {
        while self.next().await == Wish::Reload {}
    }
}
