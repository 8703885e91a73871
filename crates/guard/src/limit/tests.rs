mod by_principal;
mod by_server;
mod flood;

use std::{
    collections::VecDeque,
    convert::Infallible,
    num::NonZeroU32,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use gatewright_core::{
    AnswerBody, AnyIdentified, CallBody, Draft, Identity, Outcome, Party, Principal, Profile,
    ReferenceId, Refused, Route, ServerName, Standing, Subject, SystemClock, TenantId, Timestamp,
    authenticate, resolver_fn,
};
use gatewright_wire::{Limits as WireLimits, code};
use http::{Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use serde_json::Value;
use tokio::sync::Semaphore;
use tower::{Layer as _, Service, ServiceExt as _};

use super::*;

/// What `from` says of who calls, on this route.
async fn principal(route: &Route, user: &str) -> Principal {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.extensions.insert(route.clone());
    let party = Party::new(Subject::new("idp", user));
    let resolver =
        resolver_fn(move |_| Outcome::Identified(Box::new(Identity::user(party.clone()))));
    authenticate(&resolver, &AnyIdentified, &SystemClock, &parts)
        .await
        .unwrap()
}

fn route(tenant: &str, server: &str) -> Route {
    Route::new(
        TenantId::new(tenant).unwrap(),
        ServerName::new(server).unwrap(),
        "https://gw.example/mcp",
        Profile::default(),
    )
    .unwrap()
}

fn draft() -> Draft {
    Draft::new(ReferenceId::random(), Timestamp::from_secs(0))
}

/// A request that nobody has read yet.
async fn unread(tenant: &str, user: &str) -> Request<()> {
    let mut request = Request::post("/mcp").body(()).unwrap();
    let route = route(tenant, "billing");
    request
        .extensions_mut()
        .insert(principal(&route, user).await);
    request
}

const CALL: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"pay"}}"#;
const NOTE: &str =
    r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;
const RESULT: &str = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;

/// A parsed call of a user to a server.
async fn parsed(server: &str, user: &str, message: &'static str) -> Request<CallBody> {
    let request = match message {
        "GET" => Request::get("/mcp").body(()),
        "DELETE" => Request::delete("/mcp").body(()),
        _ => Request::post("/mcp").body(()),
    };
    let (mut parts, ()) = request.unwrap().into_parts();
    let route = route("default", server);
    let bytes = match message {
        "GET" | "DELETE" => Bytes::new(),
        message => Bytes::from_static(message.as_bytes()),
    };
    let call = CallBody::parse(&route, &parts, bytes, &WireLimits::default()).unwrap();
    parts.extensions.insert(principal(&route, user).await);
    parts.extensions.insert(draft());
    Request::from_parts(parts, call)
}

/// A server whose answers begin and end when the test says so.
#[derive(Clone)]
struct Server {
    begins: Arc<Semaphore>,
    ends: Arc<Semaphore>,
    /// Who was let through, in order.
    seen: Arc<Mutex<VecDeque<String>>>,
    inside: Arc<AtomicUsize>,
    stands: bool,
}

impl Server {
    /// Answers at once, and its answers end at once.
    fn free() -> Self {
        Self {
            begins: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            ends: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            seen: Arc::default(),
            inside: Arc::default(),
            stands: false,
        }
    }

    /// Begins its answers at once, and ends as many as the test lets it.
    fn held() -> Self {
        Self {
            ends: Arc::new(Semaphore::new(0)),
            ..Self::free()
        }
    }

    /// Like [`held`](Self::held); its answers say that they stand.
    fn standing() -> Self {
        Self {
            stands: true,
            ..Self::held()
        }
    }

    fn seen(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    async fn answer<B>(self, request: Request<B>) -> Result<Response<AnswerBody>, Infallible> {
        let user = request
            .extensions()
            .get::<Principal>()
            .and_then(|principal| Some(principal.user()?.subject().id().to_owned()));
        self.begins.acquire().await.unwrap().forget();
        self.seen
            .lock()
            .unwrap()
            .push_back(user.unwrap_or_default());
        self.inside.fetch_add(1, Ordering::Relaxed);
        let stands = self.stands;
        let body = futures_util::stream::unfold(Some(self), async |server| {
            let server = server?;
            server.ends.acquire().await.unwrap().forget();
            server.inside.fetch_sub(1, Ordering::Relaxed);
            let last = Frame::data(Bytes::from_static(b"{}"));
            Some((Ok::<_, Infallible>(last), None))
        });
        let mut answer = Response::new(AnswerBody::wrap(StreamBody::new(body)));
        if stands {
            answer.extensions_mut().insert(Standing);
        }
        Ok(answer)
    }
}

/// The layer around the server, for requests with this body.
fn guarded<B, C>(
    layer: &LimitLayer<C>,
    server: &Server,
) -> impl Service<Request<B>, Response = Response<AnswerBody>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static
where
    C: CountBy<B>,
    B: Send + 'static,
{
    let server = server.clone();
    layer.layer(tower::service_fn(move |request: Request<B>| {
        server.clone().answer(request)
    }))
}

/// What the stack answers to one request.
async fn answered<S, B>(stack: &S, request: Request<B>) -> Response<AnswerBody>
where
    S: Service<Request<B>, Response = Response<AnswerBody>, Error = Infallible> + Clone,
{
    stack.clone().oneshot(request).await.unwrap()
}

/// No bounds, for tests that set one.
fn unbounded() -> Limits {
    Limits {
        rate: None,
        calls: usize::MAX,
        queued: 0,
        patience: Duration::from_secs(5),
        streams: usize::MAX,
        total: usize::MAX,
        keys: 1 << 20,
    }
}

fn per_second(many: u32) -> Option<Rate> {
    Some(Rate::per_second(NonZeroU32::new(many).unwrap()))
}

/// What a refusal says: status, code, id.
async fn refusal(answer: Response<AnswerBody>) -> (StatusCode, i64, Value) {
    assert!(answer.headers().contains_key(header::RETRY_AFTER));
    assert_eq!(answer.extensions().get::<Refused>().unwrap().layer, "guard");
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    (
        status,
        body["error"]["code"].as_i64().unwrap(),
        body["id"].clone(),
    )
}

/// Lets every task run until it waits.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test drains nothing; it awaits or aborts what it spawns"
)]
fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(future)
}
