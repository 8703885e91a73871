use std::{collections::BTreeMap, sync::Arc, time::Duration};

use gatewright_core::{TenantId, Timestamp};
use gatewright_directory::records::{
    Changed, CommitError, Event, Kind, Position, Record, Records, Revision, UniqueName, Write,
};
use tokio::{sync::broadcast::Receiver, time::timeout};
use tokio_util::task::TaskTracker;

use super::{Database, tenant};

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(super) fn put(kind: Kind, id: &str, document: &str, names: &[(&'static str, &str)]) -> Write {
    Write::Put {
        kind,
        id: id.into(),
        document: document.into(),
        names: names
            .iter()
            .map(|(space, value)| name(space, value))
            .collect(),
    }
}

pub(super) fn user(id: &str) -> Write {
    put(
        Kind::User,
        id,
        &format!(r#"{{"id":"{id}"}}"#),
        &[("user.name", id)],
    )
}

pub(super) fn remove(kind: Kind, id: &str) -> Write {
    Write::Remove {
        kind,
        id: id.into(),
    }
}

fn name(space: &'static str, value: &str) -> UniqueName {
    UniqueName {
        space,
        value: value.into(),
    }
}

pub(super) async fn head(store: &impl Records, of: &TenantId) -> Revision {
    let heads = store.heads().await.unwrap();
    let head = heads.iter().find(|(tenant, _)| tenant == of);
    head.map_or(Revision::NONE, |(_, revision)| *revision)
}

/// Commits onto whatever there is.
async fn commit(store: &impl Records, of: &str, millis: i64, writes: &[Write]) -> Revision {
    let of = tenant(of);
    let base = head(store, &of).await;
    let revision = store.commit(&of, base, at(millis), writes).await.unwrap();
    assert_eq!(revision, Revision(base.0 + 1));
    revision
}

async fn refused(store: &impl Records, of: &str, writes: &[Write]) -> CommitError {
    let of = tenant(of);
    let base = head(store, &of).await;
    let refused = store.commit(&of, base, at(9), writes).await.unwrap_err();
    assert_eq!(head(store, &of).await, base);
    refused
}

pub(super) async fn read(store: &impl Records, of: &str, kind: Kind, id: &str) -> Option<Record> {
    let ids = [Arc::from(id), Arc::from("nobody")];
    let mut found = store.read(&tenant(of), kind, &ids).await.unwrap();
    assert!(found.len() <= 1);
    found.pop()
}

async fn found(store: &impl Records, of: &str, named: &UniqueName) -> Option<String> {
    let found = store.find(&tenant(of), named).await.unwrap();
    found.map(|record| record.id.to_string())
}

async fn ids(store: &impl Records, of: &str, kind: Kind) -> Vec<String> {
    let page = store.page(&tenant(of), kind, None, 0, 1000).await.unwrap();
    page.iter().map(|record| record.id.to_string()).collect()
}

/// Each as its revision and id; what was taken away with a `-`.
async fn changes(store: &impl Records, of: &str, after: u64) -> Vec<(u64, String)> {
    let after = Position::after(Revision(after));
    let changes = store.changes(&tenant(of), &after, 1000).await.unwrap();
    changes.iter().map(short).collect()
}

fn short(changed: &Changed) -> (u64, String) {
    match changed {
        Changed::Put(record) => (record.revision.0, record.id.to_string()),
        Changed::Removed { id, revision, .. } => (revision.0, format!("-{id}")),
    }
}

pub(super) async fn the_first_commit_makes_a_tenant_and_each_counts(
    database: &impl Database<Store: Records>,
) {
    let store = database.open().await;
    assert_eq!(store.heads().await.unwrap(), []);
    assert_eq!(commit(&store, "acme", 1, &[user("ann")]).await, Revision(1));
    assert_eq!(commit(&store, "acme", 1, &[]).await, Revision(2));
    assert_eq!(commit(&store, "zoo", 1, &[]).await, Revision(1));
    let heads = [(tenant("acme"), Revision(2)), (tenant("zoo"), Revision(1))];
    assert_eq!(store.heads().await.unwrap(), heads);
}

pub(super) async fn a_commit_made_from_another_revision_writes_nothing(
    database: &impl Database<Store: Records>,
) {
    let store = database.open().await;
    let acme = tenant("acme");
    for base in [1, 7, u64::MAX] {
        let refused = store
            .commit(&acme, Revision(base), at(1), &[user("ann")])
            .await
            .unwrap_err();
        // One that no database counts to is refused in its own way.
        let moved = matches!(refused, CommitError::Moved(Revision::NONE));
        assert!(moved || base == u64::MAX, "{refused}");
    }
    assert_eq!(store.heads().await.unwrap(), []);
    commit(&store, "acme", 1, &[user("ann")]).await;
    commit(&store, "acme", 1, &[user("ben")]).await;
    for base in [0, 1, 3] {
        let late = [user("cem"), remove(Kind::User, "ann")];
        let refused = store.commit(&acme, Revision(base), at(1), &late).await;
        let refused = refused.unwrap_err();
        assert!(
            matches!(refused, CommitError::Moved(Revision(2))),
            "{base}: {refused}"
        );
    }
    assert_eq!(ids(&store, "acme", Kind::User).await, ["ann", "ben"]);
    assert_eq!(found(&store, "acme", &name("user.name", "cem")).await, None);
}

pub(super) async fn records_come_back_as_they_were(database: &impl Database<Store: Records>) {
    let store = database.open().await;
    let long = format!(
        r#"{{"text":"{}"}}"#,
        "é\u{1f512}\\u0000'\\\"".repeat(20_000)
    );
    let documents = [
        r#"{"a":[1,2.50,{"b":null}],  "a":"kept as it is"}"#,
        "{}",
        &long,
    ];
    let odd = ["'; DROP TABLE records; --", "\u{1f512}é", "a/b/c d%_"];
    let writes: Vec<Write> = odd
        .iter()
        .zip(documents)
        .map(|(id, document)| put(Kind::Server, id, document, &[("server", id)]))
        .collect();
    commit(&store, "acme", 1_234, &writes).await;
    for (id, document) in odd.iter().zip(documents) {
        let expected = Record {
            kind: Kind::Server,
            id: (*id).into(),
            revision: Revision(1),
            created_at: at(1_234),
            modified_at: at(1_234),
            document: document.into(),
        };
        assert_eq!(
            read(&store, "acme", Kind::Server, id).await,
            Some(expected.clone())
        );
        let by_name = store.find(&tenant("acme"), &name("server", id)).await;
        assert_eq!(by_name.unwrap(), Some(expected));
    }
    commit(
        &store,
        "acme",
        2_000,
        &[put(Kind::Server, odd[0], "{}", &[])],
    )
    .await;
    let changed = read(&store, "acme", Kind::Server, odd[0]).await.unwrap();
    assert_eq!(
        (changed.created_at, changed.modified_at),
        (at(1_234), at(2_000))
    );
    assert_eq!((changed.revision, &*changed.document), (Revision(2), "{}"));
    assert_eq!(read(&store, "acme", Kind::User, odd[0]).await, None);
    assert_eq!(
        store
            .read(&tenant("acme"), Kind::Server, &[])
            .await
            .unwrap(),
        []
    );
}

pub(super) async fn of_two_writes_to_a_record_the_later_counts(
    database: &impl Database<Store: Records>,
) {
    let store = database.open().await;
    let writes = [
        put(Kind::User, "ann", "{}", &[("user.name", "first")]),
        remove(Kind::User, "ann"),
        put(Kind::User, "ann", r#"{"n":2}"#, &[("user.name", "second")]),
        user("ben"),
        remove(Kind::User, "ben"),
        put(Kind::Group, "ann", r#"{"n":3}"#, &[]),
    ];
    commit(&store, "acme", 1, &writes).await;
    let ann = read(&store, "acme", Kind::User, "ann").await.unwrap();
    assert_eq!(&*ann.document, r#"{"n":2}"#);
    assert_eq!(ids(&store, "acme", Kind::User).await, ["ann"]);
    assert_eq!(
        found(&store, "acme", &name("user.name", "first")).await,
        None
    );
    assert_eq!(found(&store, "acme", &name("user.name", "ben")).await, None);
    let second = name("user.name", "second");
    assert_eq!(found(&store, "acme", &second).await.as_deref(), Some("ann"));
    // What never was is not removed.
    let all = [(1, "ann".to_owned()), (1, "ann".to_owned())];
    assert_eq!(changes(&store, "acme", 0).await, all);
    // Taken away and put back at once, a record was not away.
    let back = [remove(Kind::User, "ann"), user("ann")];
    commit(&store, "acme", 5, &back).await;
    let ann = read(&store, "acme", Kind::User, "ann").await.unwrap();
    assert_eq!((ann.created_at, ann.modified_at), (at(1), at(5)));
}

pub(super) async fn a_name_is_one_records_alone(database: &impl Database<Store: Records>) {
    let store = database.open().await;
    let identity = [("identity", "https://idp.example|7")];
    let ann = [put(Kind::User, "ann", "{}", &identity)];
    commit(&store, "acme", 1, &ann).await;
    // Whatever the kind, and whatever else is in the commit.
    for taker in [Kind::User, Kind::Agent] {
        let writes = [user("ben"), put(taker, "other", "{}", &identity)];
        let refused = refused(&store, "acme", &writes).await;
        assert!(
            matches!(&refused, CommitError::Taken { space, value, kind: Kind::User, id }
                if space == "identity" && value == "https://idp.example|7" && &**id == "ann"),
            "{refused}"
        );
    }
    assert_eq!(ids(&store, "acme", Kind::User).await, ["ann"]);
    let both = [
        put(Kind::User, "ben", "{}", &[("user.name", "x")]),
        put(Kind::User, "cem", "{}", &[("user.name", "x")]),
    ];
    let refused = refused(&store, "acme", &both).await;
    assert!(matches!(refused, CommitError::Taken { .. }), "{refused}");
    // Another space, another spelling, another tenant, and once more for the one who has it.
    let free = [
        put(
            Kind::Agent,
            "bot",
            "{}",
            &[("user.name", "https://idp.example|7")],
        ),
        put(
            Kind::Agent,
            "bob",
            "{}",
            &[("identity", "HTTPS://idp.example|7")],
        ),
        put(Kind::User, "ann", "{}", &[identity[0], identity[0]]),
    ];
    commit(&store, "acme", 1, &free).await;
    commit(&store, "other", 1, &ann).await;
    let named = name("identity", "https://idp.example|7");
    assert_eq!(found(&store, "acme", &named).await.as_deref(), Some("ann"));
}

pub(super) async fn a_name_is_passed_on_in_one_commit(database: &impl Database<Store: Records>) {
    let store = database.open().await;
    let named = |id, called| put(Kind::User, id, "{}", &[("user.name", called)]);
    commit(&store, "acme", 1, &[named("a", "x"), named("b", "y")]).await;
    commit(&store, "acme", 1, &[named("a", "y"), named("b", "x")]).await;
    assert_eq!(
        found(&store, "acme", &name("user.name", "x"))
            .await
            .as_deref(),
        Some("b")
    );
    assert_eq!(
        found(&store, "acme", &name("user.name", "y"))
            .await
            .as_deref(),
        Some("a")
    );
    let passed = [named("c", "x"), remove(Kind::User, "b")];
    commit(&store, "acme", 1, &passed).await;
    assert_eq!(
        found(&store, "acme", &name("user.name", "x"))
            .await
            .as_deref(),
        Some("c")
    );
}

pub(super) async fn a_commit_that_is_refused_leaves_nothing(
    database: &impl Database<Store: Records>,
) {
    let store = database.open().await;
    commit(&store, "acme", 1, &[user("ann"), user("ben")]).await;
    let before = store
        .page(&tenant("acme"), Kind::User, None, 0, 9)
        .await
        .unwrap();
    let mut events = store.events();
    let writes = [
        put(
            Kind::User,
            "ann",
            r#"{"changed":true}"#,
            &[("user.name", "new")],
        ),
        remove(Kind::User, "ben"),
        put(Kind::User, "cem", "{}", &[("user.name", "free")]),
        put(Kind::User, "dan", "{}", &[("user.name", "new")]),
    ];
    let error = refused(&store, "acme", &writes).await;
    assert!(matches!(error, CommitError::Taken { .. }), "{error}");
    let after = store
        .page(&tenant("acme"), Kind::User, None, 0, 9)
        .await
        .unwrap();
    assert_eq!(before, after);
    assert_eq!(changes(&store, "acme", 1).await, []);
    for (called, by) in [
        ("ann", Some("ann")),
        ("ben", Some("ben")),
        ("new", None),
        ("free", None),
    ] {
        let holder = found(&store, "acme", &name("user.name", called)).await;
        assert_eq!(holder.as_deref(), by, "{called}");
    }
    commit(&store, "acme", 2, &[]).await;
    assert_eq!(heard(&mut events).await, committed("acme", 2));
}

pub(super) async fn a_record_keeps_only_the_names_of_its_last_write(
    database: &impl Database<Store: Records>,
) {
    let store = database.open().await;
    let many = [("user.name", "a"), ("identity", "i|1"), ("identity", "i|2")];
    commit(&store, "acme", 1, &[put(Kind::User, "ann", "{}", &many)]).await;
    let fewer = [("user.name", "b"), ("identity", "i|2")];
    commit(&store, "acme", 1, &[put(Kind::User, "ann", "{}", &fewer)]).await;
    let names = [
        ("user.name", "a"),
        ("user.name", "b"),
        ("identity", "i|1"),
        ("identity", "i|2"),
    ];
    let mut who = Vec::new();
    for (space, value) in names {
        who.push(found(&store, "acme", &name(space, value)).await.is_some());
    }
    assert_eq!(who, [false, true, false, true]);
    commit(&store, "acme", 1, &[remove(Kind::User, "ann")]).await;
    for (space, value) in names {
        assert_eq!(found(&store, "acme", &name(space, value)).await, None);
    }
}

pub(super) async fn a_kind_is_read_in_pages_by_the_bytes_of_its_ids(
    database: &impl Database<Store: Records>,
) {
    let store = database.open().await;
    let acme = tenant("acme");
    let mut all = [
        "g1/b", "g1/a", "g10/a", "g1/é", "G1/a", "g1/Z", "g2/a", "g1",
    ];
    let writes = all.map(|id| put(Kind::Member, id, "{}", &[]));
    commit(&store, "acme", 1, &writes).await;
    commit(&store, "acme", 1, &[user("g1/x")]).await;
    all.sort_unstable();
    let page = async |after: Option<&str>, skip, limit| {
        let page = store.page(&acme, Kind::Member, after, skip, limit).await;
        let ids = page
            .unwrap()
            .into_iter()
            .map(|record| record.id.to_string());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(page(None, 0, 100).await, all);
    assert_eq!(page(None, 3, 2).await, all[3..5]);
    assert_eq!(page(Some(all[1]), 2, 3).await, all[4..7]);
    assert_eq!(page(Some("g1/"), 0, 3).await, ["g1/Z", "g1/a", "g1/b"]);
    assert_eq!(page(Some("g1/\0"), 0, 1).await, ["g1/Z"]);
    assert!(page(None, u64::MAX, 9).await.is_empty());
    assert!(page(Some(all[7]), 0, 9).await.is_empty());
    assert!(page(None, 0, 0).await.is_empty());
    let mut one_by_one: Vec<String> = Vec::new();
    loop {
        let next = page(one_by_one.last().map(String::as_str), 0, 1).await;
        if next.is_empty() {
            break;
        }
        one_by_one.extend(next);
    }
    assert_eq!(one_by_one, all);
    assert_eq!(store.count(&acme, Kind::Member).await.unwrap(), 8);
    assert_eq!(store.count(&acme, Kind::User).await.unwrap(), 1);
    assert_eq!(store.count(&acme, Kind::Role).await.unwrap(), 0);
    commit(&store, "acme", 1, &[remove(Kind::Member, "g1")]).await;
    assert_eq!(store.count(&acme, Kind::Member).await.unwrap(), 7);
}

pub(super) async fn what_changed_since_a_revision_is_read_in_pages(
    database: &impl Database<Store: Records>,
) {
    let store = database.open().await;
    let acme = tenant("acme");
    let first = ["b", "a", "é", "Z", "c"].map(user);
    commit(&store, "acme", 1, &first).await;
    let group = put(Kind::Group, "z", "{}", &[]);
    commit(
        &store,
        "acme",
        2,
        &[user("a"), remove(Kind::User, "c"), group],
    )
    .await;
    commit(
        &store,
        "acme",
        3,
        &[remove(Kind::User, "Z"), remove(Kind::User, "nobody")],
    )
    .await;
    let expected = [
        (1, "b"),
        (1, "é"),
        // kinds by their names, then ids
        (2, "z"),
        (2, "a"),
        (2, "-c"),
        (3, "-Z"),
    ]
    .map(|(revision, id)| (revision, id.to_owned()));
    assert_eq!(changes(&store, "acme", 0).await, expected);
    assert_eq!(changes(&store, "acme", 1).await, expected[2..]);
    assert_eq!(changes(&store, "acme", 2).await, expected[5..]);
    assert_eq!(changes(&store, "acme", 3).await, []);
    assert_eq!(changes(&store, "acme", u64::MAX).await, []);
    for limit in [1, 2, 3] {
        let mut all = Vec::new();
        let mut position = Position::after(Revision::NONE);
        loop {
            let page = store.changes(&acme, &position, limit).await.unwrap();
            assert!(page.len() <= usize::try_from(limit).unwrap());
            let Some(last) = page.last() else { break };
            position = last.position();
            all.extend(page.iter().map(short));
        }
        assert_eq!(all, expected, "{limit}");
    }
}

pub(super) async fn what_was_removed_and_came_back_is_changed_and_not_removed(
    database: &impl Database<Store: Records>,
) {
    let store = database.open().await;
    commit(&store, "acme", 1, &[user("ann")]).await;
    commit(&store, "acme", 2, &[remove(Kind::User, "ann")]).await;
    assert_eq!(changes(&store, "acme", 0).await, [(2, "-ann".to_owned())]);
    // Once more changes nothing.
    commit(&store, "acme", 3, &[remove(Kind::User, "ann")]).await;
    assert_eq!(changes(&store, "acme", 0).await, [(2, "-ann".to_owned())]);
    commit(&store, "acme", 4, &[user("ann")]).await;
    assert_eq!(changes(&store, "acme", 0).await, [(4, "ann".to_owned())]);
    let ann = read(&store, "acme", Kind::User, "ann").await.unwrap();
    assert_eq!(ann.created_at, at(4));
    commit(&store, "acme", 5, &[remove(Kind::User, "ann")]).await;
    assert_eq!(changes(&store, "acme", 4).await, [(5, "-ann".to_owned())]);
}

pub(super) async fn a_tenant_sees_nothing_of_another(database: &impl Database<Store: Records>) {
    let store = database.open().await;
    commit(&store, "acme", 1, &[user("ann"), user("ben")]).await;
    commit(&store, "acme", 1, &[remove(Kind::User, "ben")]).await;
    for of in ["other", "acme-2", "a"] {
        assert_eq!(read(&store, of, Kind::User, "ann").await, None);
        assert_eq!(found(&store, of, &name("user.name", "ann")).await, None);
        assert!(ids(&store, of, Kind::User).await.is_empty());
        assert_eq!(store.count(&tenant(of), Kind::User).await.unwrap(), 0);
        assert_eq!(changes(&store, of, 0).await, []);
    }
    commit(&store, "other", 1, &[remove(Kind::User, "ann")]).await;
    let theirs = [put(
        Kind::User,
        "ann",
        r#"{"theirs":1}"#,
        &[("user.name", "ann")],
    )];
    commit(&store, "other", 1, &theirs).await;
    let ours = read(&store, "acme", Kind::User, "ann").await.unwrap();
    assert_eq!(&*ours.document, r#"{"id":"ann"}"#);
    assert_eq!(head(&store, &tenant("acme")).await, Revision(2));
}

pub(super) async fn many_who_commit_at_once_lose_nothing(database: &impl Database<Store: Records>) {
    const WRITERS: usize = 8;
    const EACH: usize = 10;
    // As from two processes.
    let stores = [database.open().await, database.open().await];
    let tasks = TaskTracker::new();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = stores[writer % 2].clone();
            tasks.spawn(async move {
                let acme = tenant("acme");
                let mut own = 0;
                let mut base = Revision::NONE;
                while own < EACH {
                    let id = format!("{writer}-{own}");
                    match store.commit(&acme, base, at(1), &[user(&id)]).await {
                        Ok(revision) => {
                            base = revision;
                            own += 1;
                        }
                        Err(CommitError::Moved(to)) => base = to,
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let all = WRITERS * EACH;
    assert_eq!(ids(&stores[0], "acme", Kind::User).await.len(), all);
    let revisions: Vec<u64> = changes(&stores[1], "acme", 0)
        .await
        .into_iter()
        .map(|(revision, _)| revision)
        .collect();
    assert!(revisions.into_iter().eq(1..=u64::try_from(all).unwrap()));
}

pub(super) async fn a_large_commit_is_written_whole(database: &impl Database<Store: Records>) {
    const MEMBERS: u64 = 50_000;
    let store = database.open().await;
    let acme = tenant("acme");
    let writes: Vec<Write> = (0..MEMBERS)
        .map(|member| put(Kind::Member, &format!("group/{member:06}"), "{}", &[]))
        .collect();
    commit(&store, "acme", 1, &writes).await;
    assert_eq!(store.count(&acme, Kind::Member).await.unwrap(), MEMBERS);
    let one = [
        remove(Kind::Member, "group/000007"),
        put(Kind::Member, "group/x", "{}", &[]),
    ];
    commit(&store, "acme", 2, &one).await;
    assert_eq!(store.count(&acme, Kind::Member).await.unwrap(), MEMBERS);
    assert_eq!(changes(&store, "acme", 1).await.len(), 2);
    let last = store
        .page(&acme, Kind::Member, Some("group/"), MEMBERS - 1, 9)
        .await;
    assert_eq!(last.unwrap().len(), 1);
    let all: Vec<Write> = (0..MEMBERS)
        .map(|member| remove(Kind::Member, &format!("group/{member:06}")))
        .collect();
    commit(&store, "acme", 3, &all).await;
    assert_eq!(ids(&store, "acme", Kind::Member).await, ["group/x"]);
}

/// What is heard next. It comes within a second, or the test fails.
pub(super) async fn heard(events: &mut Receiver<Event>) -> Event {
    let heard = timeout(Duration::from_secs(10), events.recv()).await;
    heard.expect("nothing was heard").unwrap()
}

pub(super) fn committed(of: &str, revision: u64) -> Event {
    Event::Committed(tenant(of), Revision(revision))
}

pub(super) async fn whoever_listens_hears_of_every_commit(
    database: &impl Database<Store: Records>,
) {
    let (one, other) = (database.open().await, database.open().await);
    commit(&one, "acme", 1, &[user("ann")]).await;
    let mut heads: BTreeMap<_, _> = BTreeMap::new();
    let mut listeners = [one.events(), other.events()];
    commit(&one, "zoo", 1, &[user("ann")]).await;
    for revision in 2..=9 {
        let by = if revision % 2 == 0 { &one } else { &other };
        commit(by, "acme", 1, &[user("ann")]).await;
    }
    for listener in &mut listeners {
        heads.clear();
        // Commits that came close to each other may be told as one.
        while heads.get(&tenant("acme")) != Some(&Revision(9))
            || heads.get(&tenant("zoo")) != Some(&Revision(1))
        {
            let Event::Committed(tenant, revision) = heard(listener).await else {
                panic!("nothing was missed");
            };
            let before = heads.insert(tenant, revision);
            assert!(before < Some(revision), "{before:?} {revision}");
        }
    }
    // Whoever opens the database later is told of what comes then.
    let late = database.open().await;
    let mut events = late.events();
    commit(&one, "acme", 1, &[]).await;
    assert_eq!(heard(&mut events).await, committed("acme", 10));
}

pub(super) async fn a_write_that_only_one_database_would_take_is_refused(
    database: &impl Database<Store: Records>,
) {
    let store = database.open().await;
    let long = "x".repeat(2049);
    for (write, why) in [
        (user("a\0b"), "NUL"),
        (remove(Kind::User, "a\0b"), "NUL"),
        (put(Kind::User, "a", "{\0}", &[]), "NUL"),
        (put(Kind::User, "a", "{}", &[("user.name", "a\0")]), "NUL"),
        (user(""), "an id"),
        (user(&"x".repeat(1025)), "an id"),
        (
            put(Kind::User, "a", "{}", &[("user.name", &long)]),
            "a unique name",
        ),
    ] {
        let refused = refused(&store, "acme", &[user("ann"), write]).await;
        assert!(matches!(refused, CommitError::Unavailable(_)));
        assert!(refused.to_string().contains(why), "{refused}");
    }
    assert_eq!(store.heads().await.unwrap(), []);
    assert_eq!(read(&store, "acme", Kind::User, "a\0b").await, None);
    assert_eq!(
        found(&store, "acme", &name("user.name", "a\0b")).await,
        None
    );
    // The longest that there may be, of letters that do not shrink.
    let letters = |seed: usize, many| {
        let letter = |n: usize| char::from(b'!' + u8::try_from(n * n * (seed + n) % 89).unwrap());
        (0..many)
            .map(letter)
            .collect::<String>()
            .replace(['"', '\\'], "_")
    };
    let (id, called) = (letters(7, 1024), letters(13, 2048));
    let writes = [put(Kind::User, &id, "{}", &[("user.name", &called)])];
    commit(&store, "acme", 1, &writes).await;
    assert_eq!(
        found(&store, "acme", &name("user.name", &called)).await,
        Some(id)
    );
}

pub(super) async fn what_was_committed_is_there_after_reopening(
    database: &impl Database<Store: Records>,
) {
    let store = database.open().await;
    commit(&store, "acme", 1, &[user("ann"), user("ben")]).await;
    commit(&store, "acme", 2, &[remove(Kind::User, "ben")]).await;
    // The first one is not closed: as after a crash.
    let again = database.open().await;
    assert_eq!(head(&again, &tenant("acme")).await, Revision(2));
    assert_eq!(ids(&again, "acme", Kind::User).await, ["ann"]);
    let all = [(1, "ann".to_owned()), (2, "-ben".to_owned())];
    assert_eq!(changes(&again, "acme", 0).await, all);
    drop(store);
}
