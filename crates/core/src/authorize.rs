use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::{Call, CallBody, PolicyEngine, Principal, SubscriptionsError};

/// The version of the snapshot (policies, roles, grants) that a decision was made on; 0 where there is only one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct SnapshotVersion(pub u64);

/// Something that an allowing policy asks of a layer below.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Obligation {
    /// What is asked, in kebab case.
    pub name: String,
    /// With which value.
    pub value: String,
}

impl Obligation {
    /// The call goes upstream with the credential of this [mode](crate::CredentialMode), whatever the server's is.
    pub const CREDENTIAL: &'static str = "credential";

    /// `name` is asked, with this value.
    #[must_use]
    pub fn new(name: &str, value: &str) -> Self {
        Self {
            name: name.to_owned(),
            value: value.to_owned(),
        }
    }
}

/// What would cure a refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Challenge {
    /// Every scope that the call needs (RFC 6750 §3.1 `insufficient_scope`).
    pub scopes: Vec<String>,
}

impl Challenge {
    /// Asks for scopes.
    #[must_use]
    pub fn scopes<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            scopes: scopes.into_iter().map(str::to_owned).collect(),
        }
    }
}

/// What an engine says of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may go on.
    Allow {
        /// Ids of the policies that allow it.
        policies: Arc<[Arc<str>]>,
        /// What layers below must do.
        obligations: Vec<Obligation>,
        /// What was asked.
        snapshot: SnapshotVersion,
    },
    /// It may not.
    Deny {
        /// Ids of the policies that forbid it; empty when none permits it.
        policies: Arc<[Arc<str>]>,
        /// Why, for the record; the caller never sees it.
        reason: String,
        /// What was asked.
        snapshot: SnapshotVersion,
    },
    /// It may not yet.
    Challenge {
        /// What would cure it.
        challenge: Challenge,
        /// What was asked.
        snapshot: SnapshotVersion,
    },
}

impl Decision {
    /// Allowed by these policies.
    #[must_use]
    pub fn allow<'a>(policies: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Allow {
            policies: policies.into_iter().map(Arc::from).collect(),
            obligations: Vec::new(),
            snapshot: SnapshotVersion::default(),
        }
    }

    /// Denied because no policy permits it.
    #[must_use]
    pub fn deny(reason: &str) -> Self {
        Self::Deny {
            policies: Arc::default(),
            reason: reason.to_owned(),
            snapshot: SnapshotVersion::default(),
        }
    }
}

/// What an engine said when it allowed a call.
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    policies: Arc<[Arc<str>]>,
    obligations: Vec<Obligation>,
    snapshot: SnapshotVersion,
}

impl Permit {
    /// Ids of the policies that allow the call.
    #[must_use]
    pub const fn policies(&self) -> &Arc<[Arc<str>]> {
        &self.policies
    }

    /// What layers below must do.
    #[must_use]
    pub fn obligations(&self) -> &[Obligation] {
        &self.obligations
    }

    /// The snapshot that was asked.
    #[must_use]
    pub const fn snapshot(&self) -> SnapshotVersion {
        self.snapshot
    }
}

/// A call together with the decision that allowed it, and for whom. Read-only, not `Clone`, made only by
/// [`authorize`]: code below that takes it cannot be reached without a decision.
#[derive(Debug)]
pub struct Permitted {
    body: CallBody,
    permit: Permit,
    principal: Principal,
}

impl Permitted {
    /// The call.
    #[must_use]
    pub fn call(&self) -> &Call {
        self.body.call()
    }

    /// The decision.
    #[must_use]
    pub const fn permit(&self) -> &Permit {
        &self.permit
    }

    /// Who was allowed.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }
}

impl Body for Permitted {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A denial: policies that forbid, or none that permits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Ids of the policies that forbid the call.
    pub policies: Arc<[Arc<str>]>,
    /// Why, for the record; the caller never sees it.
    pub reason: String,
}

/// Why a call is not permitted. Both hand the call back, so that the refusal can carry its id.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorizeError {
    /// The engine denies it, or was asked on behalf of somebody who authenticated elsewhere.
    #[error("denied: {}", denial.reason)]
    Denied {
        /// Who or what denies it.
        denial: Denial,
        /// What was asked.
        snapshot: SnapshotVersion,
        /// The call.
        call: Box<CallBody>,
    },
    /// A scope or fresher authentication would cure it.
    #[error("more is needed: {challenge:?}")]
    Challenged {
        /// What would cure it.
        challenge: Challenge,
        /// What was asked.
        snapshot: SnapshotVersion,
        /// The call.
        call: Box<CallBody>,
    },
}

