//! Credentials from a secret store of one's own, one for each person, towards a server that needs them.
//!
//! The organisation keeps its secrets somewhere already: a [`TokenVault`](gatewright_vault::TokenVault) asks there, and the
//! layer does the rest. The server sees the key of whoever calls, nobody sees a key, and whoever has none is told so.
//!
//! `--once` calls it a few times and ends; without it the gateway stays up and prints how to call it.
#![expect(clippy::print_stdout, reason = "this is a program for a terminal")]

mod cabinet;
mod crm;

use std::error::Error;

use axum::{Router, body::Body};
use gatewright_core::{
    Call, CredentialMode, Decision, Identity, InvalidRoute, Obligation, Outcome, Party, Principal,
    Route, SnapshotVersion, Subject, engine_fn, resolver_fn,
};
use gatewright_egress::Egress;
use gatewright_identity::{IdentityLayer, RouteLayer};
use gatewright_mcp::EnvelopeLayer;
use gatewright_policy::PolicyLayer;
use gatewright_upstream::{Target, Upstream};
use gatewright_vault::CredentialLayer;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;
use tower::{ServiceBuilder, ServiceExt as _};

use crate::cabinet::Cabinet;

/// Everybody may call everything. The report of the whole house is made with the key of the house.
fn decide(_: &Principal, call: &Call) -> Decision {
    match call.target() {
        Some("report") => Decision::Allow {
            policies: ["reports-are-the-houses".into()].into(),
            obligations: vec![Obligation::new("credential", "shared")],
            snapshot: SnapshotVersion::default(),
        },
        _ => Decision::allow(["everybody"]),
    }
}

/// The gateway at `resource` before the server at `crm`.
fn guarded(resource: &str, crm: Target, cabinet: Cabinet) -> Result<Router, InvalidRoute> {
    let route = Route::single("crm", resource)?.map_profile(|profile| {
        profile.title = Some("the CRM".to_owned());
        profile.credential.mode = CredentialMode::PerUser;
    });
    // A stand-in for a sign-in: see the other examples.
    let who =
        resolver_fn(
            |parts| match parts.headers.get("x-user").map(http::HeaderValue::to_str) {
                Some(Ok(user)) => {
                    let user = Party::new(Subject::new("house", user));
                    Outcome::Identified(Box::new(Identity::user(user)))
                }
                _ => Outcome::NoCredential,
            },
        );
    // The server of this example listens on loopback, which nothing reaches otherwise.
    let egress = Egress::builder().development(true).build();
    let service = ServiceBuilder::new()
        .layer(RouteLayer::new(route))
        .layer(IdentityLayer::new(who))
        .layer(EnvelopeLayer::new())
        .layer(PolicyLayer::new(engine_fn(decide)))
        .layer(
            CredentialLayer::new(cabinet)
                .with_instructions("Put it into the cabinet, then try again."),
        )
        .service(Upstream::new(crm, &egress));
    Ok(Router::new().nest_service("/mcp", service))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let behind = TcpListener::bind("127.0.0.1:0").await?;
    let crm = Target::new(format!("http://{}/mcp", behind.local_addr()?).parse()?);
    let tasks = TaskTracker::new();
    tasks.spawn(async move { axum::serve(behind, crm::server()).await });

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let resource = format!("http://{}/mcp", listener.local_addr()?);
    let cabinet = Cabinet::default();
    cabinet.put("user:house|ann", "crm", "anns-key");
    cabinet.put("shared", "crm", "the-houses-key");
    let app = guarded(&resource, crm, cabinet.clone())?;
    if std::env::args().any(|argument| argument == "--once") {
        return show(&app, &cabinet).await;
    }
    println!(
        "curl {resource} -H 'content-type: application/json' \
         -H 'accept: application/json, text/event-stream' -H 'x-user: ann' \
         -d '{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"contacts\"}}}}'"
    );
    Ok(axum::serve(listener, app).await?)
}

async fn show(app: &Router, cabinet: &Cabinet) -> Result<(), Box<dyn Error>> {
    let expect = async |user: &str, tool: &str, status: StatusCode, said: &str| {
        let (is, text) = call(app, user, tool).await?;
        assert!(
            is == status && text.contains(said),
            "{user}: {tool}: {is} {text}"
        );
        println!("{user}: {tool}: {is} {}", text.trim());
        Ok::<_, Box<dyn Error>>(())
    };
    expect("ann", "contacts", StatusCode::OK, "contacts of anns-key").await?;
    // Ben has no key: he is told what to do, and Ann's is not used for him.
    expect(
        "ben",
        "contacts",
        StatusCode::OK,
        "Your account at the CRM is not connected",
    )
    .await?;
    expect(
        "ben",
        "contacts",
        StatusCode::OK,
        "Put it into the cabinet, then try again.",
    )
    .await?;
    cabinet.put("user:house|ben", "crm", "bens-key");
    expect("ben", "contacts", StatusCode::OK, "contacts of bens-key").await?;
    // A policy chose the key of the house for this tool, whoever calls.
    expect("ben", "report", StatusCode::OK, "report of the-houses-key").await?;
    // A new key is in the next call.
    cabinet.put("user:house|ann", "crm", "anns-new-key");
    expect(
        "ann",
        "contacts",
        StatusCode::OK,
        "contacts of anns-new-key",
    )
    .await?;
    // While the cabinet is shut, nobody calls.
    cabinet.shut();
    expect(
        "ann",
        "contacts",
        StatusCode::SERVICE_UNAVAILABLE,
        "cannot be had at the moment",
    )
    .await
}

async fn call(
    app: &Router,
    user: &str,
    tool: &str,
) -> Result<(StatusCode, String), Box<dyn Error>> {
    let request = Request::post("/mcp")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("x-user", user)
        // Whatever a client presents goes no further.
        .header("authorization", "Bearer of-the-client")
        .body(Body::from(format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}"}}}}"#
        )))?;
    let answer = app.clone().oneshot(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}
