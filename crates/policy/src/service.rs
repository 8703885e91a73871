use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use gatewright_core::{
    AnswerBody, AuthorizeError, BoxError, Call, CallBody, CallKind, Draft, DraftDecision, Effect,
    Permitted, PolicyEngine, Principal, SnapshotVersion, UnknownMethods, authorize, miswired,
};
use gatewright_wire::{Era, Limits, METHODS, json};
use http::{Request, Response, header};
use http_body::Body;
use tower_service::Service;

use crate::{
    answer,
    refusal::{self, refused},
    reply::Reply,
    screen::Screen,
};

/// See [`PolicyLayer`](crate::PolicyLayer).
pub struct PolicyService<S, E> {
    pub(crate) inner: S,
    pub(crate) engine: Arc<E>,
    pub(crate) answer_limit: usize,
}

impl<S, E, RB> Service<Request<CallBody>> for PolicyService<S, E>
where
    S: Service<Request<Permitted>, Response = Response<RB>> + Clone + Send + 'static,
    S::Future: Send,
    E: PolicyEngine,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Into<BoxError>,
{
    type Response = Response<AnswerBody>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<CallBody>) -> Self::Future {
        // Move out the instance `poll_ready` reserved; its clone is not ready.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone.clone());
        let engine = Arc::clone(&self.engine);
        let limits = Limits {
            max_bytes: self.answer_limit,
            max_depth: Limits::DEEPEST,
        };

        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let Some(principal) = parts.extensions.get::<Principal>().cloned() else {
                return Ok(miswired("policy", "Principal"));
            };
            let draft = parts.extensions.get::<Draft>().cloned();
            let permitted = match permit(&*engine, &principal, body, draft.as_ref()).await {
                Ok(permitted) => permitted,
                Err(answer) => return Ok(*answer),
            };
            // An answer that cannot be read cannot be filtered: nobody below is asked to compress it.
            parts.headers.remove(header::ACCEPT_ENCODING);
            let call = permitted.call().clone();
            let reference = refusal::reference(draft.as_ref());
            let reply =
                may_be_asked(&call).then(|| Reply::new(clone, &parts, principal.clone(), &call));
            let screen = Screen {
                engine,
                principal,
                call,
                limits,
                reference,
                draft,
            };
            let response = inner.call(Request::from_parts(parts, permitted)).await?;
            Ok(answer::screened(response, screen, reply).await)
        })
    }
}

/// Legacy servers put requests to the client on the streams of these calls.
fn may_be_asked(call: &Call) -> bool {
    call.era() == Era::Legacy && matches!(call.kind(), CallKind::Request | CallKind::Stream)
}

/// The proof that the call may go on, or the answer that refuses it.
async fn permit<E: PolicyEngine>(
    engine: &E,
    principal: &Principal,
    body: CallBody,
    draft: Option<&Draft>,
) -> Result<Permitted, Box<Response<AnswerBody>>> {
    let reference = refusal::reference(draft);
    let refuse = |code: &'static str, detail: String| {
        if let Some(draft) = draft {
            draft.refuse(refused(code), Some(detail));
        }
    };
    if is_unknown(body.call()) && !is_relayed(body.call()) {
        refuse(
            "unknown-method",
            "this version does not know the method".to_owned(),
        );
        return Err(Box::new(refusal::unknown_method(body.call(), reference)));
    }
    match authorize(engine, principal, body).await {
        Ok(permitted) => {
            let permit = permitted.permit();
            decided(
                draft,
                Effect::Allow,
                permit.policies(),
                None,
                permit.snapshot(),
            );
            Ok(permitted)
        }
        Err(AuthorizeError::Denied {
            denial,
            snapshot,
            call,
        }) => {
            decided(
                draft,
                Effect::Deny,
                &denial.policies,
                Some(&denial.reason),
                snapshot,
            );
            refuse("denied", denial.reason);
            Err(Box::new(refusal::denied(call.call(), reference)))
        }
        Err(AuthorizeError::Challenged {
            challenge,
            snapshot,
            call,
        }) => {
            let reason = format!("scopes needed: {}", challenge.scopes.join(" "));
            decided(
                draft,
                Effect::Challenge,
                &Arc::default(),
                Some(&reason),
                snapshot,
            );
            refuse("insufficient-scope", reason);
            Err(Box::new(refusal::challenged(
                call.call(),
                &challenge,
                reference,
            )))
        }
        // A refusal of a kind that this layer does not know is a refusal.
        Err(error) => {
            refuse("denied", error.to_string());
            Err(Box::new(miswired("policy", "reason for a refusal")))
        }
    }
}

fn is_unknown(call: &Call) -> bool {
    call.method().is_some() && call.info().is_none()
}

/// Whether a message of an unknown method may go on, as far as configuration goes.
pub(crate) fn is_relayed(call: &Call) -> bool {
    call.route().profile().unknown_methods == UnknownMethods::Relay
        && call.method().is_some_and(|method| !is_disguised(method))
}

/// Whether a server that does not mind case would take an unknown method for a known one, on which policy decides
/// otherwise.
fn is_disguised(method: &str) -> bool {
    let name = method.trim();
    let same = |known| name == known || json::mistakable(name, &[known]).is_some();
    METHODS.iter().any(|info| same(info.name))
}

fn decided(
    draft: Option<&Draft>,
    effect: Effect,
    policies: &Arc<[Arc<str>]>,
    reason: Option<&str>,
    snapshot: SnapshotVersion,
) {
    if let Some(draft) = draft {
        let (policies, reason) = (Arc::clone(policies), reason.map(str::to_owned));
        draft.fill(|fields| {
            fields.decision = Some(DraftDecision {
                effect,
                policies,
                reason,
                snapshot,
            });
        });
    }
}

impl<S: Clone, E> Clone for PolicyService<S, E> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            engine: Arc::clone(&self.engine),
            answer_limit: self.answer_limit,
        }
    }
}

impl<S, E> fmt::Debug for PolicyService<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyService")
            .field("answer_limit", &self.answer_limit)
            .finish_non_exhaustive()
    }
}
