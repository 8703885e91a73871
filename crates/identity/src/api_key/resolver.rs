use std::sync::Arc;

use gatewright_core::{Fault, Identity, Method, Outcome, Party, Rejection, Resolver, Route};
use http::request::Parts;

use super::{
    ApiKeyRing, KeyHolder,
    key::{Key, UnfitKey},
    text,
};
use crate::credential;

/// Takes API keys that this installation issued, from `Authorization: Bearer gwk_…`.
///
/// Belongs before resolvers of other bearer tokens in a [`Chain`](crate::Chain): what begins as a key of ours is taken or
/// rejected here, and no other resolver sees it. Whoever calls with a key has only what is granted to themselves: a key
/// knows no groups, no roles and no scopes.
#[derive(Clone, Debug)]
pub struct ApiKeyResolver(ApiKeyRing);

impl ApiKeyResolver {
    /// Takes the keys of this ring.
    #[must_use]
    pub const fn new(ring: ApiKeyRing) -> Self {
        Self(ring)
    }
}

impl Resolver for ApiKeyResolver {
    async fn resolve(&self, parts: &Parts) -> Outcome {
        let token = match credential::bearer(parts) {
            Ok(Some(token)) if text::is_key(token) => token,
            Ok(_) => return Outcome::NoCredential,
            Err(rejection) => return Outcome::Rejected(rejection),
        };
        // `authenticate` refuses a request without a route before it asks anybody.
        let Some(route) = parts.extensions.get::<Route>() else {
            return Outcome::Rejected(rejection(UnfitKey::NotLoaded));
        };
        match self.0.find(route, token) {
            Ok(key) => Outcome::Identified(Box::new(identity(&key))),
            Err(unfit) => Outcome::Rejected(rejection(unfit)),
        }
    }
}

fn identity(key: &Key) -> Identity {
    let mut identity = match &key.record.holder {
        KeyHolder::Agent(subject) => Identity::agent(Party::new(subject.clone())),
        KeyHolder::User(subject) => Identity::user(Party::new(subject.clone())),
    };
    identity.method = Method::ApiKey;
    // The key is what they act through: the record names it, and no OAuth client is named like this.
    identity.client_id = Some(Arc::clone(&key.client_id));
    identity.expires_at = Some(key.record.expires_at);
    identity.withdrawal = Some(key.withdrawal.clone());
    identity
}

fn rejection(unfit: UnfitKey) -> Rejection {
    let (fault, code, message) = match unfit {
        UnfitKey::Malformed => (
            Fault::Caller,
            "malformed-key",
            "this is no API key: a part of it is missing or mistyped",
        ),
        UnfitKey::Unknown => (
            Fault::Caller,
            "unknown-key",
            "the API key is not one of this endpoint",
        ),
        UnfitKey::Revoked => (Fault::Caller, "revoked-key", "the API key was revoked"),
        UnfitKey::Expired => (Fault::Caller, "expired-key", "the API key has expired"),
        UnfitKey::OtherServer => (
            Fault::Caller,
            "wrong-server-key",
            "the API key is not for this server",
        ),
        UnfitKey::PeopleOff => (
            Fault::Caller,
            "people-keys-off",
            "people sign in here: API keys are for agents only",
        ),
        UnfitKey::NotLoaded | UnfitKey::NoMacKey => (
            Fault::Unavailable,
            "keys-unavailable",
            "the API key cannot be checked now",
        ),
    };
    Rejection {
        fault,
        code,
        message: message.to_owned(),
    }
}
