//! A principal as the policies see it, kept from one call to the next.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{
        Arc, OnceLock, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use cedar_policy::{Entities, Entity, EntityUid, RestrictedExpression};
use gatewright_core::{
    CredentialMode, Party, Timestamp,
    access::{Grant, Grantee},
};

use crate::{
    Grants, Limited,
    admin::AdminView,
    ask::Asked,
    index::{Bucket, Index, Scope, Slice},
    names::{self, Kind},
    roles::Roles,
    schema::Action,
};

/// How many slices and answers one view keeps.
const PER_VIEW: usize = 4_096;

/// A grant that somebody has, by themselves or by a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) grant: Arc<Grant>,
    /// What it is to: the party or one of its groups.
    pub(crate) through: EntityUid,
    /// The role, and all that it inherits from. Empty where no such role is defined.
    pub(crate) roles: Arc<[Arc<str>]>,
}

/// The answer of the policies to one question.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) allowed: bool,
    pub(crate) policies: Vec<Arc<str>>,
    /// The credential modes that those policies choose.
    pub(crate) credentials: Vec<CredentialMode>,
    pub(crate) errors: Vec<String>,
    pub(crate) slice: usize,
}

/// An action, and the scopes that what it is done to and its server have in policies.
type ReadyKey = (Action, [Scope; 2]);

/// What answers one kind of question about one party.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    pub(crate) slice: Arc<Slice>,
    /// The party and the action; what the question is about is added to a copy.
    pub(crate) entities: Arc<Entities>,
}

/// One party with the groups of its token: its entity, the roles it holds, the policies that may concern it.
#[derive(Debug)]
pub(crate) struct View {
    kind: Kind,
    party: Party,
    pub(crate) uid: EntityUid,
    pub(crate) entity: Entity,
    /// Its groups, and the party itself.
    grantees: Vec<(EntityUid, Grantee)>,
    pub(crate) held: Vec<Held>,
    /// From then on a grant has ended, and the view is no longer true.
    until: Option<Timestamp>,
    /// The generation of the grants that `held` was last looked at in.
    generation: AtomicU64,
    buckets: Vec<Arc<Bucket>>,
    ready: RwLock<Limited<ReadyKey, Ready>>,
    /// By action, of which there are few.
    entities: RwLock<HashMap<Action, Arc<Entities>>>,
    /// Answers that nothing but other policies change.
    pub(crate) answers: RwLock<Limited<Asked, Arc<Verdict>>>,
    /// As policies on administrators see it; most never are one.
    pub(crate) admin: OnceLock<Option<Arc<AdminView>>>,
    /// The same with a role that it has by what it is.
    pub(crate) fixed: OnceLock<Option<Arc<AdminView>>>,
}

impl View {
    /// `None` when the party cannot be told apart from others (see [`names`]) or Cedar cannot hold it.
    pub(crate) fn new(
        kind: Kind,
        party: &Party,
        grants: &Grants,
        roles: &Roles,
        index: &Index,
        now: Timestamp,
    ) -> Option<Self> {
        let uid = names::subject(kind, party.subject())?;
        let mut grantees: Vec<(EntityUid, Grantee)> = party
            .groups()
            .iter()
            .map(|group| Some((names::group(group)?, Grantee::Group(group.clone()))))
            .collect::<Option<_>>()?;
        let groups = grantees.len();
        let own = match kind {
            Kind::Agent => Grantee::Agent(party.subject().clone()),
            _ => Grantee::User(party.subject().clone()),
        };
        grantees.push((uid.clone(), own));
        if let Some(account) = party.account() {
            grantees.push((uid.clone(), Grantee::Account(Arc::clone(account))));
        }
        let (held, generation) = held(&grantees, grants, roles, now);
        // Two grants may give one role.
        let all: BTreeSet<&Arc<str>> = held.iter().flat_map(|held| held.roles.iter()).collect();
        let groups = grantees.iter().take(groups).map(|(uid, _)| uid.clone());
        let parents: Vec<EntityUid> = groups
            .chain(all.into_iter().map(|role| names::uid(Kind::Role, role)))
            .collect();
        let entity = entity(&uid, party, &parents)?;
        let buckets = index.buckets(parents.iter().chain([&uid]));
        Some(Self {
            kind,
            party: party.clone(),
            uid,
            entity,
            grantees,
            until: held.iter().filter_map(|held| held.grant.expires).min(),
            held,
            generation: AtomicU64::new(generation),
            buckets,
            ready: RwLock::new(Limited::new(PER_VIEW)),
            entities: RwLock::default(),
            answers: RwLock::new(Limited::new(PER_VIEW)),
            admin: OnceLock::new(),
            fixed: OnceLock::new(),
        })
    }

