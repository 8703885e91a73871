//! What a change comes to: checked against the rules, with what follows from it.

mod difference;
mod follow;
pub(crate) mod rules;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use gatewright_core::{Difference, Timestamp};

use crate::{
    check::Alteration,
    edit::{ChangeError, Edit, Expected},
    model::{Document, MemberKind, MemberRef, Membership},
    records::{Kind, Record, Revision, Write},
    state::State,
};

/// What a thing is called.
pub(crate) type Key = (Kind, Arc<str>);

/// The documents that a change is made from, as they are stored.
pub(crate) type Stored = HashMap<Key, (Record, Document)>;

/// A change under way: what is there, and what is to be.
pub(crate) struct Plan<'a> {
    state: &'a State,
    stored: &'a Stored,
    now: Timestamp,
    /// `None` is taken away.
    next: BTreeMap<Key, Option<Document>>,
    /// Those that nobody asked for.
    also: Vec<Key>,
}

/// What is to be committed.
pub(crate) struct Planned {
    pub(crate) writes: Vec<Write>,
    pub(crate) next: BTreeMap<Key, Option<Document>>,
    pub(crate) differences: Vec<Difference>,
    pub(crate) alterations: Vec<Alteration>,
    pub(crate) also: Vec<String>,
}

impl<'a> Plan<'a> {
    pub(crate) const fn new(state: &'a State, stored: &'a Stored, now: Timestamp) -> Self {
        Self {
            state,
            stored,
            now,
            next: BTreeMap::new(),
            also: Vec::new(),
        }
    }

    /// Makes every edit, and what follows from them; refuses what a rule is against.
    pub(crate) fn make(mut self, edits: &[Edit]) -> Result<Planned, ChangeError> {
        for edit in edits {
            self.edit(edit)?;
        }
        self.follow()?;
        self.check()?;
        Ok(self.planned())
    }

    fn edit(&mut self, edit: &Edit) -> Result<(), ChangeError> {
        match edit {
            Edit::Put {
                id,
                document,
                expected,
            } => {
                self.expect(document.kind(), id, *expected)?;
                self.next
                    .insert((document.kind(), Arc::clone(id)), Some(document.clone()));
            }
            Edit::Remove { kind, id, expected } => {
                self.expect(*kind, id, *expected)?;
                if self.is_there(*kind, id) {
                    self.next.insert((*kind, Arc::clone(id)), None);
                }
            }
            Edit::Join { group, member } => {
                let document = Document::Member(Membership {
                    member: member.kind,
                });
                let kinds = MemberKind::ALL;
                let of_another_kind = kinds.into_iter().any(|kind| {
                    kind != member.kind && self.is_member(group, &member_of(kind, &member.id))
                });
                if of_another_kind {
                    let message = format!(
                        "something else of the id `{}` is in the group `{group}` already: take it out first, or choose another id",
                        member.id
                    );
                    return Err(ChangeError::broken("member-clash", message));
                }
                if !self.is_member(group, member) {
                    self.next
                        .insert(member_key(group, &member.id), Some(document));
                }
            }
            Edit::Leave { group, member } => self.leave(group, member),
            Edit::LeaveAll { group } => {
                let members: Vec<MemberRef> = self.members(group);
                for member in members {
                    self.leave(group, &member);
                }
            }
        }
        Ok(())
    }

    fn leave(&mut self, group: &Arc<str>, member: &MemberRef) {
        if self.is_member(group, member) {
            self.next.insert(member_key(group, &member.id), None);
        }
    }

    fn expect(&self, kind: Kind, id: &Arc<str>, expected: Expected) -> Result<(), ChangeError> {
        let there = self.is_there(kind, id);
        let id = Arc::clone(id);
        match expected {
            Expected::Absent if there => Err(ChangeError::Exists { kind, id }),
            Expected::Present | Expected::At(_) | Expected::AtWith(..) if !there => {
                Err(ChangeError::NotFound { kind, id })
            }
            Expected::AtWith(looked_at, members) => {
                let group = self.state.groups.get(&id);
                if group.map_or(0, |group| group.digest) == members {
                    return self.expect(kind, &id, Expected::At(looked_at));
                }
                let now = self.state.revision;
                Err(ChangeError::Stale { kind, id, now })
            }
            Expected::At(looked_at) => {
                let stored = self.stored.get(&(kind, Arc::clone(&id)));
                let now = stored.map_or(looked_at, |(record, _)| record.revision);
                if now == looked_at {
                    Ok(())
                } else {
                    Err(ChangeError::Stale { kind, id, now })
                }
            }
            _ => Ok(()),
        }
    }

    /// Whether there is one, as the plan stands.
    fn is_there(&self, kind: Kind, id: &str) -> bool {
        let key = (kind, Arc::from(id));
        match self.next.get(&key) {
            Some(next) => next.is_some(),
            None => self.was_there(kind, id),
        }
    }

