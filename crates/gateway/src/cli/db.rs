//! `gatewright db`: the database as a whole, of an installation that does not run.

mod elsewhere;
mod progress;

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand, ValueEnum};
use gatewright_core::{BoxError, Secret};
use gatewright_store::{
    PostgresStore, SqliteStore, Store,
    transfer::{self, Copied},
};

use self::progress::Progress;
use super::{ConfigArgs, Found, Outcome, block_on};
use crate::{config::Settings, holdings};

#[derive(Debug, Subcommand)]
pub(super) enum DbCommand {
    /// Bring the database up to this version, as `serve` does when it starts (works on a stopped installation)
    #[command(
        after_help = "Example: gatewright db migrate --config /etc/gatewright/gatewright.toml"
    )]
    Migrate(ConfigArgs),
    /// Write the database into a file: people, roles, credentials and API keys (works on a stopped installation, and on one that
    /// runs)
    #[command(
        after_help = "The file is of one moment, and does as well for a database of the other kind. The audit log and the master \
        keys are not in it; it is said where they are.\n\nExample: gatewright db backup --to /backup/gatewright-2026-11-27.db"
    )]
    Backup(BackupArgs),
    /// Make a backup the database, where there is none (works on a stopped installation)
    #[command(
        after_help = "Example: gatewright db restore --from /backup/gatewright-2026-11-27.db"
    )]
    Restore(RestoreArgs),
    /// Move everything to the Postgres server that `[database]` names, so that many replicas can use it (works on a stopped
    /// installation)
    #[command(
        after_help = "All of it is moved, or nothing is. Afterwards no gateway starts with the file by mistake.\n\n\
        Example: gatewright db move --from sqlite --to postgres"
    )]
    Move(MoveArgs),
}

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The file to write, which is not there yet
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// The backup
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(super) struct MoveArgs {
    /// What it is in: the file in `data_dir`
    #[arg(long, value_name = "KIND")]
    from: From,
    /// Where it goes: the server that `[database]` names
    #[arg(long, value_name = "KIND")]
    to: To,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum From {
    Sqlite,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum To {
    Postgres,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
enum DbError {
    #[error(
        "gateways, or commands like this one, have {0} connections to the database, and nothing was changed: stop them first"
    )]
    Running(u64),
    #[error(
        "there is no database `{}`: look whether `data_dir` is what it should be, and whether its volume is mounted", .0.display()
    )]
    None(PathBuf),
    #[error(
        "`[database]` in `{}` names no Postgres server, so that it is not known where to move to: write `url_env` and `replica` there",
        .0.display()
    )]
    NoServer(PathBuf),
    #[error("the backup `{}` cannot be used: {source}", path.display())]
    Backup { path: PathBuf, source: BoxError },
}

pub(super) fn run(command: &DbCommand) -> Outcome {
    match command {
        DbCommand::Migrate(args) => migrate(&args.settings()?),
        DbCommand::Backup(args) => backup(&args.config.settings()?, &args.to),
        DbCommand::Restore(args) => restore(&args.config.settings()?, &args.from),
        DbCommand::Move(args) => {
            let (From::Sqlite, To::Postgres) = (args.from, args.to);
            move_to_postgres(&args.config.settings()?, &args.config.config)
        }
    }
}

fn migrate(settings: &Settings) -> Outcome {
    block_on(async {
        let (store, what) = match settings.database.url()? {
            Some(url) => (to_be_alone(&url).await?.into(), "the database".to_owned()),
            None => {
                let path = there(holdings::database(settings))?;
                let what = format!("`{}`", path.display());
                (Store::from(SqliteStore::open_alone(&path).await?), what)
            }
        };
        store.close().await;
        let version = env!("CARGO_PKG_VERSION");
        writeln!(io::stdout(), "{what} is as version {version} wants it")?;
        Ok(Found::Good)
    })
}

