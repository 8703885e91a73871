//! `gatewright audit`: the log, without a gateway.

mod receipt;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand};
use gatewright_audit::{
    Checkpoint, CheckpointKey, Filter, LoadKeyError, PublicKey, ReadLogError, Tail, VerifyOptions,
    export, verify,
};
use gatewright_core::{Clock as _, ReferenceId, SystemClock, TenantId, Timestamp};
use http::Method;
use http_body_util::BodyExt as _;

use super::{
    ConfigArgs, Failure, Found, Outcome,
    admin::{Admin, AdminError},
    block_on, is_closed_pipe,
};
use crate::{config::LoadConfigError, serve};

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Find every change, gap and cut in the log (works offline, and beside a running gateway)
    #[command(
        after_help = "Ends with 0 when nothing was found and with 1 when something was.\n\n\
        Keep checkpoints where whoever can write the log cannot:\n  \
        tail -n 1 data/audit/checkpoints.local.jsonl >> /elsewhere/checkpoints\n  \
        gatewright audit verify --checkpoint /elsewhere/checkpoints"
    )]
    Verify(VerifyArgs),
    /// Find out whether a receipt of somebody who left is what a gateway signed, and show it (works offline)
    #[command(
        after_help = "Ends with 0 when it is genuine and with 1 when it is not.\n\n\
        Example: gatewright audit verify-receipt receipt.json --public-key /elsewhere/checkpoint-key.local.pub"
    )]
    VerifyReceipt(receipt::VerifyReceiptArgs),
    /// Show the latest records, one JSON object a line (asks the running gateway; without one it works offline)
    #[command(after_help = "Example: gatewright audit tail --follow --principal alice")]
    Tail(TailArgs),
    /// Write every record, one JSON object a line (works offline)
    #[command(
        after_help = "Examples:\n  gatewright audit export --since 24h > yesterday.jsonl\n  \
        gatewright audit export --reference 0199a0b2-5f00-7000-8000-000000000001"
    )]
    Export(ExportArgs),
}

#[derive(Debug, Args)]
struct LogArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// A log elsewhere, such as a copy; `--config` is not read then
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    log: LogArgs,
    /// A checkpoint that was kept elsewhere; of several lines the last counts
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// The key that verifies checkpoints, in PEM; may be repeated. Without any, that of the key directory
    #[arg(long = "public-key", value_name = "FILE")]
    public_keys: Vec<PathBuf>,
}

#[derive(Debug, Args)]
struct FilterArgs {
    /// Of this tenant
    #[arg(long, value_name = "NAME", value_parser = tenant)]
    tenant: Option<TenantId>,
    /// Not earlier: a moment, as `2027-01-31T18:00:00Z`, or so long ago, as `15m`
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    since: Option<Timestamp>,
    /// Earlier than this
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    until: Option<Timestamp>,
    /// By or for this user or agent, by their id, or by `issuer|id`
    #[arg(long, value_name = "ID")]
    principal: Option<String>,
    /// Of the request with this reference, as a denial shows it
    #[arg(long, value_name = "REFERENCE", value_parser = reference)]
    reference: Option<ReferenceId>,
}

#[derive(Debug, Args)]
pub(super) struct TailArgs {
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// How many
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 20)]
    lines: usize,
    /// Go on with those that come
    #[arg(long, short)]
    follow: bool,
}

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    filter: FilterArgs,
}

/// Why the log cannot be looked at.
#[derive(Debug, thiserror::Error)]
enum AuditError {
    #[error("cannot read `{}`: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the last line of `{}` is no checkpoint: copy one from `checkpoints.*.jsonl` of the log", .0.display())]
    NoCheckpoint(PathBuf),
}

/// How often a followed log is looked at.
const PAUSE: Duration = Duration::from_millis(250);

pub(super) fn run(command: &AuditCommand) -> Outcome {
    let mut out = io::stdout().lock();
    let outcome = match command {
        AuditCommand::Verify(args) => args.verify(&mut out),
        AuditCommand::VerifyReceipt(args) => args.verify(&mut out),
        AuditCommand::Tail(args) => args.tail(&mut out),
        AuditCommand::Export(args) => args.export(&mut out),
    };
    match outcome {
        // Whoever reads has seen enough, as `head` does.
        Err(error) if is_closed_pipe(&*error) => Ok(Found::Good),
        outcome => outcome,
    }
}

impl LogArgs {
    fn dir(&self) -> Result<PathBuf, LoadConfigError> {
        match &self.dir {
            Some(dir) => Ok(dir.clone()),
            None => Ok(serve::audit_dir(&self.config.settings()?)),
        }
    }

