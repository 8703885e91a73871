//! Legacy session ids, sealed for who opened the session.

#[cfg(test)]
mod tests;

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use gatewright_core::{
    AnswerBody, BoxError, CallBody, CallKind, Clock, Draft, Principal, Purpose, Refused, Route,
    Sealer, SystemClock, json_rpc_refusal, miswired,
};
use gatewright_wire::{Era, Id, code, headers::MCP_SESSION_ID};
use http::{HeaderValue, Request, Response, StatusCode, request::Parts};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

/// The longest id of an upstream session that we seal, in bytes.
const LONGEST_ID: usize = 1024;

/// Replaces the session ids of a server by sealed ones.
///
/// An id is bound to tenant, server and principal, and opens on any replica. What does not open is answered as a
/// session that does not exist, whoever it belongs to (invariants 1 and 6).
#[derive(Clone)]
pub struct SessionLayer {
    sealer: Arc<dyn Sealer>,
    clock: Arc<dyn Clock>,
    lifetime: Duration,
}

impl SessionLayer {
    /// On the machine's clock, for sessions of at most a day.
    #[must_use]
    pub fn new(sealer: Arc<dyn Sealer>) -> Self {
        Self {
            sealer,
            clock: Arc::new(SystemClock),
            lifetime: Duration::from_secs(24 * 60 * 60),
        }
    }

    /// Takes the time from somewhere else.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Bounds how long a session id is good for.
    #[must_use]
    pub const fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }
}

impl fmt::Debug for SessionLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer")
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService {
            inner,
            layer: self.clone(),
        }
    }
}

/// See [`SessionLayer`].
#[derive(Clone, Debug)]
pub struct SessionService<S> {
    inner: S,
    layer: SessionLayer,
}

impl<S, RB> Service<Request<CallBody>> for SessionService<S>
where
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

    fn call(&mut self, request: Request<CallBody>) -> Self::Future {
        // Move out the instance that `poll_ready` reserved; its clone is not ready.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let layer = self.layer.clone();

        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let Some(principal) = parts.extensions.get::<Principal>().cloned() else {
                return Ok(miswired("session", "Principal"));
            };
            let draft = parts.extensions.get::<Draft>().cloned();
            // Only requests are answered by their id: that of a response belongs to the server's own ids.
            let call = body.call();
            let id = call
                .id()
                .filter(|_| call.kind() == CallKind::Request)
                .cloned();
            let owner = Owner::new(body.call().route(), &principal);
            let refuse = |refusal: Refusal| {
                if let Some(draft) = &draft {
                    draft.refuse(refusal.refused(), None);
                }
                refusal.answer(id.as_ref())
            };
            if let Err(refusal) = layer.open(&owner, &mut parts, &body) {
                return Ok(refuse(refusal));
            }
            let answer = inner.call(Request::from_parts(parts, body)).await?;
            match layer.seal(&owner, answer.headers().get(&MCP_SESSION_ID)) {
                Ok(sealed) => {
                    let mut answer = answer.map(AnswerBody::wrap);
                    answer.headers_mut().remove(&MCP_SESSION_ID);
                    if let Some(sealed) = sealed {
                        answer.headers_mut().insert(MCP_SESSION_ID, sealed);
                    }
                    Ok(answer)
                }
                Err(refusal) => Ok(refuse(refusal)),
            }
        })
    }
}

/// What a session id is bound to.
struct Owner {
    tenant: String,
    server: String,
    principal: String,
}

impl Owner {
    fn new(route: &Route, principal: &Principal) -> Self {
        Self {
            tenant: route.tenant().to_string(),
            server: route.server().to_string(),
            principal: principal.key(),
        }
    }

    fn bound(&self) -> [&str; 3] {
        [&self.tenant, &self.server, &self.principal]
    }
}

impl SessionLayer {
    /// Puts the server's own id in place of the sealed one.
    fn open(&self, owner: &Owner, parts: &mut Parts, body: &CallBody) -> Result<(), Refusal> {
        let mut given = parts.headers.get_all(&MCP_SESSION_ID).iter();
        let (first, second) = (given.next(), given.next());
        if body.call().era() == Era::Modern || body.call().method() == Some("initialize") {
            // 2026-07-28 has no sessions, and `initialize` opens one: an id that comes along means nothing.
            parts.headers.remove(&MCP_SESSION_ID);
            return Ok(());
        }
        let (Some(sealed), None) = (first, second) else {
            // None is legal, for servers without sessions; two are not.
            return if first.is_none() {
                Ok(())
            } else {
                Err(Refusal::Unknown)
            };
        };
        let sealed = sealed.to_str().map_err(|_not_ascii| Refusal::Unknown)?;
        let opened = self
            .sealer
            .open(Purpose::Session, &owner.bound(), self.clock.now(), sealed)
            .map_err(|_any| Refusal::Unknown)?;
        let id = HeaderValue::from_maybe_shared(Bytes::from(opened))
            .map_err(|_not_a_header| Refusal::Unknown)?;
        parts.headers.insert(MCP_SESSION_ID, id);
        Ok(())
    }

    /// The sealed form of a server's id.
    fn seal(
        &self,
        owner: &Owner,
        id: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, Refusal> {
        let Some(id) = id else {
            return Ok(None);
        };
        // Visible ASCII only (2025-11-25, Session Management).
        let fits =
            (1..=LONGEST_ID).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic);
        if !fits {
            return Err(Refusal::Upstream);
        }
        let expires = self.clock.now().plus(self.lifetime);
        let sealed = self
            .sealer
            .seal(Purpose::Session, &owner.bound(), expires, id.as_bytes());
        let header = sealed
            .ok()
            .and_then(|sealed| HeaderValue::try_from(sealed).ok());
        header.map(Some).ok_or(Refusal::Unsealed)
    }
}

/// Why a session cannot be had.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    /// The id does not open for this caller.
    Unknown,
    /// The server's id is not one.
    Upstream,
    /// Our sealer does not work.
    Unsealed,
}

impl Refusal {
    const fn refused(self) -> Refused {
        let code = match self {
            Self::Unknown => "unknown-session",
            Self::Upstream => "upstream-session",
            Self::Unsealed => "unsealed",
        };
        Refused { layer: "mcp", code }
    }

    fn answer(self, id: Option<&Id>) -> Response<AnswerBody> {
        let (status, code, message) = match self {
            Self::Unknown => (
                StatusCode::NOT_FOUND,
                code::UNKNOWN_SESSION,
                "there is no such session: send `initialize` to open one",
            ),
            Self::Upstream => (
                StatusCode::BAD_GATEWAY,
                code::UPSTREAM_PROTOCOL,
                "the server gave a session id that is none",
            ),
            Self::Unsealed => (
                StatusCode::INTERNAL_SERVER_ERROR,
                code::INTERNAL_ERROR,
                "the session id could not be sealed",
            ),
        };
        json_rpc_refusal(status, self.refused(), id, code, message, None)
    }
}
