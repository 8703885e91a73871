//! A principal as the policies see it, kept from one call to the next.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, RwLock},
};

use cedar_policy::{Entities, Entity, EntityUid, RestrictedExpression};
use gatewright_core::{CredentialMode, Party, Timestamp, access::Grantee};

use crate::{
    Limited,
    ask::Asked,
    index::{Bucket, Index, Scope, Slice},
    names::{self, Kind},
    schema::Action,
};

/// How many slices and answers one view keeps.
const PER_VIEW: usize = 4_096;

/// A role given to somebody, by a grant.
#[derive(Clone, Debug)]
pub(crate) struct Granted {
    pub(crate) role: Arc<str>,
    pub(crate) expires: Option<Timestamp>,
}

/// A role held, and what it was granted to.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) role: Arc<str>,
    pub(crate) through: EntityUid,
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
    pub(crate) held: Vec<Held>,
    /// From then on a grant has ended, and the view is no longer true.
    until: Option<Timestamp>,
    buckets: Vec<Arc<Bucket>>,
    ready: RwLock<Limited<ReadyKey, Ready>>,
    /// By action, of which there are few.
    entities: RwLock<HashMap<Action, Arc<Entities>>>,
    /// Answers that nothing but other policies change.
    pub(crate) answers: RwLock<Limited<Asked, Arc<Verdict>>>,
}

impl View {
    /// `None` when the party cannot be told apart from others (see [`names`]) or Cedar cannot hold it.
    pub(crate) fn new(
        kind: Kind,
        party: &Party,
        grants: &HashMap<Grantee, Vec<Granted>>,
        index: &Index,
        now: Timestamp,
    ) -> Option<Self> {
        let uid = names::subject(kind, party.subject())?;
        let groups: Vec<(EntityUid, Grantee)> = party
            .groups()
            .iter()
            .map(|group| Some((names::group(group)?, Grantee::Group(group.clone()))))
            .collect::<Option<_>>()?;
        let own = match kind {
            Kind::Agent => Grantee::Agent(party.subject().clone()),
            _ => Grantee::User(party.subject().clone()),
        };
        let mut held = Vec::new();
        let mut until = None;
        let account = party
            .account()
            .map(|account| (uid.clone(), Grantee::Account(Arc::clone(account))));
        let own = [(uid.clone(), own)];
        for (through, grantee) in groups.iter().chain(&own).chain(&account) {
            for granted in grants.get(grantee).into_iter().flatten() {
                if granted.expires.is_some_and(|end| end <= now) {
                    continue;
                }
                until = until.into_iter().chain(granted.expires).min();
                held.push(Held {
                    role: Arc::clone(&granted.role),
                    through: through.clone(),
                });
            }
        }
        let parents: Vec<EntityUid> = groups
            .into_iter()
            .map(|(uid, _)| uid)
            .chain(held.iter().map(|held| names::uid(Kind::Role, &held.role)))
            .collect();
        let entity = entity(&uid, party, &parents)?;
        // Two grants may give one role.
        let scopes: HashSet<&EntityUid> = parents.iter().chain([&uid]).collect();
        let buckets = index.buckets(scopes.into_iter());
        Some(Self {
            kind,
            party: party.clone(),
            uid,
            entity,
            held,
            until,
            buckets,
            ready: RwLock::new(Limited::new(PER_VIEW)),
            entities: RwLock::default(),
            answers: RwLock::new(Limited::new(PER_VIEW)),
        })
    }

    /// Whether this is the view of that party at this moment.
    pub(crate) fn is_of(&self, kind: Kind, party: &Party, now: Timestamp) -> bool {
        self.kind == kind && self.until.is_none_or(|until| now < until) && self.party == *party
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
