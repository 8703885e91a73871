use std::future::Future;

use http::request::Parts;

use crate::{Clock, Identity, PartyKind, Principal, Route, Status, Subject, Subjects, Who};

/// Whose fault a rejected credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The caller's: another credential would do (401 and `invalid_token`).
    Caller,
    /// The request is malformed: two credentials, one in the query (400 and `invalid_request`, RFC 6750 §3.1).
    Request,
    /// Ours or the issuer's: its keys cannot be had (503). A credential that cannot be checked is not taken.
    Unavailable,
}

/// Why a credential was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Whose fault.
    pub fault: Fault,
    /// A stable code in kebab case, for records and metrics: `expired`, `wrong-audience`, ….
    pub code: &'static str,
    /// One sentence for the caller, without anything taken from the credential.
    pub message: String,
}

/// What a resolver says of a request. Three states: "no credential of my kind" is not "a bad credential".
#[derive(Debug)]
pub enum Outcome {
    /// The request has no credential of this resolver's kind; the next one may look.
    NoCredential,
    /// The credential names this identity.
    Identified(Box<Identity>),
    /// There is a credential of this kind, and it is no good. No other resolver is asked.
    Rejected(Rejection),
}

/// Turns the credential of a request into an identity. Implemented by closures through [`resolver_fn`].
///
/// The [`Route`] is in the extensions of the request; its resource is the only audience to accept.
pub trait Resolver: Send + Sync + 'static {
    /// Looks at the request's head.
    fn resolve(&self, parts: &Parts) -> impl Future<Output = Outcome> + Send;
}

/// A closure as a [`Resolver`], for services that have an authentication of their own.
pub fn resolver_fn<F>(resolve: F) -> ResolverFn<F>
where
    F: Fn(&Parts) -> Outcome + Send + Sync + 'static,
{
    ResolverFn(resolve)
}

/// See [`resolver_fn`].
#[derive(Clone, Copy, Debug)]
pub struct ResolverFn<F>(F);

impl<F> Resolver for ResolverFn<F>
where
    F: Fn(&Parts) -> Outcome + Send + Sync + 'static,
{
    async fn resolve(&self, parts: &Parts) -> Outcome {
        (self.0)(parts)
    }
}

/// Why a request has no principal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthenticateError {
    /// Nothing was presented.
    #[error("no credential was presented")]
    NoCredential,
    /// What was presented is no good.
    #[error("{}", .0.message)]
    Rejected(Rejection),
    /// The credential is good and its subject is switched off.
    #[error("`{0}` is disabled")]
    Disabled(Subject),
    /// The credential is good and nobody knows its subject.
    #[error("`{0}` is not known here")]
    Unknown(Subject),
    /// It cannot be said whether its subject is alive.
    #[error("it cannot be said at present whether `{0}` is alive")]
    Undecided(Subject),
    /// The credential ended before this moment; a resolver should have seen it, a cached answer may not.
    #[error("the credential has expired")]
    Expired,
    /// The credential was withdrawn while the request was under way.
    #[error("the credential was withdrawn")]
    Withdrawn,
    /// No [`Route`] in the request: the stack is wired wrongly.
    #[error("no route in the request")]
    NoRoute,
}

/// The only maker of a [`Principal`]: asks the resolver who it is, and the directory whether they are alive.
///
/// # Errors
/// [`AuthenticateError`] says whether nothing was presented, or what was rejected and why.
pub async fn authenticate<R: Resolver>(
    resolver: &R,
    subjects: &(impl Subjects + ?Sized),
    clock: &(impl Clock + ?Sized),
    parts: &Parts,
) -> Result<Principal, AuthenticateError> {
    let Some(route) = parts.extensions.get::<Route>().cloned() else {
        return Err(AuthenticateError::NoRoute);
    };
    let mut identity = match resolver.resolve(parts).await {
        Outcome::Identified(identity) => *identity,
        Outcome::NoCredential => return Err(AuthenticateError::NoCredential),
        Outcome::Rejected(rejection) => return Err(AuthenticateError::Rejected(rejection)),
    };
    if identity.expires_at.is_some_and(|at| at <= clock.now()) {
        return Err(AuthenticateError::Expired);
    }
    let alone = matches!(identity.who, Who::User(_));
    for (kind, party) in identity.who.parties_mut() {
        let mut status = subjects.status(route.tenant(), kind, party.subject());
        // Who acts for a person was known before; whoever that is, has to come themselves first.
        if status == Status::Unknown && alone && kind == PartyKind::User {
            status = subjects.admit(route.tenant(), party).await;
        }
        match status {
            Status::Active(membership) => party.join(membership),
            Status::Disabled => return Err(AuthenticateError::Disabled(party.subject().clone())),
            Status::Unknown => return Err(AuthenticateError::Unknown(party.subject().clone())),
            Status::Unavailable => {
                return Err(AuthenticateError::Undecided(party.subject().clone()));
            }
        }
    }
    Ok(Principal::new(route, identity))
}

