//! Policies by scope, so that a decision evaluates only those that can match (a slice), however many there are.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, RwLock},
};

use cedar_policy::{
    ActionConstraint, EntityUid, Policy, PolicyId, PolicySet, PrincipalConstraint,
    ResourceConstraint,
};
use gatewright_core::CredentialMode;

use crate::{
    BuildEngineError, Limited,
    arguments::{Path, Reads},
    compile::{self, Source},
    schema::Action,
};

/// How many slices are kept. Principals with the same roles share theirs.
const SLICES: usize = 16_384;

/// The policies that can match one kind of request.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    pub(crate) set: PolicySet,
    pub(crate) len: usize,
    /// No policy reads the context: the same principal and target always give the same answer.
    pub(crate) timeless: bool,
    /// The argument paths that its policies name.
    pub(crate) paths: BTreeSet<Path>,
}

/// Scope of a policy or of a request in one position, as far as the index tells it: an entity, or anything.
pub(crate) type Scope = Option<u32>;

/// The policies for one principal scope, by action and resource scope.
#[derive(Debug, Default)]
pub(crate) struct Bucket(HashMap<(Option<Action>, Scope), Vec<u32>>);

#[derive(Debug)]
struct Entry {
    policy: Policy,
    reads: Reads,
}

/// All policies of a tenant.
#[derive(Debug)]
pub(crate) struct Index {
    entries: Vec<Entry>,
    reported: HashMap<PolicyId, Arc<str>>,
    /// The policies that choose a credential mode.
    credentials: HashMap<PolicyId, CredentialMode>,
    buckets: HashMap<EntityUid, Arc<Bucket>>,
    /// The policies whose scope names no principal.
    everybody: Arc<Bucket>,
    resources: HashMap<EntityUid, u32>,
    unscoped: Vec<Arc<str>>,
    slices: RwLock<Limited<Box<[u32]>, Arc<Slice>>>,
}

impl Index {
    pub(crate) fn new(sources: Vec<Source>) -> Result<Self, BuildEngineError> {
        let mut index = Self {
            entries: Vec::with_capacity(sources.len()),
            reported: HashMap::new(),
            credentials: HashMap::new(),
            buckets: HashMap::new(),
            everybody: Arc::default(),
            resources: HashMap::new(),
            unscoped: Vec::new(),
            slices: RwLock::new(Limited::new(SLICES)),
        };
        let mut buckets: HashMap<Option<EntityUid>, Bucket> = HashMap::new();
        for source in sources {
            index.add(source, &mut buckets)?;
        }
        index.everybody = Arc::new(buckets.remove(&None).unwrap_or_default());
        index.buckets = buckets
            .into_iter()
            .filter_map(|(scope, bucket)| Some((scope?, Arc::new(bucket))))
            .collect();
        Ok(index)
    }

    fn add(
        &mut self,
        source: Source,
        buckets: &mut HashMap<Option<EntityUid>, Bucket>,
    ) -> Result<(), BuildEngineError> {
        let Source {
            policy,
            reported,
            reads,
            credential,
        } = source;
        let number =
            u32::try_from(self.entries.len()).map_err(|error| BuildEngineError::Schema {
                reason: error.to_string(),
            })?;
        let principal = match policy.principal_constraint() {
            PrincipalConstraint::Any | PrincipalConstraint::Is(_) => None,
            PrincipalConstraint::In(uid)
            | PrincipalConstraint::Eq(uid)
            | PrincipalConstraint::IsIn(_, uid) => Some(uid),
        };
        let resource = match policy.resource_constraint() {
            ResourceConstraint::Any | ResourceConstraint::Is(_) => None,
            ResourceConstraint::In(uid)
            | ResourceConstraint::Eq(uid)
            | ResourceConstraint::IsIn(_, uid) => Some(uid),
        };
        if principal.is_none() && resource.is_none() {
            self.unscoped.push(Arc::clone(&reported));
        }
        let resource = match resource {
            Some(uid) => {
                let next = u32::try_from(self.resources.len()).unwrap_or(u32::MAX);
                Some(*self.resources.entry(uid).or_insert(next))
            }
            None => None,
        };
        let bucket = buckets.entry(principal).or_default();
        for action in actions(&policy.action_constraint()) {
            let numbers = bucket.0.entry((action, resource)).or_default();
            // Two names in one scope may stand for the same action.
            if numbers.last() != Some(&number) {
                numbers.push(number);
            }
        }
        let policy = compile::light(&policy);
        if let Some(mode) = credential {
            self.credentials.insert(policy.id().clone(), mode);
        }
        self.reported.insert(policy.id().clone(), reported);
        self.entries.push(Entry { policy, reads });
        Ok(())
    }