fn backup(settings: &Settings, to: &Path) -> Outcome {
    block_on(async {
        let store = match settings.database.url()? {
            Some(url) => Store::from(PostgresStore::open(url.expose()).await?),
            None => {
                let path = there(holdings::database(settings))?;
                Store::from(SqliteStore::open(&path).await?)
            }
        };
        let done = transfer::backup(&store, to).await;
        let needed = store.needed_master_keys().await;
        store.close().await;
        done?;
        let mut out = io::stdout().lock();
        let to = to.display();
        writeln!(
            out,
            "`{to}` has everything of the database: people, groups, roles, grants, servers, credentials, API keys"
        )?;
        elsewhere::not_in_a_backup(&mut out, settings, &needed?)?;
        Ok(Found::Good)
    })
}

fn restore(settings: &Settings, from: &Path) -> Outcome {
    block_on(async {
        let store = match settings.database.url()? {
            Some(url) => {
                let store = Store::from(to_be_alone(&url).await?);
                let copied = fill(&store, settings, from).await?;
                writeln!(io::stdout(), "{} are restored", told(copied))?;
                store
            }
            None => {
                let path = holdings::database(settings);
                transfer::restore(from, &path).await?;
                writeln!(io::stdout(), "`{}` is restored", path.display())?;
                Store::from(SqliteStore::open(&path).await?)
            }
        };
        let needed = store.needed_master_keys().await;
        store.close().await;
        elsewhere::keys_of_a_restored(&mut io::stdout().lock(), settings, &needed?).await
    })
}

/// Fills an empty database from a backup, which itself is left as it is.
async fn fill(store: &Store, settings: &Settings, from: &Path) -> Result<Copied, BoxError> {
    let unusable = |source: BoxError| DbError::Backup {
        path: from.to_owned(),
        source,
    };
    // Beside what is restored, where only our user can read: it is brought up to this version there.
    let folder = settings
        .data_dir
        .join(format!("restore-{}", std::process::id()));
    let copy = folder.join("gatewright.db");
    let filled = async {
        let restored = transfer::restore(from, &copy).await;
        restored.map_err(|error| unusable(error.into()))?;
        let file = Store::from(SqliteStore::open_alone(&copy).await?);
        let mut progress = Progress::new();
        let mut tell = |so_far| progress.tell(so_far);
        let copied = transfer::copy(&file, store, &mut tell).await;
        progress.end();
        file.close().await;
        Ok::<_, BoxError>(copied?)
    };
    let filled = filled.await;
    // What it leaves is a copy of a backup, which is not in anybody's way.
    let _gone = std::fs::remove_dir_all(&folder);
    filled
}

fn move_to_postgres(settings: &Settings, file: &Path) -> Outcome {
    block_on(async {
        let from = there(holdings::database(settings))?;
        let Some(url) = settings.database.url()? else {
            return Err(DbError::NoServer(file.to_owned()).into());
        };
        let replica = settings.database.replica()?;
        let to = to_be_alone(&url).await?;
        let mut progress = Progress::new();
        let mut tell = |so_far| progress.tell(so_far);
        let moved = transfer::move_to_postgres(&from, &to, &mut tell).await;
        progress.end();
        let needed = to.needed_master_keys().await;
        to.close().await;
        let moved = moved?;
        let mut out = io::stdout().lock();
        let from = from.display();
        writeln!(
            out,
            "{} are in the Postgres database now, with credentials and API keys; each row was read back and compared",
            told(moved)
        )?;
        writeln!(
            out,
            "`{from}` is marked as moved: no gateway starts with it any more"
        )?;
        elsewhere::not_moved(&mut out, settings, &replica, &needed?)?;
        Ok(Found::Good)
    })
}

/// The server's database, which no gateway uses.
async fn to_be_alone(url: &Secret) -> Result<PostgresStore, BoxError> {
    match PostgresStore::connections(url.expose()).await? {
        0 => Ok(PostgresStore::open(url.expose()).await?),
        many => Err(DbError::Running(many).into()),
    }
}

fn there(path: PathBuf) -> Result<PathBuf, DbError> {
    if path.is_file() {
        Ok(path)
    } else {
        Err(DbError::None(path))
    }
}

fn told(copied: Copied) -> String {
    let tenants = if copied.tenants == 1 {
        "tenant"
    } else {
        "tenants"
    };
    let rows = if copied.rows == 1 { "row" } else { "rows" };
    format!("{} {tenants} with {} {rows}", copied.tenants, copied.rows)
}