/// The only maker of a [`Permitted`]: asks the engine about this very call by this very principal.
///
/// The token's scopes bound what any engine allows (invariant 5): a call that the engine allows and whose
/// scopes are missing is challenged, one that it denies stays denied, so that no challenge asks for a scope
/// that would not help.
///
/// # Errors
/// [`AuthorizeError`] when the engine denies or challenges, or the principal belongs to another route.
pub async fn authorize<E: PolicyEngine>(
    engine: &E,
    principal: &Principal,
    body: CallBody,
) -> Result<Permitted, AuthorizeError> {
    // A principal proves who called on its own route; elsewhere it proves nothing (invariant 2).
    if !principal.route().is(body.call().route()) {
        return Err(AuthorizeError::Denied {
            denial: Denial {
                policies: Arc::default(),
                reason: "the principal belongs to another route".to_owned(),
            },
            snapshot: SnapshotVersion::default(),
            call: Box::new(body),
        });
    }
    match engine.decide(principal, body.call()).await {
        Decision::Allow {
            policies,
            obligations,
            snapshot,
        } => {
            let needed = match scopes_of(body.call()) {
                Ok(needed) => needed,
                Err(error) => {
                    return Err(AuthorizeError::Denied {
                        denial: Denial {
                            policies: Arc::default(),
                            reason: error.to_string(),
                        },
                        snapshot,
                        call: Box::new(body),
                    });
                }
            };
            if let Some(scopes) = principal.scopes()
                && !needed.iter().all(|scope| scopes.contains(*scope))
            {
                let challenge = Challenge::scopes(needed);
                return Err(AuthorizeError::Challenged {
                    challenge,
                    snapshot,
                    call: Box::new(body),
                });
            }
            let permit = Permit {
                policies,
                obligations,
                snapshot,
            };
            Ok(Permitted {
                body,
                permit,
                principal: principal.clone(),
            })
        }
        Decision::Deny {
            policies,
            reason,
            snapshot,
        } => Err(AuthorizeError::Denied {
            denial: Denial { policies, reason },
            snapshot,
            call: Box::new(body),
        }),
        Decision::Challenge {
            challenge,
            snapshot,
        } => Err(AuthorizeError::Challenged {
            challenge,
            snapshot,
            call: Box::new(body),
        }),
    }
}

