//! A server of the modern era that does next to nothing: what is measured is what stands before it.

use std::{convert::Infallible, fmt::Write as _, net::SocketAddr, path::PathBuf, rc::Rc};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use clap::Args;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::AsyncReadExt as _,
    net::TcpListener,
    task::{LocalSet, spawn_local},
};

/// Size of the result of a call, with everything around it.
const RESULT_BYTES: usize = 1024;
/// Tools in its list.
pub(crate) const TOOLS: usize = 500;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A key set to publish at `/keys`
    #[arg(long)]
    keys: PathBuf,
}

/// What is said before and after the id.
struct Answers {
    keys: Bytes,
    call: String,
    list: String,
}

/// Serves on a free loopback port until standard input ends.
pub(crate) fn run(options: &Options) -> Result<()> {
    let answers = Rc::new(Answers {
        keys: std::fs::read(&options.keys)
            .context("cannot read the key set")?
            .into(),
        call: call_result(),
        list: list_result(),
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let local = LocalSet::new();
    local.block_on(&runtime, async move {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        println!("listening on http://{}", listener.local_addr()?);
        spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Without it a small answer may wait for the client's acknowledgement.
                let _unset = stream.set_nodelay(true);
                let answers = Rc::clone(&answers);
                let service = service_fn(move |request| answer(Rc::clone(&answers), request));
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                spawn_local(async move {
                    // Clients go when they are done.
                    let _gone = connection.await;
                });
            }
        });
        let mut rest = Vec::new();
        tokio::io::stdin().read_to_end(&mut rest).await?;
        Ok(())
    })
}

async fn answer(
    answers: Rc<Answers>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if *request.method() == Method::GET {
        return Ok(json(answers.keys.clone()));
    }
    let is_list = request
        .headers()
        .get("mcp-method")
        .is_some_and(|method| method.as_bytes() == b"tools/list");
    let Ok(body) = request.into_body().collect().await else {
        return Ok(status(StatusCode::BAD_REQUEST));
    };
    let body = body.to_bytes();
    let Some(id) = crate::connection::id_in(&body) else {
        return Ok(status(StatusCode::BAD_REQUEST));
    };
    let result = if is_list {
        &answers.list
    } else {
        &answers.call
    };
    let mut text = String::with_capacity(result.len() + 64);
    text.push_str(r#"{"jsonrpc":"2.0","id":"#);
    text.push_str(id);
    text.push_str(r#","result":"#);
    text.push_str(result);
    text.push('}');
    Ok(json(text.into()))
}

fn json(body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

pub(crate) fn call_result() -> String {
    let frame = r#"{"jsonrpc":"2.0","id":1000000000,"result":{"resultType":"complete","content":[{"type":"text","text":""}],"isError":false}}"#;
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(RESULT_BYTES / 45 + 1);
    let text: String = text
        .chars()
        .take(RESULT_BYTES.saturating_sub(frame.len()))
        .collect();
    format!(
        r#"{{"resultType":"complete","content":[{{"type":"text","text":"{text}"}}],"isError":false}}"#
    )
}

fn list_result() -> String {
    let mut tools = String::new();
    for number in 0..TOOLS {
        let comma = if number == 0 { "" } else { "," };
        // Writing into a string cannot fail.
        let _written = write!(
            tools,
            r#"{comma}{{"name":"{}","description":"Does what tool number {number} does, and says so in a sentence","inputSchema":{{"type":"object","properties":{{"text":{{"type":"string"}},"count":{{"type":"integer"}}}}}}}}"#,
            tool(number)
        );
    }
    format!(r#"{{"resultType":"complete","tools":[{tools}],"ttlMs":60000,"cacheScope":"private"}}"#)
}

/// The name of a tool in the list.
pub(crate) fn tool(number: usize) -> String {
    format!("tool_{number:03}")
}
