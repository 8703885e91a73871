use std::{sync::Arc, time::Duration};

use cedar_policy::{Context, RestrictedExpression};
use gatewright_core::{Call, Principal, Timestamp};

use crate::{
    arguments,
    ask::{self, Question},
    index::Slice,
    names::{self, Kind},
    schema::SEE,
    view::View,
};

/// By how much an issuer's clock may be ahead of ours.
const LEEWAY: Duration = Duration::from_secs(60);

/// What the context of a decision is made from.
pub(crate) struct Moment<'a> {
    pub(crate) principal: &'a Principal,
    pub(crate) call: Option<&'a Call>,
    pub(crate) at: Timestamp,
    pub(crate) views: &'a [Arc<View>],
}

impl Moment<'_> {
    pub(super) fn context(&self, question: &Question<'_>, slice: &Slice) -> Option<Context> {
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let mut pairs = self.pairs();
        if question.action != SEE {
            let call = self.call?;
            pairs.push(("method", text(call.method().unwrap_or(question.action.0))));
            pairs.push((
                "args",
                arguments::record(ask::arguments(call), &slice.paths)?,
            ));
        }
        if !slice.timeless {
            pairs.extend(self.caller_pairs(Kind::User, Kind::Agent)?);
        }
        let pairs = pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        Context::from_pairs(pairs).ok()
    }

    /// What every context has.
    pub(crate) fn pairs(&self) -> Vec<(&'static str, RestrictedExpression)> {
        let long = RestrictedExpression::new_long;
        let mut pairs = Vec::with_capacity(10);
        let seconds = self.at.secs();
        pairs.push(("now", long(self.at.millis())));
        pairs.push(("hour", long(seconds.rem_euclid(86_400) / 3_600)));
        // 1970-01-01 was a Thursday.
        pairs.push((
            "weekday",
            long((seconds.div_euclid(86_400) + 3).rem_euclid(7) + 1),
        ));
        pairs.push((
            "delegated",
            RestrictedExpression::new_bool(self.views.len() > 1),
        ));
        pairs
    }

    /// What contexts have of who acts, as entities of these kinds. `None` where one cannot be told apart from others.
    pub(crate) fn caller_pairs(
        &self,
        user: Kind,
        agent: Kind,
    ) -> Option<Vec<(&'static str, RestrictedExpression)>> {
        let mut pairs = Vec::new();
        if let Some(age) = self.authentication_age() {
            pairs.push(("authAge", RestrictedExpression::new_long(age)));
        }
        if let Some(client) = self.principal.client_id() {
            pairs.push((
                "client",
                RestrictedExpression::new_string(client.to_owned()),
            ));
        }
        let parties = [
            ("user", user, self.principal.user()),
            ("agent", agent, self.principal.agent()),
        ];
        for (name, kind, party) in parties {
            if let Some(party) = party {
                let uid = names::subject(kind, party.subject())?;
                pairs.push((name, RestrictedExpression::new_entity_uid(uid)));
            }
        }
        Some(pairs)
    }

    /// Seconds since the person authenticated, rounded up. `None` where nobody says, or says what cannot be: a
    /// moment that has not come is not a recent one.
    fn authentication_age(&self) -> Option<i64> {
        let then = self.principal.authenticated_at()?;
        if then > self.at.plus(LEEWAY) {
            return None;
        }
        let age = self.at.since(then).as_millis().div_ceil(1_000);
        Some(i64::try_from(age).unwrap_or(i64::MAX))
    }
}
