use std::{
    convert::Infallible,
    future::{Future, pending},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use gatewright_core::{
    AnswerBody, BoxError, Clock, Draft, Fault, Identity, Membership, Outcome, Party, PartyKind,
    Principal, ReferenceId, Refused, Rejection, Route, Standing, Status, Subject, Subjects,
    TenantId, Timestamp, Withdrawal, resolver_fn,
};
use http::{Method, Request, Response, header};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, StreamBody};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

use crate::{IdentityLayer, RouteLayer};

/// The runtime's time, which stands still until everybody waits.
#[derive(Clone, Copy)]
struct Paused(Instant);

impl Clock for Paused {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_000).plus(self.0.elapsed())
    }
}

/// Switches `ann` off once told so.
#[derive(Clone)]
struct Switch(watch::Sender<bool>);

impl Switch {
    fn new() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Subjects for Switch {
    fn status(&self, _: &TenantId, _: PartyKind, _: &Subject) -> Status {
        if *self.0.borrow() {
            Status::Disabled
        } else {
            Status::Active(Membership::default())
        }
    }

    fn disabled(
        &self,
        _: &TenantId,
        _: &[(PartyKind, Subject)],
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut changes = self.0.subscribe();
        Box::pin(async move {
            let _off = changes.wait_for(|off| *off).await;
        })
    }
}

fn route() -> Route {
    Route::single("s", "https://gw.example/mcp/s").unwrap()
}

/// `x-user: ann` is Ann for ten seconds, `x-user: bad` is rejected.
fn layer(clock: Paused) -> IdentityLayer<impl gatewright_core::Resolver> {
    let end = clock.now().plus(Duration::from_secs(10));
    let resolver = resolver_fn(move |parts| match parts.headers.get("x-user") {
        None => Outcome::NoCredential,
        Some(user) if user == "bad" => Outcome::Rejected(Rejection {
            fault: Fault::Caller,
            code: "bad",
            message: "no good".into(),
        }),
        Some(user) => {
            let user = Party::new(Subject::new("own", user.to_str().unwrap()));
            let mut identity = Identity::user(user);
            identity.expires_at = Some(end);
            Outcome::Identified(Box::new(identity))
        }
    });
    IdentityLayer::new(resolver).with_clock(clock)
}

/// Says the name of the caller.
async fn hello(request: Request<Empty<Bytes>>) -> Result<Response<AnswerBody>, Infallible> {
    let principal = request.extensions().get::<Principal>().unwrap();
    let name = principal.user().unwrap().subject().id().to_owned();
    Ok(Response::new(AnswerBody::full(Bytes::from(name))))
}

fn request(method: Method, headers: &[(&str, &str)]) -> Request<Empty<Bytes>> {
    let mut request = Request::builder().method(method).uri("/mcp/s");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Empty::new()).unwrap()
}

async fn text(answer: Response<AnswerBody>) -> String {
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8_lossy(&body).into_owned()
}

fn stack<S>(
    layer: IdentityLayer<impl gatewright_core::Resolver>,
    service: S,
) -> impl Service<
    Request<Empty<Bytes>>,
    Response = Response<AnswerBody>,
    Error = Infallible,
    Future: Send,
> + Clone
where
    S: Service<Request<Empty<Bytes>>, Response = Response<AnswerBody>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    ServiceBuilder::new()
        .layer(RouteLayer::new(route()))
        .layer(layer)
        .service(service)
}

#[tokio::test(start_paused = true)]
async fn every_method_is_challenged_and_a_good_credential_passes() {
    let service = stack(layer(Paused(Instant::now())), service_fn(hello));
    for method in [
        Method::GET,
        Method::POST,
        Method::DELETE,
        Method::PUT,
        Method::OPTIONS,
        Method::HEAD,
    ] {
        for headers in [&[][..], &[("x-user", "bad")]] {
            let Ok(answer) = service
                .clone()
                .oneshot(request(method.clone(), headers))
                .await;
            assert_eq!(answer.status(), 401, "{method} {headers:?}");
            assert!(answer.headers().contains_key(header::WWW_AUTHENTICATE));
        }
        let Ok(answer) = service
            .clone()
            .oneshot(request(method, &[("x-user", "ann")]))
            .await;
        assert_eq!(text(answer).await, "ann");
    }
}

