//! `Request<B>` becomes `Request<CallBody>`, or is refused.

mod refusal;
#[cfg(test)]
mod tests;

use std::{
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, Bytes};
use gatewright_core::{AnswerBody, BoxError, CallBody, Draft, Route, Standing, miswired};
use gatewright_wire::Limits;
use http::{HeaderMap, Method, Request, Response, header};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tower_layer::Layer;
use tower_service::Service;

use self::refusal::Refusal;

/// Reads the body and parses it into a call.
#[derive(Clone, Copy, Debug)]
pub struct EnvelopeLayer {
    limits: Limits,
    patience: Duration,
}

impl EnvelopeLayer {
    /// With the limits of [`Limits::default`] and 10 seconds for the body to arrive.
    #[must_use]
    pub fn new() -> Self {
        Self {
            limits: Limits::default(),
            patience: Duration::from_secs(10),
        }
    }

    /// Bounds the size and the nesting of messages.
    #[must_use]
    pub const fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Bounds the time in which the whole body must arrive.
    #[must_use]
    pub const fn with_body_timeout(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

impl Default for EnvelopeLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for EnvelopeLayer {
    type Service = EnvelopeService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        EnvelopeService {
            inner,
            settings: *self,
        }
    }
}

/// See [`EnvelopeLayer`].
#[derive(Clone, Debug)]
pub struct EnvelopeService<S> {
    inner: S,
    settings: EnvelopeLayer,
}

impl<S, B, RB> Service<Request<B>> for EnvelopeService<S>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
    S: Service<Request<CallBody>, Response = Response<RB>> + Clone + Send + 'static,
    S::Future: Send,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Into<BoxError>,
{
    type Response = Response<AnswerBody>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // Move out the instance that `poll_ready` reserved; its clone is not ready.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let settings = self.settings;

        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let Some(route) = parts.extensions.get::<Route>().cloned() else {
                return Ok(miswired("envelope", "Route"));
            };
            let draft = parts.extensions.get::<Draft>().cloned();
            let call = match settings.read(&parts.method, &parts.headers, body).await {
                Ok(bytes) => {
                    CallBody::parse(&route, &parts, bytes, &settings.limits).map_err(Refusal::from)
                }
                Err(refusal) => Err(refusal),
            };
            let call = match call {
                Ok(call) => call,
                Err(refusal) => {
                    if let Some(draft) = draft {
                        draft.refuse(refusal.refused(), Some(refusal.to_string()));
                    }
                    return Ok(refusal.answer());
                }
            };
            if let Some(draft) = draft {
                draft.fill(|fields| fields.call = Some(call.call().clone()));
            }
            let standing = call.call().is_standing();
            let answer = inner.call(Request::from_parts(parts, call)).await?;
            let mut answer = answer.map(AnswerBody::wrap);
            if standing && answer.status().is_success() {
                answer.extensions_mut().insert(Standing);
            }
            Ok(answer)
        })
    }
}

impl EnvelopeLayer {
    /// The whole body, within the limits of size and time.
    async fn read<B>(self, method: &Method, headers: &HeaderMap, body: B) -> Result<Bytes, Refusal>
    where
        B: Body,
        B::Data: Buf,
        B::Error: Into<BoxError>,
    {
        if *method == Method::POST {
            is_json(headers)?;
        }
        accepts_an_answer(headers)?;
        // What announces itself as too large need not be read to be refused.
        if body.size_hint().lower() > self.limits.max_bytes as u64 {
            return Err(Refusal::TooLarge(self.limits.max_bytes));
        }
        let whole = Limited::new(body, self.limits.max_bytes).collect();
        match tokio::time::timeout(self.patience, whole).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                Err(Refusal::TooLarge(self.limits.max_bytes))
            }
            Ok(Err(_)) => Err(Refusal::Broken),
            Err(_) => Err(Refusal::TooSlow),
        }
    }
}

/// A POST carries `application/json` and nothing else (MCP, Streamable HTTP).
fn is_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (types.next(), types.next()) else {
        return Err(Refusal::ContentType);
    };
    let essence = value.to_str().ok().and_then(|text| text.split(';').next());
    if essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json")) {
        Ok(())
    } else {
        Err(Refusal::ContentType)
    }
}

/// Clients must list both types and some send `*/*` or nothing: refused is only what excludes both.
fn accepts_an_answer(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut values = headers.get_all(header::ACCEPT).iter().peekable();
    if values.peek().is_none() {
        return Ok(());
    }
    let fits = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .map(str::trim)
        .any(|range| {
            [
                "*/*",
                "application/*",
                "application/json",
                "text/*",
                "text/event-stream",
            ]
            .iter()
            .any(|ours| range.eq_ignore_ascii_case(ours))
        });
    if fits { Ok(()) } else { Err(Refusal::Accept) }
}
