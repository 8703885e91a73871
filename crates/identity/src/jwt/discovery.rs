//! From an issuer's identifier to its keys.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use gatewright_egress::{Class, Egress};
use gatewright_jose::{FetchKeys, FetchKeysError, KeySet, fetch_document, fetch_keys};
use serde_json::Value;
use url::Url;

use super::TrustedIssuer;

/// How long it may take in all: callers wait for it.
const PATIENCE: Duration = Duration::from_secs(15);

/// Finds the keys by the issuer's metadata: RFC 8414, or OpenID Connect Discovery.
pub(super) struct Discovery {
    egress: Egress,
    issuer: String,
    places: Vec<Url>,
    url: Url,
}

impl Discovery {
    pub(super) fn new(egress: &Egress, issuer: &TrustedIssuer) -> Self {
        Self {
            egress: egress.clone(),
            issuer: issuer.id().to_owned(),
            places: places(issuer.url()),
            url: issuer.url().clone(),
        }
    }

    /// Where the metadata at `place` says that the keys are.
    async fn keys_url(&self, place: &Url) -> Result<Url, FetchKeysError> {
        let metadata = fetch_document(&self.egress, Class::Operator, place).await?;
        let invalid = |problem| FetchKeysError::Metadata {
            issuer: self.issuer.clone(),
            problem,
        };
        // RFC 8414 §3.3: exactly the issuer that was asked for, or an issuer could speak for another.
        if metadata.get("issuer").and_then(Value::as_str) != Some(&self.issuer) {
            return Err(invalid("is that of another issuer"));
        }
        let url = metadata.get("jwks_uri").and_then(Value::as_str);
        let url = url.ok_or_else(|| invalid("has no `jwks_uri`"))?;
        Url::parse(url).map_err(|_no_url| invalid("has a `jwks_uri` that is no URL"))
    }

    /// The operator chose the issuer and its origin. Where the issuer points elsewhere, it is the issuer who chose.
    fn class(&self, keys: &Url) -> Class {
        if keys.origin() == self.url.origin() {
            Class::Operator
        } else {
            Class::Foreign
        }
    }
}

#[async_trait]
impl FetchKeys for Discovery {
    async fn fetch(&self) -> Result<KeySet, FetchKeysError> {
        let found = tokio::time::timeout(PATIENCE, self.find()).await;
        found.unwrap_or_else(|_elapsed| {
            Err(FetchKeysError::Metadata {
                issuer: self.issuer.clone(),
                problem: "takes too long to find",
            })
        })
    }
}

impl Discovery {
    async fn find(&self) -> Result<KeySet, FetchKeysError> {
        let mut first = None;
        for place in &self.places {
            match self.keys_url(place).await {
                Ok(url) => return fetch_keys(&self.egress, self.class(&url), &url).await,
                // An issuer that cannot be asked is not asked three times.
                Err(error @ FetchKeysError::Fetch { .. }) => return Err(error),
                Err(error @ FetchKeysError::Status { status: 500.., .. }) => return Err(error),
                // What is here is not it: the next place may have it, and must name the issuer as exactly.
                Err(error) => {
                    first.get_or_insert(error);
                }
            }
        }
        Err(first.unwrap_or(FetchKeysError::Metadata {
            issuer: self.issuer.clone(),
            problem: "is nowhere",
        }))
    }
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Discovery").field(&self.issuer).finish()
    }
}

/// Where the metadata of an issuer may be, in the order of the MCP specification: with the well-known part between
/// host and path (RFC 8414 §3.1), and after the path (OpenID Connect Discovery §4).
fn places(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/');
    let mut paths = vec![
        format!("/.well-known/oauth-authorization-server{path}"),
        format!("/.well-known/openid-configuration{path}"),
    ];
    if !path.is_empty() {
        paths.push(format!("{path}/.well-known/openid-configuration"));
    }
    let at = |path: &String| {
        let mut url = issuer.clone();
        url.set_path(path);
        url
    };
    paths.iter().map(at).collect()
}

#[cfg(test)]
mod tests {
    use axum::{Router, response::IntoResponse, routing::get};
    use http::StatusCode;
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::*;

    fn places_of(issuer: &str) -> Vec<String> {
        let places = places(&Url::parse(issuer).unwrap());
        places.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn keys_at_other_hosts_are_those_that_the_issuer_chose() {
        let egress = Egress::builder().build();
        let issuer = TrustedIssuer::new("https://login.example/t1").unwrap();
        let discovery = Discovery::new(&egress, &issuer);
        for (keys, class) in [
            ("https://login.example/keys", Class::Operator),
            ("https://10.0.0.1/keys", Class::Foreign),
            ("https://login.example:8443/keys", Class::Foreign),
            ("https://login.example.evil.example/keys", Class::Foreign),
            ("http://login.example/keys", Class::Foreign),
        ] {
            assert_eq!(discovery.class(&keys.parse().unwrap()), class, "{keys}");
        }
    }

    /// An issuer whose first place answers something else than its metadata.
    async fn issuer(
        first: impl IntoResponse + Clone + Send + Sync + 'static,
    ) -> (String, TcpListener, Router) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let metadata = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")}).to_string();
        let router = Router::new()
            .route(
                "/.well-known/oauth-authorization-server",
                get(async move || first),
            )
            .route(
                "/.well-known/openid-configuration",
                get(async move || metadata),
            )
            .route("/keys", get(async || json!({"keys": []}).to_string()));
        (issuer, listener, router)
    }

    async fn finds(first: impl IntoResponse + Clone + Send + Sync + 'static) -> bool {
        let (issuer, listener, router) = issuer(first).await;
        let egress = Egress::builder().development(true).build();
        let discovery = Discovery::new(&egress, &TrustedIssuer::new(&issuer).unwrap());
        tokio::select! {
            _ = async { axum::serve(listener, router).await } => unreachable!("it serves on"),
            keys = discovery.fetch() => keys.is_ok(),
        }
    }

    #[tokio::test]
    async fn what_is_not_the_metadata_does_not_hide_it() {
        assert!(finds(StatusCode::NOT_FOUND).await);
        assert!(finds("<html>sign in</html>").await);
        assert!(finds((StatusCode::FOUND, [("location", "/login")])).await);
        let others =
            json!({"issuer": "https://other.example", "jwks_uri": "https://other.example/keys"});
        assert!(finds(others.to_string()).await);
        // It is in trouble, and is not asked further.
        assert!(!finds(StatusCode::INTERNAL_SERVER_ERROR).await);
    }

    #[test]
    fn metadata_is_looked_for_in_the_order_of_the_specification() {
        assert_eq!(
            places_of("https://as.example/t1"),
            [
                "https://as.example/.well-known/oauth-authorization-server/t1",
                "https://as.example/.well-known/openid-configuration/t1",
                "https://as.example/t1/.well-known/openid-configuration",
            ]
        );
        for root in ["https://as.example", "https://as.example/"] {
            assert_eq!(
                places_of(root),
                [
                    "https://as.example/.well-known/oauth-authorization-server",
                    "https://as.example/.well-known/openid-configuration",
                ]
            );
        }
    }
}
