use std::{sync::Mutex, time::Duration};

use async_trait::async_trait;
use axum::{body::Body, extract::connect_info::MockConnectInfo};
use gatewright_audit::{AuditSink as _, Durability, Record};
use gatewright_core::{Actor, CredentialMode, CredentialOwner, CredentialRule, SecretBytes};
use gatewright_identity::{MacKey, MacKeys};
use gatewright_store::SqliteStore;
use gatewright_vault::{
    FileKeys, KeyProvider as _, MasterKeyId, RotateMasterKeyError, TokenVault as _,
};
use http::{Method, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};
use tower::ServiceExt as _;

use super::*;
use crate::{Operator, ServerView};

const ISSUER: &str = "https://idp.example";
const ANN: &str = "user:https:%2F%2Fidp.example|ann";
const PLANTED: &str = "planted-secret";

struct Fixed {
    people: Mutex<bool>,
    masters: Arc<FileKeys>,
}

#[async_trait]
impl Estate for Fixed {
    fn tenants(&self) -> Vec<TenantView> {
        let server = |name: &str, mode| ServerView {
            name: ServerName::new(name).unwrap(),
            transport: "http",
            credential: CredentialRule {
                mode,
                ..CredentialRule::default()
            },
        };
        vec![TenantView {
            name: TenantId::default(),
            issuers: vec![ISSUER.to_owned()],
            api_keys_for_people: *self.people.lock().unwrap(),
            servers: vec![
                server("wiki", CredentialMode::PerUser),
                server("open", CredentialMode::None),
            ],
        }]
    }

    fn figures(&self) -> Figures {
        Figures {
            version: "0",
            process: 7,
            since: "2026-01-01T00:00:00Z".to_owned(),
            public_url: "https://gw.example/".to_owned(),
            listens_on: "127.0.0.1:1".to_owned(),
            data_dir: "/x".to_owned(),
            audit_lost: 0,
        }
    }

    async fn rotate_master_key(&self) -> Result<MasterKeyId, RotateMasterKeyError> {
        self.masters.rotate().await
    }
}

struct Bed {
    console: Console,
    router: Router,
    vault: SealedVault,
    keys: ApiKeyRing,
    log: SegmentFiles,
    dir: TempDir,
}

async fn bed() -> Bed {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("x.db")).await.unwrap();
    let masters = Arc::new(FileKeys::open(&dir.path().join("keys")).unwrap());
    let mac = MacKey {
        id: "1".to_owned(),
        key: SecretBytes::new(vec![1; 32]),
    };
    let keys = ApiKeyRing::new(store.clone(), MacKeys::new(&mac, &[]));
    keys.load(&TenantId::default()).await.unwrap();
    let vault = SealedVault::new(store, Arc::clone(&masters));
    let log = SegmentFiles::open(dir.path().join("audit")).unwrap();
    let stop = CancellationToken::new();
    let (directory, authority) = crate::tests::directory(log.clone()).await;
    let console = Console::new(
        Fixed {
            people: Mutex::default(),
            masters,
        },
        vault.clone(),
        keys.clone(),
        log.clone(),
        directory,
        authority,
        stop,
    );
    let router = console
        .clone()
        .router()
        .layer(MockConnectInfo(Operator { uid: 1234 }));
    Bed {
        console,
        router,
        vault,
        keys,
        log,
        dir,
    }
}

impl Bed {
    /// Enters the agent `bot` and the person `ann`.
    async fn enter_holders(&self) {
        let known = |name: &str| json!([{"issuer": ISSUER, "subject": name}]);
        for (path, body) in [
            ("issuers/idp", json!({"issuer": ISSUER})),
            (
                "agents/bot",
                json!({"name": "bot", "identities": known("bot")}),
            ),
            (
                "users/ann",
                json!({"user_name": "ann", "identities": known("ann")}),
            ),
        ] {
            let path = format!("/tenants/default/{path}");
            let (status, made) = self.ask(Method::PUT, &path, body.to_string()).await;
            assert!(status < 300, "{made}");
        }
    }

