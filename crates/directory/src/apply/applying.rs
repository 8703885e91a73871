//! A file that is being held against a tenant.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use gatewright_core::TenantId;

use super::{
    FILE,
    names::{id_of, ids_of_issuer},
    unlooked,
    wanted::WantedTenant,
};
use crate::{
    Directory,
    directory::{Listed, TenantSettings},
    edit::{ChangeError, Edit, Expected},
    model::{AppliedFile, Document, Identity, Policies},
    plan::Key,
    records::Kind,
};

/// So many documents are read at once.
const AT_ONCE: usize = 10_000;

pub(super) struct Applying<'a> {
    pub(super) directory: &'a Directory,
    pub(super) tenant: &'a TenantId,
    /// What is served before.
    pub(super) known: TenantSettings,
    /// The ids of groups, by their names in lower case.
    pub(super) groups: HashMap<String, Arc<str>>,
    /// What the file has made before, by kind, and what else is kept in mind of it.
    pub(super) before: BTreeMap<String, BTreeSet<String>>,
    pub(super) owned: BTreeMap<String, BTreeSet<String>>,
    /// What was looked at, and decided on.
    there: BTreeMap<Key, Listed>,
    puts: BTreeMap<Key, Document>,
    /// Of groups, the members as they were looked at.
    pub(super) digests: BTreeMap<Arc<str>, u64>,
    pub(super) memberships: Vec<Edit>,
    /// Whose names to sign in with are new.
    pub(super) names: HashMap<String, Arc<str>>,
    /// Whose ids were found or chosen.
    pub(super) parties: HashMap<(Kind, Identity), Arc<str>>,
    /// Of whom the file said what they are to be.
    pub(super) described: BTreeMap<Key, Identity>,
}

impl<'a> Applying<'a> {
    /// Looks at everything that the file could change.
    pub(super) async fn begin(
        directory: &'a Directory,
        tenant: &'a TenantId,
        wanted: &WantedTenant,
    ) -> Result<Self, ChangeError> {
        let groups = directory.with(tenant, |state| {
            let groups = state.groups.iter();
            groups
                .map(|(id, group)| (group.display_name.to_lowercase(), Arc::clone(id)))
                .collect()
        });
        let mut applying = Self {
            directory,
            tenant,
            known: directory.settings(tenant).unwrap_or_default(),
            groups: groups.unwrap_or_default(),
            before: BTreeMap::new(),
            owned: BTreeMap::new(),
            there: BTreeMap::new(),
            puts: BTreeMap::new(),
            digests: BTreeMap::new(),
            memberships: Vec::new(),
            names: HashMap::new(),
            parties: HashMap::new(),
            described: BTreeMap::new(),
        };
        applying.load(Kind::Applied, vec![FILE.into()]).await?;
        if let Some(Document::Applied(AppliedFile(before))) = applying.document(Kind::Applied, FILE)
        {
            applying.before = before.clone();
        }
        for (kind, ids) in applying.named(wanted) {
            applying.load(kind, ids.into_iter().collect()).await?;
        }
        Ok(applying)
    }

    /// The ids of what the file has, and of what it had.
    fn named(&self, wanted: &WantedTenant) -> BTreeMap<Kind, BTreeSet<Arc<str>>> {
        let mut named: BTreeMap<Kind, BTreeSet<Arc<str>>> = BTreeMap::new();
        for (kind, ids) in &self.before {
            if let Some(kind) = Kind::named(kind) {
                let ids = ids.iter().map(|id| id.as_str().into());
                named.entry(kind).or_default().extend(ids);
            }
        }
        for off in self.switched_off_before() {
            named.entry(off.kind).or_default().insert(off.id.into());
        }
        let mut add = |kind, id: Arc<str>| named.entry(kind).or_default().insert(id);
        add(Kind::Tenant, self.tenant.as_str().into());
        for id in self.known.issuers.keys() {
            add(Kind::Issuer, Arc::clone(id));
        }
        for issuer in &wanted.issuers {
            for id in ids_of_issuer(&issuer.issuer) {
                add(Kind::Issuer, id);
            }
        }
        for name in wanted.servers.keys() {
            add(Kind::Server, name.as_str().into());
        }
        for name in wanted.virtual_servers.keys() {
            add(Kind::VirtualServer, name.as_str().into());
        }
        for role in &wanted.roles {
            add(Kind::Role, role.name.as_str().into());
        }
        add(Kind::Policies, Policies::PUBLISHED.into());
        add(
            Kind::Policies,
            Policies::next_version(self.known.policies.keys()).into(),
        );
        for group in &wanted.groups {
            add(Kind::Group, self.group_id(&group.name));
        }
        for (kind, identity) in super::parties::named(wanted) {
            for id in self.candidates(kind, identity) {
                add(kind, id);
            }
        }
        named
    }

