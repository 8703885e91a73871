use gatewright_core::{Call, Principal};
use gatewright_policy::{Explain, Explanation, Half, HeldRole};

use crate::{
    CedarEngine,
    ask::Question,
    view::{Verdict, View},
};

impl Explain for CedarEngine {
    async fn explain(&self, principal: &Principal, call: &Call) -> Explanation {
        let (decision, halves) = self.judge(principal, call, true);
        let views = self.views(principal, self.clock.now()).unwrap_or_default();
        let held = views
            .iter()
            .flat_map(|view| view.held.iter().map(move |held| (view, held)));
        let roles = held.map(|(view, held)| {
            HeldRole::new(
                view.uid.to_string(),
                held.grant.role.clone(),
                held.through.to_string(),
            )
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
