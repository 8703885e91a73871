//! The API over a directory in memory, whose engine follows it.

mod access;
mod agents;
mod audit;
mod described;
mod pages;
mod people;
mod policies;
mod property;
mod provisioner;
mod servers;
mod tenants;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock},
};

use async_trait::async_trait;
use axum::{Router, body::Body, extract::connect_info::MockConnectInfo};
use gatewright_audit::SegmentFiles;
use gatewright_core::{
    Actor, AdminAction, Call, Decision, Identity, Outcome, Party, PolicyEngine, Principal, Profile,
    Recorder, Route, ServerName, Subject, SystemClock, TenantId, Visible, authenticate,
    resolver_fn,
};
use gatewright_directory::{Directory, MemoryRecords, records::Revision};
use gatewright_identity::{ApiKeyRing, MacKey, MacKeys};
use gatewright_policy_cedar::CedarEngine;
use gatewright_store::SqliteStore;
use gatewright_vault::{FileKeys, MasterKeyId, RotateMasterKeyError, SealedVault};
use gatewright_wire::ItemKind;
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::{Authority, Console, Estate, Figures, Operator, TenantView, authority::core_grant};

const IDP: &str = "https://idp.example";

/// Compiles what the directory holds, once for each commit.
#[derive(Clone, Default)]
struct Live(Arc<OnceLock<Directory>>, Arc<Mutex<Compiled>>);

type Compiled = HashMap<(TenantId, Revision), Arc<CedarEngine>>;

impl Live {
    fn engine(&self, tenant: &TenantId) -> Option<Arc<CedarEngine>> {
        let directory = self.0.get()?;
        let settings = directory.settings(tenant)?;
        let key = (tenant.clone(), settings.revision);
        let mut compiled = self.1.lock().unwrap();
        if let Some(engine) = compiled.get(&key) {
            return Some(Arc::clone(engine));
        }
        let grants = directory.grants(tenant).into_iter();
        let builder = CedarEngine::builder()
            .tenant(tenant.clone())
            .roles(settings.roles.into_values().map(|role| role.0))
            .grants(grants.map(|(_, grant)| core_grant(&grant).unwrap()));
        let files = settings
            .policies
            .get("published")
            .map(|it| it.files.clone());
        let files = files.unwrap_or_default();
        let builder = files.iter().fold(builder, |builder, (name, text)| {
            builder.policies(name, text)
        });
        let engine = Arc::new(builder.build().unwrap());
        compiled.clear();
        compiled.insert(key, Arc::clone(&engine));
        Some(engine)
    }
}

impl PolicyEngine for Live {
    async fn decide(&self, principal: &Principal, call: &Call) -> Decision {
        match self.engine(principal.tenant()) {
            Some(engine) => engine.decide(principal, call).await,
            None => Decision::deny("no engine"),
        }
    }

    async fn visible(&self, _: &Principal, _: &Route, _: ItemKind, names: &[&str]) -> Visible {
        Visible {
            shown: vec![false; names.len()],
            snapshot: Default::default(),
        }
    }

    async fn decide_admin(&self, principal: &Principal, action: &AdminAction) -> Decision {
        match self.engine(principal.tenant()) {
            Some(engine) => engine.decide_admin(principal, action).await,
            None => Decision::deny("no engine"),
        }
    }
}

/// A directory with a default tenant, and the authority that it asks.
pub(crate) async fn directory(log: impl Recorder) -> (Directory, Authority) {
    let live = Live::default();
    let authority = Authority::new(live.clone());
    let directory = Directory::builder(MemoryRecords::new(), log)
        .authorise(authority.clone())
        .open()
        .await
        .unwrap();
    live.0.set(directory.clone()).unwrap();
    for tenant in ["default", "acme"] {
        let tenant = TenantId::new(tenant).unwrap();
        let made = directory.create_tenant(Actor::Operator(0), &tenant, Default::default());
        made.await.unwrap();
    }
    (directory, authority)
}

struct Nothing;

#[async_trait]
impl Estate for Nothing {
    fn tenants(&self) -> Vec<TenantView> {
        let of = |name: &str| TenantView {
            name: TenantId::new(name).unwrap(),
            issuers: vec![IDP.to_owned()],
            api_keys_for_people: true,
            servers: Vec::new(),
        };
        vec![of("default"), of("acme")]
    }

    fn figures(&self) -> Figures {
        Figures {
            version: "0",
            process: 1,
            since: String::new(),
            public_url: String::new(),
            listens_on: String::new(),
            data_dir: String::new(),
            audit_lost: 0,
        }
    }

    async fn rotate_master_key(&self) -> Result<MasterKeyId, RotateMasterKeyError> {
        Err(RotateMasterKeyError::Elsewhere)
    }
}

pub(crate) struct Bed {
    console: Console,
    directory: Directory,
    log: SegmentFiles,
    _dir: TempDir,
}

/// What was answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn code(&self) -> &str {
        let code = self.body["type"].as_str().unwrap_or_default();
        code.strip_prefix("urn:gatewright:problem:")
            .unwrap_or_default()
    }

    fn etag(&self) -> &str {
        self.headers["etag"].to_str().unwrap()
    }

    #[track_caller]
    fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:#}", self.body);
        self
    }

    #[track_caller]
    fn refused(self, status: u16, code: &str) -> Self {
        let it = self.is(status);
        assert_eq!(it.code(), code, "{:#}", it.body);
        it
    }
}

