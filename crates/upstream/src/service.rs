use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use gatewright_core::{AnswerBody, Call, CallKind, Draft, Permitted};
use gatewright_egress::{Class, Connector, Egress};
use gatewright_wire::Era;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::Full;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use tokio_util::task::TaskTracker;
use tower_service::Service;

use crate::{
    cancel::CancelOnDrop,
    era::{self, Spoken},
    failure::Failure,
    headers,
    relay::Exchange,
    target::{Target, Targets},
};

pub(crate) type Client = legacy::Client<Connector, Full<Bytes>>;

/// Relays permitted calls. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Upstream {
    targets: Arc<dyn Targets>,
    client: Client,
    tasks: TaskTracker,
}

impl Upstream {
    /// To one server.
    #[must_use]
    pub fn new(target: Target, egress: &Egress) -> Self {
        Self::with_targets(Arc::new(Arc::new(target)), egress)
    }

    /// To the server that each route has.
    #[must_use]
    pub fn with_targets(targets: Arc<dyn Targets>, egress: &Egress) -> Self {
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(egress.connector(Class::Operator));
        Self {
            targets,
            client,
            tasks: TaskTracker::new(),
        }
    }

    /// What goes on after its call has ended: cancellations under way. A drain waits for it.
    #[must_use]
    pub const fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    async fn relay(
        &self,
        client_headers: &HeaderMap,
        permitted: &Permitted,
        draft: Option<&Draft>,
    ) -> Result<Response<AnswerBody>, Failure> {
        let call = permitted.call();
        let target = self.targets.target(call.route()).ok_or(Failure::NoTarget)?;
        let spoken = era::spoken(&self.client, &target).await?;
        if spoken == Spoken::Legacy && call.era() == Era::Modern {
            return Err(Failure::LegacyOnly);
        }
        let sent = headers::up(client_headers, call);
        let cancel = CancelOnDrop::new(&self.client, &self.tasks, target.url(), &sent, call);
        let request = request(&target, call, sent.clone());
        let answer =
            tokio::time::timeout(target.timeouts().first_byte, self.client.request(request)).await;
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => {
                target.memory.forget();
                return Err(Failure::Unreachable);
            }
            Err(_elapsed) => return Err(Failure::Timeout),
        };
        let exchange = Exchange {
            target: &target,
            call,
            sent: &sent,
            draft,
        };
        let answered = exchange.answer(answer, cancel).await;
        match (spoken, call.method()) {
            (Spoken::Modern { supported }, Some("initialize")) if !opened(answered.as_ref()) => {
                Err(Failure::ModernOnly { supported })
            }
            _ => answered,
        }
    }
}

/// Whether a server took `initialize`: it answered well, and not with an error.
fn opened(answered: Result<&Response<AnswerBody>, &Failure>) -> bool {
    answered.is_ok_and(|answer| {
        let error = answer
            .body()
            .known()
            .and_then(|body| std::str::from_utf8(body).ok())
            .is_some_and(|body| gatewright_wire::json::member(body, "error").is_some());
        answer.status().is_success() && !error
    })
}

fn request(target: &Target, call: &Call, headers: HeaderMap) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(call.bytes().clone()));
    *request.method_mut() = match call.kind() {
        CallKind::Stream => Method::GET,
        CallKind::EndSession => Method::DELETE,
        CallKind::Request | CallKind::Notification | CallKind::Response => Method::POST,
    };
    *request.uri_mut() = target.url().clone();
    *request.headers_mut() = headers;
    request
}

impl Service<Request<Permitted>> for Upstream {
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Permitted>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let (parts, permitted) = request.into_parts();
            let draft = parts.extensions.get::<Draft>();
            if let Some(draft) = draft {
                draft.fill(|fields| fields.credential = Some("none".to_owned()));
            }
            match this.relay(&parts.headers, &permitted, draft).await {
                Ok(answer) => Ok(answer),
                Err(failure) => {
                    if let Some(draft) = draft {
                        draft.refuse(failure.refused(), Some(failure.to_string()));
                    }
                    Ok(failure.answer(permitted.call().id()))
                }
            }
        })
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
