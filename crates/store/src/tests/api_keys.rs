use std::time::Duration;

use gatewright_core::{
    AnyIdentified, ManualClock, Profile, Route, SecretBytes, Subject, Timestamp, access::Pattern,
    authenticate,
};
use gatewright_identity::{
    ApiKeyId, ApiKeyRecord, ApiKeyResolver, ApiKeyRing, ApiKeys, ApiKeysError, KeyHolder, KeyMac,
    MacKey, MacKeys, NewApiKey,
};

use super::{Database, server, tenant};

fn id(number: usize) -> ApiKeyId {
    ApiKeyId::parse(&format!("{number:012}")).unwrap()
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

pub(super) fn record(number: usize) -> ApiKeyRecord {
    ApiKeyRecord {
        id: id(number),
        name: "nightly \u{1f512}".to_owned(),
        holder: KeyHolder::Agent(Subject::new("https://idp.example", "bot|1")),
        servers: vec![Pattern::new("wiki"), Pattern::new("notes-*")],
        created_at: at(10),
        expires_at: at(1000),
        revoked_at: None,
        last_used_at: None,
        mac: KeyMac {
            key: "local-1".to_owned(),
            tag: (0..32).collect(),
        },
    }
}

async fn all(store: &impl ApiKeys, of: &str) -> Vec<ApiKeyRecord> {
    store.page(&tenant(of), None, 100).await.unwrap()
}

pub(super) async fn a_key_comes_back_as_it_was_in_its_tenant_only(
    database: &impl Database<Store: ApiKeys>,
) {
    let store = database.open().await;
    let person = ApiKeyRecord {
        holder: KeyHolder::User(Subject::new("i", "ann")),
        revoked_at: Some(at(50)),
        last_used_at: Some(at(40)),
        ..record(2)
    };
    let keys = [record(1), person];
    for key in &keys {
        store.insert(&tenant("acme"), key).await.unwrap();
    }
    assert_eq!(all(&database.open().await, "acme").await, keys);
    assert_eq!(all(&store, "other").await, []);
    assert!(
        !store
            .revoke(&tenant("other"), &id(1), at(60))
            .await
            .unwrap()
    );
    store
        .note_use(&tenant("other"), &[(id(1), at(60))])
        .await
        .unwrap();
    assert_eq!(store.purge(&tenant("other"), at(9999)).await.unwrap(), []);
    assert_eq!(all(&store, "acme").await, keys);
}

pub(super) async fn the_keys_of_a_holder_are_found_and_no_others(
    database: &impl Database<Store: ApiKeys>,
) {
    let store = database.open().await;
    let (acme, subject) = (tenant("acme"), Subject::new("https://idp.example", "bot|1"));
    let of = |number, holder| ApiKeyRecord {
        holder,
        ..record(number)
    };
    let revoked = ApiKeyRecord {
        revoked_at: Some(at(50)),
        ..record(2)
    };
    let keys = [
        record(1),
        revoked,
        of(3, KeyHolder::User(subject.clone())),
        of(
            4,
            KeyHolder::Agent(Subject::new("https://idp.example", "bot")),
        ),
        of(5, KeyHolder::Agent(Subject::new("https://idp", "bot|1"))),
    ];
    for key in &keys {
        store.insert(&acme, key).await.unwrap();
    }
    store.insert(&tenant("other"), &record(6)).await.unwrap();
    let held = store.held_by(&acme, &KeyHolder::Agent(subject)).await;
    assert_eq!(held.unwrap(), keys[..2]);
}

pub(super) async fn an_id_is_taken_once(database: &impl Database<Store: ApiKeys>) {
    let store = database.open().await;
    store.insert(&tenant("acme"), &record(1)).await.unwrap();
    let second = ApiKeyRecord {
        servers: vec![Pattern::new("*")],
        ..record(1)
    };
    let refused = store.insert(&tenant("acme"), &second).await;
    assert!(matches!(refused, Err(ApiKeysError::Exists)));
    assert_eq!(all(&store, "acme").await, [record(1)]);
    // In another tenant it is another key.
    store.insert(&tenant("other"), &second).await.unwrap();
    assert_eq!(all(&store, "acme").await, [record(1)]);
}

pub(super) async fn a_key_stays_revoked_as_of_the_first_time(
    database: &impl Database<Store: ApiKeys>,
) {
    let store = database.open().await;
    let acme = tenant("acme");
    store.insert(&acme, &record(1)).await.unwrap();
    store.insert(&acme, &record(2)).await.unwrap();
    assert!(store.revoke(&acme, &id(1), at(60)).await.unwrap());
    assert!(store.revoke(&acme, &id(1), at(70)).await.unwrap());
    assert!(!store.revoke(&acme, &id(3), at(60)).await.unwrap());
    let keys = all(&database.open().await, "acme").await;
    assert_eq!(keys[0].revoked_at, Some(at(60)));
    assert_eq!(keys[1], record(2));
}

pub(super) async fn a_use_is_noted_and_never_an_earlier_one(
    database: &impl Database<Store: ApiKeys>,
) {
    let store = database.open().await;
    let acme = tenant("acme");
    store.insert(&acme, &record(1)).await.unwrap();
    store.insert(&acme, &record(2)).await.unwrap();
    let last_uses = async || {
        let keys = all(&store, "acme").await;
        [keys[0].last_used_at, keys[1].last_used_at]
    };
    // One that is gone meanwhile is passed over.
    let uses = [(id(1), at(60)), (id(9), at(60)), (id(2), at(61))];
    store.note_use(&acme, &uses).await.unwrap();
    assert_eq!(last_uses().await, [Some(at(60)), Some(at(61))]);
    let uses = [(id(1), at(59)), (id(2), at(62))];
    store.note_use(&acme, &uses).await.unwrap();
    assert_eq!(last_uses().await, [Some(at(60)), Some(at(62))]);
    store.note_use(&acme, &[]).await.unwrap();
}

pub(super) async fn ended_keys_are_purged(database: &impl Database<Store: ApiKeys>) {
    let store = database.open().await;
    let acme = tenant("acme");
    for number in 1..=3 {
        store.insert(&acme, &record(number)).await.unwrap();
    }
    let short = ApiKeyRecord {
        expires_at: at(20),
        ..record(4)
    };
    store.insert(&acme, &short).await.unwrap();
    store.revoke(&acme, &id(2), at(60)).await.unwrap();
    assert_eq!(store.purge(&acme, at(20)).await.unwrap(), []);
    let mut purged = store.purge(&acme, at(61)).await.unwrap();
    purged.sort();
    assert_eq!(purged, [id(2), id(4)]);
    assert_eq!(all(&store, "acme").await, [record(1), record(3)]);
}

pub(super) async fn a_tenant_is_read_in_pages_of_ids(database: &impl Database<Store: ApiKeys>) {
    let store = database.open().await;
    let acme = tenant("acme");
    let mixed = [
        "zzzzzzzzzzzz",
        "AAAAAAAAAAAA",
        "aaaaaaaaaaaa",
        "000000000000",
    ];
    for text in mixed {
        let id = ApiKeyId::parse(text).unwrap();
        let key = ApiKeyRecord { id, ..record(1) };
        store.insert(&acme, &key).await.unwrap();
    }
    let mut found: Vec<ApiKeyId> = Vec::new();
    loop {
        let page = store.page(&acme, found.last(), 3).await.unwrap();
        if page.is_empty() {
            break;
        }
        found.extend(page.into_iter().map(|key| key.id));
    }
    let mut sorted = mixed.map(|text| ApiKeyId::parse(text).unwrap());
    sorted.sort();
    assert_eq!(found, sorted);
}

pub(super) async fn a_ring_finds_its_keys_again(database: &impl Database<Store: ApiKeys>) {
    let clock = ManualClock::at(at(100));
    let acme = tenant("acme");
    let ring = async || {
        let mac = MacKey {
            id: "k".to_owned(),
            key: SecretBytes::new(vec![1; 32]),
        };
        let store = database.open().await;
        let ring = ApiKeyRing::with_clock(store, MacKeys::new(&mac, &[]), clock.clone());
        ring.load(&acme).await.unwrap();
        ring
    };
    let new = NewApiKey {
        name: "n".to_owned(),
        holder: KeyHolder::Agent(Subject::new("i", "bot")),
        servers: vec![Pattern::new("wiki")],
        expires_at: at(1000),
    };
    let first = ring().await;
    let key = first.create(&acme, new).await.unwrap();

    let route = Route::new(
        acme.clone(),
        server("wiki"),
        "https://gw.example/mcp",
        Profile::default(),
    );
    let bearer = format!("Bearer {}", key.text.expose());
    let request = http::Request::post("/mcp").header("authorization", bearer);
    let (mut parts, ()) = request.body(()).unwrap().into_parts();
    parts.extensions.insert(route.unwrap());

    let second = ring().await;
    let resolver = ApiKeyResolver::new(second.clone());
    let principal = authenticate(&resolver, &AnyIdentified, &clock, &parts).await;
    assert_eq!(principal.unwrap().agent().unwrap().subject().id(), "bot");
    clock.advance(Duration::from_secs(5));
    second.write_uses().await.unwrap();
    assert!(second.revoke(&acme, &key.id).await.unwrap());

    let third = ring().await;
    let listed = third.list(&acme);
    assert_eq!(listed[0].last_used_at, Some(at(100)));
    assert_eq!(listed[0].revoked_at, Some(at(105)));
    let resolver = ApiKeyResolver::new(third);
    let refused = authenticate(&resolver, &AnyIdentified, &clock, &parts).await;
    assert_eq!(refused.unwrap_err().to_string(), "the API key was revoked");
}
