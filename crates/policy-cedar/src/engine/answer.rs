//! The answer of one party's policies to one question.

use std::sync::{Arc, atomic::Ordering};

use cedar_policy::{Entities, EntityUid};

use super::moment::Moment;
use crate::{
    CedarEngine,
    ask::Question,
    view::{Ready, Verdict, View},
};

/// How many answers all views keep together.
pub(crate) const ANSWERS: usize = 500_000;
/// Answers about longer ids are not kept, in bytes: callers and servers choose them.
const LONGEST_KEPT: usize = 256;

impl CedarEngine {
    /// The answer to one question, from the last time where time and arguments cannot change it.
    pub(super) fn answer(
        &self,
        view: &View,
        question: &Question<'_>,
        moment: &Moment<'_>,
    ) -> Arc<Verdict> {
        if let Some(verdict) = crate::read(&view.answers).get(question) {
            return Arc::clone(verdict);
        }
        let target = question.target();
        let scopes = [
            self.index.resource(&target),
            self.index.resource(&question.target_server()),
        ];
        let Some(ready) = view.ready(&self.index, &self.actions, question.action, scopes) else {
            return Arc::new(Verdict::default());
        };
        let verdict = Arc::new(self.evaluate(view, question, target, &ready, moment));
        // A caller could ask for names that it makes up, without end: of those, only the ones that there are are kept.
        if ready.slice.timeless && (verdict.allowed || moment.call.is_none()) {
            self.keep(view, question, &verdict);
        }
        verdict
    }

    fn keep(&self, view: &View, question: &Question<'_>, verdict: &Arc<Verdict>) {
        let Some(asked) = question.to_asked(LONGEST_KEPT) else {
            return;
        };
        if self.answers.fetch_add(1, Ordering::Relaxed) >= ANSWERS {
            // All at once, as `Limited` does: who fills the memory costs others time and nothing else.
            self.answers.store(0, Ordering::Relaxed);
            crate::write(&self.views).clear();
        }
        crate::write(&view.answers).insert(asked, Arc::clone(verdict));
    }

    fn evaluate(
        &self,
        view: &View,
        question: &Question<'_>,
        target: EntityUid,
        ready: &Ready,
        moment: &Moment<'_>,
    ) -> Verdict {
        let slice = &*ready.slice;
        if slice.len == 0 {
            return Verdict::default();
        }
        let failed = |error: String| Verdict {
            errors: vec![error],
            slice: slice.len,
            ..Verdict::default()
        };
        let Some(context) = moment.context(question, slice) else {
            return failed("the context of the call cannot be made".to_owned());
        };
        let principal = view.uid.clone();
        let action = question.action.uid();
        let Some(entity) = question.entity(target.clone(), self.facts(question)) else {
            return failed("the target cannot be an entity".to_owned());
        };
        // The schema is held against every request: a value of the wrong type must not reach a policy.
        let request = match cedar_policy::Request::new(
            principal,
            action,
            target,
            context,
            Some(&self.schema),
        ) {
            Ok(request) => request,
            Err(error) => return failed(error.to_string()),
        };
        let others = moment
            .views
            .iter()
            .filter(|other| other.uid != view.uid && !slice.timeless);
        let more = [entity]
            .into_iter()
            .chain(others.map(|other| other.entity.clone()));
        let entities = match Entities::clone(&ready.entities).add_entities(more, None) {
            Ok(entities) => entities,
            Err(error) => return failed(error.to_string()),
        };
        let response = self
            .authorizer
            .is_authorized(&request, &slice.set, &entities);
        let errors: Vec<String> = response
            .diagnostics()
            .errors()
            .map(ToString::to_string)
            .collect();
        let mut policies: Vec<Arc<str>> = response
            .diagnostics()
            .reason()
            .map(|id| self.index.reported(id))
            .collect();
        policies.sort();
        policies.dedup();
        let reasons = response.diagnostics().reason();
        let credentials = reasons.filter_map(|id| self.index.credential(id)).collect();
        // INVARIANT: a policy that fails might have been the one that forbids, so it denies.
        let allowed = response.decision() == cedar_policy::Decision::Allow && errors.is_empty();
        Verdict {
            allowed,
            policies,
            credentials,
            errors,
            slice: slice.len,
        }
    }
}
