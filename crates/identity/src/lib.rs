//! RouteLayer, IdentityLayer and the resolvers that turn a credential into a principal.
//!
//! Whoever calls has to prove who they are before anything else is looked at, on every request, and a credential that is
//! not for this very endpoint proves nothing. The layers know no kind of credential: a [`Resolver`](gatewright_core::Resolver)
//! does. [`JwtResolver`] takes JWT access tokens of configured issuers, [`ApiKeyResolver`] keys that this installation
//! issued, [`Chain`] puts several resolvers in order, and a closure ([`resolver_fn`](gatewright_core::resolver_fn)) asks
//! whatever a service has already.
//!
//! ```
//! use bytes::Bytes;
//! use gatewright_core::{Identity, Outcome, Party, Principal, Route, Subject, resolver_fn};
//! use gatewright_identity::{IdentityLayer, RouteLayer};
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{ServiceBuilder, ServiceExt as _, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let who = resolver_fn(|parts| match parts.headers.get("x-user").map(|user| user.to_str()) {
//!     Some(Ok(user)) => Outcome::Identified(Box::new(Identity::user(Party::new(Subject::new("own", user))))),
//!     _ => Outcome::NoCredential,
//! });
//! let service = ServiceBuilder::new()
//!     .layer(RouteLayer::new(Route::single("wiki", "https://wiki.example.com/mcp").unwrap()))
//!     .layer(IdentityLayer::new(who))
//!     .service(service_fn(async |request: Request<Full<Bytes>>| {
//!         let principal = request.extensions().get::<Principal>().unwrap();
//!         let name = principal.user().unwrap().subject().id().to_owned();
//!         Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from(name))))
//!     }));
//!
//! let ann = Request::post("/mcp").header("x-user", "ann").body(Full::default()).unwrap();
//! assert_eq!(service.clone().oneshot(ann).await.unwrap().status(), 200);
//!
//! let nobody = Request::post("/mcp").body(Full::default()).unwrap();
//! let refused = service.oneshot(nobody).await.unwrap();
//! assert_eq!(refused.status(), 401);
//! assert_eq!(
//!     refused.headers()["www-authenticate"],
//!     "Bearer resource_metadata=\"https://wiki.example.com/.well-known/oauth-protected-resource/mcp\""
//! );
//! # });
//! ```
//!
//! **Reads** the `Route`, which [`RouteLayer`] adds, and headers. Never the body.
//!
//! **Adds** the [`Route`](gatewright_core::Route) and the [`Principal`](gatewright_core::Principal); notes both in the
//! [`Draft`](gatewright_core::Draft), if there is one. An answer that stays open ends when its caller is switched off or
//! the credential is withdrawn, a standing stream also when the credential ends.
//!
//! **Refuses** unknown endpoints (404), requests without a good credential (401 with a challenge by RFC 9728, on every
//! HTTP method), with two credentials or one in the query (400), and with one that cannot be checked now (503).
//! Preflights of configured origins are answered, since browsers send them without a credential.
//!
//! **Fails** closed: without a `Route` it answers 500, and an issuer whose keys cannot be had lets nobody in.

mod api_key;
mod chain;
mod challenge;
mod cors;
mod credential;
mod jwt;
mod layer;
mod lifetime;
mod metadata;
mod route;
mod service;
#[cfg(test)]
mod tests;

pub use api_key::{
    ApiKeyId, ApiKeyRecord, ApiKeyResolver, ApiKeyRing, ApiKeys, ApiKeysError, CreateApiKeyError,
    InvalidApiKeyId, IssuedApiKey, KeyHolder, KeyMac, MacKey, MacKeys, NewApiKey,
    RevokeApiKeyError,
};
pub use chain::Chain;
pub use jwt::{DiscoverIssuerError, InvalidIssuer, JwtResolver, MapClaimsError, TrustedIssuer};
pub use layer::IdentityLayer;
pub use metadata::{metadata_answer, resource_metadata};
pub use route::{RouteLayer, RouteService, Routes};
pub use service::IdentityService;
