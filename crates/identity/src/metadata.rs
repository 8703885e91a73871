//! The metadata of protected resources (RFC 9728): which resource, whose tokens.

use axum::{Router, routing::any};
use bytes::Bytes;
use gatewright_core::{AnswerBody, Refused, Route, json_rpc_refusal};
use gatewright_wire::code;
use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::cors;

/// The document of a route (RFC 9728 §2).
fn document(route: &Route) -> Value {
    let mut document = Map::new();
    let mut say = |name: &str, value: Value| document.insert(name.to_owned(), value);
    say("resource", json!(route.resource()));
    // RFC 9728 §3.2: what would be empty is left out.
    let issuers = &route.profile().authorization_servers;
    if !issuers.is_empty() {
        say("authorization_servers", json!(issuers));
    }
    // Tokens are taken from the header only (RFC 9728 §2; never from the query or the body).
    say("bearer_methods_supported", json!(["header"]));
    let scopes = route.all_scopes();
    if !scopes.is_empty() {
        say("scopes_supported", json!(scopes));
    }
    if let Some(title) = &route.profile().title {
        say("resource_name", json!(title));
    }
    Value::Object(document)
}

/// Answers a request for the metadata of a route, `None` where there is no such route. Anybody may read it, from any
/// origin: it names nothing but what a client needs to get a token.
#[must_use]
pub fn metadata_answer(method: &Method, route: Option<&Route>) -> Response<AnswerBody> {
    let Some(route) = route else {
        return refusal(
            StatusCode::NOT_FOUND,
            "unknown-route",
            "there is no such endpoint",
        );
    };
    let mut answer = match *method {
        Method::GET | Method::HEAD => {
            let text = document(route).to_string();
            let mut answer = Response::new(AnswerBody::full(Bytes::from(text)));
            let json = HeaderValue::from_static("application/json");
            answer.headers_mut().insert(header::CONTENT_TYPE, json);
            let times = HeaderValue::from_static("public, max-age=300");
            answer.headers_mut().insert(header::CACHE_CONTROL, times);
            answer
        }
        Method::OPTIONS => {
            let mut answer = Response::new(AnswerBody::empty());
            *answer.status_mut() = StatusCode::NO_CONTENT;
            answer
        }
        _ => {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            let mut answer = refusal(status, "http-method", "metadata is read with GET");
            let allowed = HeaderValue::from_static("GET, HEAD, OPTIONS");
            answer.headers_mut().insert(header::ALLOW, allowed);
            answer
        }
    };
    cors::anybody_may_read(answer.headers_mut());
    answer
}

fn refusal(status: StatusCode, code: &'static str, message: &str) -> Response<AnswerBody> {
    let refused = Refused {
        layer: "metadata",
        code,
    };
    json_rpc_refusal(status, refused, None, code::INVALID_REQUEST, message, None)
}

/// The metadata of a route as an axum router, to be merged at the root of the service: clients look for it there.
pub fn resource_metadata<S: Clone + Send + Sync + 'static>(route: &Route) -> Router<S> {
    let (path, route) = (route.metadata_path().to_owned(), route.clone());
    let answer = move |method: Method| async move {
        metadata_answer(&method, Some(&route)).map(axum::body::Body::new)
    };
    Router::new().route(&path, any(answer))
}

#[cfg(test)]
mod tests {
    use gatewright_core::{ScopeRule, access::Pattern};
    use http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    fn route() -> Route {
        Route::single("billing", "https://gw.example/mcp/billing")
            .unwrap()
            .authorization_server("https://login.example")
            .map_profile(|profile| {
                profile.title = Some("Billing".into());
                profile.scopes = vec![ScopeRule {
                    targets: vec![Pattern::new("pay")],
                    scopes: vec!["mcp:pay".into()],
                }];
            })
    }

    async fn answer(method: Method, path: &str) -> Response<axum::body::Body> {
        let request = Request::builder().method(method).uri(path);
        let request = request.body(axum::body::Body::empty()).unwrap();
        let router: Router = resource_metadata(&route());
        router.oneshot(request).await.unwrap()
    }

    const PATH: &str = "/.well-known/oauth-protected-resource/mcp/billing";

    #[tokio::test]
    async fn the_document_says_which_resource_and_whose_tokens() {
        let answer = answer(Method::GET, PATH).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(
            serde_json::from_slice::<Value>(&body).unwrap(),
            json!({
                "resource": "https://gw.example/mcp/billing",
                "authorization_servers": ["https://login.example"],
                "bearer_methods_supported": ["header"],
                "scopes_supported": ["mcp:pay"],
                "resource_name": "Billing",
            })
        );
    }

    #[test]
    fn what_would_be_empty_is_left_out() {
        let route = Route::single("s", "https://gw.example/mcp/s").unwrap();
        assert_eq!(
            document(&route),
            json!({"resource": "https://gw.example/mcp/s", "bearer_methods_supported": ["header"]})
        );
    }

    #[tokio::test]
    async fn pages_may_ask_and_nobody_may_write() {
        assert_eq!(answer(Method::OPTIONS, PATH).await.status(), 204);
        let refused = answer(Method::POST, PATH).await;
        assert_eq!(refused.status(), 405);
        assert_eq!(refused.headers()[header::ALLOW], "GET, HEAD, OPTIONS");
    }

    #[tokio::test]
    async fn what_is_no_route_is_not_found() {
        assert_eq!(
            answer(Method::GET, "/.well-known/oauth-protected-resource")
                .await
                .status(),
            404
        );
        assert_eq!(metadata_answer(&Method::GET, None).status(), 404);
    }
}