#[tokio::test(start_paused = true)]
async fn the_draft_knows_who_called_or_why_nobody_did() {
    let service = stack(layer(Paused(Instant::now())), service_fn(hello));
    let draft = || Draft::new(ReferenceId::random(), Timestamp::from_secs(1));
    let send = async |user, draft: &Draft| {
        let mut request = request(Method::POST, &[("x-user", user)]);
        request.extensions_mut().insert(draft.clone());
        let Ok(answer) = service.clone().oneshot(request).await;
        answer.status().as_u16()
    };
    let (good, bad) = (draft(), draft());
    assert_eq!(
        (send("ann", &good).await, send("bad", &bad).await),
        (200, 401)
    );
    assert_eq!(
        good.read(|fields| fields.principal.as_ref().unwrap().key()),
        "user:own|ann"
    );
    let refused = bad.read(|fields| fields.refusal.clone().unwrap().refused);
    assert_eq!(
        refused,
        Refused {
            layer: "identity",
            code: "bad"
        }
    );
}

#[tokio::test(start_paused = true)]
async fn only_pages_of_configured_origins_may_call() {
    let ours = "https://app.example".to_owned();
    let layer = layer(Paused(Instant::now())).with_origins([ours]);
    let service = stack(layer, service_fn(hello));
    let send = async |method, headers: &[(&str, &str)]| {
        let Ok(answer) = service.clone().oneshot(request(method, headers)).await;
        answer
    };
    let asks = ("access-control-request-method", "POST");
    let wants = (
        "access-control-request-headers",
        "authorization, mcp-param-x",
    );

    let answer = send(
        Method::OPTIONS,
        &[("origin", "https://app.example"), asks, wants],
    )
    .await;
    assert_eq!(answer.status(), 204);
    let headers = answer.headers();
    assert_eq!(
        headers[header::ACCESS_CONTROL_ALLOW_ORIGIN],
        "https://app.example"
    );
    assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_HEADERS], wants.1);
    assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS));

    for others in [
        &[("origin", "https://evil.example"), asks][..],
        &[("origin", "null"), asks],
        &[
            ("origin", "https://app.example"),
            ("origin", "https://evil.example"),
            asks,
        ],
        &[asks],
        // No preflight: nothing is asked for.
        &[("origin", "https://evil.example")],
    ] {
        let answer = send(Method::OPTIONS, others).await;
        assert_eq!(answer.status(), 401, "{others:?}");
        assert!(
            !answer
                .headers()
                .contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN)
        );
    }

    // The page may read the challenge, and the answer.
    for user in ["ann", "bad"] {
        let answer = send(
            Method::POST,
            &[("origin", "https://app.example"), ("x-user", user)],
        )
        .await;
        assert_eq!(
            answer.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN],
            "https://app.example"
        );
        assert_eq!(answer.headers()[header::VARY], "origin");
    }
}

/// A body that says `a` and then nothing, for ever.
fn silent() -> impl Body<Data = Bytes, Error = BoxError> + Send {
    let frames = futures_like(vec![Frame::data(Bytes::from_static(b"a"))]);
    StreamBody::new(frames)
}

fn futures_like(
    frames: Vec<Frame<Bytes>>,
) -> impl futures_util::Stream<Item = Result<Frame<Bytes>, BoxError>> {
    use futures_util::StreamExt as _;
    futures_util::stream::iter(frames.into_iter().map(Ok)).chain(futures_util::stream::pending())
}

async fn standing(_: Request<Empty<Bytes>>) -> Result<Response<AnswerBody>, Infallible> {
    let mut answer = Response::new(AnswerBody::wrap(silent()));
    answer.extensions_mut().insert(Standing);
    Ok(answer)
}

async fn answering(_: Request<Empty<Bytes>>) -> Result<Response<AnswerBody>, Infallible> {
    Ok(Response::new(AnswerBody::wrap(silent())))
}

