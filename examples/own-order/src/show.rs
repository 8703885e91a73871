//! Each refusal comes from the layer that the stack says, since what would refuse above it or below it did not.

use std::{error::Error, num::NonZeroU32, path::Path};

use axum::{Router, body::Body};
use gatewright_audit::{
    AppendError, AuditSink, Durability, Filter, Receipt, Record, SegmentFiles, export,
};
use gatewright_guard::{Limits, Rate};
use gatewright_vault::SealedVault;
use http::{Request, StatusCode, Uri, header};
use http_body_util::BodyExt as _;

use crate::{Bounds, guarded};

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"show","version":"1"}}}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
const FILE: &str =
    r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"file","arguments":{}}}"#;
const SHRED: &str =
    r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"shred","arguments":{}}}"#;
const GARBAGE: &str = "{";
const NO_SESSION: Option<&str> = Some("guessed");

const DENIED: &str = r#""code":4403"#;
const NOT_CONNECTED: &str = r#""code":4401"#;

/// Takes no record.
#[derive(Debug)]
struct Full;

impl AuditSink for Full {
    async fn append(&self, _: Record, _: Durability) -> Result<Receipt, AppendError> {
        Err(AppendError::Full)
    }

    fn enqueue(&self, _: Record) {}
}

pub(crate) async fn show(
    resource: &str,
    desk: &Uri,
    vault: &SealedVault,
    dir: &Path,
) -> Result<(), Box<dyn Error>> {
    let audit = dir.join("audit");
    let log = SegmentFiles::open(&audit)?;
    let stack = |bounds| guarded(resource, desk.clone(), vault.clone(), log.clone(), bounds);
    a_call_passes(&stack(Bounds::default())?).await?;
    above_the_limit_by_server(&stack(Bounds {
        by_server: a_minute(Limits::for_servers(), 2),
        ..Bounds::default()
    })?)
    .await?;
    above_the_limit_by_principal(&stack(Bounds {
        by_principal: a_minute(Limits::for_principals(), 3),
        ..Bounds::default()
    })?)
    .await?;

    // Every refusal below the audit layer is in the log, and what was permitted too.
    log.flush();
    let mut records = Vec::new();
    export(&audit, &Filter::default(), &mut records)?;
    let records = String::from_utf8(records)?;
    for (code, count) in [
        ("no-credential", 1),
        ("unknown-session", 4),
        ("rate-limited", 5),
        ("not-connected", 3),
    ] {
        let found = records.matches(&format!(r#""code":"{code}""#)).count();
        assert_eq!(found, count, "{code}: {records}");
    }
    assert!(
        records.contains(r#""credential":"user:house|ann""#),
        "{records}"
    );

    let full = guarded(
        resource,
        desk.clone(),
        vault.clone(),
        Full,
        Bounds::default(),
    )?;
    a_full_log_is_below_the_credential(&full).await
}

async fn a_call_passes(app: &Router) -> Result<(), Box<dyn Error>> {
    // Above everything: there is no such endpoint, whoever asks.
    expect(app, "/other", None, None, GARBAGE, 404, "no such endpoint").await?;
    // Above the envelope: of nobody, not even the body is read.
    expect(app, "/mcp", None, None, GARBAGE, 401, "").await?;
    expect(app, "/mcp", Some("ann"), None, GARBAGE, 400, "").await?;

    let session = session(app, "ann").await?;
    let ann = Some(session.as_str());
    expect(
        app,
        "/mcp",
        Some("ann"),
        ann,
        FILE,
        200,
        "filed for Bearer anns-key",
    )
    .await?;
    expect(app, "/mcp", Some("ann"), ann, SHRED, 200, DENIED).await?;
    // A session is its owner's.
    expect(app, "/mcp", Some("ben"), ann, FILE, 404, "").await?;
    // Above policy: an unknown session is unknown, whatever is asked in it.
    expect(app, "/mcp", Some("ann"), NO_SESSION, SHRED, 404, "").await
}

/// Envelope above limit by server above sessions.
async fn above_the_limit_by_server(app: &Router) -> Result<(), Box<dyn Error>> {
    for status in [404, 404, 429, 429] {
        expect(app, "/mcp", Some("ann"), NO_SESSION, FILE, status, "").await?;
    }
    // The refusal has the id of the call, which was parsed already.
    expect(app, "/mcp", Some("ann"), NO_SESSION, FILE, 429, r#""id":2"#).await?;
    expect(app, "/mcp", Some("ann"), None, GARBAGE, 400, "").await
}

/// Policy above limit by principal above credentials.
async fn above_the_limit_by_principal(app: &Router) -> Result<(), Box<dyn Error>> {
    let session = session(app, "ann").await?;
    let ann = Some(session.as_str());
    // What is denied is not counted.
    for _ in 0..5 {
        expect(app, "/mcp", Some("ann"), ann, SHRED, 200, DENIED).await?;
    }
    expect(app, "/mcp", Some("ann"), ann, FILE, 200, "filed for").await?;
    expect(app, "/mcp", Some("ann"), ann, FILE, 429, "").await?;
    expect(app, "/mcp", Some("ann"), ann, SHRED, 200, DENIED).await?;
    // What another may do is left to them, and is counted before their key is looked for.
    for said in [NOT_CONNECTED; 3] {
        expect(app, "/mcp", Some("ben"), None, INITIALIZE, 200, said).await?;
    }
    expect(app, "/mcp", Some("ben"), None, INITIALIZE, 429, "").await
}

/// Credentials above records: what has no credential needs no record.
async fn a_full_log_is_below_the_credential(app: &Router) -> Result<(), Box<dyn Error>> {
    expect(
        app,
        "/mcp",
        Some("ben"),
        None,
        INITIALIZE,
        200,
        NOT_CONNECTED,
    )
    .await?;
    expect(app, "/mcp", Some("ann"), None, INITIALIZE, 503, "").await
}

fn a_minute(limits: Limits, many: u32) -> Limits {
    let mut limits = limits;
    limits.rate = NonZeroU32::new(many).map(Rate::per_minute);
    limits
}

/// Opens a session, as clients of older revisions do: two calls that are permitted.
async fn session(app: &Router, user: &str) -> Result<String, Box<dyn Error>> {
    let (status, session, text) = send(app, "/mcp", Some(user), None, INITIALIZE).await?;
    let session = session.ok_or_else(|| format!("no session: {status} {text}"))?;
    let (status, _, text) = send(app, "/mcp", Some(user), Some(&session), INITIALIZED).await?;
    assert_eq!(status, StatusCode::ACCEPTED, "{text}");
    Ok(session)
}

async fn expect(
    app: &Router,
    path: &str,
    user: Option<&str>,
    session: Option<&str>,
    message: &'static str,
    status: u16,
    said: &str,
) -> Result<(), Box<dyn Error>> {
    let (is, _, text) = send(app, path, user, session, message).await?;
    let user = user.unwrap_or("nobody");
    assert!(
        is == status && text.contains(said),
        "{user} {message}: {is} and not {status} {said}: {text}"
    );
    println!("{user}: {is} {}", text.trim());
    Ok(())
}

async fn send(
    app: &Router,
    path: &str,
    user: Option<&str>,
    session: Option<&str>,
    message: &'static str,
) -> Result<(StatusCode, Option<String>, String), Box<dyn Error>> {
    use tower::ServiceExt as _;

    let mut request = Request::post(path)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json, text/event-stream");
    if let Some(user) = user {
        request = request.header("x-user", user);
    }
    if let Some(session) = session {
        request = request.header("mcp-session-id", session);
    }
    let answer = app
        .clone()
        .oneshot(request.body(Body::from(message))?)
        .await?;
    let status = answer.status();
    let session = answer.headers().get("mcp-session-id");
    let session = session
        .map(|id| id.to_str().map(str::to_owned))
        .transpose()?;
    let body = answer.into_body().collect().await?.to_bytes();
    Ok((status, session, String::from_utf8_lossy(&body).into_owned()))
}
