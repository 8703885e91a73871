//! As whom a call goes up.

use gatewright_core::{CredentialForm, CredentialOwner, Secret};

use super::*;

fn under(auth: UpstreamAuth, mut request: Request<Bytes>) -> Request<Bytes> {
    request.extensions_mut().insert(auth);
    request
}

fn credential(form: CredentialForm, secret: &str) -> UpstreamAuth {
    UpstreamAuth::new(
        CredentialOwner::Shared,
        1,
        form,
        Secret::new(secret.to_owned()),
    )
}

fn in_header(name: &'static str) -> CredentialForm {
    CredentialForm::Header {
        name: http::HeaderName::from_static(name),
        prefix: String::new(),
    }
}

#[tokio::test]
async fn nothing_goes_up_before_it_is_known_as_whom() {
    let server = RawServer::start(|request| Answer::result(request, &json!({}))).await;
    let mut request = permit(modern()).await;
    request.extensions_mut().remove::<UpstreamAuth>();
    let answer = upstream(&server, EraSetting::Probe)
        .oneshot(request)
        .await
        .unwrap();
    assert_eq!(answer.status(), 500);
    let body = String::from_utf8_lossy(answer.body().known().unwrap()).into_owned();
    assert!(
        body.contains("no UpstreamAuth above the upstream layer"),
        "{body}"
    );
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn the_credential_goes_up_and_the_clients_does_not() {
    let server = RawServer::start(|request| Answer::result(request, &json!({}))).await;
    let auth = credential(CredentialForm::default(), "planted");
    let draft = Draft::new(ReferenceId::random(), Timestamp::from_secs(0));
    let mut request = under(auth, modern());
    request.extensions_mut().insert(draft.clone());
    assert_eq!(relay(&server, request).await.0, 200);
    let sent: Vec<_> = server.requests()[0]
        .headers
        .get_all("authorization")
        .iter()
        .cloned()
        .collect();
    assert_eq!(sent, ["Bearer planted"]);
    assert_eq!(
        draft.read(|fields| fields.credential.clone()).as_deref(),
        Some("shared")
    );
    assert!(!format!("{:?}", draft.read(Clone::clone)).contains("planted"));
}

#[tokio::test]
async fn a_server_that_answers_nobody_without_a_credential_is_probed_with_it() {
    let server = RawServer::start(|request| {
        if request
            .headers
            .get("x-api-key")
            .is_none_or(|key| key != "good")
        {
            return Answer::status(401);
        }
        match request.json()["method"].as_str() {
            Some("server/discover") => {
                Answer::result(request, &json!({"supportedVersions": ["2026-07-28"]}))
            }
            _ => Answer::result(request, &json!({})),
        }
    })
    .await;
    let upstream = upstream(&server, EraSetting::Probe);
    let call = async |secret: &str| {
        let auth = credential(in_header("x-api-key"), secret);
        let request = permit(under(auth, modern())).await;
        let answer = upstream.clone().oneshot(request).await.unwrap();
        answer.status().as_u16()
    };
    // The first caller's key is refused: that says nothing of the server, nor of the next one's.
    assert_eq!(call("bad").await, 502);
    assert_eq!(call("good").await, 200);
    assert_eq!(call("good").await, 200);
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn a_credential_that_cannot_go_where_its_form_says_stops_the_call() {
    let server = RawServer::start(|request| Answer::result(request, &json!({}))).await;
    let variable = "API_KEY".to_owned();
    for (form, secret) in [
        (CredentialForm::Environment { variable }, "planted"),
        (in_header("mcp-session-id"), "planted"),
        (in_header("mcp-param-key"), "planted"),
        (in_header("traceparent"), "planted"),
        (in_header("host"), "planted"),
        (in_header("content-length"), "planted"),
        (in_header("proxy-authorization"), "planted"),
        (CredentialForm::default(), "planted\r\nx-admin: 1"),
    ] {
        let shown = format!("{form:?}");
        let request = under(credential(form, secret), modern());
        let (status, _, body) = relay(&server, request).await;
        assert!(status >= 500, "{shown}: {status}");
        assert!(!body.contains("planted"), "{shown}: {body}");
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_redirect_takes_the_credential_nowhere() {
    let elsewhere = RawServer::start(|request| Answer::result(request, &json!({}))).await;
    let location = elsewhere.url("/mcp");
    let server = RawServer::start(move |_| Answer::status(307).header("location", &location)).await;
    let auth = credential(CredentialForm::default(), "planted");
    assert_eq!(relay(&server, under(auth, modern())).await.0, 502);
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_cancellation_carries_the_credential_of_its_call() {
    let server = RawServer::start(|request| match request.json()["method"].as_str() {
        Some("tools/call") => Answer::never(),
        _ => Answer::status(202),
    })
    .await;
    let auth = credential(in_header("x-api-key"), "planted");
    let request = permit(under(auth, call())).await;
    let upstream = upstream(&server, EraSetting::Legacy);
    let mut waiting = Box::pin(upstream.clone().oneshot(request));
    let answered = tokio::time::timeout(Duration::from_millis(60), &mut waiting).await;
    drop(answered);
    drop(waiting);
    server.received(2).await;
    assert_eq!(server.requests()[1].header("x-api-key"), "planted");
}
