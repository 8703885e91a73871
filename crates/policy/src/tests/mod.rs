//! The layer over a service that answers what it is told.

mod answers;
mod calls;
mod lists;
mod requests;
mod streams;

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use gatewright_core::{
    AnswerBody, AnyIdentified, Call, CallBody, Decision, Draft, Identity, ManualClock, Outcome,
    Party, Permitted, Principal, Profile, ReferenceId, Route, Subject, Timestamp, UnknownMethods,
    authenticate, engine_fn, resolver_fn,
};
use gatewright_wire::Peer;
use http::{HeaderMap, Request, Response, request::Parts};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::{Service, ServiceExt, service_fn};
use tower_layer::Layer;

use crate::PolicyLayer;

/// What reached the server below: a head and the body's bytes.
type Reached = Arc<Mutex<Vec<(Parts, Bytes)>>>;

/// A layer over a server, as Ann meets it.
pub(crate) struct Bed<F> {
    layer: PolicyLayer<F>,
    route: Route,
    pub(crate) draft: Draft,
    pub(crate) reached: Reached,
}

/// What Ann got.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) refused: Option<&'static str>,
    pub(crate) body: String,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn code(&self) -> Value {
        self.json()["error"]["code"].clone()
    }
}

pub(crate) fn rules(decide: fn(&Call) -> bool) -> impl gatewright_core::PolicyEngine {
    engine_fn(move |_: &Principal, call: &Call| {
        if decide(call) {
            Decision::allow(["allowed"])
        } else {
            Decision::deny("planted reason")
        }
    })
}

/// Ann may use what begins with `ok`, in every method; servers may ask her for her roots.
pub(crate) fn bed() -> Bed<impl gatewright_core::PolicyEngine> {
    Bed::new(rules(ok), |_| {})
}

pub(crate) fn ok(call: &Call) -> bool {
    match call.from() {
        Peer::Client => call.target().is_none_or(|target| target.starts_with("ok")),
        Peer::Server => call.method() == Some("roots/list"),
    }
}

impl<F: gatewright_core::PolicyEngine> Bed<F> {
    pub(crate) fn new(engine: F, profile: impl FnOnce(&mut Profile)) -> Self {
        let route = Route::single("s", "https://gw.example/mcp/s").unwrap();
        Self {
            layer: PolicyLayer::new(engine).answer_limit(100_000),
            route: route.map_profile(profile),
            draft: Draft::new(ReferenceId::random(), Timestamp::from_secs(1)),
            reached: Reached::default(),
        }
    }

    /// The request as the layers above hand it down.
    pub(crate) async fn request(&self, request: Request<Bytes>) -> Request<CallBody> {
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(self.route.clone());
        let resolver = resolver_fn(|_| {
            let ann = Party::new(Subject::new("idp", "ann"));
            Outcome::Identified(Box::new(Identity::user(ann)))
        });
        let clock = ManualClock::at(Timestamp::from_secs(1));
        let ann = authenticate(&resolver, &AnyIdentified, &clock, &parts).await;
        parts.extensions.insert(ann.unwrap());
        parts.extensions.insert(self.draft.clone());
        let call = CallBody::parse(&self.route, &parts, body, &Default::default()).unwrap();
        Request::from_parts(parts, call)
    }

    /// The layer over a server that answers its first request so, and the rest with 202.
    pub(crate) fn over(
        &self,
        answer: Response<AnswerBody>,
    ) -> impl Service<Request<CallBody>, Response = Response<AnswerBody>, Error = Infallible> + use<F>
    {
        let reached = Arc::clone(&self.reached);
        let answer = Arc::new(Mutex::new(Some(answer)));
        self.layer
            .layer(service_fn(move |request: Request<Permitted>| {
                let (reached, answer) = (Arc::clone(&reached), Arc::clone(&answer));
                async move {
                    let (parts, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    reached.lock().unwrap().push((parts, body));
                    Ok::<_, Infallible>(answer.lock().unwrap().take().unwrap_or_else(accepted))
                }
            }))
    }

    pub(crate) async fn send(&self, request: Request<Bytes>, answer: Response<AnswerBody>) -> Got {
        let request = self.request(request).await;
        let Ok(answer) = self.over(answer).oneshot(request).await;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Got {
            status: parts.status.as_u16(),
            refused: parts
                .extensions
                .get()
                .map(|refused: &gatewright_core::Refused| refused.code),
            headers: parts.headers,
            body: String::from_utf8(body.into()).unwrap(),
        }
    }

    pub(crate) fn reached(&self) -> usize {
        self.reached.lock().unwrap().len()
    }

    /// The code of the refusal that the record will name.
    pub(crate) fn recorded(&self) -> Option<&'static str> {
        self.draft
            .read(|fields| Some(fields.refusal.as_ref()?.refused.code))
    }
}

pub(crate) fn relaying(profile: &mut Profile) {
    profile.unknown_methods = UnknownMethods::Relay;
}

fn accepted() -> Response<AnswerBody> {
    Response::builder()
        .status(202)
        .body(AnswerBody::empty())
        .unwrap()
}

/// A legacy message of Ann's.
pub(crate) fn legacy(message: &Value) -> Request<Bytes> {
    Request::post("/mcp/s")
        .header("mcp-protocol-version", "2025-11-25")
        .header("mcp-session-id", "session")
        .body(message.to_string().into())
        .unwrap()
}

/// A request of hers with id 7.
pub(crate) fn old(method: &str, params: &Value) -> Request<Bytes> {
    legacy(&json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}))
}

/// The same in the modern era.
pub(crate) fn new(method: &str, mut params: Value) -> Request<Bytes> {
    let name = params.get("name").or_else(|| params.get("uri")).cloned();
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let mut request = Request::post("/mcp/s")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", method);
    if let Some(name) = name {
        request = request.header("mcp-name", name.as_str().unwrap());
    }
    let message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
    request.body(message.to_string().into()).unwrap()
}

pub(crate) fn call(tool: &str) -> Request<Bytes> {
    new("tools/call", json!({"name": tool, "arguments": {}}))
}

pub(crate) fn stream() -> Request<Bytes> {
    Request::get("/mcp/s")
        .header("mcp-session-id", "session")
        .body(Bytes::new())
        .unwrap()
}

/// 200 with this JSON text.
pub(crate) fn says(text: impl Into<String>) -> Response<AnswerBody> {
    typed(200, "application/json", text.into())
}

/// 200 with a result for the request of id 7.
pub(crate) fn result(result: &Value) -> Response<AnswerBody> {
    says(json!({"jsonrpc": "2.0", "id": 7, "result": result}).to_string())
}

/// 200 with these messages as events.
pub(crate) fn events(messages: &[Value]) -> Response<AnswerBody> {
    let events = messages
        .iter()
        .map(|message| format!("data: {message}\n\n"));
    typed(200, "text/event-stream", events.collect::<String>())
}

pub(crate) fn typed(
    status: u16,
    content_type: &str,
    body: impl Into<Bytes>,
) -> Response<AnswerBody> {
    let answer = Response::builder()
        .status(status)
        .header("content-type", content_type);
    answer.body(AnswerBody::full(body.into())).unwrap()
}
