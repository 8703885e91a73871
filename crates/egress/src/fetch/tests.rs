use std::sync::Arc;

use axum::{Router, response::Redirect, routing::get};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, rustls};
use tokio_util::task::TaskTracker;

use super::*;

fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    drop(TaskTracker::new().spawn(task));
}

async fn server() -> Url {
    let router = Router::new()
        .route("/small", get(|| async { "{}" }))
        .route("/large", get(|| async { "x".repeat(10_000) }))
        .route("/never", get(std::future::pending::<()>))
        .route(
            "/elsewhere",
            get(|| async { Redirect::temporary("/small") }),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

fn limits() -> FetchLimits {
    FetchLimits {
        max_bytes: 1_000,
        timeout: Duration::from_secs(5),
    }
}

#[tokio::test]
async fn a_document_is_fetched_and_loopback_only_in_development() {
    let url = server().await.join("small").unwrap();
    let open = Egress::builder().development(true).build();
    let fetched = open.get(Class::Foreign, &url, limits()).await.unwrap();
    assert_eq!(
        (fetched.status, fetched.body.as_ref()),
        (StatusCode::OK, b"{}".as_slice())
    );
    let closed = Egress::builder().build();
    assert!(matches!(
        closed.get(Class::Operator, &url, limits()).await,
        Err(FetchError::Forbidden(_))
    ));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let url = server().await.join("elsewhere").unwrap();
    let egress = Egress::builder().development(true).build();
    let fetched = egress.get(Class::Operator, &url, limits()).await.unwrap();
    assert_eq!(fetched.status, StatusCode::TEMPORARY_REDIRECT);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_dropped() {
    let url = server().await.join("large").unwrap();
    let egress = Egress::builder().development(true).build();
    let refused = egress
        .get(Class::Operator, &url, limits())
        .await
        .unwrap_err();
    assert!(matches!(refused, FetchError::TooLarge { limit: 1_000 }));
}

#[tokio::test]
async fn what_never_answers_times_out() {
    let url = server().await.join("never").unwrap();
    let egress = Egress::builder().development(true).build();
    let limits = FetchLimits {
        timeout: Duration::from_millis(30),
        ..limits()
    };
    assert!(matches!(
        egress.get(Class::Operator, &url, limits).await,
        Err(FetchError::Timeout)
    ));
}

#[tokio::test]
async fn the_connector_checks_by_itself() {
    let egress = Egress::builder().build();
    let client: legacy::Client<_, Full<Bytes>> =
        legacy::Client::builder(TokioExecutor::new()).build(egress.connector(Class::Operator));
    for url in [
        "http://127.0.0.1:1/",
        "https://127.0.0.1:1/",
        "https://localhost:1/",
    ] {
        let error = client.get(url.parse().unwrap()).await.unwrap_err();
        assert!(
            matches!(cause(&error), FetchError::Forbidden(_)),
            "{url}: {error:?}"
        );
    }
}

/// A server with a certificate that nobody knows, which answers one request.
async fn tls_server() -> (Url, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let certificate = made.cert.der().clone();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        if let Ok(mut stream) = TlsAcceptor::from(Arc::new(config)).accept(stream).await {
            let mut head = [0; 1024];
            assert!(stream.read(&mut head).await.unwrap() > 0);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
            stream.write_all(answer).await.unwrap();
        }
    });
    let url = format!("https://localhost:{port}/");
    (url.parse().unwrap(), certificate)
}

#[tokio::test]
async fn a_certificate_is_trusted_only_if_somebody_said_so() {
    let (url, certificate) = tls_server().await;
    let told = Egress::builder().development(true).trust([certificate]);
    let fetched = told.build().get(Class::Operator, &url, limits()).await;
    assert_eq!(fetched.unwrap().body, "{}");

    let (url, _) = tls_server().await;
    let untold = Egress::builder().development(true).build();
    assert!(matches!(
        untold.get(Class::Operator, &url, limits()).await,
        Err(FetchError::Unreachable)
    ));
}
