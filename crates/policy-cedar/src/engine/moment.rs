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
pub(super) struct Moment<'a> {
    pub(super) principal: &'a Principal,
    pub(super) call: Option<&'a Call>,
    pub(super) at: Timestamp,
    pub(super) views: &'a [Arc<View>],
}

impl Moment<'_> {
    pub(super) fn context(&self, question: &Question<'_>, slice: &Slice) -> Option<Context> {
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let long = RestrictedExpression::new_long;
        let mut pairs: Vec<(&str, RestrictedExpression)> = Vec::with_capacity(10);
        if question.action != SEE {
            let call = self.call?;
            pairs.push(("method", text(call.method().unwrap_or(question.action.0))));
            pairs.push((
                "args",
                arguments::record(ask::arguments(call), &slice.paths)?,
            ));
        }
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
        if !slice.timeless {
            if let Some(age) = self.authentication_age() {
                pairs.push(("authAge", long(age)));
            }
            if let Some(client) = self.principal.client_id() {
                pairs.push(("client", text(client)));
            }
            let (user, agent) = (self.principal.user(), self.principal.agent());
            for (name, kind, party) in [("user", Kind::User, user), ("agent", Kind::Agent, agent)] {
                if let Some(party) = party {
                    let uid = names::subject(kind, party.subject())?;
                    pairs.push((name, RestrictedExpression::new_entity_uid(uid)));
                }
            }
        }
        Context::from_pairs(
            pairs
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value)),
        )
        .ok()
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