    /// The key of the key directory, which is not where the log is: as far as whoever asks may read it.
    fn own_key(&self) -> Result<Option<PublicKey>, Box<dyn std::error::Error + Send + Sync>> {
        if self.dir.is_some() {
            return Ok(None);
        }
        let path = serve::checkpoint_key(&self.config.settings()?);
        if !path.try_exists().unwrap_or(false) {
            return Ok(None);
        }
        match CheckpointKey::load_or_create(&path) {
            Ok(key) => Ok(Some(key.public())),
            Err(LoadKeyError::Io { source, .. })
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl VerifyArgs {
    fn verify(&self, out: &mut impl Write) -> Outcome {
        let dir = self.log.dir()?;
        let mut options = VerifyOptions::default();
        if let Some(file) = &self.checkpoint {
            options = options.checkpoint(last_checkpoint(file)?);
        }
        for file in &self.public_keys {
            options = options.public_key(PublicKey::load(file)?);
        }
        if self.public_keys.is_empty()
            && let Some(key) = self.log.own_key()?
        {
            options = options.public_key(key);
        }
        let report = verify(&dir, &options)?;
        write!(out, "{report}")?;
        Ok(if report.is_sound() {
            Found::Good
        } else {
            Found::Bad
        })
    }
}

fn last_checkpoint(file: &Path) -> Result<Checkpoint, AuditError> {
    let text = fs::read_to_string(file).map_err(|source| AuditError::Read {
        path: file.to_owned(),
        source,
    })?;
    let last = text.lines().rfind(|line| !line.trim().is_empty());
    let checkpoint = last.and_then(|line| Checkpoint::parse(line.trim()));
    checkpoint.ok_or_else(|| AuditError::NoCheckpoint(file.to_owned()))
}

impl FilterArgs {
    fn filter(&self) -> Filter {
        let mut filter = Filter::default();
        filter.tenant = self.tenant.clone();
        filter.since = self.since;
        filter.until = self.until;
        filter.principal = self.principal.clone();
        filter.reference = self.reference;
        filter
    }
}

impl TailArgs {
    fn tail(&self, out: &mut impl Write) -> Outcome {
        if self.log.dir.is_none() && self.tail_of_running(out)? {
            return Ok(Found::Good);
        }
        let dir = self.log.dir()?;
        let (latest, tail) = Tail::open(&dir, self.filter.filter(), self.lines)?;
        show(out, &latest)?;
        if self.follow {
            block_on(follow(tail, out))?;
        }
        Ok(Found::Good)
    }

    /// Whether a gateway runs, which has shown it.
    fn tail_of_running(&self, out: &mut impl Write) -> Result<bool, Failure> {
        let admin = Admin::new(&self.log.config);
        let filter = &self.filter;
        let mut query = vec![("count", self.lines.to_string())];
        if self.follow {
            query.push(("follow", "true".to_owned()));
        }
        let millis = |moment: Option<Timestamp>| moment.map(|moment| moment.millis().to_string());
        let wanted = [
            ("tenant", filter.tenant.as_ref().map(ToString::to_string)),
            ("since", millis(filter.since)),
            ("until", millis(filter.until)),
            ("principal", filter.principal.clone()),
            (
                "reference",
                filter.reference.as_ref().map(ToString::to_string),
            ),
        ];
        query.extend(
            wanted
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        block_on(async {
            let path = ["audit", "records"];
            let sent = admin.send(Method::GET, &path, &query, String::new()).await;
            let (_connection, answer) = match sent {
                Ok(sent) => sent,
                Err(error) => {
                    return match error.downcast_ref::<AdminError>() {
                        // Who may read the files needs no gateway.
                        Some(AdminError::NotRunning { .. } | AdminError::Denied) => Ok(false),
                        _ => Err(error),
                    };
                }
            };
            let mut body = answer.into_body();
            while let Some(frame) = body.frame().await {
                if let Ok(data) = frame?.into_data() {
                    out.write_all(&data).map_err(ReadLogError::Write)?;
                    out.flush().map_err(ReadLogError::Write)?;
                }
            }
            Ok(true)
        })
    }
}

async fn follow(mut tail: Tail, out: &mut impl Write) -> Result<(), Failure> {
    let mut pause = tokio::time::interval(PAUSE);
    loop {
        pause.tick().await;
        let more = tail.more()?;
        show(out, &more)?;
    }
}

fn show(out: &mut impl Write, records: &[String]) -> Result<(), ReadLogError> {
    for record in records {
        writeln!(out, "{record}").map_err(ReadLogError::Write)?;
    }
    out.flush().map_err(ReadLogError::Write)
}

impl ExportArgs {
    fn export(&self, out: &mut impl Write) -> Outcome {
        let dir = self.log.dir()?;
        // As fast as the disk, and not a system call for every record.
        let mut out = io::BufWriter::new(out);
        export(&dir, &self.filter.filter(), &mut out)?;
        Ok(Found::Good)
    }
}

fn tenant(text: &str) -> Result<TenantId, String> {
    TenantId::new(text).map_err(|error| error.to_string())
}

fn reference(text: &str) -> Result<ReferenceId, String> {
    ReferenceId::parse(text).ok_or_else(|| "write it as the denial shows it".to_owned())
}

/// A moment, or how long ago it was.
fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp::from_millis(at.as_millisecond()));
    }
    let ago = text.parse::<jiff::SignedDuration>().ok();
    let ago = ago.and_then(|ago| Duration::try_from(ago).ok());
    ago.map(|ago| SystemClock.now().minus(ago)).ok_or_else(|| {
        "write a moment with its offset, as `2027-01-31T18:00:00Z`, or so long ago, as `15m` or `24h`"
            .to_owned()
    })
}

#[cfg(test)]
mod tests;