/// The scopes that a call needs: for its target, or for everything that it subscribes to.
fn scopes_of(call: &Call) -> Result<Vec<&str>, SubscriptionsError> {
    let mut needed = call.route().scopes_for(call.target());
    for uri in call.subscriptions()? {
        for scope in call.route().scopes_for(Some(&uri)) {
            if !needed.contains(&scope) {
                needed.push(scope);
            }
        }
    }
    Ok(needed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use gatewright_wire::ItemKind;

    use super::*;
    use crate::{
        AdminAction, AdminVerb, Identity, Party, Route, ScopeRule, Subject, TenantId,
        access::Pattern, engine_fn,
    };

    fn route(server: &str) -> Route {
        Route::single(server, "https://a/mcp")
            .unwrap()
            .map_profile(|profile| {
                profile.scopes = vec![ScopeRule {
                    targets: vec![Pattern::new("pay")],
                    scopes: vec!["write".to_owned()],
                }];
            })
    }

    fn principal(server: &str, scopes: Option<&[&str]>) -> Principal {
        let mut identity = Identity::user(Party::new(Subject::new("idp", "ann")));
        identity.scopes = scopes.map(|scopes| {
            scopes
                .iter()
                .map(|s| Arc::from(*s))
                .collect::<BTreeSet<_>>()
        });
        Principal::new(route(server), identity)
    }

    fn call(tool: &str) -> CallBody {
        let (parts, ()) = http::Request::post("/mcp").body(()).unwrap().into_parts();
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}"}}}}"#
        );
        CallBody::parse(&route("s"), &parts, body.into(), &Default::default()).unwrap()
    }

    #[tokio::test]
    async fn an_allowed_call_is_permitted_for_whom_it_was_asked() {
        let engine = engine_fn(|_, _| Decision::allow(["p"]));
        let permitted = authorize(&engine, &principal("s", None), call("pay"))
            .await
            .unwrap();
        assert_eq!(**permitted.permit().policies(), ["p".into()]);
        assert_eq!(permitted.principal().key(), "user:idp|ann");
        assert_eq!(permitted.call().target(), Some("pay"));
    }

    #[tokio::test]
    async fn an_engine_that_knows_no_administrators_denies_them_everything() {
        let engine = engine_fn(|_, _| Decision::allow(["p"]));
        for verb in AdminVerb::ALL {
            let action = AdminAction::new(TenantId::default(), *verb, "thing", "x");
            let decision = engine.decide_admin(&principal("s", None), &action).await;
            assert!(matches!(decision, Decision::Deny { .. }), "{verb}");
        }
    }

    #[tokio::test]
    async fn a_denied_call_is_not() {
        let engine = engine_fn(|_, _| Decision::deny("no"));
        let refused = authorize(&engine, &principal("s", None), call("pay"))
            .await
            .unwrap_err();
        assert!(matches!(refused, AuthorizeError::Denied { denial, .. } if denial.reason == "no"));
    }

    #[tokio::test]
    async fn a_principal_of_another_route_is_denied_whatever_the_engine_says() {
        let engine = engine_fn(|_, _| Decision::allow(["p"]));
        let refused = authorize(&engine, &principal("other", None), call("pay"))
            .await
            .unwrap_err();
        assert!(matches!(refused, AuthorizeError::Denied { .. }));
    }

    #[tokio::test]
    async fn a_missing_scope_is_challenged_only_where_it_would_help() {
        let allows = engine_fn(|_, _| Decision::allow(["p"]));
        let refused = authorize(&allows, &principal("s", Some(&["read"])), call("pay"))
            .await
            .unwrap_err();
        assert!(
            matches!(refused, AuthorizeError::Challenged { challenge, .. } if challenge.scopes == ["write"])
        );
        assert!(
            authorize(&allows, &principal("s", Some(&["write"])), call("pay"))
                .await
                .is_ok()
        );
        assert!(
            authorize(&allows, &principal("s", Some(&[])), call("read"))
                .await
                .is_ok()
        );

        let denies = engine_fn(|_, _| Decision::deny("no"));
        let refused = authorize(&denies, &principal("s", Some(&["read"])), call("pay"))
            .await
            .unwrap_err();
        assert!(matches!(refused, AuthorizeError::Denied { .. }));
    }

    fn listen(subscriptions: &str) -> CallBody {
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{{
            "notifications":{{"resourceSubscriptions":{subscriptions}}},
            "_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
                "io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
        );
        let request = http::Request::post("/mcp")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "subscriptions/listen");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        CallBody::parse(&route("s"), &parts, text.into(), &Default::default()).unwrap()
    }

    /// Invariant 5: what a call subscribes to, it uses.
    #[tokio::test]
    async fn a_subscription_needs_the_scopes_of_what_it_names() {
        let allows = engine_fn(|_, _| Decision::allow(["p"]));
        let reader = principal("s", Some(&["read"]));
        assert!(
            authorize(&allows, &reader, listen(r#"["other"]"#))
                .await
                .is_ok()
        );
        let refused = authorize(&allows, &reader, listen(r#"["other","pay"]"#))
            .await
            .unwrap_err();
        assert!(
            matches!(refused, AuthorizeError::Challenged { challenge, .. } if challenge.scopes == ["write"])
        );
        let writer = principal("s", Some(&["write"]));
        assert!(
            authorize(&allows, &writer, listen(r#"["pay"]"#))
                .await
                .is_ok()
        );
        for unreadable in [r#""pay""#, "[7]", &format!("{:?}", vec!["x"; 1_001])] {
            let refused = authorize(&allows, &writer, listen(unreadable)).await;
            assert!(
                matches!(refused, Err(AuthorizeError::Denied { .. })),
                "{unreadable}"
            );
        }
    }

    #[tokio::test]
    async fn a_closure_shows_what_it_would_let_be_called() {
        let engine = engine_fn(|_, call| match call.target() {
            Some("pay") => Decision::allow(["p"]),
            _ => Decision::deny("no"),
        });
        let visible = engine
            .visible(
                &principal("s", None),
                &route("s"),
                ItemKind::Tool,
                &["read", "pay"],
            )
            .await;
        assert_eq!(visible.shown, [false, true]);
    }
}
