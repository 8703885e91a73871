//! What comes back from the server, by its form: one message, a stream of them, or neither.

use bytes::Bytes;
use gatewright_core::{AnswerBody, BoxError, Call, CallKind, Permitted, PolicyEngine, Refused};
use gatewright_wire::Kind;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tower_service::Service;

use crate::{
    refusal::{self, answer_id},
    reply::Reply,
    screen::{Passage, Screen},
    stream::ScreenedStream,
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Stream,
    Other,
}

/// The answer as the client may have it.
pub(crate) async fn screened<E, S, RB>(
    response: Response<RB>,
    screen: Screen<E>,
    reply: Option<Reply<S>>,
) -> Response<AnswerBody>
where
    E: PolicyEngine,
    S: Service<Request<Permitted>, Response = Response<RB>> + Clone + Send + 'static,
    S::Future: Send,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Into<BoxError>,
{
    // Our own layers below refuse with messages of their own.
    let ours = response.extensions().get::<Refused>().is_some();
    if ours || response.body().is_end_stream() {
        return response.map(AnswerBody::wrap);
    }
    if response.status().is_success() && !gets_an_answer(screen.call.kind()) {
        return without_body(response);
    }
    let form = form(response.headers());
    if form != Form::Other && is_encoded(response.headers()) {
        return refuse(&screen, "the answer is compressed, which nobody asked for");
    }
    match form {
        Form::Json if screen.relays() => response.map(AnswerBody::wrap),
        Form::Json => one_message(response, screen).await,
        Form::Stream => stream(response, screen, reply),
        Form::Other if response.status().is_success() && !screen.relays() => {
            refuse(&screen, "the answer is neither JSON nor an event stream")
        }
        // No client reads a message in there.
        Form::Other => response.map(AnswerBody::wrap),
    }
}

const fn gets_an_answer(kind: CallKind) -> bool {
    match kind {
        CallKind::Request | CallKind::Stream => true,
        CallKind::Notification | CallKind::Response | CallKind::EndSession => false,
    }
}

async fn one_message<E, RB>(response: Response<RB>, screen: Screen<E>) -> Response<AnswerBody>
where
    E: PolicyEngine,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Into<BoxError>,
{
    const TOO_LARGE: &str = "the answer is too large to filter";
    let (mut parts, body) = response.into_parts();
    let body = AnswerBody::wrap(body);
    let (route, era) = (screen.call.route(), screen.call.era());
    // What read the server's answer below has read it for this layer, too.
    let message = match Call::from_answer(route, era, &body) {
        Some(read) if read.bytes().len() > screen.limits.max_bytes => {
            return refuse(&screen, TOO_LARGE);
        }
        Some(read) => Some(read),
        None => match Limited::new(body, screen.limits.max_bytes).collect().await {
            Ok(collected) => {
                let bytes = collected.to_bytes();
                if bytes.is_empty() {
                    return Response::from_parts(parts, AnswerBody::empty());
                }
                screen.read(bytes)
            }
            Err(error) if error.is::<LengthLimitError>() => return refuse(&screen, TOO_LARGE),
            Err(_) => return refuse(&screen, "the answer breaks off"),
        },
    };
    let screened = match message {
        Some(message) => {
            let screened = screen.message(&message).await;
            screened.map(|screened| (message, screened))
        }
        None => None,
    };
    // A body of its own is the answer to this call, or an error that may lack the id (2026-07-28).
    let answer = screened
        .filter(|(_, screened)| screened.answers || screened.kind == Kind::ErrorResponse)
        .map(|(message, screened)| (message, screened.passage));
    let passed = match answer {
        Some((message, Passage::Untouched)) => message.into_answer(),
        Some((_, Passage::Changed(changed))) => {
            forget_the_bytes(&mut parts.headers);
            AnswerBody::full(changed)
        }
        // An error of HTTP, told in JSON of its own, which nobody here can read: its status says enough.
        None if !parts.status.is_success() => {
            forget_the_bytes(&mut parts.headers);
            let id = answer_id(&screen.call);
            AnswerBody::full(refusal::unreadable_message(id, screen.reference))
        }
        Some((_, Passage::Dropped | Passage::Returned(_))) | None => {
            return refuse(&screen, "the answer is not a response");
        }
    };
    // Read as UTF-8 here, and so by everybody: no parameter may say otherwise.
    let json = HeaderValue::from_static("application/json");
    parts.headers.insert(header::CONTENT_TYPE, json);
    Response::from_parts(parts, passed)
}

fn stream<E, S, RB>(
    response: Response<RB>,
    screen: Screen<E>,
    reply: Option<Reply<S>>,
) -> Response<AnswerBody>
where
    E: PolicyEngine,
    S: Service<Request<Permitted>, Response = Response<RB>> + Clone + Send + 'static,
    S::Future: Send,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Into<BoxError>,
{
    let mut response = response;
    forget_the_bytes(response.headers_mut());
    let events = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, events);
    response.map(|body| AnswerBody::wrap(ScreenedStream::new(body, screen, reply)))
}

/// Takes away what is said of bytes that are not, or not all, passed on.
fn forget_the_bytes(headers: &mut HeaderMap) {
    for name in [
        "content-length",
        "etag",
        "content-digest",
        "repr-digest",
        "digest",
        "content-md5",
    ] {
        headers.remove(name);
    }
}

fn refuse<E: PolicyEngine>(screen: &Screen<E>, why: &'static str) -> Response<AnswerBody> {
    screen.refuse_answer(why);
    refusal::unreadable(&screen.call, screen.reference)
}

fn without_body<RB>(response: Response<RB>) -> Response<AnswerBody> {
    let (mut parts, _) = response.into_parts();
    forget_the_bytes(&mut parts.headers);
    for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING] {
        parts.headers.remove(name);
    }
    if parts.status == StatusCode::OK {
        parts.status = StatusCode::ACCEPTED;
    }
    Response::from_parts(parts, AnswerBody::empty())
}

fn form(headers: &HeaderMap) -> Form {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media = value.split(';').next().unwrap_or_default().trim();
    if media.eq_ignore_ascii_case("application/json") {
        Form::Json
    } else if media.eq_ignore_ascii_case("text/event-stream") {
        Form::Stream
    } else {
        Form::Other
    }
}

fn is_encoded(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}
