//! Single layers, within one process: how long each takes, and where valgrind is installed, how many instructions, which
//! do not depend on what else the machine does.

mod policy;
mod stages;
mod valgrind;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::Result;
use clap::Args;

pub(crate) use self::policy::policy_ratio;
use self::stages::{STAGES, Setup};
use crate::{machine, process::Running, report::Report, tokens::Issuer};

/// Calls of the shorter and the longer run under valgrind; what lies between is divided by the difference.
const CALLS: (u64, u64) = (300, 1_300);

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Where logs and the figures go
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
}

/// One stage for so many calls; what valgrind is pointed at.
#[derive(Debug, Args)]
pub(crate) struct SpanOptions {
    #[arg(long)]
    stage: usize,
    #[arg(long)]
    calls: u64,
    #[arg(long)]
    server: SocketAddr,
    #[arg(long)]
    token: String,
    #[arg(long)]
    folder: PathBuf,
}

pub(crate) fn span(options: &SpanOptions) -> Result<()> {
    let setup = Setup::new(
        options.stage,
        options.server,
        &options.token,
        &options.folder,
    )?;
    setup.run(options.stage, options.calls)
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.folder.exists() {
        fs::remove_dir_all(&options.folder)?;
    }
    fs::create_dir_all(&options.folder)?;
    let issuer = Issuer::new()?;
    let keys = options.folder.join("keys.json");
    fs::write(&keys, issuer.keys().to_string())?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("fixture")
        .arg("--keys")
        .arg(&keys)
        .stdout(Stdio::piped());
    let mut fixture = Running::start("fixture", &mut command, &options.folder)?;
    let server = fixture.announced()?;
    let token = issuer.token("ann", stages::AUDIENCE)?;

    let mut report = Report::new(machine::name());
    layers(&mut report, server, &token, &options.folder)?;
    policy_ratio(&mut report)?;
    report.print();
    report.write(&options.folder.join("micro.json"))
}

/// What each layer adds to those above it.
fn layers(report: &mut Report, server: SocketAddr, token: &str, folder: &Path) -> Result<()> {
    let counts = valgrind::is_installed();
    if !counts {
        println!("valgrind is not installed, so instructions are not counted");
    }
    println!(
        "{:<24} {:>12} {:>20}",
        "layer", "ns/call", "instructions/call"
    );
    let (mut nanos_above, mut count_above) = (0.0, 0.0);
    for (stage, name) in STAGES.into_iter().enumerate() {
        let setup = Setup::new(stage, server, token, &folder.join(format!("log-{stage}")))?;
        let nanos = setup.nanos(stage)?;
        let key = name.replace(' ', "_");
        report.figure(&format!("layer_{key}_ns"), nanos - nanos_above);
        let mut shown = "-".to_owned();
        if counts {
            let count = valgrind::instructions(CALLS, |calls| {
                let mut command = Command::new("valgrind");
                command.args(["--tool=callgrind", "--callgrind-out-file=counts.out"]);
                command.arg(std::env::current_exe()?).arg("span");
                command.args(["--stage", &stage.to_string(), "--calls", &calls.to_string()]);
                command.args(["--server", &server.to_string(), "--token", token]);
                command
                    .arg("--folder")
                    .arg(folder.join(format!("log-{stage}-{calls}")));
                command.current_dir(folder);
                Ok(command)
            })?;
            report.figure(&format!("layer_{key}_instructions"), count - count_above);
            shown = format!("{:.0}", count - count_above);
            count_above = count;
        }
        println!("{name:<24} {:>12.0} {shown:>20}", nanos - nanos_above);
        nanos_above = nanos;
    }
    Ok(())
}
