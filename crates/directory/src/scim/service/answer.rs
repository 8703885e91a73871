//! Answers.

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::Value;

use crate::scim::ScimError;

/// What is answered.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Option<Value>,
    pub(super) location: Option<String>,
    pub(super) version: Option<String>,
    /// Seconds after which it may be tried again.
    pub(super) retry_after: Option<u64>,
    /// The methods that would have been taken.
    pub(super) allow: Option<String>,
}

impl Answer {
    pub(super) fn of(status: StatusCode) -> Self {
        Self {
            status,
            body: None,
            location: None,
            version: None,
            retry_after: None,
            allow: None,
        }
    }

    pub(super) fn ok(body: Value) -> Self {
        Self {
            body: Some(body),
            ..Self::of(StatusCode::OK)
        }
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let text = self.body.map(|body| body.to_string());
        let mut response = Response::new(text.map_or_else(Body::empty, Body::from));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        // What is answered is about people, and for whoever asked.
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, no-cache"),
        );
        if self.status != StatusCode::NO_CONTENT && self.status != StatusCode::NOT_MODIFIED {
            let json = HeaderValue::from_static("application/scim+json");
            headers.insert(header::CONTENT_TYPE, json);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"scim\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        let more = [
            (header::LOCATION, self.location),
            (header::ETAG, self.version),
            (header::ALLOW, self.allow),
            (
                header::RETRY_AFTER,
                self.retry_after.map(|seconds| seconds.to_string()),
            ),
        ];
        for (name, value) in more {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                headers.insert(name, value);
            }
        }
        response
    }
}

impl From<ScimError> for Answer {
    fn from(error: ScimError) -> Self {
        let busy = matches!(
            error.status(),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        Self {
            body: Some(error.body()),
            retry_after: busy.then_some(1),
            ..Self::of(error.status())
        }
    }
}
