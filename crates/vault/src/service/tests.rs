use std::{
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use gatewright_core::{
    AnyIdentified, CallBody, CredentialForm, CredentialRule, Decision, Identity, Obligation,
    Outcome, Party, ReferenceId, Route, Secret, ServerName, SnapshotVersion, Subject, SystemClock,
    TenantId, Timestamp, authenticate, authorize, engine_fn, resolver_fn,
};
use gatewright_wire::Limits;
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::*;
use crate::CredentialLayer;

/// What a vault is to say.
#[derive(Clone, Copy)]
enum Say {
    Everything,
    Nothing,
    Down,
    Never,
}

struct Vault {
    say: Say,
    asked: Arc<AtomicUsize>,
}

#[async_trait]
impl TokenVault for Vault {
    async fn credential(
        &self,
        tenant: &TenantId,
        owner: &CredentialOwner,
        server: &ServerName,
    ) -> Result<Option<Credential>, VaultError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match self.say {
            Say::Everything => Ok(Some(Credential {
                secret: Secret::new(format!("planted/{tenant}/{owner}/{server}")),
                version: 3,
            })),
            Say::Nothing => Ok(None),
            Say::Down => Err(VaultError::Unavailable("the disk is gone".into())),
            Say::Never => std::future::pending().await,
        }
    }
}

fn party(id: &str) -> Party {
    Party::new(Subject::new("idp", id))
}

fn ann() -> Identity {
    Identity::user(party("ann"))
}

fn bot() -> Identity {
    Identity::agent(party("bot"))
}

fn ann_by_bot() -> Identity {
    Identity::delegated(party("ann"), party("bot"))
}

/// What is asked, and under which rules.
struct Case {
    who: Identity,
    rule: CredentialRule,
    obligations: Vec<Obligation>,
    method: &'static str,
    body: &'static str,
}

impl Case {
    fn new(who: Identity, mode: CredentialMode) -> Self {
        Self {
            who,
            rule: CredentialRule {
                mode,
                form: CredentialForm::default(),
            },
            obligations: Vec::new(),
            method: "POST",
            body: r#"{"jsonrpc":"2.0","id":"q","method":"tools/list"}"#,
        }
    }

    fn obliged(mut self, values: &[&str]) -> Self {
        let obligation = |value: &&str| Obligation::new("credential", value);
        self.obligations = values.iter().map(obligation).collect();
        // Somebody else's business.
        self.obligations.push(Obligation::new("mask", "x"));
        self
    }

    async fn request(self, draft: &Draft) -> Request<Permitted> {
        let route = Route::single("wiki", "https://gw.example/mcp")
            .unwrap()
            .map_profile(|profile| {
                profile.credential = self.rule;
                profile.title = Some("The Wiki".to_owned());
            });
        let (mut parts, ()) = Request::builder()
            .method(self.method)
            .uri("/mcp")
            .header("mcp-session-id", "s")
            .body(())
            .unwrap()
            .into_parts();
        parts.extensions.insert(route.clone());
        parts.extensions.insert(draft.clone());
        let who = self.who;
        let resolver = resolver_fn(move |_| Outcome::Identified(Box::new(who.clone())));
        let principal = authenticate(&resolver, &AnyIdentified, &SystemClock, &parts)
            .await
            .unwrap();
        let call = CallBody::parse(&route, &parts, self.body.into(), &Limits::default()).unwrap();
        let obligations = self.obligations;
        let engine = engine_fn(move |_, _| Decision::Allow {
            policies: ["p".into()].into(),
            obligations: obligations.clone(),
            snapshot: SnapshotVersion::default(),
        });
        let permitted = authorize(&engine, &principal, call).await.unwrap();
        Request::from_parts(parts, permitted)
    }
}

/// What came of it.
struct Seen {
    status: u16,
    refused: Option<&'static str>,
    body: String,
    /// As whom it went upstream, and with which header; `None` if it did not.
    upstream: Option<String>,
    draft: Draft,
    asked: usize,
}

impl Seen {
    fn credential(&self) -> Option<String> {
        self.draft.read(|fields| fields.credential.clone())
    }
}

