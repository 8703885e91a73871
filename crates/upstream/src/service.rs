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
use gatewright_wire::{Era, Version, json};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::Full;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::Instant;
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

/// How many idle connections to one server are kept.
const MOST_IDLE: usize = 64;

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
            .pool_max_idle_per_host(MOST_IDLE)
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
        // A legacy call is the same to servers of either era. A modern one must not reach a server that would read it
        // as something else.
        if call.era() == Era::Modern && era::spoken(&self.client, &target).await? == Spoken::Legacy
        {
            return Err(Failure::LegacyOnly);
        }
        let answered = self.exchange(client_headers, call, &target, draft).await;
        match (call.era(), call.method()) {
            (Era::Legacy, Some("initialize")) if !opened(answered.as_ref()) => {
                self.is_modern_only(&target).await?;
            }
            // Perhaps it is not the server any more that it was.
            (Era::Modern, _)
                if matches!(answered, Err(Failure::Unreachable | Failure::Protocol(_))) =>
            {
                target.memory.forget();
            }
            _ => {}
        }
        answered
    }

    async fn exchange(
        &self,
        client_headers: &HeaderMap,
        call: &Call,
        target: &Target,
        draft: Option<&Draft>,
    ) -> Result<Response<AnswerBody>, Failure> {
        let timeouts = target.timeouts();
        let deadline = Instant::now() + timeouts.total;
        let sent = headers::up(client_headers, call);
        let cancel = CancelOnDrop::new(&self.client, &self.tasks, target.url(), &sent, call);
        let answer = self.client.request(request(target, call, sent.clone()));
        let answer = tokio::time::timeout(timeouts.first_byte.min(timeouts.total), answer)
            .await
            .map_err(|_elapsed| Failure::Timeout)?
            .map_err(|error| Failure::unreachable(target, &error))?;
        let exchange = Exchange {
            target,
            call,
            sent: &sent,
            draft,
            deadline,
        };
        exchange.answer(answer, cancel).await
    }

    /// Fails if the server speaks no version that `initialize` could agree on.
    async fn is_modern_only(&self, target: &Target) -> Result<(), Failure> {
        let legacy = |name: &String| {
            Version::parse(name).is_some_and(|version| version.era() == Era::Legacy)
        };
        match era::spoken(&self.client, target).await {
            Ok(Spoken::Modern { supported }) if !supported.iter().any(legacy) => {
                Err(Failure::ModernOnly { supported })
            }
            _ => Ok(()),
        }
    }
}

/// Whether a server took `initialize`, or failed in a way that says nothing of eras.
fn opened(answered: Result<&Response<AnswerBody>, &Failure>) -> bool {
    match answered {
        Ok(answer) => {
            let text = answer.body().known().map(std::str::from_utf8);
            let error =
                text.is_some_and(|text| json::member(text.unwrap_or_default(), "error").is_some());
            answer.status().is_success() && !error
        }
        Err(failure) => !matches!(failure, Failure::Protocol(_)),
    }
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
                    // The id of a response belongs to the server's own requests.
                    let call = permitted.call();
                    let id = call.id().filter(|_| call.kind() == CallKind::Request);
                    Ok(failure.answer(id))
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