/// How the body goes on within a minute: `None` while it stays open, else whether it ended well.
async fn end_of(body: &mut AnswerBody) -> Option<bool> {
    let frame = tokio::time::timeout(Duration::from_secs(60), body.frame()).await;
    match frame {
        Err(_open) => None,
        Ok(None) => Some(true),
        Ok(Some(Err(_))) => Some(false),
        Ok(Some(Ok(frame))) => panic!("{frame:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_standing_stream_ends_with_the_credential_and_an_answer_may_finish() {
    let clock = Paused(Instant::now());
    let ann = || request(Method::POST, &[("x-user", "ann")]);
    let Ok(stream) = stack(layer(clock), service_fn(standing))
        .oneshot(ann())
        .await;
    let mut stream = stream.into_body();
    assert!(stream.frame().await.unwrap().is_ok());
    assert_eq!(end_of(&mut stream).await, Some(true));
    assert_eq!(clock.0.elapsed().as_secs(), 10);

    let clock = Paused(Instant::now());
    let Ok(answer) = stack(layer(clock), service_fn(answering))
        .oneshot(ann())
        .await;
    let mut answer = answer.into_body();
    assert!(answer.frame().await.unwrap().is_ok());
    assert_eq!(end_of(&mut answer).await, None);
}

#[tokio::test(start_paused = true)]
async fn who_is_switched_off_loses_streams_answers_and_calls_under_way() {
    let switch = Switch::new();
    let layer = layer(Paused(Instant::now())).with_subjects(switch.clone());
    cut_by(layer.clone(), || {
        switch.0.send_replace(true);
    })
    .await;
    let Ok(next) = stack(layer, service_fn(hello)).oneshot(ann()).await;
    assert_eq!(next.status(), 401);
}

#[tokio::test(start_paused = true)]
async fn a_withdrawn_credential_loses_streams_answers_and_calls_under_way() {
    let withdrawn = CancellationToken::new();
    let waited = withdrawn.clone();
    let withdrawal = Withdrawal::new(move || waited.clone().cancelled_owned());
    let resolver = resolver_fn(move |_| {
        let mut identity = Identity::user(Party::new(Subject::new("own", "ann")));
        identity.withdrawal = Some(withdrawal.clone());
        Outcome::Identified(Box::new(identity))
    });
    cut_by(IdentityLayer::new(resolver), || withdrawn.cancel()).await;
}

fn ann() -> Request<Empty<Bytes>> {
    request(Method::POST, &[("x-user", "ann")])
}

/// Opens a stream, an answer and a call, and sees how each ends.
async fn cut_by(layer: IdentityLayer<impl gatewright_core::Resolver>, cut: impl FnOnce()) {
    let Ok(stream) = stack(layer.clone(), service_fn(standing))
        .oneshot(ann())
        .await;
    let Ok(answer) = stack(layer.clone(), service_fn(answering))
        .oneshot(ann())
        .await;
    let never = service_fn(|_| pending());
    let mut call = Box::pin(stack(layer, never).oneshot(ann()));
    std::future::poll_fn(|context: &mut Context<'_>| {
        assert!(call.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;

    cut();
    let (mut stream, mut answer) = (stream.into_body(), answer.into_body());
    assert_eq!(end_of(&mut stream).await, Some(true));
    assert_eq!(
        end_of(&mut answer).await,
        Some(false),
        "it must not seem whole"
    );
    assert!(answer.frame().await.is_none());
    let Ok(cut) = call.await;
    assert_eq!(cut.status(), 401);
}

#[tokio::test]
async fn an_unknown_endpoint_is_not_found_before_anything_is_asked() {
    struct None;
    impl crate::Routes for None {
        fn find(&self, _: &http::Uri, _: &http::HeaderMap) -> Option<Route> {
            Option::None
        }
    }
    let never = service_fn(|_: Request<Empty<Bytes>>| async {
        Ok::<_, Infallible>(Response::new(AnswerBody::empty()))
    });
    let service = ServiceBuilder::new()
        .layer(RouteLayer::new(None))
        .service(never);
    let Ok(answer) = service.oneshot(request(Method::POST, &[])).await;
    assert_eq!(answer.status(), 404);
}