async fn seen(case: Case, say: Say) -> Seen {
    let draft = Draft::new(ReferenceId::random(), Timestamp::from_secs(1));
    let asked = Arc::new(AtomicUsize::new(0));
    let vault = Vault {
        say,
        asked: Arc::clone(&asked),
    };
    let upstream = service_fn(async |request: Request<Permitted>| {
        let auth = request.extensions().get::<UpstreamAuth>().unwrap();
        let header = auth.header().unwrap();
        let header = header.map_or_else(String::new, |(_, value)| value.to_str().unwrap().into());
        let text = format!("upstream {} {header}", auth.key());
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text))))
    });
    let service = CredentialLayer::new(vault)
        .with_instructions("Ask Zoe.")
        .layer(upstream);
    let answer = service.oneshot(case.request(&draft).await).await.unwrap();
    let status = answer.status().as_u16();
    let refused = answer.extensions().get::<gatewright_core::Refused>();
    let refused = refused.map(|refused| refused.code);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    Seen {
        status,
        refused,
        upstream: body.strip_prefix("upstream ").map(str::to_owned),
        body,
        draft,
        asked: asked.load(Ordering::SeqCst),
    }
}

#[tokio::test]
async fn each_mode_goes_upstream_as_its_own_side() {
    use CredentialMode::{PerAgent, PerUser, Shared};
    for (who, mode, owner) in [
        (ann(), Shared, "shared"),
        (bot(), Shared, "shared"),
        (ann(), PerUser, "user:idp|ann"),
        (ann_by_bot(), PerUser, "user:idp|ann"),
        (bot(), PerAgent, "agent:idp|bot"),
        (ann_by_bot(), PerAgent, "agent:idp|bot"),
    ] {
        let seen = seen(Case::new(who, mode), Say::Everything).await;
        let wanted = format!("{owner}#3 Bearer planted/default/{owner}/wiki");
        assert_eq!(seen.upstream.as_deref(), Some(wanted.as_str()));
        assert_eq!(seen.credential().as_deref(), Some(owner));
    }
}

#[tokio::test]
async fn that_no_credential_is_needed_is_said_and_nobody_is_asked() {
    let seen = seen(Case::new(ann(), CredentialMode::None), Say::Down).await;
    assert_eq!(seen.upstream.as_deref(), Some("none#0 "));
    assert_eq!(seen.credential().as_deref(), Some("none"));
    assert_eq!(seen.asked, 0);
}

#[tokio::test]
async fn a_missing_connection_is_told_in_words_that_can_be_passed_on() {
    use CredentialMode::{PerAgent, PerUser, Shared};
    for (mode, words) in [
        (
            PerUser,
            "Your account at The Wiki is not connected, so nothing was done there: your own key for it is needed. Ask Zoe.",
        ),
        (
            PerAgent,
            "This agent is not connected to The Wiki, so nothing was done there: a key of the agent's own is needed. Ask Zoe.",
        ),
        (
            Shared,
            "The Wiki is not set up yet, so nothing was done there: its key is missing. Ask Zoe.",
        ),
    ] {
        let seen = seen(Case::new(ann_by_bot(), mode), Say::Nothing).await;
        let reference = seen.draft.reference();
        assert_eq!(
            seen.body,
            format!(
                r#"{{"jsonrpc":"2.0","id":"q","error":{{"code":4401,"message":"{words}","data":{{"reference":"{reference}","server":"wiki"}}}}}}"#
            )
        );
        assert_eq!((seen.status, seen.refused), (200, Some("not-connected")));
        assert_eq!(seen.credential(), None);
        let noted = seen.draft.read(|fields| fields.refusal.clone()).unwrap();
        assert_eq!(noted.refused.code, "not-connected");
    }
}

