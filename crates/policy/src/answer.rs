//! What comes back from the server, by its form: one message, a stream of them, or neither.

use bytes::Bytes;
use gatewright_core::{AnswerBody, BoxError, CallKind, Permitted, PolicyEngine, Refused};
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tower_service::Service;

use crate::{
    refusal::{self, refused},
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
    let form = form(response.headers());
    if form != Form::Other && is_encoded(response.headers()) {
        return refuse(&screen, "the answer is compressed, which nobody asked for");
    }
    match form {
        Form::Json if screen.relays() => response.map(AnswerBody::wrap),
        Form::Json => one_message(response, screen).await,
        Form::Stream => {
            response.map(|body| AnswerBody::wrap(ScreenedStream::new(body, screen, reply)))
        }
        // No client reads a message in there.
        Form::Other if !response.status().is_success() => response.map(AnswerBody::wrap),
        Form::Other => match screen.call.kind() {
            CallKind::Request | CallKind::Stream if !screen.relays() => {
                refuse(&screen, "the answer is neither JSON nor an event stream")
            }
            CallKind::Request | CallKind::Stream => response.map(AnswerBody::wrap),
            CallKind::Notification | CallKind::Response | CallKind::EndSession => {
                without_body(response)
            }
        },
    }
}

async fn one_message<E, RB>(response: Response<RB>, screen: Screen<E>) -> Response<AnswerBody>
where
    E: PolicyEngine,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Into<BoxError>,
{
    let (mut parts, body) = response.into_parts();
    let bytes = match Limited::new(body, screen.limits.max_bytes).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return refuse(&screen, "the answer is too large to filter");
        }
        Err(_) => return refuse(&screen, "the answer breaks off"),
    };
    if bytes.is_empty() {
        return Response::from_parts(parts, AnswerBody::empty());
    }
    let changed = match screen.message(&bytes).await {
        Some(Passage::Untouched) => bytes,
        Some(Passage::Changed(changed)) => {
            // The length is another, and a digest or a tag would be of another list.
            for name in [header::CONTENT_LENGTH, header::ETAG] {
                parts.headers.remove(name);
            }
            changed
        }
        // An error of HTTP, told in JSON of its own.
        None if !parts.status.is_success() => bytes,
        Some(Passage::Dropped | Passage::Returned(_)) | None => {
            return refuse(&screen, "the answer is not a response");
        }
    };
    Response::from_parts(parts, AnswerBody::full(changed))
}

fn refuse<E: PolicyEngine>(screen: &Screen<E>, why: &'static str) -> Response<AnswerBody> {
    screen.note("the answer of the server was refused", why);
    if let Some(draft) = &screen.draft {
        draft.refuse(refused("unreadable-answer"), Some(why.to_owned()));
    }
    refusal::unreadable(&screen.call, screen.reference)
}

fn without_body<RB>(response: Response<RB>) -> Response<AnswerBody> {
    let (mut parts, _) = response.into_parts();
    for name in [
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
    ] {
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
