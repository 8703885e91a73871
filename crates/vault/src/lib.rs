//! CredentialLayer: as whom a call goes upstream; and the vault that holds those credentials sealed.
//!
//! Servers need keys and tokens of their own, and whoever calls must never see them, nor use those of anybody else. The
//! layer knows no storage: a [`TokenVault`] does. [`SealedVault`] is one, over any [`SealedRecords`] and
//! [`KeyProvider`]; a service with a secret store of its own implements the trait on that.
//!
//! ```
//! use async_trait::async_trait;
//! use bytes::Bytes;
//! use gatewright_core::{
//!     CallBody, CredentialMode, CredentialOwner, Decision, Identity, Outcome, Party, Route, Secret, ServerName,
//!     Subject, TenantId, UpstreamAuth,
//! };
//! use gatewright_core::{AnyIdentified, SystemClock, authenticate, authorize, engine_fn, resolver_fn};
//! use gatewright_vault::{Credential, CredentialLayer, TokenVault, VaultError};
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{ServiceBuilder, ServiceExt as _, service_fn};
//!
//! struct AnnsKey;
//!
//! #[async_trait]
//! impl TokenVault for AnnsKey {
//!     async fn credential(
//!         &self,
//!         _: &TenantId,
//!         owner: &CredentialOwner,
//!         _: &ServerName,
//!     ) -> Result<Option<Credential>, VaultError> {
//!         let key = || Credential { secret: Secret::new("s3cret".into()), version: 1 };
//!         Ok((owner.to_string() == "user:own|ann").then(key))
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let route = Route::single("wiki", "https://api.example.com/mcp").unwrap()
//!     .map_profile(|profile| profile.credential.mode = CredentialMode::PerUser);
//! let upstream = service_fn(async |request: Request<_>| {
//!     let auth: &UpstreamAuth = request.extensions().get().unwrap();
//!     let (_, value) = auth.header().unwrap().unwrap();
//!     Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::copy_from_slice(value.as_bytes()))))
//! });
//! let service = ServiceBuilder::new().layer(CredentialLayer::new(AnnsKey)).service(upstream);
//!
//! // What the layers above do: who calls, and may they?
//! let permitted = async |user: &'static str| {
//!     let (mut parts, ()) = Request::post("/mcp").body(()).unwrap().into_parts();
//!     parts.extensions.insert(route.clone());
//!     let who = resolver_fn(|_| Outcome::Identified(Box::new(Identity::user(Party::new(Subject::new("own", user))))));
//!     let principal = authenticate(&who, &AnyIdentified, &SystemClock, &parts).await.unwrap();
//!     let body = br#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#.as_slice();
//!     let call = CallBody::parse(&route, &parts, body.into(), &Default::default()).unwrap();
//!     let anybody = engine_fn(|_, _| Decision::allow(["anybody"]));
//!     Request::from_parts(parts, authorize(&anybody, &principal, call).await.unwrap())
//! };
//!
//! let answer = service.clone().oneshot(permitted("ann").await).await.unwrap();
//! # use http_body_util::BodyExt as _;
//! assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "Bearer s3cret");
//!
//! let refused = service.oneshot(permitted("ben").await).await.unwrap();
//! let text = String::from_utf8_lossy(refused.body().known().unwrap()).into_owned();
//! assert!(text.contains(r#""id":7,"error":{"code":4401,"message":"Your account at wiki is not connected"#), "{text}");
//! # });
//! ```
//!
//! **Reads** the [`Permitted`](gatewright_core::Permitted) call: its principal, its obligations, and the credential rule of
//! its route. The obligation `credential` chooses another mode for the call.
//!
//! **Adds** the [`UpstreamAuth`](gatewright_core::UpstreamAuth), also where the server needs none; notes whose it is in the
//! [`Draft`](gatewright_core::Draft), if there is one.
//!
//! **Refuses** a call whose caller has no credential at the server (JSON-RPC error 4401 with status 200, in words that an
//! agent can pass on), or no side that could have one (4403); what is no request, with status 403.
//!
//! **Fails** closed: while the vault does not answer it answers 503, and a credential mode that it does not know 500. What
//! was sealed under a key that is not here, or moved to another row, does not open.

mod envelope;
pub mod key_file;
mod keys;
mod layer;
mod records;
mod refusal;
mod sealed;
mod service;
#[cfg(test)]
mod testing;
mod token_vault;

pub use envelope::OpenEnvelopeError;
pub use keys::{
    DerivedKey, EnvironmentKeys, FileKeys, InvalidMasterKey, KeyProvider, MasterKeyId,
    RotateMasterKeyError, UseMasterKeyError, WrappedKey,
};
pub use layer::CredentialLayer;
pub use records::{RecordKey, RecordsError, SealedRecord, SealedRecords};
pub use sealed::{Connection, PutCredentialError, Rewrapped, SealedVault};
pub use service::{ChooseModeError, CredentialService, credential_mode};
pub use token_vault::{Credential, TokenVault, VaultError};
