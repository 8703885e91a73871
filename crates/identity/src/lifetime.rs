//! How long an answer may stay open: until its caller is switched off or the credential is withdrawn, and a standing stream
//! until the credential ends.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use gatewright_core::{
    AnswerBody, AuthenticateError, BoxError, Clock, PartyKind, Principal, Standing, Subject,
    Subjects, Timestamp, Withdrawal,
};
use http::Response;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// The ends of what a principal was admitted to.
pub(crate) struct Lifetime {
    subject: Subject,
    disabled: Pin<Box<dyn Future<Output = ()> + Send>>,
    withdrawn: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    expires_at: Option<Timestamp>,
    clock: Arc<dyn Clock>,
}

impl Lifetime {
    pub(crate) fn new(
        principal: &Principal,
        subjects: &dyn Subjects,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let of: Vec<(PartyKind, Subject)> = principal
            .sides()
            .map(|(kind, subject)| (kind, subject.clone()))
            .collect();
        Self {
            disabled: subjects.disabled(principal.tenant(), &of),
            // A principal has at least one party; the name is for the record only.
            subject: of
                .into_iter()
                .next()
                .map_or_else(|| Subject::new("", ""), |(_, subject)| subject),
            withdrawn: principal.withdrawal().map(Withdrawal::wait),
            expires_at: principal.expires_at(),
            clock,
        }
    }

    /// Ready once one of the principal's subjects is switched off, or the credential is withdrawn. Nobody asks again then.
    pub(crate) fn poll_cut(&mut self, context: &mut Context<'_>) -> Poll<AuthenticateError> {
        if self.disabled.as_mut().poll(context).is_ready() {
            return Poll::Ready(AuthenticateError::Disabled(self.subject.clone()));
        }
        match &mut self.withdrawn {
            Some(withdrawn) => {
                ready!(withdrawn.as_mut().poll(context));
                Poll::Ready(AuthenticateError::Withdrawn)
            }
            None => Poll::Pending,
        }
    }
}

/// The answer, whose body ends with the lifetime.
pub(crate) fn bounded<RB>(answer: Response<RB>, lifetime: Lifetime) -> Response<AnswerBody>
where
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Into<BoxError>,
{
    let is_standing = answer.extensions().get::<Standing>().is_some();
    answer.map(|body| {
        let body = AnswerBody::wrap(body);
        if body.known().is_some() {
            return body;
        }
        AnswerBody::wrap(Bounded {
            body,
            end: is_standing.then(|| End::new(&lifetime)).flatten(),
            lifetime,
            is_standing,
            ended: false,
        })
    })
}

/// The clock is looked at this often at least: the runtime's time stands still while a machine is suspended, and the
/// clock may be set.
const LOOK: Duration = Duration::from_secs(30);

/// The moment in which a standing stream ends.
struct End {
    at: Timestamp,
    sleep: Pin<Box<Sleep>>,
}

impl End {
    fn new(lifetime: &Lifetime) -> Option<Self> {
        let at = lifetime.expires_at?;
        let sleep = until(at, &*lifetime.clock);
        Some(Self { at, sleep })
    }

    fn poll(&mut self, context: &mut Context<'_>, clock: &dyn Clock) -> Poll<()> {
        loop {
            ready!(self.sleep.as_mut().poll(context));
            if self.at <= clock.now() {
                return Poll::Ready(());
            }
            self.sleep = until(self.at, clock);
        }
    }
}

fn until(at: Timestamp, clock: &dyn Clock) -> Pin<Box<Sleep>> {
    // Not none at all: a clock that stands still must not keep us busy.
    let left = at.since(clock.now()).clamp(Duration::from_millis(1), LOOK);
    Box::pin(sleep(left))
}

/// The body of an answer that is still under way.
struct Bounded {
    body: AnswerBody,
    lifetime: Lifetime,
    end: Option<End>,
    is_standing: bool,
    ended: bool,
}

impl Bounded {
    /// Whoever sends stops at once, and not when the client has gone.
    fn end(&mut self) {
        self.ended = true;
        self.body = AnswerBody::empty();
    }
}

impl Body for Bounded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(cut) = this.lifetime.poll_cut(context) {
            this.end();
            // A stream that stands has no last message. An answer would seem whole, so it breaks off.
            return Poll::Ready((!this.is_standing).then(|| Err(cut.into())));
        }
        if let Some(end) = &mut this.end
            && end.poll(context, &*this.lifetime.clock).is_ready()
        {
            this.end();
            return Poll::Ready(None);
        }
        Pin::new(&mut this.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
