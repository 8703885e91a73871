use std::time::Duration;

use gatewright_core::{Group, Identity, ManualClock, Party, Subject, Timestamp, Who};
use gatewright_test_support::{Algorithm, FakeIdp, TokenBuilder};
use http::{Request, header};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const RESOURCE: &str = "https://gw.example/mcp/s";

struct Bed {
    idp: FakeIdp,
    clock: ManualClock,
    resolver: JwtResolver,
}

impl Bed {
    async fn start() -> Self {
        Self::with(|issuer| issuer.groups_claim("groups")).await
    }

    async fn with(settings: impl FnOnce(TrustedIssuer) -> TrustedIssuer) -> Self {
        let clock = ManualClock::at(Timestamp::from_secs(1_000_000));
        let idp = FakeIdp::start_with("", Algorithm::Es256, clock.clone()).await;
        let egress = Egress::builder().development(true).build();
        let resolver = JwtResolver::with_clock(&egress, clock.clone());
        let issuer = settings(TrustedIssuer::new(idp.issuer()).unwrap());
        resolver.replace([(TenantId::default(), issuer)]);
        Self {
            idp,
            clock,
            resolver,
        }
    }

    fn token(&self) -> TokenBuilder {
        self.idp.token("ann", RESOURCE)
    }

    async fn ask(&self, token: &str) -> Result<Identity, &'static str> {
        self.ask_at(TenantId::default(), RESOURCE, token).await
    }

    async fn ask_at(
        &self,
        tenant: TenantId,
        resource: &str,
        token: &str,
    ) -> Result<Identity, &'static str> {
        let server = gatewright_core::ServerName::new("s").unwrap();
        let route = Route::new(tenant, server, resource, Default::default()).unwrap();
        let request = Request::post("/").header(header::AUTHORIZATION, format!("Bearer {token}"));
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.extensions.insert(route);
        match self.resolver.resolve(&parts).await {
            Outcome::Identified(identity) => Ok(*identity),
            Outcome::Rejected(rejection) => Err(rejection.code),
            Outcome::NoCredential => Err("no-credential"),
        }
    }

    async fn who(&self, token: TokenBuilder) -> Result<Who, &'static str> {
        self.ask(&token.sign()).await.map(|identity| identity.who)
    }
}