#[cfg(test)]
mod tests {
    use std::{future, pin::Pin};

    use super::*;
    use crate::{AnyIdentified, Group, ManualClock, Membership, Party, TenantId, Timestamp};

    struct Directory;

    impl Subjects for Directory {
        fn status(&self, _: &TenantId, _: PartyKind, subject: &Subject) -> Status {
            match subject.id() {
                "gone" => Status::Disabled,
                "nobody" => Status::Unknown,
                "stale" => Status::Unavailable,
                id => Status::Active(Membership {
                    account: Some(format!("user/{id}").into()),
                    groups: vec![Group::new("directory", &format!("{id}s"))],
                }),
            }
        }

        fn disabled(
            &self,
            _: &TenantId,
            _: &[(PartyKind, Subject)],
        ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin(future::pending())
        }
    }

    fn parts() -> Parts {
        let mut request = http::Request::new(());
        request
            .extensions_mut()
            .insert(Route::single("s", "https://a/mcp").unwrap());
        request.into_parts().0
    }

    fn clock() -> ManualClock {
        ManualClock::at(Timestamp::from_secs(100))
    }

    fn party(id: &str) -> Party {
        Party::new(Subject::new("idp", id))
    }

    async fn identify(identity: Identity) -> Result<Principal, AuthenticateError> {
        let resolver = resolver_fn(move |_| Outcome::Identified(Box::new(identity.clone())));
        authenticate(&resolver, &Directory, &clock(), &parts()).await
    }

    #[tokio::test]
    async fn a_live_subject_becomes_a_principal_with_its_directory_groups() {
        let ann = identify(Identity::user(party("ann"))).await.unwrap();
        assert!(
            ann.user()
                .unwrap()
                .groups()
                .contains(&Group::new("directory", "anns"))
        );
        assert_eq!(&**ann.user().unwrap().account().unwrap(), "user/ann");
    }

    #[tokio::test]
    async fn whom_nobody_knows_or_of_whom_nothing_can_be_said_is_refused() {
        let nobody = identify(Identity::user(party("nobody"))).await;
        let subject = Subject::new("idp", "nobody");
        assert_eq!(nobody.unwrap_err(), AuthenticateError::Unknown(subject));
        let stale = identify(Identity::delegated(party("ann"), party("stale"))).await;
        let subject = Subject::new("idp", "stale");
        assert_eq!(stale.unwrap_err(), AuthenticateError::Undecided(subject));
    }

    #[tokio::test]
    async fn a_disabled_user_or_agent_stops_a_delegation() {
        for (user, agent) in [("gone", "bot"), ("ann", "gone")] {
            let refused = identify(Identity::delegated(party(user), party(agent)))
                .await
                .unwrap_err();
            assert_eq!(
                refused,
                AuthenticateError::Disabled(Subject::new("idp", "gone"))
            );
        }
        assert!(
            identify(Identity::delegated(party("ann"), party("bot")))
                .await
                .is_ok()
        );
    }

    #[tokio::test]
    async fn an_identity_past_its_end_is_refused() {
        let mut identity = Identity::user(party("ann"));
        identity.expires_at = Some(Timestamp::from_secs(100));
        assert_eq!(
            identify(identity.clone()).await.unwrap_err(),
            AuthenticateError::Expired
        );
        identity.expires_at = Some(Timestamp::from_secs(101));
        assert!(identify(identity).await.is_ok());
    }

    #[tokio::test]
    async fn without_a_route_nobody_is_authenticated() {
        let resolver = resolver_fn(|_| Outcome::Identified(Box::new(Identity::user(party("ann")))));
        let (parts, ()) = http::Request::new(()).into_parts();
        let refused = authenticate(&resolver, &AnyIdentified, &clock(), &parts)
            .await
            .unwrap_err();
        assert_eq!(refused, AuthenticateError::NoRoute);
    }

    #[test]
    fn keys_of_delegations_cannot_be_confused() {
        let route = Route::single("s", "https://a/mcp").unwrap();
        let key = |user, agent| {
            let of = |id| Party::new(Subject::new("i", id));
            Principal::new(route.clone(), Identity::delegated(of(user), of(agent))).key()
        };
        assert_ne!(key("a:i|b", "c"), key("a", "b:i|c"));
    }
}