    /// The policies that may concern somebody with these entities: their own, their groups', their roles'.
    pub(crate) fn buckets<'a>(
        &self,
        principals: impl Iterator<Item = &'a EntityUid>,
    ) -> Vec<Arc<Bucket>> {
        let own = principals.filter_map(|uid| self.buckets.get(uid));
        own.chain([&self.everybody]).map(Arc::clone).collect()
    }

    /// The number of an entity that some policy has in its scope.
    pub(crate) fn resource(&self, uid: &EntityUid) -> Scope {
        self.resources.get(uid).copied()
    }

    /// The slice for an action on a resource with its server.
    pub(crate) fn slice(
        &self,
        buckets: &[Arc<Bucket>],
        action: Action,
        resources: &[Scope],
    ) -> Arc<Slice> {
        let mut numbers: Vec<u32> = Vec::new();
        for bucket in buckets {
            for action in [Some(action), None] {
                let scopes = resources
                    .iter()
                    .copied()
                    .filter(Option::is_some)
                    .chain([None]);
                numbers.extend(
                    scopes
                        .filter_map(|scope| bucket.0.get(&(action, scope)))
                        .flatten(),
                );
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        let key: Box<[u32]> = numbers.into();
        if let Some(slice) = crate::read(&self.slices).get(&key) {
            return Arc::clone(slice);
        }
        let slice = Arc::new(self.assemble(&key));
        crate::write(&self.slices).insert(key, Arc::clone(&slice));
        slice
    }

    fn assemble(&self, numbers: &[u32]) -> Slice {
        let entries = || {
            numbers
                .iter()
                .filter_map(|number| self.entries.get(*number as usize))
        };
        let paths = entries()
            .flat_map(|entry| &entry.reads.arguments)
            .filter_map(|path| Path::new(path));
        // INVARIANT: ids are unique (checked when the engine is built), so this cannot fail; if it did, an
        // empty slice permits nothing.
        let set = PolicySet::from_policies(entries().map(|entry| entry.policy.clone()))
            .unwrap_or_default();
        Slice {
            set,
            len: numbers.len(),
            timeless: entries().all(|entry| !entry.reads.context),
            paths: paths.collect(),
        }
    }

    /// The policies that no role made, with the names that they are reported by.
    pub(crate) fn written(&self) -> impl Iterator<Item = (&Policy, &Arc<str>)> {
        let all = self.entries.iter();
        let named =
            all.filter_map(|entry| Some((&entry.policy, self.reported.get(entry.policy.id())?)));
        named.filter(|(_, reported)| !reported.starts_with("role:"))
    }

    /// The name that a policy is reported by.
    pub(crate) fn reported(&self, id: &PolicyId) -> Arc<str> {
        self.reported
            .get(id)
            .map_or_else(|| id.to_string().into(), Arc::clone)
    }

    /// The credential mode that a policy chooses.
    pub(crate) fn credential(&self, id: &PolicyId) -> Option<CredentialMode> {
        self.credentials.get(id).copied()
    }

    /// Policies that are in every slice of their action, since neither principal nor resource limits them.
    pub(crate) fn unscoped(&self) -> impl Iterator<Item = &str> {
        self.unscoped.iter().map(AsRef::as_ref)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// The actions that a policy's scope stands for; `None` is any.
pub(crate) fn actions(constraint: &ActionConstraint) -> Vec<Option<Action>> {
    let named = |uid: &EntityUid| {
        Action::named(uid.id().unescaped())
            .into_iter()
            .map(Some)
            .collect::<Vec<_>>()
    };
    match constraint {
        ActionConstraint::Any => vec![None],
        ActionConstraint::Eq(uid) => named(uid),
        ActionConstraint::In(uids) => uids.iter().flat_map(named).collect(),
    }
}
