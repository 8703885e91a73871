use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use axum::{Router, body::Body, extract::State, response::Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::{Value, json};
use tokio::{sync::watch, task::yield_now};

use crate::listen::Listening;

/// What a [`RawServer`] received.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The HTTP method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Recorded {
    /// The body as JSON; `null` where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// A header as text; empty where it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Everything that came, as one text to search for what must not have come.
    #[must_use]
    pub fn everything(&self) -> String {
        format!(
            "{} {}\n{:?}\n{}",
            self.method,
            self.target,
            self.headers,
            String::from_utf8_lossy(&self.body)
        )
    }
}

/// What a [`RawServer`] answers, to the byte.
#[derive(Clone, Debug)]
pub struct Answer {
    status: StatusCode,
    headers: Vec<(String, String)>,
    chunks: Vec<Bytes>,
    end: End,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Proper,
    Never,
    Broken,
    Silent,
}

impl Answer {
    /// An answer with this body.
    #[must_use]
    pub fn bytes(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            status: StatusCode::from_u16(status).expect("a status has three digits"),
            headers: vec![(
                header::CONTENT_TYPE.as_str().to_owned(),
                content_type.to_owned(),
            )],
            chunks: vec![body.into()],
            end: End::Proper,
        }
    }

    /// A status and nothing else.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            headers: Vec::new(),
            chunks: Vec::new(),
            ..Self::bytes(status, "text/plain", "")
        }
    }

    /// 200 with this JSON.
    #[must_use]
    pub fn json(body: &Value) -> Self {
        Self::bytes(200, "application/json", body.to_string())
    }

    /// 200 with the JSON-RPC result of `request`.
    #[must_use]
    pub fn result(request: &Recorded, result: &Value) -> Self {
        let id = request.json().get("id").cloned();
        Self::json(&json!({"jsonrpc": "2.0", "id": id, "result": result}))
    }

    /// 200 with an event stream in these pieces, each sent by itself, as they are.
    #[must_use]
    pub fn event_stream<T: Into<Bytes>>(chunks: impl IntoIterator<Item = T>) -> Self {
        let chunks = chunks.into_iter().map(Into::into).collect();
        Self {
            chunks,
            ..Self::bytes(200, "text/event-stream", "")
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// After its last piece the body stays open for ever.
    #[must_use]
    pub fn hanging(mut self) -> Self {
        self.end = End::Never;
        self
    }

    /// After its last piece the connection breaks.
    #[must_use]
    pub fn breaking(mut self) -> Self {
        self.end = End::Broken;
        self
    }

    /// Nothing comes, not even the head.
    #[must_use]
    pub fn never() -> Self {
        Self {
            end: End::Silent,
            ..Self::status(200)
        }
    }
}

type Program = dyn Fn(&Recorded) -> Answer + Send + Sync;

/// An upstream that answers what it is told and remembers what it received. Clones are the same server.
#[derive(Clone)]
pub struct RawServer {
    shared: Arc<Shared>,
    listening: Listening,
}

struct Shared {
    program: Mutex<Arc<Program>>,
    recorded: Mutex<Vec<Recorded>>,
    counts: watch::Sender<Counts>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    received: usize,
    abandoned: usize,
}

impl RawServer {
    /// Answers every request by `program`.
    pub async fn start(program: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared {
            program: Mutex::new(Arc::new(program)),
            recorded: Mutex::new(Vec::new()),
            counts: watch::Sender::default(),
        });
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        Self {
            shared,
            listening: Listening::start(|_| router).await,
        }
    }

    /// Answers by another program from now on.
    pub fn set(&self, program: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) {
        *self
            .shared
            .program
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(program);
    }

    /// Where it listens, with this path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        self.listening.url(path)
    }

    /// What it received so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared
            .recorded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until it has received so many requests.
    pub async fn received(&self, count: usize) {
        self.until(|counts| counts.received >= count).await;
    }

    /// Waits until so many answers were abandoned: the caller went away before they ended.
    pub async fn abandoned(&self, count: usize) {
        self.until(|counts| counts.abandoned >= count).await;
    }

    async fn until(&self, reached: impl FnMut(&Counts) -> bool) {
        let mut counts = self.shared.counts.subscribe();
        counts
            .wait_for(reached)
            .await
            .expect("the sender lives as long as the server");
    }
}

impl fmt::Debug for RawServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RawServer")
            .field(&self.listening.address)
            .finish()
    }
}

async fn answer(State(server): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX)
        .await
        .unwrap_or_default();
    let recorded = Recorded {
        method: head.method,
        target: head.uri.to_string(),
        headers: head.headers,
        body,
    };
    let program = Arc::clone(
        &server
            .program
            .lock()
            .unwrap_or_else(PoisonError::into_inner),
    );
    let answer = program(&recorded);
    server
        .recorded
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(recorded);
    server.counts.send_modify(|counts| counts.received += 1);

    let mut watched = Watched {
        server,
        chunks: Box::pin(stream::empty()),
        ended: false,
    };
    if matches!(answer.end, End::Silent) {
        // The request's future is dropped when the caller goes away, and `watched` with it.
        std::future::pending::<()>().await;
    }
    let chunks = stream::iter(answer.chunks.into_iter().map(Ok));
    watched.chunks = match answer.end {
        End::Proper | End::Silent => Box::pin(chunks),
        End::Never => Box::pin(chunks.chain(stream::pending())),
        // The pause lets what came before go out.
        End::Broken => Box::pin(chunks.chain(stream::once(async {
            yield_now().await;
            Err("broken on purpose")
        }))),
    };
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response
        .body(Body::from_stream(watched))
        .expect("the test's headers are well formed")
}

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, &'static str>> + Send>>;

/// Notes when the caller drops the answer before its end.
struct Watched {
    server: Arc<Shared>,
    chunks: Chunks,
    ended: bool,
}

impl Stream for Watched {
    type Item = Result<Bytes, &'static str>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.chunks.as_mut().poll_next(context);
        if matches!(next, Poll::Ready(None | Some(Err(_)))) {
            self.ended = true;
        }
        next
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.ended {
            self.server
                .counts
                .send_modify(|counts| counts.abandoned += 1);
        }
    }
}