    async fn ask(&self, method: Method, path: &str, body: impl Into<Body>) -> (u16, String) {
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .body(body.into())
            .unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
        let status = answer.status().as_u16();
        if status >= 400 {
            let content_type = &answer.headers()[header::CONTENT_TYPE];
            assert_eq!(content_type, "application/problem+json", "{path}");
        }
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn put(&self, place: &str, secret: &str) -> (u16, String) {
        let path = format!("/tenants/default/credentials/{place}");
        let body = json!({ "secret": secret }).to_string();
        self.ask(Method::PUT, &path, body).await
    }

    async fn stored(&self, owner: &CredentialOwner) -> Option<String> {
        let wiki = ServerName::new("wiki").unwrap();
        let tenant = TenantId::default();
        let found = self.vault.credential(&tenant, owner, &wiki).await.unwrap();
        found.map(|credential| credential.secret.expose().to_owned())
    }

    fn records(&self) -> String {
        let mut records = Vec::new();
        gatewright_audit::export(self.log.dir(), &Default::default(), &mut records).unwrap();
        String::from_utf8(records).unwrap()
    }
}

fn ann() -> CredentialOwner {
    CredentialOwner::User(Subject::new(ISSUER, "ann"))
}

#[tokio::test]
async fn a_secret_goes_in_and_never_comes_out() {
    let bed = bed().await;
    let (status, answer) = bed.put(&format!("wiki/{ANN}"), PLANTED).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(bed.stored(&ann()).await.as_deref(), Some(PLANTED));
    let list = "/tenants/default/credentials";
    let (status, listed) = bed.ask(Method::GET, list, "").await;
    assert_eq!(status, 200);
    assert!(listed.contains("user:https://idp.example|ann"), "{listed}");
    let records = bed.records();
    for said in [
        "\"stage\":\"begun\"",
        "\"stage\":\"done\"",
        "uid:1234",
        "credential.put",
    ] {
        assert!(records.contains(said), "{said} is not in {records}");
    }
    for shown in [&answer, &listed, &records] {
        assert!(!shown.contains(PLANTED), "{shown}");
    }

    let path = format!("{list}/wiki/{ANN}");
    assert_eq!(bed.ask(Method::DELETE, &path, "").await.0, 204);
    assert_eq!(bed.stored(&ann()).await, None);
    let (status, again) = bed.ask(Method::DELETE, &path, "").await;
    assert_eq!(status, 404, "{again}");
    assert!(bed.records().contains("\"stage\":\"failed\""));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_without_a_word_of_it() {
    let bed = bed().await;
    for (place, secret, status) in [
        ("none/shared", PLANTED, 404),
        ("wiki/user:https:%2F%2Felsewhere.example|ann", PLANTED, 422),
        ("wiki/ann", PLANTED, 422),
        ("Wiki/shared", PLANTED, 422),
        ("wiki/shared", "", 422),
        ("wiki/shared", "planted-secret\r\nx-admin: 1", 422),
        ("wiki/shared", &"planted-secret".repeat(6000), 422),
        ("wiki/shared", &"planted-secret".repeat(60_000), 413),
    ] {
        let (found, answer) = bed.put(place, secret).await;
        assert_eq!(found, status, "{place}: {answer}");
        assert!(!answer.contains("planted"), "{answer}");
    }
    let path = "/tenants/default/credentials/wiki/shared";
    for body in [
        "planted-secret",
        r#"{"secret": 7, "planted-secret": 1}"#,
        r#"{"secret": "x", "planted-secret": 1}"#,
        r#"{"secret": ["planted-secret"]}"#,
    ] {
        let (status, answer) = bed.ask(Method::PUT, path, body).await;
        assert_eq!(status, 400, "{answer}");
        assert!(!answer.contains("planted"), "{answer}");
    }
    let elsewhere = "/tenants/acme/credentials/wiki/shared";
    let body = r#"{"secret": "x"}"#;
    assert_eq!(bed.ask(Method::PUT, elsewhere, body).await.0, 404);
    assert_eq!(bed.ask(Method::GET, "/elsewhere", "").await.0, 404);
    assert_eq!(bed.ask(Method::POST, "/status", "").await.0, 405);
    assert_eq!(bed.stored(&CredentialOwner::Shared).await, None);
    assert!(!bed.records().contains("planted"));
}

#[tokio::test]
async fn a_credential_that_no_call_takes_is_stored_with_a_note() {
    let bed = bed().await;
    let (status, answer) = bed.put("open/shared", "x").await;
    assert!(
        status == 200 && answer.contains("its mode is `none`"),
        "{answer}"
    );
    let (_, answer) = bed.put(&format!("wiki/{ANN}"), "x").await;
    assert!(answer.contains("\"note\":null"), "{answer}");
}

#[tokio::test]
async fn a_key_is_shown_once_and_revoked_by_its_id() {
    let bed = bed().await;
    bed.enter_holders().await;
    let path = "/tenants/default/keys";
    let body = json!({
        "name": "bot", "holder": format!("agent:{ISSUER}|bot"), "servers": ["wiki"],
        "expires_at": "2100-01-01T00:00:00Z",
    });
    let (status, made) = bed.ask(Method::POST, path, body.to_string()).await;
    assert_eq!(status, 201, "{made}");
    let made: Value = serde_json::from_str(&made).unwrap();
    let (id, text) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let (_, listed) = bed.ask(Method::GET, path, "").await;
    assert!(listed.contains(id) && !listed.contains(text), "{listed}");
    assert!(listed.contains("\"state\":\"good\""), "{listed}");
    let (_, status) = bed.ask(Method::GET, "/status", "").await;
    assert!(status.contains("\"api_keys\":1"), "{status}");

    let own = format!("{path}/{id}");
    assert_eq!(bed.ask(Method::DELETE, &own, "").await.0, 204);
    let (_, listed) = bed.ask(Method::GET, path, "").await;
    assert!(listed.contains("\"state\":\"revoked\""), "{listed}");
    let other = format!("{path}/000000000000");
    assert_eq!(bed.ask(Method::DELETE, &other, "").await.0, 404);
    let records = bed.records();
    assert!(records.contains(id) && !records.contains(text), "{records}");
}

#[tokio::test]
async fn a_key_that_could_not_be_used_is_not_made() {
    let bed = bed().await;
    bed.enter_holders().await;
    let good = json!({
        "name": "bot", "holder": format!("agent:{ISSUER}|bot"), "servers": ["wiki"],
        "expires_at": "2100-01-01T00:00:00Z",
    });
    for (key, value, status) in [
        ("holder", json!("bot"), 422),
        ("holder", json!("shared"), 422),
        ("holder", json!("agent:https://elsewhere.example|bot"), 422),
        ("holder", json!(format!("user:{ISSUER}|ann")), 409),
        ("servers", json!([]), 422),
        ("servers", json!(["none"]), 404),
        ("expires_at", json!("2001-01-01T00:00:00Z"), 422),
        ("expires_at", json!("tomorrow"), 422),
        ("name", json!(""), 422),
        ("surplus", json!(1), 400),
    ] {
        let mut form = good.clone();
        form[key] = value.clone();
        let path = "/tenants/default/keys";
        let (found, answer) = bed.ask(Method::POST, path, form.to_string()).await;
        assert_eq!(found, status, "{key} = {value}: {answer}");
    }
    assert!(bed.keys.list(&TenantId::default()).is_empty());
    bed.keys.allow_people([TenantId::default()]);
    let mut form = good;
    form["holder"] = json!(format!("user:{ISSUER}|ann"));
    let made = bed.ask(Method::POST, "/tenants/default/keys", form.to_string());
    assert_eq!(made.await.0, 201);
}

#[tokio::test]
async fn no_record_no_change() {
    let bed = bed().await;
    bed.enter_holders().await;
    bed.log.close().await.unwrap();
    let (status, answer) = bed.put("wiki/shared", PLANTED).await;
    assert_eq!(status, 503);
    assert!(answer.contains("nothing was changed"), "{answer}");
    assert_eq!(bed.stored(&CredentialOwner::Shared).await, None);
    assert!(
        bed.vault
            .list(&TenantId::default(), None, 1)
            .await
            .unwrap()
            .is_empty()
    );
    let form = json!({
        "name": "bot", "holder": format!("agent:{ISSUER}|bot"), "servers": ["wiki"],
        "expires_at": "2100-01-01T00:00:00Z",
    });
    let keys = "/tenants/default/keys";
    assert_eq!(bed.ask(Method::POST, keys, form.to_string()).await.0, 503);
    assert!(bed.keys.list(&TenantId::default()).is_empty());
}

#[tokio::test]
async fn records_are_shown_and_followed() {
    let bed = bed().await;
    bed.put("wiki/shared", "x").await;
    let (status, records) = bed.ask(Method::GET, "/audit/records?count=1", "").await;
    assert_eq!((status, records.lines().count()), (200, 1), "{records}");
    assert_eq!(bed.ask(Method::GET, "/audit/records?n=1", "").await.0, 400);
    let bad = "/audit/records?reference=nothing";
    assert_eq!(bed.ask(Method::GET, bad, "").await.0, 400);

    let request = Request::get("/api/v1/audit/records?count=0&follow=true");
    let request = request.body(Body::empty()).unwrap();
    let answer = bed.router.clone().oneshot(request).await.unwrap();
    bed.put("wiki/shared", "y").await;
    let mut body = answer.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    let first = String::from_utf8(first.to_vec()).unwrap();
    assert!(
        first.contains("credential.put") && first.ends_with('\n'),
        "{first}"
    );
}

/// Makes a key of an agent; its id.
async fn made(bed: &Bed, expires_at: &str) -> String {
    bed.enter_holders().await;
    let form = json!({
        "name": "bot", "holder": format!("agent:{ISSUER}|bot"), "servers": ["wiki"], "expires_at": expires_at,
    });
    let path = "/tenants/default/keys";
    let (status, made) = bed.ask(Method::POST, path, form.to_string()).await;
    assert_eq!(status, 201, "{made}");
    let made: Value = serde_json::from_str(&made).unwrap();
    made["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn keys_that_have_ended_are_purged_and_no_others() {
    let bed = bed().await;
    let (good, ended) = (
        made(&bed, "2100-01-01T00:00:00Z").await,
        made(&bed, "2100-01-01T00:00:00Z").await,
    );
    let path = format!("/tenants/default/keys/{ended}");
    assert_eq!(bed.ask(Method::DELETE, &path, "").await.0, 204);
    let revoked_at = bed.keys.list(&TenantId::default());
    let revoked_at = revoked_at.iter().find_map(|key| key.revoked_at).unwrap();
    while now() == revoked_at {
        tokio::task::yield_now().await;
    }
    let path = "/tenants/default/keys/purge";
    let (status, purged) = bed.ask(Method::POST, path, "").await;
    assert_eq!((status, purged.as_str()), (200, r#"{"purged":1}"#));
    let left = bed.keys.list(&TenantId::default());
    let left: Vec<String> = left.iter().map(|key| key.id.to_string()).collect();
    assert_eq!(left, [good]);
    let records = bed.records();
    assert!(records.contains("key.purge"), "{records}");
    assert!(records.contains(r#""purged":"1""#), "{records}");

    let elsewhere = "/tenants/acme/keys/purge";
    assert_eq!(bed.ask(Method::POST, elsewhere, "").await.0, 404);
    bed.log.close().await.unwrap();
    assert_eq!(bed.ask(Method::POST, path, "").await.0, 503);
}

#[tokio::test]
async fn a_new_master_key_seals_what_is_stored_and_says_what_needs_the_older_one() {
    let bed = bed().await;
    bed.put(&format!("wiki/{ANN}"), PLANTED).await;
    bed.put("wiki/shared", PLANTED).await;
    let key = made(&bed, "2100-01-01T00:00:00Z").await;
    let before = bed.vault.master_key();
    let (status, rotated) = bed.ask(Method::POST, "/master-key/rotate", "").await;
    assert_eq!(status, 200, "{rotated}");
    let rotated: Value = serde_json::from_str(&rotated).unwrap();
    let current = bed.vault.master_key();
    assert_ne!(current, before);
    assert_eq!(rotated["master_key"], current.as_str());
    assert_eq!(
        (&rotated["made"], &rotated["rewrapped"]),
        (&json!(true), &json!(2))
    );
    let needed_by = rotated["older_needed_by"].as_array().unwrap();
    assert_eq!(needed_by.len(), 1, "{rotated}");
    assert_eq!(needed_by[0]["api_key"], key);
    assert_eq!(bed.stored(&ann()).await.as_deref(), Some(PLANTED));
    let records = bed.records();
    for said in [
        "master-key.rotate",
        "credential.rewrap",
        current.as_str(),
        r#""rewrapped":"2""#,
    ] {
        assert!(records.contains(said), "{said} is not in {records}");
    }
    // No record, no change.
    bed.log.close().await.unwrap();
    let (status, answer) = bed.ask(Method::POST, "/master-key/rotate", "").await;
    assert_eq!(status, 503);
    assert!(answer.contains("nothing was changed"), "{answer}");
    assert_eq!(bed.vault.master_key(), current);
}

#[tokio::test]
async fn where_no_master_key_can_be_made_nothing_changes() {
    use std::os::unix::fs::PermissionsExt as _;
    let bed = bed().await;
    bed.put("wiki/shared", PLANTED).await;
    let before = bed.vault.master_key();
    let file = bed.dir.path().join("keys/master-0001.key");
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (status, answer) = bed.ask(Method::POST, "/master-key/rotate", "").await;
    assert_eq!(status, 503);
    assert!(answer.contains("no master key was made"), "{answer}");
    assert_eq!(bed.vault.master_key(), before);
    assert_eq!(
        bed.stored(&CredentialOwner::Shared).await.as_deref(),
        Some(PLANTED)
    );
    assert!(bed.records().contains(r#""stage":"failed""#));
}

/// One who does not end their request, and one who follows the log and does not read it.
#[tokio::test]
async fn nobody_keeps_the_gateway_from_its_end() {
    for request in [
        "GET /api/v1/status HTTP/1.1\r\nHo",
        "PUT /api/v1/tenants/default/credentials/wiki/shared HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{",
        "GET /api/v1/audit/records?count=9999&follow=true HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        let bed = bed().await;
        for _ in 0..2000 {
            let change = Change::new(TenantId::default(), Actor::Operator(7), "test")
                .with("filler", &"x".repeat(400));
            let record = Record::changed(&change, Stage::Done, now());
            bed.log.append(record, Durability::Written).await.unwrap();
        }
        bed.put("wiki/shared", "x").await;
        let data = bed.dir.path().join("data");
        let socket = AdminSocket::bind(&data).unwrap();
        let stop = bed.console.0.stop.clone();
        let serving = TaskTracker::new().spawn(bed.console.clone().serve(socket));
        let (path, _) = crate::path_to(&data).unwrap();
        let mut stream = UnixStream::connect(path).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        if request.contains("follow") {
            assert_eq!(stream.read_u8().await.unwrap(), b'H');
        }
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        stop.cancel();
        tokio::time::pause();
        tokio::time::timeout(Duration::from_secs(30), serving)
            .await
            .expect(request)
            .unwrap();
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_head_that_does_not_end_is_given_up() {
    let bed = bed().await;
    let data = bed.dir.path().join("data");
    let socket = AdminSocket::bind(&data).unwrap();
    let serving = TaskTracker::new().spawn(bed.console.clone().serve(socket));
    let (path, _) = crate::path_to(&data).unwrap();
    let mut stream = UnixStream::connect(path).await.unwrap();
    stream
        .write_all(b"GET /api/v1/status HTTP/1.1\r\nHo")
        .await
        .unwrap();
    tokio::time::pause();
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut rest));
    assert!(read.await.is_ok());
    bed.console.0.stop.cancel();
    serving.await.unwrap();
}

/// Whoever asks goes away at each point at which they could.
#[tokio::test]
async fn a_change_of_somebody_who_has_gone_is_recorded_to_its_end() {
    let bed = bed().await;
    bed.enter_holders().await;
    let form = json!({
        "name": "bot", "holder": format!("agent:{ISSUER}|bot"), "servers": ["wiki"],
        "expires_at": "2100-01-01T00:00:00Z",
    });
    let mut most = 0;
    loop {
        let request = Request::post("/api/v1/tenants/default/keys");
        let request = request.body(Body::from(form.to_string())).unwrap();
        let mut answer = Box::pin(bed.router.clone().oneshot(request));
        let mut polls = 0;
        let answered = std::future::poll_fn(|context| {
            if polls == most {
                return std::task::Poll::Ready(false);
            }
            polls += 1;
            answer.as_mut().poll(context).map(|_| true)
        });
        let answered = answered.await;
        drop(answer);
        let changes = &bed.console.0.changes;
        changes.close();
        changes.wait().await;
        changes.reopen();
        bed.keys.tasks().close();
        bed.keys.tasks().wait().await;
        let records = bed.records();
        let records: Vec<&str> = records.lines().collect();
        for key in bed.keys.list(&TenantId::default()) {
            for stage in ["begun", "done"] {
                let of_key = records.iter().filter(|record| {
                    record.contains(key.id.as_str())
                        && record.contains(&format!("\"stage\":\"{stage}\""))
                });
                assert_eq!(
                    of_key.count(),
                    1,
                    "{stage} of {} after {most} polls",
                    key.id
                );
            }
        }
        if answered {
            break;
        }
        most += 1;
    }
    assert!(most > 0 && !bed.keys.list(&TenantId::default()).is_empty());
}
