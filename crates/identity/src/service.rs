use std::{
    fmt,
    future::{Future, poll_fn},
    mem,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use gatewright_core::{
    AnswerBody, AuthenticateError, BoxError, Draft, Principal, Resolver, Route, authenticate,
    miswired,
};
use http::{Request, Response, request::Parts};
use http_body::Body;
use tower_service::Service;

use crate::{
    challenge, credential,
    layer::Shared,
    lifetime::{self, Lifetime},
};

/// See [`IdentityLayer`](crate::IdentityLayer).
pub struct IdentityService<S, R> {
    pub(crate) inner: S,
    pub(crate) shared: Arc<Shared<R>>,
}

impl<S, R, B, RB> Service<Request<B>> for IdentityService<S, R>
where
    S: Service<Request<B>, Response = Response<RB>> + Clone + Send + 'static,
    S::Future: Send,
    R: Resolver,
    B: Send + 'static,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Into<BoxError>,
{
    type Response = Response<AnswerBody>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // Move out the instance `poll_ready` reserved; its clone is not ready.
        let clone = self.inner.clone();
        let inner = mem::replace(&mut self.inner, clone);
        let shared = Arc::clone(&self.shared);

        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let Some(route) = parts.extensions.get::<Route>().cloned() else {
                return Ok(miswired("identity", "Route"));
            };
            if let Some(answer) = shared.origins.preflight(&parts) {
                return Ok(answer);
            }
            let origin = shared.origins.of(&parts);
            let mut answer = match identify(&shared, &parts).await {
                Ok(principal) => admitted(&shared, inner, principal, parts, body).await?,
                Err(error) => refuse(&route, parts.extensions.get(), &error),
            };
            if let Some(origin) = origin {
                origin.may_read(&mut answer);
            }
            Ok(answer)
        })
    }
}

async fn identify<R: Resolver>(
    shared: &Shared<R>,
    parts: &Parts,
) -> Result<Principal, AuthenticateError> {
    credential::check(parts).map_err(AuthenticateError::Rejected)?;
    authenticate(&*shared.resolver, &*shared.subjects, &*shared.clock, parts).await
}

/// Notes the refusal, and answers it.
fn refuse(route: &Route, draft: Option<&Draft>, error: &AuthenticateError) -> Response<AnswerBody> {
    if let Some(draft) = draft {
        draft.refuse(challenge::refused(error), Some(error.to_string()));
        if let AuthenticateError::Disabled(subject)
        | AuthenticateError::Unknown(subject)
        | AuthenticateError::Undecided(subject) = error
        {
            draft.fill(|fields| fields.subject = Some(subject.clone()));
        }
    }
    challenge::answer(route, error)
}

async fn admitted<S, R, B, RB>(
    shared: &Shared<R>,
    mut inner: S,
    principal: Principal,
    mut parts: Parts,
    body: B,
) -> Result<Response<AnswerBody>, S::Error>
where
    S: Service<Request<B>, Response = Response<RB>>,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Into<BoxError>,
{
    let draft = parts.extensions.get::<Draft>().cloned();
    if let Some(draft) = &draft {
        draft.fill(|fields| fields.principal = Some(principal.clone()));
    }
    let route = principal.route().clone();
    let mut lifetime = Lifetime::new(&principal, &*shared.subjects, Arc::clone(&shared.clock));
    parts.extensions.insert(principal);

    let mut call = pin!(inner.call(Request::from_parts(parts, body)));
    let answer = poll_fn(|context| match call.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Ok(answer)),
        Poll::Pending => lifetime.poll_cut(context).map(Err),
    });
    match answer.await {
        Ok(answer) => Ok(lifetime::bounded(answer?, lifetime)),
        // Whoever is switched off meanwhile is not answered; what went upstream for them is cancelled.
        Err(error) => Ok(refuse(&route, draft.as_ref(), &error)),
    }
}

impl<S: Clone, R> Clone for IdentityService<S, R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S, R> fmt::Debug for IdentityService<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityService").finish_non_exhaustive()
    }
}
