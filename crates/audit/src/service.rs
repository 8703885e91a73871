use std::{
    fmt,
    future::Future,
    mem,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use gatewright_core::{
    AnswerBody, AuditClass, BoxError, Clock, Draft, DraftDecision, Effect, Permitted, ReferenceId,
    Refused, Route, TraceContext, json_rpc_refusal, miswired,
};
use gatewright_wire::code;
use http::{Request, Response, StatusCode};
use http_body::Body;
use tower_service::Service;

use crate::{
    AppendError, AuditSink, Durability, Record,
    answer::{Alone, Open},
    layer::Recording,
};

/// See [`AuditLayer`](crate::AuditLayer).
pub struct AuditService<I, S: AuditSink> {
    pub(crate) inner: I,
    pub(crate) recording: Arc<Recording<S>>,
}

impl<I, S, B, RB> Service<Request<B>> for AuditService<I, S>
where
    I: Service<Request<B>, Response = Response<RB>> + Clone + Send + 'static,
    I::Future: Send,
    S: AuditSink,
    B: Send + 'static,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Into<BoxError>,
{
    type Response = Response<AnswerBody>;
    type Error = I::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, I::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), I::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // Move out the instance `poll_ready` reserved; its clone is not ready.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let recording = Arc::clone(&self.recording);

        let Some(route) = request.extensions().get::<Route>().cloned() else {
            return Box::pin(async { Ok(miswired("audit", "Route")) });
        };
        let draft = Draft::new(ReferenceId::random(), recording.clock.now());
        let peer = request.extensions().get::<SocketAddr>().copied();
        let trace = request.headers().get("traceparent");
        let trace = trace.and_then(|value| TraceContext::parse(value.to_str().ok()?));
        draft.fill(|fields| {
            fields.route = Some(route);
            fields.peer = peer;
            fields.trace = trace;
        });
        request.extensions_mut().insert(draft.clone());
        // Made before the first poll: a request that is dropped early leaves its record too.
        let open = Open::new(recording, draft);

        Box::pin(async move {
            match inner.call(request).await {
                Ok(response) => Ok(open.answered(response)),
                Err(error) => {
                    open.failed();
                    Err(error)
                }
            }
        })
    }
}

impl<I: Clone, S: AuditSink> Clone for AuditService<I, S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            recording: Arc::clone(&self.recording),
        }
    }
}

impl<I, S: AuditSink> fmt::Debug for AuditService<I, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditService").finish_non_exhaustive()
    }
}

/// See [`RecordLayer`](crate::RecordLayer).
pub struct RecordService<I, S> {
    pub(crate) inner: I,
    pub(crate) sink: Arc<S>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl<I, S, RB> Service<Request<Permitted>> for RecordService<I, S>
where
    I: Service<Request<Permitted>, Response = Response<RB>> + Clone + Send + 'static,
    I::Future: Send,
    S: AuditSink,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Into<BoxError>,
{
    type Response = Response<AnswerBody>;
    type Error = I::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, I::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), I::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Permitted>) -> Self::Future {
        // Move out the instance `poll_ready` reserved; its clone is not ready.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let (sink, clock) = (Arc::clone(&self.sink), Arc::clone(&self.clock));

        Box::pin(async move {
            let Some(draft) = request.extensions().get::<Draft>().cloned() else {
                return Ok(miswired("audit", "Draft"));
            };
            // Made before the admission is awaited: whoever stops waiting leaves an outcome, too.
            let outcome = draft
                .read(|fields| fields.alone)
                .then(|| Alone::new(Arc::clone(&sink), Arc::clone(&clock), draft.clone()));
            let class = fill(&draft, request.body());
            let answered = match admit(&*sink, &*clock, &draft, class).await {
                Ok(()) => inner
                    .call(request)
                    .await
                    .map(|answer| answer.map(AnswerBody::wrap)),
                Err(error) => Ok(unrecorded(&draft, request.body(), &error)),
            };
            if let Some(outcome) = outcome {
                outcome.answered(answered.as_ref().ok().map(Response::status));
            }
            answered
        })
    }
}

/// Takes over what was permitted: the proof and not what layers noted on the way is what the server gets.
fn fill(draft: &Draft, permitted: &Permitted) -> AuditClass {
    let (call, permit) = (permitted.call(), permitted.permit());
    draft.fill(|fields| {
        fields.route = Some(call.route().clone());
        fields.principal = Some(permitted.principal().clone());
        fields.call = Some(call.clone());
        fields.decision = Some(DraftDecision {
            effect: Effect::Allow,
            policies: Arc::clone(permit.policies()),
            reason: None,
            snapshot: permit.snapshot(),
        });
        // Before the record is written: whatever happens from here on is the outcome of an admission.
        fields.admitted = true;
    });
    call.route().profile().audit
}

async fn admit<S: AuditSink>(
    sink: &S,
    clock: &dyn Clock,
    draft: &Draft,
    class: AuditClass,
) -> Result<(), AppendError> {
    let Some(record) = Record::admitted(draft, clock.now()) else {
        return Err(AppendError::Other("no route in the draft".to_owned()));
    };
    let durability = match class {
        AuditClass::Required => Durability::Written,
        AuditClass::RequiredFsync => Durability::Synced,
        AuditClass::BestEffort => {
            sink.enqueue(record);
            return Ok(());
        }
    };
    sink.append(record, durability).await.map(|_| ())
}

fn unrecorded(draft: &Draft, permitted: &Permitted, error: &AppendError) -> Response<AnswerBody> {
    let refused = Refused {
        layer: "audit",
        code: "unrecorded",
    };
    draft.fill(|fields| fields.admitted = false);
    draft.refuse(refused, Some(error.to_string()));
    tracing::error!(reference = %draft.reference(), %error, "a call was refused for want of a record");
    let data = serde_json::json!({"reference": draft.reference().to_string()});
    json_rpc_refusal(
        StatusCode::SERVICE_UNAVAILABLE,
        refused,
        permitted.call().id(),
        code::UNRECORDED,
        "the call cannot be recorded, and is not made without a record",
        Some(&data),
    )
}

impl<I: Clone, S> Clone for RecordService<I, S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            sink: Arc::clone(&self.sink),
            clock: Arc::clone(&self.clock),
        }
    }
}

impl<I, S> fmt::Debug for RecordService<I, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordService").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