    fn was_there(&self, kind: Kind, id: &str) -> bool {
        let state = self.state;
        match kind {
            Kind::User => state.people.get(id).is_some(),
            Kind::Group => state.groups.contains_key(id),
            Kind::Agent => state.agents.contains_key(id),
            Kind::Role => state.roles.contains_key(id),
            Kind::Grant => state.grants.contains_key(id),
            Kind::Server => state.servers.contains_key(id),
            Kind::VirtualServer => state.virtual_servers.contains_key(id),
            Kind::Issuer => state.issuers.contains_key(id),
            Kind::Policies => state.policies.contains_key(id),
            _ => self.stored.contains_key(&(kind, Arc::from(id))),
        }
    }

    /// Whether somebody is in a group by themselves, as the plan stands.
    fn is_member(&self, group: &str, member: &MemberRef) -> bool {
        match self.next.get(&member_key(group, &member.id)) {
            Some(next) => matches!(next, Some(Document::Member(is)) if is.member == member.kind),
            None => {
                let group = self.state.groups.get(group);
                group.is_some_and(|group| group.members.contains(member))
            }
        }
    }

    /// Who is in a group by themselves, as the plan stands.
    fn members(&self, group: &str) -> Vec<MemberRef> {
        let before = self.state.groups.get(group);
        let mut members: HashSet<MemberRef> = before
            .into_iter()
            .flat_map(|group| &group.members)
            .filter(|member| self.is_member(group, member))
            .cloned()
            .collect();
        let prefix = member_key(group, "");
        for ((kind, id), next) in self.next.range(prefix..) {
            let Some(member) = id
                .strip_prefix(group)
                .and_then(|rest| rest.strip_prefix('/'))
            else {
                break;
            };
            if *kind != Kind::Member {
                break;
            }
            if let Some(Document::Member(is)) = next {
                let member = MemberRef {
                    kind: is.member,
                    id: member.into(),
                };
                members.insert(member);
            }
        }
        let mut members: Vec<MemberRef> = members.into_iter().collect();
        members.sort_unstable();
        members
    }

    /// Takes something away, or changes it, that nobody asked for and that follows.
    fn and_so(&mut self, kind: Kind, id: Arc<str>, next: Option<Document>) {
        let key = (kind, id);
        if kind != Kind::Member && !self.next.contains_key(&key) {
            self.also.push(key.clone());
        }
        self.next.insert(key, next);
    }

    fn planned(self) -> Planned {
        let mut writes = Vec::with_capacity(self.next.len());
        let mut differences = Vec::new();
        let mut alterations = Vec::new();
        let mut next = BTreeMap::new();
        for ((kind, id), document) in self.next {
            let before = before(self.state, self.stored, kind, &id);
            // What stays as it is, is not written: whoever says the same again changes nothing.
            if before == document {
                continue;
            }
            let difference = difference::between(kind, &id, before.as_ref(), document.as_ref());
            differences.push(difference);
            writes.push(match &document {
                Some(document) => Write::Put {
                    kind,
                    id: Arc::clone(&id),
                    document: document.to_value().to_string().into(),
                    names: document.names(&id),
                },
                None => Write::Remove {
                    kind,
                    id: Arc::clone(&id),
                },
            });
            alterations.push(Alteration {
                kind,
                id: Arc::clone(&id),
                before,
                after: document.clone(),
            });
            next.insert((kind, id), document);
        }
        let also = self.also.into_iter();
        Planned {
            writes,
            next,
            differences,
            alterations,
            also: also.map(|(kind, id)| format!("{kind} {id}")).collect(),
        }
    }
}

/// The document of something before the change. Of people and groups the memory has a part only.
fn before(state: &State, stored: &Stored, kind: Kind, id: &Arc<str>) -> Option<Document> {
    if let Some((_, document)) = stored.get(&(kind, Arc::clone(id))) {
        return Some(document.clone());
    }
    match kind {
        Kind::Tenant => {
            (state.revision != Revision::NONE).then(|| Document::Tenant(state.tenant.clone()))
        }
        Kind::Issuer => state.issuers.get(id).cloned().map(Document::Issuer),
        Kind::Agent => state.agents.get(id).cloned().map(Document::Agent),
        Kind::Role => state.roles.get(id).cloned().map(Document::Role),
        Kind::Grant => state.grants.get(id).cloned().map(Document::Grant),
        Kind::Server => state.servers.get(id).cloned().map(Document::Server),
        Kind::VirtualServer => state
            .virtual_servers
            .get(id)
            .cloned()
            .map(Document::VirtualServer),
        Kind::Policies => state.policies.get(id).cloned().map(Document::Policies),
        Kind::Member => {
            let (group, member) = id.split_once('/')?;
            let group = state.groups.get(group)?;
            let kinds = MemberKind::ALL;
            let member = kinds.into_iter().find(|kind| {
                let member = member_of(*kind, &member.into());
                group.members.contains(&member)
            })?;
            Some(Document::Member(Membership { member }))
        }
        Kind::User | Kind::Group | Kind::ScimToken | Kind::Receipt | Kind::Applied => None,
    }
}

pub(crate) fn member_key(group: &str, member: &str) -> Key {
    (Kind::Member, format!("{group}/{member}").into())
}

pub(crate) fn member_of(kind: MemberKind, id: &Arc<str>) -> MemberRef {
    MemberRef {
        kind,
        id: Arc::clone(id),
    }
}
