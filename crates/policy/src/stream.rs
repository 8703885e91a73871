//! Event streams, filtered event by event; what passes keeps its bytes.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use gatewright_core::{BoxError, CallKind, Permitted, PolicyEngine};
use gatewright_wire::sse::{Event, Scanner};
use http::{Request, Response};
use http_body::{Body, Frame};
use tower_service::Service;

use crate::{
    refusal,
    reply::Reply,
    screen::{Passage, Screen},
};

/// What is being waited for before the next event.
type Work = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// What becomes of an event.
enum Outcome {
    /// The client gets this in its place.
    Passed(Bytes),
    /// The client gets nothing.
    Kept,
    /// The client gets nothing, and the server this response.
    Returned(Bytes),
}

/// A body of `text/event-stream` that shows the client only what it may have.
pub(crate) struct ScreenedStream<E, S, RB> {
    body: Pin<Box<RB>>,
    scanner: Scanner,
    screen: Arc<Screen<E>>,
    reply: Option<Box<Reply<S>>>,
    /// The event that is being decided on. Those behind it wait, so that their order stays.
    work: Option<Work>,
    ended: bool,
    /// What the client gets at the end, if the server's stream could not be read on.
    last: Option<Bytes>,
}

impl<E, S, RB> ScreenedStream<E, S, RB> {
    pub(crate) fn new(body: RB, screen: Screen<E>, reply: Option<Reply<S>>) -> Self {
        Self {
            body: Box::pin(body),
            scanner: Scanner::new(screen.limits.max_bytes),
            screen: Arc::new(screen),
            reply: reply.map(Box::new),
            work: None,
            ended: false,
            last: None,
        }
    }
}

async fn screen_event<E: PolicyEngine>(screen: &Screen<E>, event: &Event, data: &Bytes) -> Outcome {
    let replaced = |message: &Bytes| {
        Outcome::Passed(event.with_data(std::str::from_utf8(message).unwrap_or_default()))
    };
    match screen.message(data).await {
        Some(Passage::Untouched) => Outcome::Passed(event.raw().clone()),
        Some(Passage::Changed(message)) => replaced(&message),
        Some(Passage::Dropped) => Outcome::Kept,
        Some(Passage::Returned(message)) => Outcome::Returned(message),
        // The client waits for an answer; if this was to be it, it is told.
        None if screen.call.kind() == CallKind::Request => replaced(&refusal::unreadable_message(
            screen.call.id(),
            screen.reference,
        )),
        None => Outcome::Kept,
    }
}

impl<E, S, RB> Body for ScreenedStream<E, S, RB>
where
    E: PolicyEngine,
    S: Service<Request<Permitted>, Response = Response<RB>> + Clone + Send + 'static,
    S::Future: Send,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        loop {
            if let Some(work) = &mut this.work {
                let outcome = ready!(work.as_mut().poll(context));
                this.work = None;
                match outcome {
                    Outcome::Passed(bytes) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                    Outcome::Kept => {}
                    Outcome::Returned(message) => {
                        this.work = this.reply.as_ref().map(|reply| -> Work {
                            let sent = reply.send(message);
                            Box::pin(async move {
                                sent.await;
                                Outcome::Kept
                            })
                        });
                        continue;
                    }
                }
            }
            if let Some(event) = this.scanner.next_event() {
                match event.data() {
                    // Comments, and events without data: resumption points and pauses.
                    Some(data) if !data.is_empty() => {
                        let screen = Arc::clone(&this.screen);
                        this.work = Some(Box::pin(async move {
                            screen_event(&screen, &event, &data).await
                        }));
                    }
                    _ => return Poll::Ready(Some(Ok(Frame::data(event.into_raw())))),
                }
                continue;
            }
            if this.ended {
                // What was cut off is no event, and nobody has looked at it.
                return Poll::Ready(this.last.take().map(|last| Ok(Frame::data(last))));
            }
            match ready!(this.body.as_mut().poll_frame(context)) {
                None => this.ended = true,
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    if let Err(error) = this.scanner.push(data) {
                        this.screen
                            .note("the stream of the server was ended", &error.to_string());
                        this.ended = true;
                        if this.screen.call.kind() == CallKind::Request {
                            let (id, reference) = (this.screen.call.id(), this.screen.reference);
                            let message = refusal::unreadable_message(id, reference);
                            let last =
                                Event::message(std::str::from_utf8(&message).unwrap_or_default());
                            this.last = Some(last);
                        }
                    }
                }
            }
        }
    }
}