/// Whoever asks.
#[derive(Clone)]
enum Who {
    Root,
    Token(Principal),
    Nobody,
}

impl Bed {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&dir.path().join("x.db")).await.unwrap();
        let masters = Arc::new(FileKeys::open(&dir.path().join("keys")).unwrap());
        let mac = MacKey {
            id: "1".to_owned(),
            key: gatewright_core::SecretBytes::new(vec![1; 32]),
        };
        let keys = ApiKeyRing::new(store.clone(), MacKeys::new(&mac, &[]));
        for tenant in ["default", "acme"] {
            keys.load(&TenantId::new(tenant).unwrap()).await.unwrap();
        }
        let vault = SealedVault::new(store, masters);
        let log = SegmentFiles::open(dir.path().join("audit")).unwrap();
        let (directory, authority) = directory(log.clone()).await;
        let console = Console::new(
            Nothing,
            vault,
            keys,
            log.clone(),
            directory.clone(),
            authority,
            CancellationToken::new(),
        );
        let bed = Self {
            console,
            directory,
            log,
            _dir: dir,
        };
        bed.make("issuers/idp", json!({"issuer": IDP})).await;
        bed
    }

    fn router(&self, who: &Who) -> Router {
        let router = self.console.clone().for_tokens();
        match who {
            Who::Root => router.layer(MockConnectInfo(Operator { uid: 0 })),
            Who::Token(principal) => router.layer(axum::Extension(principal.clone())),
            Who::Nobody => router,
        }
    }

    async fn send(
        &self,
        who: &Who,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = request.body(body).unwrap();
        let answer = self.router(who).oneshot(request).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
        }
    }

    async fn get(&self, who: &Who, path: &str) -> Answer {
        self.send(who, Method::GET, &at(path), &[], None).await
    }

    async fn put(&self, who: &Who, path: &str, body: Value) -> Answer {
        self.send(who, Method::PUT, &at(path), &[], Some(body))
            .await
    }

    async fn post(&self, who: &Who, path: &str, body: Value) -> Answer {
        self.send(who, Method::POST, &at(path), &[], Some(body))
            .await
    }

    async fn patch(&self, who: &Who, path: &str, body: Value) -> Answer {
        self.send(who, Method::PATCH, &at(path), &[], Some(body))
            .await
    }

    async fn delete(&self, who: &Who, path: &str) -> Answer {
        self.send(who, Method::DELETE, &at(path), &[], None).await
    }

    /// Puts something as an operator.
    async fn make(&self, path: &str, body: Value) {
        let made = self.put(&Who::Root, path, body).await;
        assert!(made.status < 300, "{path}: {:#}", made.body);
    }

    /// Puts somebody into a group as an operator.
    async fn join(&self, group: &str, member: &str) {
        let path = format!("groups/{group}/members/{member}");
        self.put(&Who::Root, &path, Value::Null).await.is(204);
    }

    /// A person, whose tokens are of the same name.
    async fn person(&self, id: &str) {
        self.make(&format!("users/{id}"), person(id)).await;
    }

    async fn group(&self, id: &str) {
        self.make(&format!("groups/{id}"), json!({"display_name": id}))
            .await;
    }

    async fn grant(&self, id: &str, role: &str, to: Value) {
        self.make(&format!("grants/{id}"), json!({"role": role, "to": to}))
            .await;
    }

    async fn grant_over(&self, id: &str, role: &str, to: Value, over: Value) {
        let grant = json!({"role": role, "to": to, "over": over});
        self.make(&format!("grants/{id}"), grant).await;
    }

    async fn role(&self, name: &str, actions: &[&str]) {
        let role = json!({"name": name, "admin": [{"actions": actions}]});
        self.make(&format!("roles/{name}"), role).await;
    }

    /// Whoever comes with a token of this name, as the directory knows them now.
    async fn as_user(&self, id: &str) -> Who {
        self.of_tenant("default", Identity::user(Party::new(Subject::new(IDP, id))))
            .await
    }

    async fn of_tenant(&self, tenant: &str, identity: Identity) -> Who {
        let tenant = TenantId::new(tenant).unwrap();
        let name = ServerName::new("admin").unwrap();
        let resource = "https://admin.example/";
        let route = Route::new(tenant, name, resource, Profile::default()).unwrap();
        let mut request = Request::new(());
        request.extensions_mut().insert(route);
        let (parts, ()) = request.into_parts();
        let resolver = resolver_fn(move |_| Outcome::Identified(Box::new(identity.clone())));
        let principal = authenticate(&resolver, &self.directory, &SystemClock, &parts).await;
        Who::Token(principal.unwrap())
    }

    fn records(&self) -> String {
        let mut records = Vec::new();
        gatewright_audit::export(self.log.dir(), &Default::default(), &mut records).unwrap();
        String::from_utf8(records).unwrap()
    }
}

fn person(id: &str) -> Value {
    json!({"user_name": format!("{id}@a.example"), "identities": [{"issuer": IDP, "subject": id}]})
}

/// A path in the default tenant, if it does not begin at the root.
fn at(path: &str) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/tenants/default/{path}")
    }
}
