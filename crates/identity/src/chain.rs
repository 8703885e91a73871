//! Several kinds of credentials on one endpoint.

use gatewright_core::{Outcome, Resolver};
use http::request::Parts;

/// Two resolvers, asked in order. Chains nest: `Chain::new(a, Chain::new(b, c))`.
///
/// The second is asked only where the first finds no credential of its kind. One that the first rejects never falls
/// through to the second, which might take it for something else.
///
/// ```
/// use gatewright_core::{Fault, Identity, Outcome, Party, Rejection, Resolver as _, Subject, resolver_fn};
/// use gatewright_identity::Chain;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let badges = resolver_fn(|parts| match parts.headers.get("x-badge").map(|badge| badge.as_bytes()) {
///     None => Outcome::NoCredential,
///     Some(b"7") => Outcome::Identified(Box::new(Identity::user(Party::new(Subject::new("door", "ann"))))),
///     Some(_) => Outcome::Rejected(Rejection { fault: Fault::Caller, code: "badge", message: "no such badge".into() }),
/// });
/// let anybody = resolver_fn(|_| Outcome::Identified(Box::new(Identity::user(Party::new(Subject::new("door", "guest"))))));
/// let chain = Chain::new(badges, anybody);
///
/// let (parts, ()) = http::Request::get("/").body(()).unwrap().into_parts();
/// assert!(matches!(chain.resolve(&parts).await, Outcome::Identified(_)));
/// let (parts, ()) = http::Request::get("/").header("x-badge", "8").body(()).unwrap().into_parts();
/// assert!(matches!(chain.resolve(&parts).await, Outcome::Rejected(_)));
/// # });
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Chain<A, B> {
    first: A,
    second: B,
}

impl<A, B> Chain<A, B> {
    /// Asks `first`, then `second`.
    #[must_use]
    pub const fn new(first: A, second: B) -> Self {
        Self { first, second }
    }
}

impl<A: Resolver, B: Resolver> Resolver for Chain<A, B> {
    async fn resolve(&self, parts: &Parts) -> Outcome {
        match self.first.resolve(parts).await {
            Outcome::NoCredential => self.second.resolve(parts).await,
            known => known,
        }
    }
}
