use std::collections::{BTreeMap, BTreeSet, HashMap};

use cedar_policy::{Entity, EntityUid, PolicySet, RestrictedExpression};
use gatewright_core::access::Scope;

use super::AdminPolicies;
use crate::{
    names::{self, Kind},
    view::View,
};

/// One party as the policies on administrators see it, with those that may concern it.
#[derive(Debug)]
pub(crate) struct AdminView {
    pub(super) uid: EntityUid,
    pub(super) entity: Entity,
    pub(super) policies: PolicySet,
}

impl AdminView {
    /// The view of a party that has, besides its grants, `also` this role for the whole tenant. `None` when Cedar
    /// cannot hold it.
    pub(crate) fn new(view: &View, also: Option<&str>, policies: &AdminPolicies) -> Option<Self> {
        let party = view.party();
        let kind = match view.kind() {
            Kind::Agent => Kind::AdminAgent,
            _ => Kind::AdminUser,
        };
        let uid = names::subject(kind, party.subject())?;
        let mut whole: BTreeSet<&str> = also.into_iter().collect();
        let mut parts: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for held in &view.held {
            for role in held.roles.iter() {
                if let Some(over) = &held.grant.over {
                    parts.entry(role).or_default().insert(concern(over));
                } else {
                    whole.insert(role);
                }
            }
        }
        let groups = party.groups().iter();
        let groups = groups.map(|group| names::group_as(Kind::AdminGroup, group));
        let roles = whole
            .iter()
            .map(|role| Some(names::uid(Kind::AdminRole, role)));
        let parents = groups.chain(roles).collect::<Option<Vec<EntityUid>>>()?;
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let attributes = HashMap::from([
            ("issuer".to_owned(), text(party.subject().issuer())),
            ("subject".to_owned(), text(party.subject().id())),
            ("key".to_owned(), text(&party.subject().to_string())),
        ]);
        let tags = parts.iter().map(|(role, over)| {
            let over = over.iter().map(|scope| text(scope));
            ((*role).to_owned(), RestrictedExpression::new_set(over))
        });
        let entity = Entity::new_with_tags(uid.clone(), attributes, parents, tags).ok()?;

        let roles: BTreeSet<&str> = whole.iter().chain(parts.keys()).copied().collect();
        let of_roles = roles.iter().filter_map(|role| policies.of_roles.get(*role));
        let sources = of_roles.flatten().chain(&policies.written);
        // INVARIANT: ids are unique (checked when the engine is built); if one were not, nothing would be permitted.
        let set = PolicySet::from_policies(sources.map(|source| source.policy.clone())).ok()?;
        Some(Self {
            uid,
            entity,
            policies: set,
        })
    }
}

/// A part of the tenant as policies compare it.
pub(super) fn concern(scope: &Scope) -> String {
    scope.to_string()
}