    /// Whether this is the view of that party at this moment.
    pub(crate) fn is_of(&self, kind: Kind, party: &Party, now: Timestamp) -> bool {
        self.kind == kind && self.until.is_none_or(|until| now < until) && self.party == *party
    }

    /// Whether the party still holds what it held, where somebody's grants have changed since.
    pub(crate) fn still_holds(&self, grants: &Grants, roles: &Roles, now: Timestamp) -> bool {
        if self.generation.load(Ordering::Acquire) == grants.generation() {
            return true;
        }
        let (held, generation) = held(&self.grantees, grants, roles, now);
        let same = held == self.held;
        if same {
            self.generation.store(generation, Ordering::Release);
        }
        same
    }

    /// What it is in the scope of policies as: itself, its groups and its roles.
    pub(crate) fn scopes(&self) -> HashSet<EntityUid> {
        let grantees = self.grantees.iter().map(|(uid, _)| uid.clone());
        let roles = self.held.iter().flat_map(|held| held.roles.iter());
        let roles = roles.map(|role| names::uid(Kind::Role, role));
        grantees.chain(roles).collect()
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) const fn party(&self) -> &Party {
        &self.party
    }

    /// The policies that may decide on an action on a resource. `None` when Cedar cannot hold the party.
    pub(crate) fn ready(
        &self,
        index: &Index,
        actions: &Entities,
        action: Action,
        scopes: [Scope; 2],
    ) -> Option<Ready> {
        let key = (action, scopes);
        if let Some(ready) = crate::read(&self.ready).get(&key) {
            return Some(ready.clone());
        }
        let ready = Ready {
            slice: index.slice(&self.buckets, action, &scopes),
            entities: self.entities(actions, action)?,
        };
        crate::write(&self.ready).insert(key, ready.clone());
        Some(ready)
    }

    fn entities(&self, actions: &Entities, action: Action) -> Option<Arc<Entities>> {
        if let Some(entities) = crate::read(&self.entities).get(&action) {
            return Some(Arc::clone(entities));
        }
        let entity = actions.get(&action.uid()).cloned();
        let entities =
            Entities::from_entities(entity.into_iter().chain([self.entity.clone()]), None).ok()?;
        let entities = Arc::new(entities);
        crate::write(&self.entities).insert(action, Arc::clone(&entities));
        Some(entities)
    }
}

fn held(
    grantees: &[(EntityUid, Grantee)],
    grants: &Grants,
    roles: &Roles,
    now: Timestamp,
) -> (Vec<Held>, u64) {
    let (given, generation) = grants.held(grantees.iter().map(|(_, grantee)| grantee), now);
    let held = given.into_iter().filter_map(|(place, grant)| {
        let (through, _) = grantees.get(place)?;
        let roles = roles.with_inherited(&grant.role);
        Some(Held {
            grant,
            through: through.clone(),
            roles,
        })
    });
    (held.collect(), generation)
}

fn entity(uid: &EntityUid, party: &Party, parents: &[EntityUid]) -> Option<Entity> {
    let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
    let roles = RestrictedExpression::new_set(party.roles().iter().map(|role| text(role)));
    let attributes = HashMap::from([
        ("issuer".to_owned(), text(party.subject().issuer())),
        ("subject".to_owned(), text(party.subject().id())),
        ("claimedRoles".to_owned(), roles),
    ]);
    Entity::new(uid.clone(), attributes, parents.iter().cloned().collect()).ok()
}
