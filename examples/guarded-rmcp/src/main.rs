//! Runs the guarded server on a free port of this machine, with a stand-in for the identity provider.
//!
//! `--once` calls it a few times and ends; without it the server stays up and prints how to call it.
#![expect(clippy::print_stdout, reason = "this is a program for a terminal")]

use std::{error::Error, path::Path};

use example_guarded_rmcp::guarded;
use gatewright_test_support::{Client, FakeIdp, message, modern_request};
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let audit = tempfile::tempdir()?;
    let idp = FakeIdp::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let resource = format!("http://{}/mcp", listener.local_addr()?);

    let app = guarded(&resource, idp.issuer(), &policies, audit.path()).await?;
    let server = async { axum::serve(listener, app).await };

    if std::env::args().any(|argument| argument == "--once") {
        tokio::select! {
            ended = server => return Ok(ended?),
            () = show(&idp, &resource) => return Ok(()),
        }
    }
    let token = idp.token("ann", &resource).expires_in(24 * 60 * 60).sign();
    println!(
        "curl {resource} -H 'content-type: application/json' \
         -H 'accept: application/json, text/event-stream' -H 'authorization: Bearer {token}' \
         -d '{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}}'"
    );
    Ok(server.await?)
}

/// The same call by two people: one may, the other may not.
async fn show(idp: &FakeIdp, resource: &str) {
    let pay = json!({"name": "pay_invoice", "arguments": {"invoice": "INV-1", "amount": 4200}});
    let paid = call(idp, resource, "ann", pay.clone()).await;
    let text = paid.pointer("/result/content/0/text");
    assert_eq!(text, Some(&json!("paid 4200 for INV-1")), "{paid}");
    let denied = call(idp, resource, "bob", pay).await;
    let message = denied.pointer("/error/message");
    assert_eq!(message, Some(&json!("denied by policy")), "{denied}");
    println!("ann: {paid}\nbob: {denied}");
}

async fn call(idp: &FakeIdp, resource: &str, user: &str, params: Value) -> Value {
    let token = idp.token(user, resource).sign();
    let request = modern_request(resource, Some(&token), 1, "tools/call", params);
    message(&Client::default().send(request).await)
}
