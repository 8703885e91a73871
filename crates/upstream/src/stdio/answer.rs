//! From what a child says to an answer over HTTP.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use gatewright_core::{AnswerBody, BoxError, Draft};
use gatewright_wire::{Era, Id, code, json, sse::Event};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

use super::{
    exchange::Exchange,
    mailbox::{Mail, Mailbox},
    pool::Children,
    session::Standing,
};
use crate::{failure::Failure, target::Timeouts};

/// How long a stream is silent before a comment keeps the connections between alive, and shows which are dead.
const BEAT: Duration = Duration::from_secs(25);
/// Passed over by clients (HTML, Server-sent events).
const COMMENT: &[u8] = b":\n\n";

/// What an answer needs besides what comes.
pub(crate) struct Terms<'a> {
    pub(crate) id: &'a Id,
    pub(crate) era: Era,
    pub(crate) timeouts: Timeouts,
    pub(crate) standing: bool,
    pub(crate) draft: Option<&'a Draft>,
    pub(crate) children: &'a Arc<Children>,
}

/// One JSON message where nothing comes before the answer, and an event stream where something does.
pub(crate) async fn answer(
    mut exchange: Exchange,
    terms: &Terms<'_>,
) -> Result<Response<AnswerBody>, Failure> {
    let deadline = Instant::now() + terms.timeouts.total;
    let patience = terms.timeouts.idle.min(terms.timeouts.total);
    let first = match timeout(patience, exchange.next()).await {
        Ok(first) => first,
        Err(_elapsed) if terms.standing => {
            return Err(Failure::Protocol("a subscription was not acknowledged"));
        }
        Err(_elapsed) => {
            exchange.gives_up();
            return Err(Failure::Timeout);
        }
    };
    match first {
        Mail::Last(message) => Ok(whole(message, terms.era)),
        Mail::Failed(failure) => Err(failure),
        Mail::Closed => Err(Failure::Ending),
        Mail::Message(message) => {
            let until = (Instant::now() + terms.timeouts.idle).min(deadline);
            Ok(stream(Events {
                next: Some(event(&message)),
                source: Some(Source::Call(exchange)),
                id: Some(terms.id.clone()),
                time: (!terms.standing).then(|| Time {
                    sleep: Box::pin(sleep_until(until)),
                    idle: terms.timeouts.idle,
                    deadline,
                }),
                draft: terms.draft.cloned(),
                beat: Box::pin(sleep(BEAT)),
                _children: Arc::clone(terms.children),
            }))
        }
    }
}

/// The standing stream of a session.
pub(crate) fn standing(standing: Standing, children: &Arc<Children>) -> Response<AnswerBody> {
    stream(Events {
        // Something at once, so that whatever lies between passes the head on.
        next: Some(Bytes::from_static(COMMENT)),
        source: Some(Source::Standing(standing)),
        id: None,
        time: None,
        draft: None,
        beat: Box::pin(sleep(BEAT)),
        _children: Arc::clone(children),
    })
}

/// One message, with the status that goes with it.
pub(crate) fn whole(message: Bytes, era: Era) -> Response<AnswerBody> {
    let status = match era {
        Era::Legacy => StatusCode::OK,
        Era::Modern => status(&message),
    };
    let mut answer = Response::new(AnswerBody::full(message));
    *answer.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

/// An answer without a body.
pub(crate) fn bare(status: StatusCode) -> Response<AnswerBody> {
    let mut answer = Response::new(AnswerBody::empty());
    *answer.status_mut() = status;
    answer
}

/// 2026-07-28 gives a few errors a status of their own, by which clients tell modern servers apart.
fn status(message: &Bytes) -> StatusCode {
    let text = std::str::from_utf8(message).unwrap_or_default();
    let raw = json::pointer(text, &["error", "code"]).and_then(|raw| raw.parse().ok());
    match raw {
        Some(
            raw @ (code::METHOD_NOT_FOUND
            | code::HEADER_MISMATCH
            | code::MISSING_CAPABILITY
            | code::UNSUPPORTED_VERSION),
        ) => code::status(raw),
        _ => StatusCode::OK,
    }
}

fn stream(events: Events) -> Response<AnswerBody> {
    let mut answer = Response::new(AnswerBody::wrap(events));
    let headers = answer.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    answer
}

fn event(message: &[u8]) -> Bytes {
    Event::message(&String::from_utf8_lossy(message))
}

/// Where the messages of a stream come from.
enum Source {
    Call(Exchange),
    Standing(Standing),
}

impl Source {
    fn poll(&mut self, context: &Context<'_>) -> Poll<Mail> {
        match self {
            Self::Call(exchange) => exchange.poll(context),
            Self::Standing(Standing { mailbox, .. }) => Mailbox::poll(mailbox, context),
        }
    }
}

/// How long a stream may be silent, and last.
struct Time {
    sleep: Pin<Box<Sleep>>,
    idle: Duration,
    deadline: Instant,
}

/// The body of a stream.
struct Events {
    next: Option<Bytes>,
    source: Option<Source>,
    /// The request that it answers, as the client knows it.
    id: Option<Id>,
    time: Option<Time>,
    draft: Option<Draft>,
    beat: Pin<Box<Sleep>>,
    /// Children live as long as somebody waits for them.
    _children: Arc<Children>,
}

impl Events {
    fn fail(&mut self, failure: &Failure) {
        if matches!(failure, Failure::Timeout)
            && let Some(Source::Call(exchange)) = &self.source
        {
            exchange.gives_up();
        }
        self.source = None;
        if let Some(draft) = &self.draft {
            draft.refuse(failure.refused(), Some(failure.to_string()));
        }
        if let Some(id) = &self.id {
            self.next = Some(event(&failure.message(id)));
        }
    }

    fn take(&mut self, mail: Mail) {
        match mail {
            Mail::Message(message) => {
                let now = Instant::now();
                if self.time.as_ref().is_some_and(|time| now >= time.deadline) {
                    self.fail(&Failure::Timeout);
                    return;
                }
                if let Some(time) = &mut self.time {
                    // A message moves the idle end, never the total one.
                    let next = (now + time.idle).min(time.deadline);
                    time.sleep.as_mut().reset(next);
                }
                self.next = Some(event(&message));
            }
            Mail::Last(message) => {
                self.source = None;
                self.next = Some(event(&message));
            }
            Mail::Failed(failure) => self.fail(&failure),
            Mail::Closed => self.source = None,
        }
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        loop {
            if let Some(event) = this.next.take() {
                this.beat.as_mut().reset(Instant::now() + BEAT);
                return Poll::Ready(Some(Ok(Frame::data(event))));
            }
            let Some(source) = &mut this.source else {
                return Poll::Ready(None);
            };
            if let Poll::Ready(mail) = source.poll(context) {
                this.take(mail);
                continue;
            }
            let late = this
                .time
                .as_mut()
                .is_some_and(|time| time.sleep.as_mut().poll(context).is_ready());
            if late {
                this.fail(&Failure::Timeout);
            } else if this.beat.as_mut().poll(context).is_ready() {
                this.next = Some(Bytes::from_static(COMMENT));
            } else {
                return Poll::Pending;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::stdio::session::Session;

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_beats() {
        let session = Arc::new(Session::new(Bytes::new()));
        let children = Arc::new(Children::new(TaskTracker::new(), 1));
        let mut body = standing(session.stand(), &children).into_body();
        for _ in 0..3 {
            let frame = body.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), COMMENT);
        }
        session.end();
        assert!(body.frame().await.is_none());
    }
}
