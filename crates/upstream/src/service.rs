use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use gatewright_core::{AnswerBody, Call, CallKind, Draft, Permitted, UpstreamAuth, miswired};
use gatewright_egress::{Class, Connector, Egress};
use gatewright_wire::Era;
use http::{HeaderMap, Method, Request, Response, Uri, request::Parts};
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
    stdio::{self, Asked, Children},
    target::{Target, Targets, Transport},
};

/// How many child processes there may be, unless said otherwise.
const MOST_CHILDREN: usize = 256;

pub(crate) type Client = legacy::Client<Connector, Full<Bytes>>;

/// Relays permitted calls. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Upstream {
    targets: Arc<dyn Targets>,
    client: Client,
    tasks: TaskTracker,
    children: Arc<Children>,
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
        let tasks = TaskTracker::new();
        let children = Children::new(tasks.clone(), MOST_CHILDREN);
        Self {
            targets,
            client,
            tasks,
            children: Arc::new(children),
        }
    }

    /// Bounds how many child processes there may be for all servers together; 256 unless said otherwise.
    ///
    /// Call it before anything is relayed: children of before are ended.
    #[must_use]
    pub fn with_max_children(mut self, children: usize) -> Self {
        self.children = Arc::new(Children::new(self.tasks.clone(), children));
        self
    }

    /// What goes on after its call has ended: cancellations under way. A drain waits for it.
    #[must_use]
    pub const fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Ends all child processes: no call is taken to them any more, those under way have `patience` to be answered,
    /// then each process group gets its grace and is killed. A gateway calls this after its drain.
    ///
    /// Where it is not called, children are ended when the last clone and the last answer are dropped, and killed with
    /// the runtime.
    pub async fn close(&self, patience: Duration) {
        self.children.close(patience).await;
    }

    async fn relay(
        &self,
        parts: &Parts,
        permitted: &Permitted,
        auth: &UpstreamAuth,
        draft: Option<&Draft>,
    ) -> Result<Response<AnswerBody>, Failure> {
        let route = permitted.call().route();
        let target = self.targets.target(route).ok_or(Failure::NoTarget)?;
        match target.transport() {
            Transport::Http(url) => {
                let exchange = self.exchange(&target, url, &parts.headers, permitted, auth, draft);
                exchange.await
            }
            Transport::Stdio(program) => {
                let asked = Asked {
                    target: &target,
                    program,
                    permitted,
                    auth,
                    headers: &parts.headers,
                    draft,
                };
                Box::pin(stdio::relay(&self.children, &asked)).await
            }
        }
    }

    async fn exchange(
        &self,
        target: &Target,
        url: &Uri,
        client_headers: &HeaderMap,
        permitted: &Permitted,
        auth: &UpstreamAuth,
        draft: Option<&Draft>,
    ) -> Result<Response<AnswerBody>, Failure> {
        let call = permitted.call();
        let credential = headers::credential(auth)?;
        let spoken = era::spoken(&self.client, target, url, credential.as_ref()).await?;
        if spoken == Spoken::Legacy && call.era() == Era::Modern {
            return Err(Failure::LegacyOnly);
        }
        let mut sent = headers::up(client_headers, call);
        if let Some((name, value)) = credential {
            sent.insert(name, value);
        }
        let cancel = CancelOnDrop::new(&self.client, &self.tasks, url, &sent, call);
        let request = request(url, call, sent.clone());
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
            target,
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

fn request(url: &Uri, call: &Call, headers: HeaderMap) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(call.bytes().clone()));
    *request.method_mut() = match call.kind() {
        CallKind::Stream => Method::GET,
        CallKind::EndSession => Method::DELETE,
        CallKind::Request | CallKind::Notification | CallKind::Response => Method::POST,
    };
    *request.uri_mut() = url.clone();
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
            let Some(auth) = parts.extensions.get::<UpstreamAuth>() else {
                return Ok(miswired("upstream", "UpstreamAuth"));
            };
            let draft = parts.extensions.get::<Draft>();
            if let Some(draft) = draft {
                draft.fill(|fields| fields.credential = Some(auth.label()));
            }
            match this.relay(&parts, &permitted, auth, draft).await {
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
