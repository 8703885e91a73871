//! Access tokens that are JWTs, of configured issuers.

mod cache;
mod claims;
mod discovery;
mod issuer;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, fmt, sync::Arc};

use arc_swap::ArcSwap;
use gatewright_core::{Clock, Fault, Outcome, Rejection, Resolver, Route, SystemClock, TenantId};
use gatewright_egress::{Class, Egress};
use gatewright_jose::{
    CacheTimes, Expect, JwksUrl, KeySource, KeysUnavailable, Unverified, VerifyTokenError,
};
use http::request::Parts;

use self::{
    cache::{Entry, TokenCache},
    discovery::Discovery,
};
pub use self::{
    claims::MapClaimsError,
    issuer::{InvalidIssuer, TrustedIssuer},
};
use crate::credential;

/// Why an issuer cannot be trusted from now on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoverIssuerError {
    /// The identifier is not one.
    #[error(transparent)]
    Invalid(#[from] InvalidIssuer),
    /// Its metadata or its keys cannot be had.
    #[error(transparent)]
    Unavailable(#[from] KeysUnavailable),
}

/// Takes JWT access tokens of the issuers that a tenant trusts. Clones share what they trust and remember.
///
/// A token must name the route's resource as its audience (RFC 8707) and be good in every other way that
/// [`Expect`] and [`gatewright_jose::verify`] know. One that was verified before is remembered by its hash, and then
/// only its signature is not checked again: audience, times, and whether issuer and key are still trusted are
/// checked at every use (invariant 2).
#[derive(Clone)]
pub struct JwtResolver(Arc<Inner>);

struct Inner {
    egress: Egress,
    clock: Arc<dyn Clock>,
    trusted: ArcSwap<Trusted>,
    cache: TokenCache,
}

/// Whom each tenant trusts, by the `iss` of tokens.
type Trusted = HashMap<TenantId, HashMap<String, Arc<Source>>>;

/// An issuer, and where its keys come from.
struct Source {
    issuer: TrustedIssuer,
    keys: KeySource,
}

impl JwtResolver {
    /// Trusts nobody yet; see [`replace`](Self::replace).
    #[must_use]
    pub fn new(egress: &Egress) -> Self {
        Self::with_clock(egress, SystemClock)
    }

    /// The same on another clock.
    #[must_use]
    pub fn with_clock(egress: &Egress, clock: impl Clock) -> Self {
        Self(Arc::new(Inner {
            egress: egress.clone(),
            clock: Arc::new(clock),
            trusted: ArcSwap::default(),
            cache: TokenCache::new(),
        }))
    }

    /// Trusts one issuer, in the default tenant, whose metadata and keys are fetched now.
    ///
    /// An issuer on loopback is one under development: then, and only then, plain `http` and loopback are reached.
    ///
    /// # Errors
    /// [`DiscoverIssuerError`] when the identifier is no URL, or the issuer cannot be asked.
    pub async fn discover(issuer: &str) -> Result<Self, DiscoverIssuerError> {
        let issuer = TrustedIssuer::new(issuer)?;
        let egress = Egress::builder()
            .development(issuer.is_on_loopback())
            .build();
        let resolver = Self::new(&egress);
        let id = issuer.id().to_owned();
        resolver.replace([(TenantId::default(), issuer)]);
        let source = resolver.source(&TenantId::default(), &id);
        if let Some(source) = source {
            source.keys.keys().await?;
        }
        Ok(resolver)
    }

    /// Trusts these issuers, each in its tenant, and no others from now on. What is known of issuers that stay as
    /// they were is kept; tokens of all others are no longer taken, remembered or not.
    pub fn replace(&self, issuers: impl IntoIterator<Item = (TenantId, TrustedIssuer)>) {
        let before = self.0.trusted.load();
        let mut trusted = Trusted::new();
        for (tenant, issuer) in issuers {
            let known = before.get(&tenant).and_then(|of| of.get(issuer.id()));
            let source = match known {
                Some(same) if same.issuer == issuer => Arc::clone(same),
                _ => Arc::new(Source {
                    keys: self.keys(&before, &trusted, &issuer),
                    issuer,
                }),
            };
            let id = source.issuer.id().to_owned();
            trusted.entry(tenant).or_default().insert(id, source);
        }
        self.0.trusted.store(Arc::new(trusted));
    }

    /// Where the keys come from: tenants that trust the same issuer share what is fetched of it, which is public.
    fn keys(&self, before: &Trusted, now: &Trusted, issuer: &TrustedIssuer) -> KeySource {
        let mut known = before
            .values()
            .chain(now.values())
            .flat_map(HashMap::values);
        if let Some(same) = known.find(|source| source.issuer.keys_are_those_of(issuer)) {
            return same.keys.clone();
        }
        let (clock, times) = (Arc::clone(&self.0.clock), CacheTimes::default());
        match issuer.jwks_url() {
            Some(url) => {
                let fetcher = JwksUrl::new(&self.0.egress, Class::Operator, url.clone());
                KeySource::fetched(fetcher, clock, times)
            }
            None => {
                let fetcher = Discovery::new(&self.0.egress, issuer);
                KeySource::fetched(fetcher, clock, times)
            }
        }
    }

    fn source(&self, tenant: &TenantId, issuer: &str) -> Option<Arc<Source>> {
        let trusted = self.0.trusted.load();
        trusted.get(tenant)?.get(issuer).cloned()
    }

    async fn check(&self, route: &Route, token: &str) -> Result<Arc<Entry>, Rejection> {
        let key = TokenCache::key(route.tenant(), token);
        if let Some(entry) = self.0.cache.get(&key)
            && let Some(source) = self.source(route.tenant(), entry.token.claims().issuer())
            && entry.is_by(&source)
        {
            let keys = source.keys.keys().await.map_err(unavailable)?;
            // A key that the issuer has withdrawn takes its tokens with it.
            if entry
                .token
                .is_still_by(&keys, source.issuer.allowed_algorithms())
            {
                let (typ, claims) = (entry.token.typ(), entry.token.claims());
                source
                    .issuer
                    .expect(route.resource())
                    .check(typ, claims, self.0.clock.now())
                    .map_err(unfit)?;
                return Ok(entry);
            }
        }
        let entry = Arc::new(self.verify(route, token).await?);
        self.0.cache.insert(key, Arc::clone(&entry));
        Ok(entry)
    }

    async fn verify(&self, route: &Route, token: &str) -> Result<Entry, Rejection> {
        let unverified = Unverified::parse(token).map_err(unfit)?;
        let Some(source) = self.source(route.tenant(), unverified.claims().issuer()) else {
            return Err(rejected(
                "unknown-issuer",
                "the token is of an issuer that is not trusted here",
            ));
        };
        // Before the signature: what is no good anyway makes nobody fetch keys.
        let expect: Expect<'_> = source.issuer.expect(route.resource());
        expect
            .check(unverified.typ(), unverified.claims(), self.0.clock.now())
            .map_err(unfit)?;
        let keys = source
            .keys
            .keys_for(unverified.kid())
            .await
            .map_err(unavailable)?;
        let token = unverified
            .verify(&keys, source.issuer.allowed_algorithms())
            .map_err(unfit)?;
        let identity = source.issuer.identity(token.claims(), self.0.clock.now());
        let identity = identity.map_err(|error| rejected(error.code(), &error.to_string()))?;
        Ok(Entry::new(token, identity, source))
    }
}

impl Resolver for JwtResolver {
    async fn resolve(&self, parts: &Parts) -> Outcome {
        let token = match credential::bearer(parts) {
            Ok(Some(token)) => token,
            Ok(None) => return Outcome::NoCredential,
            Err(rejection) => return Outcome::Rejected(rejection),
        };
        // `authenticate` refuses a request without a route before it asks anybody.
        let Some(route) = parts.extensions.get::<Route>() else {
            return Outcome::NoCredential;
        };
        match self.check(route, token).await {
            Ok(entry) => Outcome::Identified(Box::new(entry.identity.clone())),
            Err(rejection) => Outcome::Rejected(rejection),
        }
    }
}

impl fmt::Debug for JwtResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtResolver").finish_non_exhaustive()
    }
}

fn rejected(code: &'static str, message: &str) -> Rejection {
    Rejection {
        fault: Fault::Caller,
        code,
        message: message.to_owned(),
    }
}

/// In the words of the crate that checks tokens: they hold nothing of the token.
fn unfit(error: VerifyTokenError) -> Rejection {
    rejected(error.code(), &error.to_string())
}

/// What cannot be checked is not taken. Why not is in the log of the source: the caller cannot do anything about it.
fn unavailable(_: KeysUnavailable) -> Rejection {
    Rejection {
        fault: Fault::Unavailable,
        code: "keys-unavailable",
        message: "the token cannot be checked now: the keys of its issuer cannot be had".to_owned(),
    }
}
