use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use gatewright_core::{AnswerBody, BoxError, Draft, Standing, miswired};
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{CountBy, body::holding, refusal::Refusal, table::Table};

/// See [`LimitLayer`](crate::LimitLayer).
pub struct LimitService<S, C> {
    pub(super) inner: S,
    pub(super) count_by: Arc<C>,
    pub(super) table: Arc<Table>,
}

impl<S, C, B, RB> Service<Request<B>> for LimitService<S, C>
where
    S: Service<Request<B>, Response = Response<RB>> + Clone + Send + 'static,
    S::Future: Send,
    C: CountBy<B>,
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
        // Move out the instance that `poll_ready` reserved; its clone is not ready.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let table = Arc::clone(&self.table);
        let counted_by = self.count_by.name();
        let load = match self.count_by.load(&request) {
            Ok(load) => load,
            Err(missing) => return Box::pin(async move { Ok(miswired("limit", missing)) }),
        };

        Box::pin(async move {
            let draft = request.extensions().get::<Draft>().cloned();
            let refuse =
                |refusal: Refusal| Ok(refusal.answer(counted_by, load.id.as_ref(), draft.as_ref()));
            let admission = match table.admit(&load).await {
                Ok(admission) => admission,
                Err(refusal) => return refuse(refusal),
            };
            let answer = inner.call(request).await?;
            let stands = answer.extensions().get::<Standing>().is_some();
            let admission = if stands {
                admission.standing(table.limits())
            } else {
                Ok(admission)
            };
            match admission {
                Ok(admission) => Ok(answer.map(|body| holding(AnswerBody::wrap(body), admission))),
                // The stream from below ends with its answer.
                Err(refusal) => refuse(refusal),
            }
        })
    }
}

impl<S: Clone, C> Clone for LimitService<S, C> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            count_by: Arc::clone(&self.count_by),
            table: Arc::clone(&self.table),
        }
    }
}

impl<S, C> fmt::Debug for LimitService<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitService")
            .field("limits", self.table.limits())
            .finish_non_exhaustive()
    }
}
