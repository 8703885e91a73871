use gatewright_core::{
    Call, Principal, Timestamp,
    access::{Grant, Grantee},
};
use gatewright_policy::{Explain, Explanation, Half, HeldRole};

use crate::{
    CedarEngine,
    ask::Question,
    view::{Held, Verdict, View},
};

impl Explain for CedarEngine {
    async fn explain(&self, principal: &Principal, call: &Call) -> Explanation {
        let (decision, halves) = self.judge(principal, call, true);
        let views = self.views(principal, self.clock.now()).unwrap_or_default();
        let roles = views.iter().flat_map(|view| {
            let held = view.held.iter();
            held.flat_map(|held| held_roles(&view.uid.to_string(), held))
        });
        Explanation::new(decision, halves, roles.collect())
    }
}

pub(super) fn half(view: &View, question: &Question<'_>, verdict: &Verdict) -> Half {
    let mut half = Half::denied(
        view.uid.to_string(),
        question.action.0.to_owned(),
        question.target().to_string(),
    );
    half.allowed = verdict.allowed;
    half.policies = verdict.policies.iter().map(ToString::to_string).collect();
    half.errors.clone_from(&verdict.errors);
    half.slice = verdict.slice;
    half
}

/// A grant, as each of the roles that it gives.
fn held_roles(party: &str, held: &Held) -> Vec<HeldRole> {
    let through = through(held);
    let roles = held.roles.iter();
    roles
        .map(|role| held_role(party, &through, role, &held.grant))
        .collect()
}

/// What a grant is to: an entity, or an account of the directory, which policies do not know.
pub(crate) fn through(held: &Held) -> String {
    match &held.grant.to {
        account @ Grantee::Account(_) => account.to_string(),
        Grantee::User(_) | Grantee::Group(_) | Grantee::Agent(_) => held.through.to_string(),
    }
}

/// A role that a grant gives.
pub(crate) fn held_role(party: &str, through: &str, role: &str, grant: &Grant) -> HeldRole {
    let mut held = HeldRole::new(party.to_owned(), role.to_owned(), through.to_owned());
    held.granted = (grant.role != role).then(|| grant.role.clone());
    held.over = grant.over.as_ref().map(ToString::to_string);
    held.expires = grant.expires.map(moment);
    held.reason.clone_from(&grant.reason);
    held
}

/// A moment for people and their programs (RFC 3339).
pub(crate) fn moment(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.millis()) {
        Ok(at) => at.to_string(),
        Err(_beyond_the_year_9999) => format!("{} ms since 1970", at.millis()),
    }
}
