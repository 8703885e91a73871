//! Where identity providers say who there is: SCIM, beside the MCP endpoints on the public listener.

use std::time::Duration;

use axum::{Router, body::Body};
use bytes::Bytes;
use gatewright_core::{AnswerBody, BoxError};
use http::{Request, Response, StatusCode};
use tower::ServiceExt as _;

/// No request of a provider takes longer, its body included: bulk requests are the longest.
const PATIENCE: Duration = Duration::from_secs(60);

/// The routes of SCIM.
#[derive(Clone, Debug)]
pub(crate) struct Provisioning(Router);

impl Provisioning {
    pub(crate) const fn new(router: Router) -> Self {
        Self(router)
    }

    /// Whether a path is SCIM's: `/scim/v2/…`, for other tenants than the default `/t/<tenant>/scim/v2/…`.
    pub(crate) fn is_at(path: &str) -> bool {
        let rest = match path.strip_prefix("/t/") {
            Some(rest) => rest.split_once('/').map(|(_tenant, rest)| rest),
            None => path.strip_prefix('/'),
        };
        rest.is_some_and(|rest| rest.starts_with("scim/v2/"))
    }

    pub(crate) async fn answer<B>(&self, request: Request<B>) -> Response<AnswerBody>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let request = request.map(Body::new);
        let answer = tokio::time::timeout(PATIENCE, self.0.clone().oneshot(request)).await;
        match answer {
            Ok(Ok(answer)) => answer.map(AnswerBody::wrap),
            Err(_too_long) => {
                let mut answer = Response::new(AnswerBody::full(Bytes::new()));
                *answer.status_mut() = StatusCode::REQUEST_TIMEOUT;
                answer
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_scim_are_its_own() {
        for path in [
            "/scim/v2/Users",
            "/t/acme/scim/v2/Users/1",
            "/scim/v2/.search",
        ] {
            assert!(Provisioning::is_at(path), "{path}");
        }
        for path in [
            "/",
            "/scim/v2",
            "/scim/v1/Users",
            "/mcp/scim/v2/Users",
            "/t/scim/v2/Users",
            "/t/acme/mcp/scim",
            "//scim/v2/Users",
            "/t//t/scim/v2/Users",
        ] {
            assert!(!Provisioning::is_at(path), "{path}");
        }
    }
}
