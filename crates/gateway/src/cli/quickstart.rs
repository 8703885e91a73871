//! `gatewright quickstart`: the tour, and then an invitation.

use std::{
    env,
    io::{self, IsTerminal as _, Write},
    path::PathBuf,
};

use clap::Args;

use super::{
    Found, Outcome, block_on, logging,
    serve::{Signals, until_ended},
};
use crate::{
    config::{LogFormat, Logging},
    quickstart::{PORT, Paint, Port, Scene},
};

#[derive(Debug, Args)]
#[command(
    after_help = "Ends with 0 when every step of the tour did what it said, and with 1 otherwise."
)]
pub(super) struct QuickstartArgs {
    /// End after the tour
    #[arg(long)]
    once: bool,
    /// The port of the gateway; without it 7400, or a free one if that is taken or with `--once`
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Keep the configuration, the tokens and the log here; without it they go with the process
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl QuickstartArgs {
    fn port(&self) -> Port {
        match self.port {
            Some(0) => Port::Free,
            Some(port) => Port::Only(port),
            None if self.once => Port::Free,
            None => Port::Rather(PORT),
        }
    }
}

pub(super) fn run(args: &QuickstartArgs) -> Outcome {
    logging::start(&Logging {
        format: LogFormat::Text,
        // Reloads are heard of, and refusals are on the screen.
        level: "warn,gatewright::cli=info".to_owned(),
    })?;
    block_on(play(args, &mut io::stdout().lock(), paint()))
}

/// Colour on a terminal that has it, unless it is not wanted (no-color.org).
fn paint() -> Paint {
    let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
    if io::stdout().is_terminal() && !unwanted && !dumb {
        Paint::Ansi
    } else {
        Paint::Plain
    }
}

/// How we were called: `cargo run` does not put us where the shell would find us.
fn program() -> String {
    let called = env::args().next();
    called
        .filter(|name| name.contains('/'))
        .unwrap_or_else(|| "gatewright".to_owned())
}

async fn play(args: &QuickstartArgs, out: &mut impl Write, paint: Paint) -> Outcome {
    // Before anything else: from here on no signal leaves files behind.
    let mut signals = Signals::listen()?;
    let mut scene = Scene::start(args.port(), args.data_dir.clone()).await?;
    let mut interrupted = false;
    let outcome = tokio::select! {
        outcome = tour(&scene, out, paint) => outcome,
        () = signals.end() => {
            interrupted = true;
            Ok(Found::Bad)
        }
    };
    if matches!(outcome, Ok(Found::Good)) && !args.once {
        write!(out, "{}", scene.invitation(paint, &program()))?;
        out.flush()?;
        // The rest of the scene stays until the gateway has ended, and its files until nobody writes them.
        let (gateway, _rest) = scene.into_parts();
        until_ended(gateway, &mut signals).await;
        return Ok(Found::Good);
    }
    if matches!(outcome, Ok(Found::Bad)) && !interrupted {
        scene.keep_files();
        let dir = scene.dir().display();
        writeln!(out, "The configuration and the log are in {dir}")?;
    }
    let (gateway, _rest) = scene.into_parts();
    gateway.shutdown().await;
    outcome
}

/// Shows the steps as they end, and whether all of them did what they should.
async fn tour(scene: &Scene, out: &mut impl Write, paint: Paint) -> Outcome {
    write!(out, "{}", scene.introduction(paint))?;
    let mut shown = out.flush();
    let steps = scene
        .tour(|step| {
            if shown.is_ok() {
                shown = write!(out, "{}", paint.step(step)).and_then(|()| out.flush());
            }
        })
        .await;
    shown?;
    let passed = steps.iter().filter(|step| step.passed()).count();
    writeln!(out, "{}", paint.summary(passed, steps.len()))?;
    Ok(if passed == steps.len() {
        Found::Good
    } else {
        Found::Bad
    })
}
