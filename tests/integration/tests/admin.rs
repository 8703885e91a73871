//! What operators ask a running gateway for, over its socket.

use gatewright_test_support::{Answer, RawServer};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};

use crate::bed::Bed;

/// An answer of the admin API: status and JSON; `null` where there is none.
pub(crate) async fn ask(bed: &Bed, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let socket = bed.dir.path().join("data/admin/admin.sock");
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let request = format!(
        "{method} /api/v1{path} HTTP/1.1\r\nhost: gatewright\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

/// The path of somebody's credential at a server.
pub(crate) fn place(bed: &Bed, server: &str, owner: &str) -> String {
    let owner = match owner.split_once(':') {
        Some((kind, id)) => format!("{kind}:{}|{id}", bed.idp.issuer().replace('/', "%2F")),
        None => owner.to_owned(),
    };
    format!("/tenants/default/credentials/{server}/{owner}")
}

/// Stores a credential: of `shared`, `user:ann` or `agent:bot`.
pub(crate) async fn put(bed: &Bed, server: &str, owner: &str, secret: &str) {
    let path = place(bed, server, owner);
    let (status, answer) = ask(bed, "PUT", &path, &json!({ "secret": secret })).await;
    assert_eq!(status, 200, "{answer}");
}

/// Makes an API key of `agent:bot` or `user:ann`; its id and its text.
pub(crate) async fn key(bed: &Bed, holder: &str, server: &str) -> (String, String) {
    let (kind, id) = holder.split_once(':').unwrap();
    let form = json!({
        "name": "test", "holder": format!("{kind}:{}|{id}", bed.idp.issuer()), "servers": [server],
        "expires_at": "2100-01-01T00:00:00Z",
    });
    let (status, made) = ask(bed, "POST", "/tenants/default/keys", &form).await;
    assert_eq!(status, 201, "{made}");
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

/// A modern server that answers every call, and remembers what came.
pub(crate) async fn raw() -> RawServer {
    RawServer::start(|request| Answer::result(request, &json!({"content": []}))).await
}

/// A server of `org.toml`.
pub(crate) fn server(name: &str, url: &str, more: &str) -> String {
    format!("[[servers]]\nname = '{name}'\nurl = '{url}'\nera = 'modern'\n{more}\n")
}

#[tokio::test]
async fn the_status_says_what_is_served() {
    let upstream = raw().await;
    let wiki = server("wiki", &upstream.url("/mcp"), "credential = 'per-user'");
    let bed = Bed::start(&[], &wiki).await;
    let (status, document) = ask(&bed, "GET", "/status", &Value::Null).await;
    assert_eq!(status, 200);
    let served = json!([{"name": "wiki", "transport": "http", "credential": "per-user"}]);
    assert_eq!(document["tenants"][0]["servers"], served);
    bed.reapply(&[("tools", upstream.url("/mcp"))], "").await;
    let (_, document) = ask(&bed, "GET", "/status", &Value::Null).await;
    assert_eq!(document["tenants"][0]["servers"][0]["name"], "tools");
}

#[tokio::test]
async fn the_socket_is_for_its_owner_only_and_ends_with_the_gateway() {
    use std::os::unix::fs::PermissionsExt as _;
    let bed = Bed::start(&[], "").await;
    let folder = bed.dir.path().join("data/admin");
    let socket = folder.join("admin.sock");
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&socket)), (0o700, 0o600));
    bed.running.shutdown().await;
    assert!(UnixStream::connect(&socket).await.is_err());
}
