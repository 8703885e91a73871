//! What the README says of the example.

use std::path::Path;

use axum::{Router, body::Body};
use bytes::Bytes;
use gatewright_audit::{Filter, VerifyOptions, export, verify};
use gatewright_test_support::{FakeIdp, message, modern_request};
use http::{Request, Response, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::guarded;

const RESOURCE: &str = "https://billing.example.com/mcp";

struct Bed {
    idp: FakeIdp,
    app: Router,
    audit: TempDir,
}

impl Bed {
    async fn start() -> Self {
        let (idp, audit) = (FakeIdp::start().await, tempfile::tempdir().unwrap());
        let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
        let app = guarded(RESOURCE, idp.issuer(), &policies, audit.path());
        let app = app.await.unwrap();
        Self { idp, app, audit }
    }

    async fn send(&self, request: Request<Bytes>) -> Response<Bytes> {
        let answer = self.app.clone().oneshot(request.map(Body::from)).await;
        let (head, body) = answer.unwrap().into_parts();
        Response::from_parts(head, body.collect().await.unwrap().to_bytes())
    }

    async fn ask(&self, user: &str, method: &str, params: Value) -> Value {
        let token = self.idp.token(user, RESOURCE).sign();
        let request = modern_request(RESOURCE, Some(&token), 1, method, params);
        message(&self.send(request).await)
    }

    async fn pay(&self, user: &str, amount: Value) -> Value {
        let arguments = json!({"invoice": "INV-1", "amount": amount});
        let params = json!({"name": "pay_invoice", "arguments": arguments});
        self.ask(user, "tools/call", params).await
    }

    /// The records of a log that was closed in good order.
    fn records(self) -> Vec<Value> {
        drop(self.app);
        let mut text = Vec::new();
        export(self.audit.path(), &Filter::default(), &mut text).unwrap();
        let report = verify(self.audit.path(), &VerifyOptions::default()).unwrap();
        assert!(report.is_sound(), "{report}");
        let lines = String::from_utf8(text).unwrap();
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

#[tokio::test]
async fn who_may_is_answered_and_who_may_not_is_denied() {
    let bed = Bed::start().await;
    let paid = bed.pay("ann", json!(4200)).await;
    assert_eq!(paid["result"]["content"][0]["text"], "paid 4200 for INV-1");
    for (user, amount) in [
        ("bob", json!(4200)),
        ("ann", json!(100_001)),
        ("ann", json!("4200")),
    ] {
        let denied = bed.pay(user, amount.clone()).await;
        assert_eq!(
            denied["error"]["message"], "denied by policy",
            "{user} {amount}"
        );
    }
}

#[tokio::test]
async fn lists_show_what_may_be_called() {
    let bed = Bed::start().await;
    for (user, tools) in [
        ("ann", &["list_invoices", "pay_invoice"][..]),
        ("bob", &["list_invoices"]),
    ] {
        let list = bed.ask(user, "tools/list", json!({})).await;
        let names = list["result"]["tools"].as_array().unwrap().iter();
        let names: Vec<&str> = names.map(|tool| tool["name"].as_str().unwrap()).collect();
        assert_eq!(names, tools, "{user}");
    }
}

#[tokio::test]
async fn the_challenge_leads_to_the_issuer() {
    let bed = Bed::start().await;
    let nobody = modern_request(RESOURCE, None, 1, "tools/list", json!({}));
    let refused = bed.send(nobody).await;
    assert_eq!(refused.status(), 401);
    let challenge = refused.headers()[header::WWW_AUTHENTICATE]
        .to_str()
        .unwrap();
    let (_, metadata) = challenge.split_once("resource_metadata=\"").unwrap();
    let (metadata, _) = metadata.split_once('"').unwrap();

    let answer = bed
        .send(Request::get(metadata).body(Bytes::new()).unwrap())
        .await;
    assert_eq!(answer.status(), 200);
    let metadata: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(metadata["resource"], RESOURCE);
    assert_eq!(metadata["authorization_servers"], json!([bed.idp.issuer()]));
}

#[tokio::test]
async fn a_token_for_somebody_else_proves_nothing() {
    let bed = Bed::start().await;
    let elsewhere = "https://other.example.com/mcp";
    let token = bed.idp.token("ann", elsewhere).sign();
    let refused = modern_request(RESOURCE, Some(&token), 1, "tools/list", json!({}));
    assert_eq!(bed.send(refused).await.status(), 401);
}

#[tokio::test]
async fn another_name_and_a_web_page_are_refused() {
    let bed = Bed::start().await;
    let token = bed.idp.token("ann", RESOURCE).sign();
    for (name, value) in [
        (header::HOST, "evil.example.com"),
        (header::ORIGIN, "https://evil.example.com"),
    ] {
        let mut request = modern_request(RESOURCE, Some(&token), 1, "tools/list", json!({}));
        request.headers_mut().insert(name, value.parse().unwrap());
        assert_eq!(bed.send(request).await.status(), 403, "{value}");
    }
}

#[tokio::test]
async fn calls_and_refusals_are_in_the_log() {
    let bed = Bed::start().await;
    bed.pay("ann", json!(4200)).await;
    let denied = bed.pay("bob", json!(4200)).await;
    let reference = denied["error"]["data"]["reference"].clone();
    let ann = format!("{}|ann", bed.idp.issuer());
    let records = bed.records();

    let admitted = records.iter().find(|record| record["kind"] == "admitted");
    let admitted = admitted.unwrap();
    assert_eq!(admitted["call"]["target"], "pay_invoice");
    assert_eq!(admitted["decision"]["policies"], json!(["ann-pays"]));
    assert!(admitted["who"].to_string().contains(&ann), "{admitted}");
    let outcome = |record: &&Value| record["kind"] == "outcome" && record["ref"] == admitted["ref"];
    assert_eq!(records.iter().filter(outcome).count(), 1);

    let refused = records.iter().find(|record| record["ref"] == reference);
    let refused = refused.expect("the answer's reference leads to the record");
    assert_eq!(refused["kind"], "refused");
    assert_eq!(refused["decision"]["effect"], "deny");
}