#[tokio::test]
async fn who_lacks_the_side_that_a_server_wants_is_refused_unasked() {
    use CredentialMode::{PerAgent, PerUser};
    for (who, mode, words) in [
        (ann(), PerAgent, "for agents only"),
        (bot(), PerUser, "for people only"),
    ] {
        let seen = seen(Case::new(who, mode), Say::Everything).await;
        assert_eq!((seen.status, seen.refused), (200, Some("no-such-side")));
        assert!(seen.body.contains(r#""id":"q","error":{"code":4403"#));
        assert!(seen.body.contains(words), "{}", seen.body);
        assert_eq!((seen.asked, seen.upstream), (0, None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_vault_that_is_down_or_silent_refuses() {
    for (say, detail) in [(Say::Down, "the disk is gone"), (Say::Never, "10 seconds")] {
        let seen = seen(Case::new(ann(), CredentialMode::Shared), say).await;
        assert_eq!(
            (seen.status, seen.refused),
            (503, Some("vault-unavailable"))
        );
        assert!(seen.body.contains(r#""id":"q","error":{"code":5506"#));
        assert!(!seen.body.contains(detail), "{}", seen.body);
        let noted = seen.draft.read(|fields| fields.refusal.clone()).unwrap();
        assert!(noted.detail.unwrap().contains(detail));
        assert_eq!(seen.upstream, None);
    }
}

#[tokio::test(start_paused = true)]
async fn patience_is_a_setting() {
    let draft = Draft::new(ReferenceId::random(), Timestamp::from_secs(1));
    let vault = Vault {
        say: Say::Never,
        asked: Arc::default(),
    };
    let upstream = service_fn(async |_: Request<Permitted>| {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
    });
    let service = CredentialLayer::new(vault)
        .with_patience(Duration::from_secs(2))
        .layer(upstream);
    let started = tokio::time::Instant::now();
    let request = Case::new(ann(), CredentialMode::Shared).request(&draft);
    let answer = service.oneshot(request.await).await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(started.elapsed(), Duration::from_secs(2));
}

#[tokio::test]
async fn a_policy_chooses_the_mode_of_a_call() {
    use CredentialMode::{None, PerUser, Shared};
    for (mode, chosen, upstream) in [
        (Shared, "per-agent", "agent:idp|bot#3"),
        (None, "shared", "shared#3"),
        (PerUser, "none", "none#0"),
    ] {
        // Two policies that choose alike choose that.
        for values in [&[chosen][..], &[chosen, chosen]] {
            let case = Case::new(ann_by_bot(), mode).obliged(values);
            let seen = seen(case, Say::Everything).await;
            let went = seen.upstream.unwrap();
            assert!(went.starts_with(upstream), "{went}");
        }
    }
}

#[tokio::test]
async fn a_choice_that_is_not_clear_is_refused_and_not_passed_over() {
    for values in [
        &["per-robot"][..],
        &["Shared"],
        &[""],
        &["shared", "per-user"],
        &["none", "nothing"],
    ] {
        let case = Case::new(ann(), CredentialMode::None).obliged(values);
        let seen = seen(case, Say::Everything).await;
        let refused = Some("unknown-credential-mode");
        assert_eq!((seen.status, seen.refused), (500, refused), "{values:?}");
        assert_eq!((seen.asked, seen.upstream), (0, None));
    }
}

#[tokio::test]
async fn what_is_no_request_is_answered_in_http() {
    let notification = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let response = r#"{"jsonrpc":"2.0","id":4,"result":{}}"#;
    for (method, body) in [
        ("POST", notification),
        ("POST", response),
        ("GET", ""),
        ("DELETE", ""),
    ] {
        let case = || Case {
            method,
            body,
            ..Case::new(ann(), CredentialMode::PerUser)
        };
        let went = seen(case(), Say::Everything).await;
        assert!(went.upstream.unwrap().starts_with("user:idp|ann#3"));
        let missing = seen(case(), Say::Nothing).await;
        assert_eq!(
            (missing.status, missing.refused),
            (403, Some("not-connected"))
        );
        assert!(!missing.body.contains(r#""id""#), "{}", missing.body);
        let down = seen(case(), Say::Down).await;
        assert_eq!((down.status, down.upstream), (503, None));
    }
}

#[tokio::test]
async fn a_secret_is_in_no_refusal_and_no_record() {
    for say in [Say::Everything, Say::Nothing, Say::Down] {
        let seen = seen(Case::new(ann(), CredentialMode::Shared), say).await;
        let noted = seen.draft.read(|fields| format!("{fields:?}"));
        assert!(!noted.contains("planted"), "{noted}");
        if seen.refused.is_some() {
            assert!(!seen.body.contains("planted"));
        }
    }
}
