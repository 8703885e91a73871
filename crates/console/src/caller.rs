//! Who asks.

use axum::extract::{ConnectInfo, FromRequestParts};
use gatewright_core::{Actor, PartyKind, Principal, Subject, TenantId};
use gatewright_directory::{
    Directory,
    model::{Document, Identity},
    records::Kind,
};
use http::{StatusCode, request::Parts};

use crate::{Operator, problem::Problem};

/// Whoever asks: an operator, as the kernel says, or whoever brought a token, as the identity layer says. Where neither said
/// anything, the router is wired wrongly and answers nothing.
#[derive(Clone, Debug)]
pub(crate) struct Caller(Actor);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // Who comes with a token is never an operator, whatever else stands in the request.
        if let Some(principal) = parts.extensions.get::<Principal>() {
            return Ok(Self(Actor::Principal(principal.clone())));
        }
        match ConnectInfo::<Operator>::from_request_parts(parts, state).await {
            Ok(ConnectInfo(operator)) => Ok(Self(Actor::Operator(operator.uid))),
            Err(_unsaid) => Err(Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "no-caller",
                "nobody said who asks: the gateway is wired wrongly",
            )),
        }
    }
}

impl Caller {
    pub(crate) const fn actor(&self) -> &Actor {
        &self.0
    }

    /// The tenant that they are of; operators are of none.
    pub(crate) fn tenant(&self) -> Option<&TenantId> {
        match &self.0 {
            Actor::Principal(principal) => Some(principal.tenant()),
            _ => None,
        }
    }

    /// As whom they could come again: what they drafted, none of these publishes.
    pub(crate) async fn could_come_as(
        &self,
        directory: &Directory,
        tenant: &TenantId,
    ) -> Vec<Identity> {
        let principal = match &self.0 {
            Actor::Principal(principal) => principal,
            Actor::Operator(uid) => {
                let operator = Subject::new(Subject::OPERATOR, &format!("uid-{uid}"));
                return vec![Identity::from(&operator)];
            }
            _ => return Vec::new(),
        };
        let mut subjects: Vec<Subject> = Vec::new();
        for (kind, subject) in principal.sides() {
            subjects.push(subject.clone());
            let Some(id) = directory.whose(tenant, kind, subject) else {
                continue;
            };
            subjects.extend(directory.subjects_of(tenant, kind, &id));
            let person = match kind {
                PartyKind::User => Some(id),
                PartyKind::Agent => owner(directory, tenant, &id).await,
            };
            let Some(person) = person else { continue };
            subjects.extend(directory.subjects_of(tenant, PartyKind::User, &person));
            for agent in directory.agents_of(tenant, &person) {
                subjects.extend(directory.subjects_of(tenant, PartyKind::Agent, &agent));
            }
        }
        subjects.sort();
        subjects.dedup();
        subjects.iter().map(Identity::from).collect()
    }
}

async fn owner(
    directory: &Directory,
    tenant: &TenantId,
    agent: &str,
) -> Option<std::sync::Arc<str>> {
    let found = directory.get(tenant, Kind::Agent, agent).await.ok()??;
    match found.document {
        Document::Agent(agent) => agent.owner.map(Into::into),
        _ => None,
    }
}
