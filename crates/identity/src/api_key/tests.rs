use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use gatewright_core::{
    AnyIdentified, AuthenticateError, Fault, ManualClock, Method, Outcome, Principal, Resolver,
    Route, Secret, SecretBytes, ServerName, Subject, TenantId, Timestamp, access::Pattern,
    authenticate, resolver_fn,
};
use http::{Request, request::Parts};
use tokio::sync::{Notify, Semaphore, oneshot};

use super::*;
use crate::Chain;

/// Keys in memory, and how often they were asked for.
#[derive(Clone, Default)]
struct Memory {
    rows: Arc<Mutex<BTreeMap<(TenantId, ApiKeyId), ApiKeyRecord>>>,
    pages: Arc<AtomicUsize>,
    writes: Arc<AtomicUsize>,
    down: Arc<AtomicBool>,
    /// Where set, an insert waits for a permit, and says that it does.
    gate: Arc<Mutex<Option<Gate>>>,
}

type Gate = Arc<(Semaphore, Notify)>;

impl Memory {
    fn check(&self) -> Result<(), ApiKeysError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(ApiKeysError::Unavailable("the disk is gone".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl ApiKeys for Memory {
    async fn page(
        &self,
        tenant: &TenantId,
        after: Option<&ApiKeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKeyRecord>, ApiKeysError> {
        self.check()?;
        self.pages.fetch_add(1, Ordering::SeqCst);
        let rows = self.rows.lock().unwrap();
        let of = rows
            .iter()
            .filter(|((of, id), _)| of == tenant && after.is_none_or(|after| id > after));
        Ok(of
            .take(limit as usize)
            .map(|(_, record)| record.clone())
            .collect())
    }

    async fn held_by(
        &self,
        tenant: &TenantId,
        holder: &KeyHolder,
    ) -> Result<Vec<ApiKeyRecord>, ApiKeysError> {
        self.check()?;
        let rows = self.rows.lock().unwrap();
        let of = rows.iter().filter(|((of, _), _)| of == tenant);
        let records = of.map(|(_, record)| record.clone());
        Ok(records.filter(|record| record.holder == *holder).collect())
    }

    async fn insert(&self, tenant: &TenantId, record: &ApiKeyRecord) -> Result<(), ApiKeysError> {
        self.check()?;
        let gate = self.gate.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.1.notify_one();
            gate.0.acquire().await.unwrap().forget();
        }
        let at = (tenant.clone(), record.id.clone());
        self.rows.lock().unwrap().insert(at, record.clone());
        Ok(())
    }

    async fn revoke(
        &self,
        tenant: &TenantId,
        id: &ApiKeyId,
        at: Timestamp,
    ) -> Result<bool, ApiKeysError> {
        self.check()?;
        let mut rows = self.rows.lock().unwrap();
        let row = rows.get_mut(&(tenant.clone(), id.clone()));
        Ok(row.is_some_and(|row| {
            row.revoked_at.get_or_insert(at);
            true
        }))
    }

    async fn note_use(
        &self,
        tenant: &TenantId,
        uses: &[(ApiKeyId, Timestamp)],
    ) -> Result<(), ApiKeysError> {
        self.check()?;
        self.writes.fetch_add(1, Ordering::SeqCst);
        for (id, at) in uses {
            let mut rows = self.rows.lock().unwrap();
            rows.get_mut(&(tenant.clone(), id.clone()))
                .unwrap()
                .last_used_at = Some(*at);
        }
        Ok(())
    }

    async fn purge(
        &self,
        tenant: &TenantId,
        before: Timestamp,
    ) -> Result<Vec<ApiKeyId>, ApiKeysError> {
        self.check()?;
        let mut purged = Vec::new();
        self.rows.lock().unwrap().retain(|(of, id), row| {
            let ended = row.expires_at < before || row.revoked_at.is_some_and(|at| at < before);
            if of == tenant && ended {
                purged.push(id.clone());
            }
            of != tenant || !ended
        });
        Ok(purged)
    }
}

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

fn acme() -> TenantId {
    tenant("acme")
}

fn mac_key(byte: u8) -> MacKey {
    MacKey {
        id: format!("k{byte}"),
        key: SecretBytes::new(vec![byte; 32]),
    }
}

fn clock() -> ManualClock {
    ManualClock::at(Timestamp::from_secs(1000))
}

async fn ring_over(memory: &Memory, macs: MacKeys, clock: &ManualClock) -> ApiKeyRing {
    let ring = ApiKeyRing::with_clock(memory.clone(), macs, clock.clone());
    ring.load(&acme()).await.unwrap();
    ring.load(&tenant("other")).await.unwrap();
    ring
}

async fn ring() -> (ApiKeyRing, Memory, ManualClock) {
    let (memory, clock) = (Memory::default(), clock());
    let ring = ring_over(&memory, MacKeys::new(&mac_key(1), &[]), &clock).await;
    (ring, memory, clock)
}

fn bot() -> KeyHolder {
    KeyHolder::Agent(Subject::new("gatewright", "bot"))
}

fn new(holder: KeyHolder, servers: &[&str]) -> NewApiKey {
    NewApiKey {
        name: "nightly".to_owned(),
        holder,
        servers: servers.iter().map(|server| Pattern::new(server)).collect(),
        expires_at: Timestamp::from_secs(2000),
    }
}

async fn issued(ring: &ApiKeyRing) -> IssuedApiKey {
    ring.create(&acme(), new(bot(), &["wiki", "notes-*"]))
        .await
        .unwrap()
}

fn parts_at(of: &str, server: &str, token: &str) -> Parts {
    let route = Route::new(
        tenant(of),
        ServerName::new(server).unwrap(),
        "https://gw.example/mcp",
        gatewright_core::Profile::default(),
    );
    let request = Request::post("/mcp").header("authorization", format!("Bearer {token}"));
    let (mut parts, ()) = request.body(()).unwrap().into_parts();
    parts.extensions.insert(route.unwrap());
    parts
}

fn parts(key: &Secret) -> Parts {
    parts_at("acme", "wiki", key.expose())
}

async fn asked(ring: &ApiKeyRing, parts: &Parts) -> Result<Principal, AuthenticateError> {
    let resolver = ApiKeyResolver::new(ring.clone());
    // The ring has its own clock; this one is of no account.
    authenticate(&resolver, &AnyIdentified, &clock(), parts).await
}

async fn refusal(ring: &ApiKeyRing, parts: &Parts) -> &'static str {
    match asked(ring, parts).await.unwrap_err() {
        AuthenticateError::Rejected(rejection) => rejection.code,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_key_is_its_holder_and_nothing_more() {
    let (ring, ..) = ring().await;
    let key = issued(&ring).await;
    let principal = asked(&ring, &parts(&key.text)).await.unwrap();
    let agent = principal.agent().unwrap();
    assert_eq!(agent.subject(), &Subject::new("gatewright", "bot"));
    assert!(agent.groups().is_empty() && agent.roles().is_empty());
    assert!(principal.user().is_none() && principal.scopes().is_none());
    assert_eq!(principal.method(), Method::ApiKey);
    assert_eq!(principal.expires_at(), Some(Timestamp::from_secs(2000)));
    let client = principal.client_id().unwrap();
    assert_eq!(client, format!("api-key:{}", key.id));
}

#[tokio::test]
async fn a_key_is_taken_on_its_routes_only() {
    let (ring, ..) = ring().await;
    let key = issued(&ring).await;
    let at = |of: &str, server: &str| parts_at(of, server, key.text.expose());
    for server in ["wiki", "notes-a", "notes-"] {
        assert!(asked(&ring, &at("acme", server)).await.is_ok(), "{server}");
    }
    for server in ["wik", "wiki2", "notes", "pay"] {
        let refused = refusal(&ring, &at("acme", server)).await;
        assert_eq!(refused, "wrong-server-key", "{server}");
    }
    assert_eq!(refusal(&ring, &at("other", "wiki")).await, "unknown-key");
    assert_eq!(
        refusal(&ring, &at("third", "wiki")).await,
        "keys-unavailable"
    );
}

#[tokio::test]
async fn a_key_ends_and_is_revoked_at_once() {
    let (ring, memory, clock) = ring().await;
    let (kept, lost) = (issued(&ring).await, issued(&ring).await);
    assert!(asked(&ring, &parts(&lost.text)).await.is_ok());
    assert!(ring.revoke(&acme(), &lost.id).await.unwrap());
    assert_eq!(refusal(&ring, &parts(&lost.text)).await, "revoked-key");
    assert!(asked(&ring, &parts(&kept.text)).await.is_ok());
    clock.advance(Duration::from_millis(999_999));
    assert!(asked(&ring, &parts(&kept.text)).await.is_ok());
    clock.advance(Duration::from_millis(1));
    assert_eq!(refusal(&ring, &parts(&kept.text)).await, "expired-key");

    // Another process finds it revoked too.
    let next = ring_over(&memory, MacKeys::new(&mac_key(1), &[]), &clock).await;
    assert_eq!(refusal(&next, &parts(&lost.text)).await, "revoked-key");
    let nobody = ApiKeyId::parse("000000000000").unwrap();
    assert!(!ring.revoke(&acme(), &nobody).await.unwrap());
    assert!(!ring.revoke(&tenant("other"), &kept.id).await.unwrap());
}

#[tokio::test]
async fn what_is_open_on_a_key_ends_with_it_and_with_no_other() {
    let (ring, ..) = ring().await;
    ring.allow_people([acme()]);
    let withdrawn = async |key: &IssuedApiKey| {
        let principal = asked(&ring, &parts(&key.text)).await.unwrap();
        principal.withdrawal().unwrap().clone()
    };
    let (kept, lost) = (issued(&ring).await, issued(&ring).await);
    let person = new(KeyHolder::User(Subject::new("idp", "ann")), &["*"]);
    let person = ring.create(&acme(), person).await.unwrap();
    let mut keeps = withdrawn(&kept).await.wait();
    let loses = withdrawn(&lost).await.wait();
    let peoples = withdrawn(&person).await.wait();

    ring.revoke(&acme(), &lost.id).await.unwrap();
    loses.await;
    ring.allow_people([]);
    peoples.await;
    let pending = std::future::poll_fn(|context| {
        std::task::Poll::Ready(keeps.as_mut().poll(context).is_pending())
    });
    assert!(pending.await, "the agent's key is as it was");
    // Allowed again, it is good again.
    ring.allow_people([acme()]);
    let mut again = withdrawn(&person).await.wait();
    let pending = std::future::poll_fn(|context| {
        std::task::Poll::Ready(again.as_mut().poll(context).is_pending())
    });
    assert!(pending.await);
}

#[tokio::test]
async fn a_key_is_refused_also_where_that_cannot_be_stored() {
    let (ring, memory, _) = ring().await;
    let key = issued(&ring).await;
    memory.down.store(true, Ordering::SeqCst);
    let failed = ring.revoke(&acme(), &key.id).await.unwrap_err();
    assert!(failed.to_string().contains("revoke it again"), "{failed}");
    assert_eq!(refusal(&ring, &parts(&key.text)).await, "revoked-key");
    let failed = ring.create(&acme(), new(bot(), &["*"])).await;
    assert!(matches!(failed, Err(CreateApiKeyError::Store(_))));
    assert_eq!(ring.list(&acme()).len(), 1);
}

#[tokio::test]
async fn who_does_not_have_the_secret_learns_nothing_of_a_key() {
    let (ring, ..) = ring().await;
    let key = issued(&ring).await;
    ring.revoke(&acme(), &key.id).await.unwrap();
    // The id of a revoked key before the secret of another one, with a good checksum.
    let (_, other) = text::generate().unwrap();
    let forged = text::rebuilt(key.id.as_str(), KeyTextOf(&other).secret());
    let refused = refusal(&ring, &parts_at("acme", "wiki", &forged)).await;
    assert_eq!(refused, "unknown-key");
    assert_eq!(refusal(&ring, &parts(&other)).await, "unknown-key");
}

struct KeyTextOf<'a>(&'a Secret);

impl KeyTextOf<'_> {
    fn secret(&self) -> &str {
        text::KeyText::parse(self.0.expose()).unwrap().secret
    }
}

#[tokio::test]
async fn a_key_of_ours_never_falls_through_to_another_resolver() {
    let (ring, ..) = ring().await;
    let key = issued(&ring).await;
    let seen = Arc::new(AtomicUsize::new(0));
    let next = {
        let seen = Arc::clone(&seen);
        resolver_fn(move |_| {
            seen.fetch_add(1, Ordering::SeqCst);
            Outcome::NoCredential
        })
    };
    let chain = Chain::new(ApiKeyResolver::new(ring.clone()), next);
    let (cut, _) = key.text.expose().split_at(40);
    for token in ["gwk_", "gwk_x", cut, &format!("{cut}.e30.c2ln")] {
        let outcome = chain.resolve(&parts_at("acme", "wiki", token)).await;
        let Outcome::Rejected(rejection) = outcome else {
            panic!("{token}: {outcome:?}");
        };
        assert_eq!(
            (rejection.code, rejection.fault),
            ("malformed-key", Fault::Caller)
        );
        assert!(!rejection.message.contains("gwk_"));
    }
    // Nor where the stack is wired wrongly.
    let mut bare = parts(&key.text);
    bare.extensions.remove::<Route>();
    assert!(matches!(chain.resolve(&bare).await, Outcome::Rejected(_)));
    assert!(matches!(
        chain.resolve(&parts(&key.text)).await,
        Outcome::Identified(_)
    ));
    assert_eq!(seen.load(Ordering::SeqCst), 0);
    // What is no key of ours is the next one's.
    for token in ["e30.e30.c2ln", "GWK_x", "gwk"] {
        let outcome = chain.resolve(&parts_at("acme", "wiki", token)).await;
        assert!(matches!(outcome, Outcome::NoCredential), "{token}");
    }
    assert_eq!(seen.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn people_have_keys_only_where_their_tenant_allows_it() {
    let (ring, ..) = ring().await;
    let ann = || new(KeyHolder::User(Subject::new("idp", "ann")), &["*"]);
    let refused = ring.create(&acme(), ann()).await;
    assert!(matches!(refused, Err(CreateApiKeyError::PeopleOff)));
    ring.allow_people([acme()]);
    let key = ring.create(&acme(), ann()).await.unwrap();
    let principal = asked(&ring, &parts(&key.text)).await.unwrap();
    assert_eq!(principal.user().unwrap().subject().id(), "ann");
    assert!(principal.agent().is_none());
    let refused = ring.create(&tenant("other"), ann()).await;
    assert!(matches!(refused, Err(CreateApiKeyError::PeopleOff)));
    // What was allowed and is not any more ends.
    ring.allow_people([]);
    assert_eq!(refusal(&ring, &parts(&key.text)).await, "people-keys-off");
    let agents = issued(&ring).await;
    assert!(asked(&ring, &parts(&agents.text)).await.is_ok());
}

#[tokio::test]
async fn whoever_writes_to_the_storage_cannot_change_what_a_key_may_do() {
    let (ring, memory, clock) = ring().await;
    let key = issued(&ring).await;
    let stored = memory.rows.lock().unwrap()[&(acme(), key.id.clone())].clone();
    let changes: [fn(&mut ApiKeyRecord); 6] = [
        |record| record.holder = KeyHolder::Agent(Subject::new("gatewright", "admin")),
        |record| record.holder = KeyHolder::User(Subject::new("gatewright", "bot")),
        |record| record.servers = vec![Pattern::new("*")],
        |record| record.servers.push(Pattern::new("pay")),
        |record| record.expires_at = Timestamp::from_secs(9_000_000),
        |record| record.mac.tag[0] ^= 1,
    ];
    for change in changes {
        let mut changed = stored.clone();
        change(&mut changed);
        memory.insert(&acme(), &changed).await.unwrap();
        let next = ring_over(&memory, MacKeys::new(&mac_key(1), &[]), &clock).await;
        next.allow_people([acme()]);
        assert_eq!(refusal(&next, &parts(&key.text)).await, "unknown-key");
    }
    // Nor bring it into another tenant, nor put it in the place of another key.
    memory.insert(&acme(), &stored).await.unwrap();
    memory.insert(&tenant("other"), &stored).await.unwrap();
    let next = ring_over(&memory, MacKeys::new(&mac_key(1), &[]), &clock).await;
    assert!(asked(&next, &parts(&key.text)).await.is_ok());
    let elsewhere = parts_at("other", "wiki", key.text.expose());
    assert_eq!(refusal(&next, &elsewhere).await, "unknown-key");
}

#[tokio::test]
async fn a_key_outlives_the_next_master_key_and_not_its_own() {
    let (ring, memory, clock) = ring().await;
    let key = issued(&ring).await;
    let both = MacKeys::new(&mac_key(2), &[mac_key(1)]);
    let rotated = ring_over(&memory, both, &clock).await;
    assert!(asked(&rotated, &parts(&key.text)).await.is_ok());
    let newer = issued(&rotated).await;
    let only = ring_over(&memory, MacKeys::new(&mac_key(2), &[]), &clock).await;
    assert!(asked(&only, &parts(&newer.text)).await.is_ok());
    // It is a key of ours, so whoever has it is not told otherwise.
    let refused = asked(&only, &parts(&key.text)).await.unwrap_err();
    let AuthenticateError::Rejected(refused) = refused else {
        panic!("{refused}")
    };
    assert_eq!(refused.fault, Fault::Unavailable);
    assert_eq!(refused.code, "keys-unavailable");
}

#[tokio::test]
async fn a_key_that_is_made_while_the_master_key_changes_is_listed_under_its_own() {
    let (ring, memory, _) = ring().await;
    let gate = Arc::new((Semaphore::new(0), Notify::new()));
    *memory.gate.lock().unwrap() = Some(Arc::clone(&gate));
    let making = ring.clone();
    let made = ring.tasks().spawn(async move { issued(&making).await });
    gate.1.notified().await;

    let both = MacKeys::new(&mac_key(2), &[mac_key(1)]);
    let mut replace = Box::pin(ring.replace_macs(both));
    std::future::poll_fn(|context| {
        assert!(replace.as_mut().poll(context).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    gate.0.add_permits(2);
    replace.await;
    assert_eq!(ring.list(&acme())[0].mac.key, "k1");
    made.await.unwrap();
    let newer = issued(&ring).await;
    let listed = ring.list(&acme());
    let newer = listed.iter().find(|key| key.id == newer.id).unwrap();
    assert_eq!(newer.mac.key, "k2");
}

#[tokio::test]
async fn a_request_costs_no_read_and_uses_are_written_in_batches() {
    let (ring, memory, clock) = ring().await;
    let (one, two) = (issued(&ring).await, issued(&ring).await);
    let unused = issued(&ring).await;
    let pages = memory.pages.load(Ordering::SeqCst);
    for _ in 0..100 {
        asked(&ring, &parts(&one.text)).await.unwrap();
        asked(&ring, &parts(&two.text)).await.unwrap();
        clock.advance(Duration::from_secs(1));
    }
    assert_eq!(memory.pages.load(Ordering::SeqCst), pages);
    assert_eq!(memory.writes.load(Ordering::SeqCst), 0);
    ring.write_uses().await.unwrap();
    assert_eq!(memory.writes.load(Ordering::SeqCst), 1);
    let last_use = |id: &ApiKeyId| {
        let rows = memory.rows.lock().unwrap();
        rows[&(acme(), id.clone())].last_used_at
    };
    let at = Some(Timestamp::from_secs(1099));
    assert_eq!((last_use(&one.id), last_use(&two.id)), (at, at));
    assert_eq!(last_use(&unused.id), None);
    // Nobody used one since: nothing is written.
    ring.write_uses().await.unwrap();
    assert_eq!(memory.writes.load(Ordering::SeqCst), 1);
    // A list shows uses that are not written yet.
    asked(&ring, &parts(&one.text)).await.unwrap();
    let listed = ring.list(&acme());
    let one = listed.iter().find(|record| record.id == one.id).unwrap();
    assert_eq!(one.last_used_at, Some(Timestamp::from_secs(1100)));
}

#[tokio::test]
async fn a_refused_key_is_not_used() {
    let (ring, ..) = ring().await;
    let key = issued(&ring).await;
    let elsewhere = parts_at("acme", "pay", key.text.expose());
    assert_eq!(refusal(&ring, &elsewhere).await, "wrong-server-key");
    assert_eq!(ring.list(&acme())[0].last_used_at, None);
}

#[tokio::test(start_paused = true)]
async fn uses_are_written_every_so_often_and_once_more_at_the_end() {
    let (ring, memory, _) = ring().await;
    let key = issued(&ring).await;
    let (stop, stopped) = oneshot::channel::<()>();
    let task = ring
        .clone()
        .write_uses_every(Duration::from_secs(5), async {
            stopped.await.unwrap();
        });
    let uses = async {
        asked(&ring, &parts(&key.text)).await.unwrap();
        // A storage that is down loses no use.
        memory.down.store(true, Ordering::SeqCst);
        tokio::time::advance(Duration::from_secs(6)).await;
        tokio::task::yield_now().await;
        memory.down.store(false, Ordering::SeqCst);
        tokio::time::advance(Duration::from_secs(6)).await;
        tokio::task::yield_now().await;
        assert_eq!(memory.writes.load(Ordering::SeqCst), 1);
        asked(&ring, &parts(&key.text)).await.unwrap();
        stop.send(()).unwrap();
    };
    tokio::join!(task, uses);
    assert_eq!(memory.writes.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_key_that_could_not_be_used_or_shown_is_not_made() {
    let (ring, ..) = ring().await;
    let with = |change: fn(&mut NewApiKey)| {
        let mut wanted = new(bot(), &["*"]);
        change(&mut wanted);
        wanted
    };
    let bad: [fn(&mut NewApiKey); 9] = [
        |new| new.name = String::new(),
        |new| new.name = "a\u{1b}[2J".to_owned(),
        |new| new.name = "x".repeat(101),
        |new| new.servers = Vec::new(),
        |new| new.servers = vec![Pattern::new("")],
        |new| new.servers = vec![Pattern::new("a"); 101],
        |new| new.expires_at = Timestamp::from_secs(1000),
        |new| new.holder = KeyHolder::Agent(Subject::new("a|b", "c")),
        |new| new.holder = KeyHolder::Agent(Subject::new("a", "")),
    ];
    for change in bad {
        let refused = ring.create(&acme(), with(change)).await;
        assert!(refused.is_err(), "{:?}", with(change));
    }
    let unknown = ring.create(&tenant("third"), new(bot(), &["*"])).await;
    assert!(matches!(unknown, Err(CreateApiKeyError::UnknownTenant)));
    assert!(ring.list(&acme()).is_empty());
    assert!(ring.create(&acme(), with(|_| ())).await.is_ok());
}

#[tokio::test]
async fn ended_keys_are_purged_and_others_stay() {
    let (ring, memory, clock) = ring().await;
    let (kept, lost) = (issued(&ring).await, issued(&ring).await);
    ring.revoke(&acme(), &lost.id).await.unwrap();
    clock.advance(Duration::from_secs(10));
    let purged = ring.purge(&acme(), Timestamp::from_secs(1005)).await;
    assert_eq!(purged.unwrap(), 1);
    assert_eq!(refusal(&ring, &parts(&lost.text)).await, "unknown-key");
    assert!(asked(&ring, &parts(&kept.text)).await.is_ok());
    assert_eq!(memory.rows.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_revocation_that_was_not_stored_outlives_a_purge_and_is_stored_later() {
    let (ring, memory, clock) = ring().await;
    let key = issued(&ring).await;
    memory.down.store(true, Ordering::SeqCst);
    ring.revoke(&acme(), &key.id).await.unwrap_err();
    assert!(ring.write_uses().await.is_err());
    memory.down.store(false, Ordering::SeqCst);
    clock.advance(Duration::from_secs(10));

    // Not stored yet, so there is nothing to purge, and it still shows.
    let purged = ring.purge(&acme(), Timestamp::from_secs(1005)).await;
    assert_eq!(purged.unwrap(), 0);
    let listed = ring.list(&acme());
    assert_eq!(listed[0].revoked_at, Some(Timestamp::from_secs(1000)));
    assert_eq!(refusal(&ring, &parts(&key.text)).await, "revoked-key");

    ring.write_uses().await.unwrap();
    let at = (acme(), key.id.clone());
    let stored = memory.rows.lock().unwrap()[&at].revoked_at;
    assert_eq!(stored, Some(Timestamp::from_secs(1000)));
    let purged = ring.purge(&acme(), Timestamp::from_secs(1005)).await;
    assert_eq!(purged.unwrap(), 1);
}

#[tokio::test]
async fn a_key_made_by_somebody_who_has_gone_is_whole_or_not_there() {
    let (ring, memory, _) = ring().await;
    let tenant = acme();
    let mut create = Box::pin(ring.create(&tenant, new(bot(), &["*"])));
    std::future::poll_fn(|context| {
        assert!(create.as_mut().poll(context).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    drop(create);
    ring.tasks().close();
    ring.tasks().wait().await;
    assert_eq!(memory.rows.lock().unwrap().len(), ring.list(&acme()).len());
    assert_eq!(ring.list(&acme()).len(), 1);
}

#[tokio::test]
async fn the_secret_is_stored_and_shown_nowhere() {
    let (ring, memory, _) = ring().await;
    let key = issued(&ring).await;
    let secret = KeyTextOf(&key.text).secret().to_owned();
    asked(&ring, &parts(&key.text)).await.unwrap();
    let rows = memory.rows.lock().unwrap().clone();
    let principal = asked(&ring, &parts(&key.text)).await.unwrap();
    let resolver = ApiKeyResolver::new(ring.clone());
    let listed = ring.list(&acme());
    let macs = MacKeys::new(&mac_key(1), &[]);
    let shown = format!("{ring:?} {resolver:?} {key:?} {rows:?} {listed:?} {principal:?} {macs:?}");
    assert!(!shown.contains(&secret), "{shown}");
    assert!(!shown.contains("1, 1, 1"), "{shown}");
    // Neither is the tag, which would help to try secrets out.
    let tag = format!("{:?}", rows.values().next().unwrap().mac.tag);
    assert!(!shown.contains(&tag), "{shown}");
}

#[tokio::test]
async fn all_keys_of_somebody_who_left_are_revoked_and_of_nobody_else() {
    let (ring, memory, clock) = ring().await;
    let (one, two) = (issued(&ring).await, issued(&ring).await);
    let other = KeyHolder::Agent(Subject::new("gatewright", "other"));
    let namesake = KeyHolder::User(Subject::new("gatewright", "bot"));
    ring.allow_people([acme()]);
    let mut stay = Vec::new();
    for holder in [other, namesake] {
        stay.push(ring.create(&acme(), new(holder, &["wiki"])).await.unwrap());
    }
    // One that this process has not heard of.
    let elsewhere = ring_over(&memory, MacKeys::new(&mac_key(1), &[]), &clock).await;
    let third = issued(&elsewhere).await;
    assert_eq!(ring.held_by(&acme(), &[bot()]).await.unwrap().len(), 3);
    let taken = |key: &IssuedApiKey| {
        let route = parts_at("acme", "wiki", key.text.expose());
        let route = route.extensions.get::<gatewright_core::Route>().unwrap();
        ring.find(route, key.text.expose()).is_ok()
    };

    // The storage takes nothing: they are refused all the same, and it is said.
    memory.down.store(true, Ordering::SeqCst);
    ring.revoke_all(&acme(), &[bot()]).await.unwrap_err();
    assert!(!taken(&one) && !taken(&two));
    memory.down.store(false, Ordering::SeqCst);
    let revoked = ring.revoke_all(&acme(), &[bot()]).await.unwrap();
    let ids: Vec<&ApiKeyId> = revoked.iter().map(|(_, id)| id).collect();
    assert_eq!(ids.len(), 3);
    for key in [&one, &two, &third] {
        assert!(ids.contains(&&key.id));
    }
    assert!(stay.iter().all(taken));
    assert!(ring.revoke_all(&acme(), &[bot()]).await.unwrap().is_empty());
    let later = ring_over(&memory, MacKeys::new(&mac_key(1), &[]), &clock).await;
    assert!(
        later
            .list(&acme())
            .iter()
            .filter(|key| key.revoked_at.is_some())
            .count()
            == 3
    );
}

#[tokio::test]
async fn keys_that_were_made_after_somebody_left_are_not_those_of_before() {
    let (ring, _memory, clock) = ring().await;
    let before = issued(&ring).await;
    let left = Timestamp::from_secs(1000);
    clock.advance(Duration::from_secs(1));
    let after = issued(&ring).await;
    ring.refuse_all(&acme(), &[bot()], left);
    let revoked = |key: &IssuedApiKey| {
        let listed = ring.list(&acme());
        let found = listed.iter().find(|one| one.id == key.id).unwrap();
        found.revoked_at.is_some()
    };
    assert!(revoked(&before));
    assert!(!revoked(&after));
}
