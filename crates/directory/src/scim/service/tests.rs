mod access;
mod bulk;
mod change;
mod entra;
mod faults;
mod list;
mod okta;
mod races;

use std::{future::Future, pin::Pin};

use axum::Router;
use gatewright_core::{
    Change, ManualClock, PartyKind, RecordError, Recorder, Stage, Status, Subject, Subjects as _,
};
use http::{HeaderMap, Request, StatusCode};
use serde_json::json;
use tower::ServiceExt as _;

use super::*;
use crate::{
    Authorise, Authorised, Edit, Expected, MemoryRecords, Proposal,
    model::Document,
    records::Kind,
    scim::{digest_of_token, new_token},
};

const CORE: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const AGENT: &str = "urn:gatewright:scim:schemas:core:1.0:Agent";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const IDP: &str = "https://idp.example";
const URL: &str = "https://gw.example.com";

/// What was recorded, for whoever looks; it can be told to take no more.
#[derive(Clone, Default)]
struct Log(
    Arc<std::sync::Mutex<Vec<Change>>>,
    Arc<std::sync::atomic::AtomicBool>,
);

impl Recorder for Log {
    fn record<'a>(
        &'a self,
        change: &'a Change,
        stage: Stage,
        _: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Result<(), RecordError>> + Send + 'a>> {
        if self.1.load(std::sync::atomic::Ordering::Relaxed) {
            let full = Err(RecordError::new("the disk is full"));
            return Box::pin(std::future::ready(full));
        }
        if stage == Stage::Begun {
            self.0.lock().unwrap().push(change.clone());
        }
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Provisioners may everything but touch who is called `untouchable`.
struct Provisioners;

impl Authorise for Provisioners {
    fn authorise<'a>(&'a self, proposal: Proposal<'a>) -> Authorised<'a> {
        let touches = proposal.alterations.iter().any(|alteration| {
            matches!(&alteration.after, Some(Document::User(user)) if user.user_name == "untouchable")
        });
        let may = if touches {
            Err("you may not change this".to_owned())
        } else {
            Ok(())
        };
        Box::pin(std::future::ready(may))
    }

    fn may_learn<'a>(
        &'a self,
        _: &'a gatewright_core::Actor,
        _: &'a TenantId,
        _: &'a [Edit],
        _: &'a Directory,
    ) -> Authorised<'a> {
        Box::pin(std::future::ready(Ok(())))
    }
}

struct Bed {
    records: MemoryRecords,
    log: Log,
    clock: ManualClock,
    directory: Directory,
    service: ScimService,
    router: Router,
    /// Of the default tenant, with every scope.
    token: String,
}

/// What was answered.
#[derive(Debug)]
struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answered {
    #[track_caller]
    fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        if status >= 400 {
            assert_eq!(
                self.body["schemas"],
                json!(["urn:ietf:params:scim:api:messages:2.0:Error"])
            );
            assert_eq!(self.body["status"], json!(status.to_string()));
        }
        self
    }

    #[track_caller]
    fn of_type(self, status: u16, scim_type: &str) -> Self {
        let answered = self.expect(status);
        assert_eq!(answered.body["scimType"], scim_type, "{}", answered.body);
        answered
    }

    fn id(&self) -> String {
        self.body["id"].as_str().unwrap().to_owned()
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The values of an attribute of the resources that are listed.
    fn listed(&self, attribute: &str) -> Vec<String> {
        let resources = self.body["Resources"].as_array().unwrap();
        resources
            .iter()
            .map(|resource| resource[attribute].as_str().unwrap_or_default().to_owned())
            .collect()
    }
}

impl Bed {
    async fn start() -> Self {
        Self::over(MemoryRecords::new()).await
    }

    async fn over(records: MemoryRecords) -> Self {
        let (log, clock) = (
            Log::default(),
            ManualClock::at(Timestamp::from_secs(1_800_000_000)),
        );
        let directory = Directory::builder(records.clone(), log.clone())
            .clock(clock.clone())
            .authorise(Provisioners)
            .max_staleness(std::time::Duration::from_secs(1 << 20))
            .open()
            .await
            .unwrap();
        let new = directory.tenants().is_empty();
        for name in ["default", "acme"] {
            let tenant = TenantId::new(name).unwrap();
            if new {
                let actor = gatewright_core::Actor::Operator(0);
                directory
                    .create_tenant(actor, &tenant, Default::default())
                    .await
                    .unwrap();
            }
        }
        let service = ScimService::new(directory.clone(), URL, clock.clone());
        let mut bed = Self {
            records,
            log,
            clock,
            directory,
            router: service.clone().router(),
            service,
            token: String::new(),
        };
        bed.token = bed
            .token("default", &["users:write", "groups:write", "agents:write"])
            .await;
        if new {
            let issuer = json!({"issuer": IDP, "scim_attribute": "externalId"});
            bed.put("default", Kind::Issuer, "idp", &issuer).await;
        }
        bed.log.0.lock().unwrap().clear();
        bed
    }

