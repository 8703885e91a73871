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
use gatewright_core::{
    AnswerBody, Call, CallKind, CredentialOwner, Draft, Permitted, ServerName, TenantId,
    UpstreamAuth, miswired,
};
use gatewright_egress::{Class, Connector, Egress};
use gatewright_wire::{Era, Version, json};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, request::Parts};
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
    stdio::{self, Asked, Children},
    target::{Target, Targets, Transport},
};

/// How many child processes there may be, unless said otherwise.
const MOST_CHILDREN: usize = 256;
/// How many idle connections to one server are kept.
const MOST_IDLE: usize = 64;
/// The largest head of an answer, and the most that is read at a time. A server may send heads of informational answers
/// without end, which are read over in one go for as long as there is something to read.
const LARGEST_HEAD: usize = 64 << 10;

pub(crate) type Client = legacy::Client<Connector, Full<Bytes>>;

/// Relays permitted calls. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Upstream(Arc<Shared>);

/// What clones share. Each layer above clones for each call, so that clones are to cost one count.
#[derive(Clone)]
struct Shared {
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
            .pool_max_idle_per_host(MOST_IDLE)
            .http1_max_buf_size(LARGEST_HEAD)
            .build(egress.connector(Class::Operator));
        let tasks = TaskTracker::new();
        let children = Children::new(tasks.clone(), MOST_CHILDREN);
        Self(Arc::new(Shared {
            targets,
            client,
            tasks,
            children: Arc::new(children),
        }))
    }

    /// Bounds how many child processes there may be for all servers together; 256 unless said otherwise.
    ///
    /// Call it before anything is relayed: children of before are ended.
    #[must_use]
    pub fn with_max_children(mut self, children: usize) -> Self {
        let shared = Arc::make_mut(&mut self.0);
        shared.children = Arc::new(Children::new(shared.tasks.clone(), children));
        self
    }

    /// What goes on after its call has ended: cancellations under way. A drain waits for it.
    #[must_use]
    pub fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    /// A credential was taken back: child processes that have it take no calls any more, and end with those that they
    /// have. A credential that was replaced needs no such word; the next call shows it.
    pub fn forget_credential(
        &self,
        tenant: &TenantId,
        server: &ServerName,
        owner: &CredentialOwner,
    ) {
        self.0.children.forget(tenant, server, &owner.to_string());
    }

    /// Ends all child processes: no call is taken to them any more, those under way have `patience` to be answered,
    /// then each process group gets its grace and is killed. A gateway calls this after its drain.
    ///
    /// Where it is not called, children are ended when the last clone and the last answer are dropped, and killed with
    /// the runtime.
    pub async fn close(&self, patience: Duration) {
        self.0.children.close(patience).await;
    }
}

impl Shared {
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
                let server = Server {
                    target: &target,
                    url,
                    credential: headers::credential(auth)?,
                };
                self.over_http(&server, &parts.headers, permitted.call(), draft)
                    .await
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

    /// To a server over HTTP.
    async fn over_http(
        &self,
        server: &Server<'_>,
        client_headers: &HeaderMap,
        call: &Call,
        draft: Option<&Draft>,
    ) -> Result<Response<AnswerBody>, Failure> {
        // A legacy call is the same to servers of either era. A modern one must not reach a server that would read it
        // as something else.
        if call.era() == Era::Modern && self.spoken(server).await? == Spoken::Legacy {
            return Err(Failure::LegacyOnly);
        }
        let answered = self.exchange(server, client_headers, call, draft).await;
        match (call.era(), call.method()) {
            (Era::Legacy, Some("initialize")) if !opened(answered.as_ref()) => {
                self.is_modern_only(server).await?;
            }
            // Perhaps it is not the server any more that it was.
            (Era::Modern, _)
                if matches!(answered, Err(Failure::Unreachable | Failure::Protocol(_))) =>
            {
                server.target.memory.forget();
            }
            _ => {}
        }
        answered
    }

    async fn exchange(
        &self,
        server: &Server<'_>,
        client_headers: &HeaderMap,
        call: &Call,
        draft: Option<&Draft>,
    ) -> Result<Response<AnswerBody>, Failure> {
        let Server {
            target,
            url,
            credential,
        } = server;
        let timeouts = target.timeouts();
        let deadline = Instant::now() + timeouts.total;
        let mut sent = headers::up(client_headers, call);
        if let Some((name, value)) = credential {
            sent.insert(name, value.clone());
        }
        let cancel = CancelOnDrop::new(&self.client, &self.tasks, url, &sent, call);
        let answer = self.client.request(request(url, call, sent.clone()));
        let answer = tokio::time::timeout(timeouts.first_byte.min(timeouts.total), answer)
            .await
            .map_err(|_elapsed| Failure::Timeout)?
            .map_err(|error| Failure::unreachable(url, &error))?;
        let exchange = Exchange {
            target,
            call,
            sent: &sent,
            draft,
            deadline,
        };
        exchange.answer(answer, cancel).await
    }

    async fn spoken(&self, server: &Server<'_>) -> Result<Spoken, Failure> {
        let Server {
            target,
            url,
            credential,
        } = server;
        era::spoken(&self.client, target, url, credential.as_ref()).await
    }

    /// Fails if the server speaks no version that `initialize` could agree on.
    async fn is_modern_only(&self, server: &Server<'_>) -> Result<(), Failure> {
        let legacy = |name: &String| {
            Version::parse(name).is_some_and(|version| version.era() == Era::Legacy)
        };
        match self.spoken(server).await {
            Ok(Spoken::Modern { supported }) if !supported.iter().any(legacy) => {
                Err(Failure::ModernOnly { supported })
            }
            _ => Ok(()),
        }
    }
}

/// A server over HTTP, and as whom it is called.
struct Server<'a> {
    target: &'a Target,
    url: &'a Uri,
    credential: Option<(HeaderName, HeaderValue)>,
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
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let (parts, permitted) = request.into_parts();
            let Some(auth) = parts.extensions.get::<UpstreamAuth>() else {
                return Ok(miswired("upstream", "UpstreamAuth"));
            };
            let draft = parts.extensions.get::<Draft>();
            if let Some(draft) = draft {
                draft.fill(|fields| fields.credential = Some(auth.label()));
            }
            match shared.relay(&parts, &permitted, auth, draft).await {
                Ok(answer) => Ok(answer),
                Err(failure) => {
                    if let Some(draft) = draft {
                        draft.refuse(failure.refused(), Some(failure.to_string()));
                    }
                    // The id of a response belongs to the server's own requests.
                    let call = permitted.call();
                    let id = call.id().filter(|_| call.kind() == CallKind::Request);
                    Ok(failure.answer(id, call.era()))
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
