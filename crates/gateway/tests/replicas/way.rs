//! The way to the database is cut, or goes silent.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    task::JoinSet,
};

use super::*;

const OPEN: u8 = 0;
/// Every connection is closed, and none is taken.
const CUT: u8 = 1;
/// Nothing passes, and nobody is told.
const SILENT: u8 = 2;

/// A way to the database that can be cut.
struct Way {
    address: SocketAddr,
    is: Arc<AtomicU8>,
    _tasks: JoinSet<()>,
}

impl Way {
    async fn to(database: &Database) -> Self {
        let (_, place) = database.url().rsplit_once('@').unwrap();
        let (server, _) = place.split_once('/').unwrap();
        let server: SocketAddr = server.parse().unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let is = Arc::new(AtomicU8::new(OPEN));
        let mut tasks = JoinSet::new();
        let state = Arc::clone(&is);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let state = Arc::clone(&state);
                connections.spawn(async move {
                    if state.load(Ordering::Relaxed) == CUT {
                        return;
                    }
                    let Ok(server) = TcpStream::connect(server).await else {
                        return;
                    };
                    let ((from, to), (back, forth)) = (client.into_split(), server.into_split());
                    tokio::join!(pass(from, forth, &state), pass(back, to, &state));
                });
            }
        });
        Self {
            address,
            is,
            _tasks: tasks,
        }
    }

    fn url(&self, database: &Database) -> String {
        let (user, place) = database.url().rsplit_once('@').unwrap();
        let (_, name) = place.split_once('/').unwrap();
        format!("{user}@{}/{name}", self.address)
    }

    fn is(&self, state: u8) {
        self.is.store(state, Ordering::Relaxed);
    }
}

/// Passes bytes on for as long as the way is open.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: &AtomicU8) {
    const LOOK: Duration = Duration::from_millis(10);
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = tokio::time::timeout(LOOK, from.read(&mut buffer)).await;
        match (state.load(Ordering::Relaxed), read) {
            (CUT, _) | (_, Ok(Ok(0) | Err(_))) => return,
            (OPEN, Ok(Ok(read))) => match to.write_all(&buffer[..read]).await {
                Ok(()) => {}
                Err(_gone) => return,
            },
            _nothing_passes => {}
        }
    }
}

const STALENESS: Duration = Duration::from_secs(3);

async fn a_replica_without_its_database(how: u8) {
    let site = Site::new().await;
    let way = Way::to(&site.database).await;
    let one = site.replica("gw-1");
    let staleness = format!("max_staleness_ms = {}", STALENESS.as_millis());
    let other = site.replica_at("gw-2", &way.url(&site.database), &staleness);
    one.apply(&site.organisation(""));
    let key = one.does(&[
        "key",
        "create",
        "--agent",
        "bot",
        "--server",
        "*",
        "--expires",
        "1h",
    ]);
    let key = key.trim();
    until(StatusCode::OK, async || site.calls(&other, "ann").await).await;
    until(StatusCode::OK, async || site.calls(&other, "ben").await).await;
    let stream = site.slow(&other, &site.token("ben", "tools")).await;
    way.is(how);
    let cut = Instant::now();
    assert_eq!(site.calls(&other, "ben").await, StatusCode::OK);
    // What it cannot hear of.
    one.apply(&site.organisation("[[users]]\nid = 'ann'\ndisabled = true\n"));
    until(StatusCode::SERVICE_UNAVAILABLE, async || {
        site.calls(&other, "ann").await
    })
    .await;
    ends(stream).await;
    // What was sure at the moment of the cut is good for so long, and streams are looked after once in a second.
    let took = cut.elapsed();
    assert!(took < STALENESS + 2 * SOON, "{took:?}");
    assert!(took > STALENESS / 3, "{took:?}");
    assert_eq!(
        site.calls(&other, "ben").await,
        StatusCode::SERVICE_UNAVAILABLE
    );
    let by_key = site.tool(&other, "tools", key, "echo").await.status();
    assert_eq!(by_key, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(site.calls(&one, "ben").await, StatusCode::OK);

    way.is(OPEN);
    until(StatusCode::OK, async || site.calls(&other, "ben").await).await;
    assert_eq!(site.calls(&other, "ann").await, StatusCode::UNAUTHORIZED);
    // It hears of changes again, and at once.
    until(true, async || {
        one.apply(&site.organisation(""));
        let on = until(StatusCode::OK, async || site.calls(&other, "ann").await).await;
        one.apply(&site.organisation("[[users]]\nid = 'ann'\ndisabled = true\n"));
        let off = until(StatusCode::UNAUTHORIZED, async || {
            site.calls(&other, "ann").await
        });
        on < SOON && off.await < SOON
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_whose_way_to_the_database_is_cut_refuses_in_time_and_comes_back() {
    a_replica_without_its_database(CUT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_whose_database_falls_silent_refuses_in_time_and_comes_back() {
    a_replica_without_its_database(SILENT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_only_the_connections_for_events_are_cut_again_and_again_nothing_is_missed() {
    let site = Site::new().await;
    let (one, other) = (site.replica("gw-1"), site.replica("gw-2"));
    let (on, off) = (
        site.organisation(""),
        site.organisation("[[users]]\nid = 'ann'\ndisabled = true\n"),
    );
    one.apply(&on);
    let cut = || {
        site.database
            .run_as_superuser(&["SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND query LIKE 'LISTEN%'"]);
    };
    for round in 0..10 {
        until(StatusCode::OK, async || site.calls(&other, "ann").await).await;
        cut();
        one.apply(&off);
        cut();
        let took = until(StatusCode::UNAUTHORIZED, async || {
            site.calls(&other, "ann").await
        });
        let took = took.await;
        assert!(took < 2 * SOON, "round {round}: {took:?}");
        one.apply(&on);
    }
}