fn user(who: Who) -> Party {
    match who {
        Who::User(party) => party,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_subject_is_a_person_unless_it_is_the_client() {
    let bed = Bed::start().await;
    let ann = user(
        bed.who(bed.token().claim("groups", ["staff"]))
            .await
            .unwrap(),
    );
    assert_eq!(ann.subject(), &Subject::new(bed.idp.issuer(), "ann"));
    assert!(
        ann.groups()
            .contains(&Group::new(bed.idp.issuer(), "staff"))
    );
    for client_claim in ["client_id", "azp"] {
        let token = bed.token().without("client_id").claim(client_claim, "ann");
        assert!(
            matches!(bed.who(token).await, Ok(Who::Agent(_))),
            "{client_claim}"
        );
    }
}

#[tokio::test]
async fn an_actor_makes_a_delegation_of_both() {
    let bed = Bed::start().await;
    let Ok(Who::Delegated { user, agent }) = bed.who(bed.token().act("bot")).await else {
        panic!("a delegation")
    };
    assert_eq!((user.subject().id(), agent.subject().id()), ("ann", "bot"));
    // An agent has nobody act for it.
    let agents = bed.token().act("bot").claim("client_id", "ann");
    assert_eq!(bed.who(agents).await, Err("malformed-claim"));
    // Earlier actors are history (RFC 8693 §4.1).
    let act = json!({"sub": "bot", "act": {"sub": "admin"}});
    let Ok(Who::Delegated { agent, .. }) = bed.who(bed.token().claim("act", act)).await else {
        panic!("a delegation")
    };
    assert_eq!(agent.subject().id(), "bot");
}

#[tokio::test]
async fn an_actor_that_cannot_be_read_is_refused_and_never_left_out() {
    let bed = Bed::start().await;
    for act in [
        json!(null),
        json!("bot"),
        json!({}),
        json!({"sub": ""}),
        json!({"sub": 7}),
        json!({"sub": "bot", "iss": "https://other.example"}),
    ] {
        let refused = bed.who(bed.token().claim("act", &act)).await;
        assert_eq!(refused, Err("malformed-claim"), "{act}");
    }
}

#[tokio::test]
async fn configured_claims_say_who_it_is() {
    let bed = Bed::with(|issuer| {
        issuer
            .user_claim("oid")
            .groups_claim("realm.groups")
            .roles_claim("https://claims.example/roles")
            .name_claim("name")
            .client_claim("appid")
    })
    .await;
    let token = || {
        bed.token()
            .claim("oid", "o-1")
            .claim("realm", json!({"groups": ["a", "b"]}))
            .claim("https://claims.example/roles", "clerk")
            .claim("name", "Ann")
            .claim("appid", "app")
    };
    let identity = bed.ask(&token().sign()).await.unwrap();
    assert_eq!(identity.client_id.as_deref(), Some("app"));
    let ann = user(identity.who);
    assert_eq!((ann.subject().id(), ann.name()), ("o-1", Some("Ann")));
    assert_eq!((ann.groups().len(), ann.roles().len()), (2, 1));
    assert_eq!(bed.who(token().without("oid")).await, Err("missing-claim"));
    let nameless = user(bed.who(token().claim("name", "")).await.unwrap());
    assert_eq!(nameless.name(), None);
    for (claim, bad) in [
        ("oid", json!(7)),
        ("realm", json!({"groups": [7]})),
        ("https://claims.example/roles", json!({})),
        ("appid", json!("")),
    ] {
        let refused = bed.who(token().claim(claim, &bad)).await;
        assert_eq!(refused, Err("malformed-claim"), "{claim}");
    }
}

#[tokio::test]
async fn lists_that_are_elsewhere_are_not_taken_as_empty() {
    let bed = Bed::with(|issuer| issuer.groups_claim("groups").roles_claim("realm.roles")).await;
    for (claim, value, code) in [
        ("_claim_names", json!({"groups": "src1"}), "list-elsewhere"),
        ("_claim_names", json!({"realm": "src1"}), "list-elsewhere"),
        (
            "_claim_names",
            json!({"realm.roles": "src1"}),
            "list-elsewhere",
        ),
        ("_claim_names", json!("groups"), "malformed-claim"),
        ("hasgroups", json!(true), "list-elsewhere"),
    ] {
        let refused = bed.who(bed.token().claim(claim, &value)).await;
        assert_eq!(refused, Err(code), "{value}");
    }
    let other = bed
        .token()
        .claim("_claim_names", json!({"address": "src1"}));
    assert!(bed.who(other).await.is_ok());
}

#[tokio::test]
async fn a_token_that_is_bound_to_a_key_is_no_bearer_token() {
    let bed = Bed::start().await;
    for cnf in [
        json!({"jkt": "x"}),
        json!({"x5t#S256": "x"}),
        json!({}),
        json!(null),
        json!("x"),
    ] {
        let refused = bed.who(bed.token().claim("cnf", &cnf)).await;
        assert_eq!(refused, Err("bound-token"), "{cnf}");
    }
    assert!(bed.who(bed.token()).await.is_ok());
}

#[tokio::test]
async fn programs_are_agents_by_their_client_id() {
    let bed = Bed::start().await;
    for (claim, value) in [("idtyp", "app"), ("gty", "client-credentials")] {
        let Ok(Who::Agent(agent)) = bed.who(bed.token().claim(claim, value)).await else {
            panic!("{claim}: an agent")
        };
        assert_eq!(agent.subject().id(), "test-client");
        let nameless = bed.token().claim(claim, value).without("client_id");
        assert_eq!(bed.who(nameless).await, Err("missing-claim"));
        let acted = bed.token().claim(claim, value).act("bot");
        assert_eq!(bed.who(acted).await, Err("malformed-claim"));
    }
    let person = bed.token().claim("idtyp", "user");
    assert!(matches!(bed.who(person).await, Ok(Who::User(_))));
}

#[tokio::test]
async fn when_and_how_somebody_signed_in_is_known() {
    let bed = Bed::start().await;
    let token = bed
        .token()
        .claim("auth_time", 999_990.5)
        .claim("acr", "mfa")
        .sign();
    let identity = bed.ask(&token).await.unwrap();
    assert_eq!(
        identity.authenticated_at,
        Some(Timestamp::from_millis(999_990_500))
    );
    assert_eq!(identity.acr.as_deref(), Some("mfa"));
    assert_eq!(identity.expires_at, Some(Timestamp::from_secs(1_000_300)));
    for later in [json!(1_000_061), json!("now")] {
        let refused = bed.who(bed.token().claim("auth_time", &later)).await;
        assert_eq!(refused, Err("malformed-claim"), "{later}");
    }
}

#[tokio::test]
async fn a_token_without_scopes_has_none_and_not_all() {
    let bed = Bed::start().await;
    let scopes = async |token: TokenBuilder| {
        let identity = bed.ask(&token.sign()).await.unwrap();
        let scopes = identity.scopes.expect("a token's scopes are known");
        scopes.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(scopes(bed.token()).await.is_empty());
    assert_eq!(scopes(bed.token().claim("scope", "b a")).await, ["a", "b"]);
    assert_eq!(scopes(bed.token().claim("scp", "b a")).await, ["a", "b"]);
    assert_eq!(
        scopes(bed.token().claim("scp", ["b", "a"])).await,
        ["a", "b"]
    );
    assert_eq!(
        bed.who(bed.token().claim("scope", 7)).await,
        Err("malformed-claim")
    );
}

#[tokio::test]
async fn a_remembered_token_is_checked_in_everything_but_its_signature() {
    let bed = Bed::start().await;
    let token = bed.token().sign();
    assert!(bed.ask(&token).await.is_ok());
    let elsewhere = bed
        .ask_at(TenantId::default(), "https://gw.example/mcp/t", &token)
        .await;
    assert_eq!(elsewhere.unwrap_err(), "wrong-audience");
    let acme = TenantId::new("acme").unwrap();
    assert_eq!(
        bed.ask_at(acme, RESOURCE, &token).await.unwrap_err(),
        "unknown-issuer"
    );
    bed.clock.advance(Duration::from_secs(299));
    assert!(bed.ask(&token).await.is_ok());
    bed.clock.advance(Duration::from_secs(1));
    assert_eq!(bed.ask(&token).await.unwrap_err(), "expired");
}

#[tokio::test]
async fn a_remembered_token_goes_with_its_key_and_its_issuer() {
    let bed = Bed::start().await;
    let token = bed.token().expires_in(100_000).sign();
    assert!(bed.ask(&token).await.is_ok());
    bed.idp.rotate();
    bed.idp.forget_old_keys();
    // Past the time that fetched keys are used without asking.
    bed.clock.advance(CacheTimes::default().usable);
    assert_eq!(bed.ask(&token).await.unwrap_err(), "unknown-key");

    let token = bed.token().expires_in(100_000).sign();
    assert!(bed.ask(&token).await.is_ok());
    let stricter = TrustedIssuer::new(bed.idp.issuer()).unwrap();
    let stricter = stricter.algorithms([gatewright_jose::Algorithm::EdDsa]);
    bed.resolver.replace([(TenantId::default(), stricter)]);
    assert_eq!(bed.ask(&token).await.unwrap_err(), "wrong-algorithm");
    bed.resolver.replace([]);
    assert_eq!(bed.ask(&token).await.unwrap_err(), "unknown-issuer");
}

#[tokio::test]
async fn another_configuration_of_the_same_issuer_keeps_its_keys() {
    let bed = Bed::start().await;
    assert!(bed.ask(&bed.token().sign()).await.is_ok());
    let issuer = || {
        TrustedIssuer::new(bed.idp.issuer())
            .unwrap()
            .groups_claim("roles")
    };
    let acme = TenantId::new("acme").unwrap();
    bed.resolver
        .replace([(TenantId::default(), issuer()), (acme.clone(), issuer())]);
    assert!(bed.ask(&bed.token().sign()).await.is_ok());
    assert!(
        bed.ask_at(acme, RESOURCE, &bed.token().sign())
            .await
            .is_ok()
    );
    assert_eq!((bed.idp.discoveries(), bed.idp.key_fetches()), (1, 1));
}

#[tokio::test]
async fn without_keys_nobody_is_let_in() {
    let bed = Bed::start().await;
    bed.idp.set_down(true);
    assert_eq!(
        bed.ask(&bed.token().sign()).await.unwrap_err(),
        "keys-unavailable"
    );
    bed.idp.set_down(false);
    bed.clock.advance(Duration::from_secs(60));
    assert!(bed.ask(&bed.token().sign()).await.is_ok());
}

#[tokio::test]
async fn metadata_of_another_issuer_is_not_taken() {
    let bed = Bed::start().await;
    let mut metadata = bed.idp.metadata();
    metadata["issuer"] = json!("https://login.example");
    bed.idp.set_metadata(metadata);
    assert_eq!(
        bed.ask(&bed.token().sign()).await.unwrap_err(),
        "keys-unavailable"
    );
    // Each place is asked, since another may have the right one.
    assert_eq!(bed.idp.discoveries(), 2);
}

#[tokio::test]
async fn an_issuer_on_loopback_is_discovered_and_one_that_is_down_is_not() {
    let idp = FakeIdp::start().await;
    assert!(JwtResolver::discover(idp.issuer()).await.is_ok());
    idp.set_down(true);
    let refused = JwtResolver::discover(idp.issuer()).await.unwrap_err();
    assert!(
        matches!(refused, DiscoverIssuerError::Unavailable(_)),
        "{refused}"
    );
    let refused = JwtResolver::discover("login.example").await.unwrap_err();
    assert!(
        matches!(refused, DiscoverIssuerError::Invalid(_)),
        "{refused}"
    );
}

#[test]
fn no_change_of_a_token_is_taken() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (bed, token) = runtime.block_on(async {
        let bed = Bed::start().await;
        let token = bed.token().sign();
        assert!(bed.ask(&token).await.is_ok());
        (bed, token)
    });
    proptest!(ProptestConfig::with_cases(300), |(at in 0..token.len(), byte in "[A-Za-z0-9_.=-]")| {
        let mut changed = token.clone();
        changed.replace_range(at..=at, &byte);
        prop_assume!(changed != token);
        prop_assert!(runtime.block_on(bed.ask(&changed)).is_err());
    });
}

#[tokio::test]
async fn an_address_counts_only_where_the_issuer_has_verified_it() {
    let bed = Bed::start().await;
    let email = |verified: serde_json::Value| {
        bed.token()
            .claim("email", "ann@a.example")
            .claim("email_verified", &verified)
    };
    for (verified, counts) in [
        (json!(true), true),
        (json!("true"), true),
        (json!(false), false),
        (json!("false"), false),
        (json!(1), false),
        (json!(null), false),
    ] {
        let ann = user(bed.who(email(verified.clone())).await.unwrap());
        let expected = counts.then_some("ann@a.example");
        assert_eq!(ann.verified_email(), expected, "{verified}");
    }
    let bare = bed.token().claim("email", "ann@a.example");
    assert_eq!(user(bed.who(bare).await.unwrap()).verified_email(), None);
}