    async fn put(&self, tenant: &str, kind: Kind, id: &str, document: &Value) {
        let document = Document::parse(kind, &id.into(), &document.to_string()).unwrap();
        let put = Edit::Put {
            id: id.into(),
            document,
            expected: Expected::Any,
        };
        let actor = gatewright_core::Actor::Operator(0);
        let tenant = TenantId::new(tenant).unwrap();
        self.directory
            .change(actor, &tenant, "test", vec![put])
            .await
            .unwrap();
    }

    /// A new token of a tenant.
    async fn token(&self, tenant: &str, scopes: &[&str]) -> String {
        let token = new_token().unwrap().expose().to_owned();
        let digest = digest_of_token(&token).unwrap();
        let id = format!("t-{}", digest.split_at(12).0);
        let now = 1_800_000_000_000_i64;
        let document = json!({
            "name": "idp", "digest": digest, "scopes": scopes, "created_at": now, "expires_at": now + 86_400_000,
        });
        self.put(tenant, Kind::ScimToken, &id, &document).await;
        token
    }

    async fn send(
        &self,
        token: &str,
        request: http::request::Builder,
        body: Option<&Value>,
    ) -> Answered {
        let mut request = request;
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/scim+json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.raw(request.body(body).unwrap()).await
    }

    async fn raw(&self, request: Request<Body>) -> Answered {
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        if !bytes.is_empty() {
            assert_eq!(parts.headers["content-type"], "application/scim+json");
        }
        Answered {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
        }
    }

    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answered {
        let uri = format!("/scim/v2{}", encoded(path));
        self.send(
            &self.token,
            Request::builder().method(method).uri(uri),
            body,
        )
        .await
    }

    async fn get(&self, path: &str) -> Answered {
        self.ask("GET", path, None).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answered {
        self.ask("POST", path, Some(body)).await
    }

    async fn patch(&self, path: &str, operations: Value) -> Answered {
        self.ask(
            "PATCH",
            path,
            Some(&json!({"schemas": [PATCH], "Operations": operations})),
        )
        .await
    }

    async fn patch_if(&self, path: &str, version: &str, operations: Value) -> Answered {
        let request = Request::builder()
            .method("PATCH")
            .uri(format!("/scim/v2{path}"))
            .header("if-match", version);
        let body = json!({"schemas": [PATCH], "Operations": operations});
        self.send(&self.token, request, Some(&body)).await
    }

    /// The id of a new person.
    async fn user(&self, user_name: &str) -> String {
        let body = json!({"schemas": [CORE], "userName": user_name, "externalId": format!("x-{user_name}")});
        self.post("/Users", &body).await.expect(201).id()
    }

    /// The id of a new group.
    async fn group(&self, name: &str, members: &[&str]) -> String {
        let members: Vec<Value> = members.iter().map(|id| json!({"value": id})).collect();
        let body = json!({"schemas": [GROUP], "displayName": name, "members": members});
        self.post("/Groups", &body).await.expect(201).id()
    }

    async fn members(&self, group: &str) -> Vec<String> {
        let group = self.get(&format!("/Groups/{group}")).await.expect(200);
        let members = group.body["members"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let mut ids: Vec<String> = members
            .iter()
            .map(|member| member["value"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    }

    /// Whether a token of the issuer for this person would be taken.
    fn is_let_in(&self, external_id: &str) -> bool {
        let subject = Subject::new(IDP, external_id);
        let status = self
            .directory
            .status(&TenantId::default(), PartyKind::User, &subject);
        matches!(status, Status::Active(_))
    }
}

/// A path and its query, whose values may have anything in them.
fn encoded(path: &str) -> String {
    path.bytes()
        .map(|byte| match byte {
            b' ' => "%20".to_owned(),
            b'"' => "%22".to_owned(),
            b'[' => "%5B".to_owned(),
            b']' => "%5D".to_owned(),
            byte if byte.is_ascii_graphic() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
