//! Event streams, filtered event by event; what passes keeps its bytes.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use gatewright_core::{BoxError, Permitted, PolicyEngine};
use gatewright_wire::sse::{Event, Scanner};
use http::{Request, Response};
use http_body::{Body, Frame};
use tower_service::Service;

use crate::{
    lines::{self, STILL_HERE},
    refusal,
    reply::Reply,
    screen::{Passage, Screen},
};

/// What is being waited for before the next event.
type Work = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// What becomes of an event.
enum Outcome {
    /// The client gets this in its place.
    Passed { event: Bytes, answers: bool },
    /// The client gets nothing.
    Kept,
    /// The client gets nothing, and the server this response.
    Returned(Bytes),
    /// It cannot be read.
    Unreadable,
}

/// A body of `text/event-stream` that shows the client only what it may have.
pub(crate) struct ScreenedStream<E, S, RB> {
    /// The server's stream, until it ends or cannot be read on.
    body: Option<Pin<Box<RB>>>,
    scanner: Scanner,
    screen: Arc<Screen<E>>,
    reply: Option<Box<Reply<S>>>,
    /// The event that is being decided on. Those behind it wait, so that their order stays.
    work: Option<Work>,
    /// What comes behind the events that are left cannot be read.
    broken: bool,
    /// The client has its answer.
    answered: bool,
}

impl<E, S, RB> ScreenedStream<E, S, RB>
where
    E: PolicyEngine,
    S: Service<Request<Permitted>, Response = Response<RB>> + Clone + Send + 'static,
    S::Future: Send,
    RB: Send + 'static,
{
    pub(crate) fn new(body: RB, screen: Screen<E>, reply: Option<Reply<S>>) -> Self {
        Self {
            body: Some(Box::pin(body)),
            scanner: Scanner::new(screen.limits.max_bytes),
            screen: Arc::new(screen),
            reply: reply.map(Box::new),
            work: None,
            broken: false,
            answered: false,
        }
    }

    /// Looks at one event; gives what passes at once.
    fn take(&mut self, event: Event) -> Option<Bytes> {
        match event.data() {
            // Of another type than `message`: for nobody, and read by careless readers all the same.
            Some(_) if event.event_type().is_some_and(|name| name != "message") => {
                Some(Bytes::from_static(STILL_HERE))
            }
            Some(data) if !data.is_empty() => {
                let screen = Arc::clone(&self.screen);
                self.work = Some(Box::pin(async move {
                    screen_event(&screen, &event, &data).await
                }));
                None
            }
            // Comments, and events without data: resumption points and pauses.
            _ => Some(lines::unambiguous(&event, event.raw().clone(), None)),
        }
    }

    /// Does what became of an event; gives what passes.
    fn finish(&mut self, outcome: Outcome) -> Option<Bytes> {
        match outcome {
            Outcome::Passed { event, answers } => {
                self.answered |= answers;
                Some(event)
            }
            Outcome::Returned(message) => {
                self.work = self.reply.as_ref().map(|reply| -> Work {
                    let sent = reply.send(message);
                    Box::pin(async move {
                        sent.await;
                        Outcome::Kept
                    })
                });
                None
            }
            Outcome::Unreadable if self.screen.awaits() => self.break_off(),
            // A standing stream owes the client nothing.
            Outcome::Unreadable | Outcome::Kept => None,
        }
    }

    /// Reads no further; gives the answer of a client that still waits for one.
    fn break_off(&mut self) -> Option<Bytes> {
        (self.body, self.scanner) = (None, Scanner::new(0));
        let waits = self.screen.awaits() && !std::mem::replace(&mut self.answered, true);
        waits.then(|| {
            self.screen
                .refuse_answer("the stream of the server cannot be read on");
            let message = refusal::unreadable_message(self.screen.call.id(), self.screen.reference);
            Event::message(std::str::from_utf8(&message).unwrap_or_default())
        })
    }
}

async fn screen_event<E: PolicyEngine>(screen: &Screen<E>, event: &Event, data: &Bytes) -> Outcome {
    let Some(call) = screen.read(data.clone()) else {
        return Outcome::Unreadable;
    };
    let Some(screened) = screen.message(&call).await else {
        return Outcome::Unreadable;
    };
    let answers = screened.answers;
    let event = match screened.passage {
        Passage::Untouched => lines::unambiguous(event, event.raw().clone(), Some(data)),
        Passage::Changed(message) => {
            let raw = event.with_data(std::str::from_utf8(&message).unwrap_or_default());
            lines::unambiguous(event, raw, Some(&message))
        }
        Passage::Dropped => return Outcome::Kept,
        Passage::Returned(message) => return Outcome::Returned(message),
    };
    Outcome::Passed { event, answers }
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
            let passed = if let Some(work) = &mut this.work {
                let outcome = ready!(work.as_mut().poll(context));
                this.work = None;
                this.finish(outcome)
            } else if let Some(event) = this.scanner.next_event() {
                this.take(event)
            } else if let Some(body) = &mut this.body {
                match ready!(body.as_mut().poll_frame(context)) {
                    // What was cut off is no event, and nobody has looked at it.
                    None => this.body = None,
                    Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data()
                            && this.scanner.push(data).is_err()
                        {
                            this.body = None;
                            this.broken = true;
                        }
                    }
                }
                None
            } else if std::mem::take(&mut this.broken) {
                this.break_off()
            } else {
                return Poll::Ready(None);
            };
            if let Some(bytes) = passed {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
        }
    }
}