    /// The id of the group of this name, whether it is there or is to be made.
    pub(super) fn group_id(&self, name: &str) -> Arc<str> {
        let known = self.groups.get(&name.to_lowercase());
        known.map_or_else(|| id_of(name), Arc::clone)
    }

    pub(super) async fn load(&mut self, kind: Kind, ids: Vec<Arc<str>>) -> Result<(), ChangeError> {
        for some in ids.chunks(AT_ONCE) {
            let found = self.directory.get_all(self.tenant, kind, some).await;
            for found in found.map_err(unlooked)? {
                let key = (kind, Arc::clone(&found.record.id));
                self.there.insert(key, found);
            }
        }
        Ok(())
    }

    /// As it is there.
    pub(super) fn stored(&self, kind: Kind, id: &str) -> Option<&Document> {
        let found = self.there.get(&(kind, id.into()));
        found.map(|found| &found.document)
    }

    /// As the file has it so far.
    pub(super) fn document(&self, kind: Kind, id: &str) -> Option<&Document> {
        let put = self.puts.get(&(kind, id.into()));
        put.or_else(|| self.stored(kind, id))
    }

    pub(super) fn is_put(&self, kind: Kind, id: &str) -> bool {
        self.puts.contains_key(&(kind, id.into()))
    }

    pub(super) fn put(&mut self, id: Arc<str>, document: Document) {
        self.puts.insert((document.kind(), id), document);
    }

    pub(super) fn own(&mut self, kind: Kind, id: &str) {
        self.keep_in_mind(kind.name(), id);
    }

    pub(super) fn keep_in_mind(&mut self, what: &str, value: &str) {
        let of_kind = self.owned.entry(what.to_owned()).or_default();
        of_kind.insert(value.to_owned());
    }

    pub(super) fn had_in_mind(&self, what: &str, value: &str) -> bool {
        let of_kind = self.before.get(what);
        of_kind.is_some_and(|values| values.contains(value))
    }

    /// Whether it is the file's: it made it, or makes it now.
    pub(super) fn is_own(&self, kind: Kind, id: &str) -> bool {
        self.had_in_mind(kind.name(), id) || self.stored(kind, id).is_none()
    }

    /// Puts what the file makes. What others made stays theirs, and can only be as they made it.
    pub(super) fn make(&mut self, id: Arc<str>, document: Document) -> Result<(), ChangeError> {
        let kind = document.kind();
        if self.is_own(kind, &id) {
            self.own(kind, &id);
        } else if self.stored(kind, &id) != Some(&document) {
            let message = format!(
                "the {kind} `{id}` is not the file's and is not as the file has it: take it out of the file, make it equal, \
                 or take away the one that there is"
            );
            return Err(ChangeError::broken("made-by-others", message));
        }
        self.put(id, document);
        Ok(())
    }

    fn expected(&self, key: &Key) -> Expected {
        match (self.there.get(key), self.digests.get(&key.1)) {
            (None, _) => Expected::Absent,
            (Some(found), Some(digest)) if key.0 == Kind::Group => {
                Expected::AtWith(found.record.revision, *digest)
            }
            (Some(found), _) => Expected::At(found.record.revision),
        }
    }

    /// Takes away what the file had made and no longer has.
    pub(super) fn end(mut self) -> Vec<Edit> {
        self.switch_on();
        let owned = AppliedFile(std::mem::take(&mut self.owned));
        let mut gone = Vec::new();
        for (kind, ids) in &self.before {
            let Some(of_kind) = Kind::named(kind) else {
                continue;
            };
            let kept = owned.0.get(kind);
            let ids = ids
                .iter()
                .filter(|id| kept.is_none_or(|kept| !kept.contains(*id)));
            gone.extend(ids.map(|id| (of_kind, Arc::from(id.as_str()))));
        }
        let mut removals = Vec::new();
        for key in gone {
            self.puts.remove(&key);
            // What somebody took away before is gone.
            if self.there.contains_key(&key) {
                let expected = self.expected(&key);
                let (kind, id) = key;
                removals.push(Edit::Remove { kind, id, expected });
            }
        }
        self.put(FILE.into(), Document::Applied(owned));
        let puts = std::mem::take(&mut self.puts).into_iter();
        let puts = puts.map(|(key, document)| Edit::Put {
            expected: self.expected(&key),
            id: key.1,
            document,
        });
        let mut edits: Vec<Edit> = puts.collect();
        edits.append(&mut self.memberships);
        edits.append(&mut removals);
        edits
    }
}
