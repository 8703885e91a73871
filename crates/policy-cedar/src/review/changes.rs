use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    rc::Rc,
};

use gatewright_core::{
    AdminVerb, Clock as _, Timestamp,
    access::{Grant, Permission, Scope},
};
use gatewright_policy::{Change, Changed, Changes, GranteeChange, PolicyChange};

use crate::{CedarEngine, engine::moment};

/// How many grantees are listed.
const MOST_GRANTEES: usize = 1_000;

/// What a role gives, to be compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    /// By its text, which is the same for the same permission and no other.
    Permission(Rc<str>),
    Action(AdminVerb, Option<Scope>),
}

/// When something ends; what never does comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    At(Timestamp),
    Never,
}

#[derive(Clone, Debug)]
struct Had {
    end: End,
    what: Changed,
}

type Items = BTreeMap<Item, Had>;

impl CedarEngine {
    /// What changes for whom when `next` takes the place of this engine. It costs what both have, and is for those who
    /// look at a change before they make it. What the two share ([`Grants`](crate::Grants)) is compared as it is now.
    #[must_use]
    pub fn changes(&self, next: &Self) -> Changes {
        let now = self.clock.now();
        let (before, after) = (Holdings::of(self, now), Holdings::of(next, now));
        let everybody: BTreeSet<&String> = before.0.keys().chain(after.0.keys()).collect();
        let nothing = Items::new();
        let (mut grantees, mut more) = (Vec::new(), 0);
        for grantee in everybody {
            let had = before.0.get(grantee).unwrap_or(&nothing);
            let has = after.0.get(grantee).unwrap_or(&nothing);
            let (gained, lost) = (beyond(has, had), beyond(had, has));
            if gained.is_empty() && lost.is_empty() {
                continue;
            }
            if grantees.len() == MOST_GRANTEES {
                more += 1;
                continue;
            }
            grantees.push(GranteeChange {
                grantee: grantee.clone(),
                gained,
                lost,
            });
        }
        Changes {
            grantees,
            more,
            policies: self.policy_changes(next),
            vouched: self.vouched_changes(next),
        }
    }

    fn policy_changes(&self, next: &Self) -> Vec<PolicyChange> {
        let (mut before, mut after) = (self.written(), next.written());
        let ids: BTreeSet<String> = before.keys().chain(after.keys()).cloned().collect();
        let both = ids.into_iter().map(|id| PolicyChange {
            before: before.remove(&id),
            after: after.remove(&id),
            id,
        });
        both.filter(|change| change.before != change.after)
            .collect()
    }

    fn written(&self) -> BTreeMap<String, String> {
        let all = self.index.written().chain(self.admin.written());
        all.map(|(policy, id)| (id.to_string(), policy.to_string()))
            .collect()
    }

    fn vouched_changes(&self, next: &Self) -> Vec<String> {
        let servers: BTreeSet<_> = self.facts.keys().chain(next.facts.keys()).collect();
        let changed = servers
            .into_iter()
            .filter(|server| self.facts.get(*server) != next.facts.get(*server));
        changed.map(ToString::to_string).collect()
    }
}

/// What each grantee has.
struct Holdings(BTreeMap<String, Items>);

impl Holdings {
    fn of(engine: &CedarEngine, now: Timestamp) -> Self {
        let mut of_roles: HashMap<String, Rc<RoleItems>> = HashMap::new();
        let mut all: BTreeMap<String, Items> = BTreeMap::new();
        for grant in engine.grants.all() {
            if grant.expires.is_some_and(|end| end <= now) {
                continue;
            }
            let role = of_roles
                .entry(grant.role.clone())
                .or_insert_with(|| Rc::new(RoleItems::of(engine, &grant.role)));
            let items = all.entry(grant.to.to_string()).or_default();
            role.add(&grant, items);
        }
        Self(all)
    }
}

/// What a role gives, with those that it inherits from.
struct RoleItems {
    permissions: Vec<(Rc<str>, Permission)>,
    verbs: BTreeSet<AdminVerb>,
}

impl RoleItems {
    fn of(engine: &CedarEngine, role: &str) -> Self {
        let (mut permissions, mut verbs) = (Vec::new(), BTreeSet::new());
        for name in engine.roles.with_inherited(role).iter() {
            let role = engine.roles.role(name);
            for permission in role.into_iter().flat_map(|role| &role.permissions) {
                permissions.push((format!("{permission:?}").into(), permission.clone()));
            }
            verbs.extend(engine.roles.verbs(name).into_iter().flatten());
        }
        Self { permissions, verbs }
    }

    fn add(&self, grant: &Grant, items: &mut Items) {
        let end = grant.expires.map_or(End::Never, End::At);
        let mut add = |item: Item, what: &dyn Fn() -> Changed| {
            let had = items
                .entry(item)
                .or_insert_with(|| Had { end, what: what() });
            had.end = had.end.max(end);
        };
        for (text, permission) in &self.permissions {
            add(Item::Permission(Rc::clone(text)), &|| {
                Changed::Permission(Box::new(permission.clone()))
            });
        }
        let part = grant.over.is_some();
        for verb in self
            .verbs
            .iter()
            .filter(|verb| !(part && verb.is_of_tenant()))
        {
            add(Item::Action(*verb, grant.over.clone()), &|| {
                Changed::Action {
                    name: verb.to_string(),
                    over: grant.over.as_ref().map(ToString::to_string),
                }
            });
        }
    }
}

/// What is in the one and not, or not as long, in the other.
fn beyond(one: &Items, other: &Items) -> Vec<Change> {
    let in_other = |item: &Item, end: End| {
        let lasts = |item: &Item| other.get(item).is_some_and(|other| other.end >= end);
        let everywhere = match item {
            Item::Action(verb, Some(_)) => lasts(&Item::Action(*verb, None)),
            Item::Action(_, None) | Item::Permission(_) => false,
        };
        lasts(item) || everywhere
    };
    one.iter()
        .filter(|(item, had)| !in_other(item, had.end))
        .map(|(_, had)| Change {
            what: had.what.clone(),
            until: match had.end {
                End::At(at) => Some(moment(at)),
                End::Never => None,
            },
        })
        .collect()
}
