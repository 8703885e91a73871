//! SCIM over an empty store of its own: it says where it is and what its token is, and ends when it is told to.
#![expect(
    clippy::print_stdout,
    reason = "whoever starts it reads there where it is"
)]

use std::{error::Error, future::Future, pin::Pin};

use clap::{Parser, ValueEnum};
use gatewright_core::{
    Actor, Change, Clock as _, RecordError, Recorder, Stage, SystemClock, TenantId, Timestamp,
};
use gatewright_directory::{
    Authorise, Authorised, Directory, Edit, Expected, MemoryRecords, Proposal,
    model::{Document, ScimScope, ScimToken},
    records::Records,
    scim::{Rate, ScimService, digest_of_token, new_token},
};
use gatewright_store::{PostgresStore, SqliteStore};
use gatewright_test_postgres::Database;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

/// How long the token is good, in milliseconds.
const GOOD_FOR: i64 = 3_600_000;

#[derive(Debug, Parser)]
struct Cli {
    /// Where everything is stored; it ends with this process
    store: Store,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Store {
    Memory,
    Sqlite,
    Postgres,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    match Cli::parse().store {
        Store::Memory => serve(MemoryRecords::new()).await,
        Store::Sqlite => {
            let folder = tempfile::tempdir()?;
            let store = SqliteStore::open(&folder.path().join("gatewright.db")).await?;
            serve(store).await
        }
        Store::Postgres => {
            let database = tokio::task::spawn_blocking(Database::create).await?;
            serve(PostgresStore::open(database.url()).await?).await
        }
    }
}

async fn serve(records: impl Records) -> Result<(), Box<dyn Error>> {
    let mut end = signal(SignalKind::terminate())?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let directory = Directory::builder(records, Unrecorded)
        .authorise(Everybody)
        .open()
        .await?;
    let token = set_up(&directory).await?;
    let service = ScimService::new(directory, &url, SystemClock).rate(Rate {
        per_second: 10_000,
        burst: 10_000,
    });
    println!("scim: {url}/scim/v2");
    println!("token: {token}");
    axum::serve(listener, service.router())
        .with_graceful_shutdown(async move {
            end.recv().await;
        })
        .await?;
    Ok(())
}

/// Makes a tenant, and a token that may everything there.
async fn set_up(directory: &Directory) -> Result<String, Box<dyn Error>> {
    let tenant = TenantId::default();
    directory
        .create_tenant(Actor::Operator(0), &tenant, Default::default())
        .await?;
    let token = new_token()?;
    let now = SystemClock.now().millis();
    let document = Document::ScimToken(ScimToken {
        name: "tester".to_owned(),
        digest: digest_of_token(token.expose()).ok_or("the token is none")?,
        scopes: vec![
            ScimScope::WriteUsers,
            ScimScope::WriteGroups,
            ScimScope::WriteAgents,
        ],
        created_at: now,
        expires_at: now + GOOD_FOR,
    });
    let put = Edit::Put {
        id: "tester".into(),
        document,
        expected: Expected::Absent,
    };
    directory
        .change(Actor::Operator(0), &tenant, "scim-token.put", vec![put])
        .await?;
    Ok(token.expose().to_owned())
}

/// Lets everybody change everything.
struct Everybody;

impl Authorise for Everybody {
    fn authorise<'a>(&'a self, _: Proposal<'a>) -> Authorised<'a> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn may_learn<'a>(
        &'a self,
        _: &'a Actor,
        _: &'a TenantId,
        _: &'a [Edit],
        _: &'a Directory,
    ) -> Authorised<'a> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Records nothing.
struct Unrecorded;

impl Recorder for Unrecorded {
    fn record<'a>(
        &'a self,
        _: &'a Change,
        _: Stage,
        _: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Result<(), RecordError>> + Send + 'a>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
