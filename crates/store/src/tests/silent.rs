//! A Postgres server that says nothing any more, as when the network between is cut.

use std::{io, time::Duration};

use gatewright_core::Timestamp;
use gatewright_directory::records::{Event, Records as _, Revision};
use gatewright_test_postgres::Database;
use gatewright_vault::SealedRecords as _;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use tokio_util::task::TaskTracker;

use super::{directory::committed, tenant};
use crate::PostgresStore;

/// Stands between, and can fall silent: then it takes connections and bytes, and passes nothing on.
struct Between {
    silent: watch::Sender<bool>,
    url: String,
    tasks: TaskTracker,
}

impl Between {
    async fn before(database: &Database) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (user, place) = database.url().rsplit_once('@').unwrap();
        let (server, name) = place.split_once('/').unwrap();
        let server = server.to_owned();
        let between = Self {
            silent: watch::Sender::new(false),
            url: format!("{user}@127.0.0.1:{port}/{name}"),
            tasks: TaskTracker::new(),
        };
        let (silent, tasks) = (between.silent.clone(), between.tasks.clone());
        between.tasks.spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tasks.spawn(pass_on(client, server.clone(), silent.subscribe()));
            }
        });
        between
    }

    /// What is cut stays cut, as far as its ends can see; from now on connections work or do not.
    fn set_silent(&self, silent: bool) {
        self.silent.send_replace(silent);
    }
}

async fn pass_on(
    mut client: TcpStream,
    server: String,
    mut silent: watch::Receiver<bool>,
) -> io::Result<()> {
    if !*silent.borrow() {
        let mut server = TcpStream::connect(server).await?;
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => return Ok(()),
            _ = silent.changed() => {}
        }
        // Both ends go on believing that the other is there.
        std::future::pending::<()>().await;
    }
    std::future::pending().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_falls_silent_is_an_error_and_used_again_once_it_answers() {
    let database = Database::create();
    let between = Between::before(&database).await;
    let store = PostgresStore::open(&between.url).await.unwrap();
    let other = PostgresStore::open(database.url()).await.unwrap();
    let acme = tenant("acme");
    assert_eq!(store.next_version(&acme).await.unwrap(), 1);
    let mut events = store.events();

    between.set_silent(true);
    let within = Duration::from_secs(20);
    let heads = timeout(within, store.heads()).await.expect("no answer");
    assert!(heads.is_err());
    let version = timeout(within, store.next_version(&acme)).await;
    assert!(version.expect("no answer").is_err());
    // Nobody tells of this one, and whoever listens is told that something may be missing.
    let at = Timestamp::from_secs(1);
    other.commit(&acme, Revision(0), at, &[]).await.unwrap();
    let missed = timeout(within, events.recv()).await.expect("no event");
    assert_eq!(missed.unwrap(), Event::Missed);

    between.set_silent(false);
    // Connections that were cut may each fail once more.
    let again = async {
        loop {
            if let Ok(heads) = store.heads().await {
                break heads;
            }
        }
    };
    let heads = timeout(within, again).await.expect("it is not used again");
    assert_eq!(heads, [(acme.clone(), Revision(1))]);
    let missed = timeout(within, events.recv()).await.expect("no event");
    assert_eq!(missed.unwrap(), Event::Missed);
    // Until there is a connection to listen on again, nothing but that is told.
    let mut base = 1;
    loop {
        other.commit(&acme, Revision(base), at, &[]).await.unwrap();
        base += 1;
        match timeout(Duration::from_secs(1), events.recv()).await {
            Ok(Ok(Event::Missed)) | Err(_) => assert!(base < 60, "it hears nothing"),
            Ok(told) => break assert_eq!(told.unwrap(), committed("acme", base)),
        }
    }
}
