//! Rules about groups: whoever is in one is there, and no group is in itself.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    edit::ChangeError,
    model::{MemberKind, MemberRef},
    plan::Plan,
    records::Kind,
    state::DEEPEST,
};

impl Plan<'_> {
    pub(super) fn check_member(&self, id: &str, kind: MemberKind) -> Result<(), ChangeError> {
        let Some((group, member)) = id.split_once('/') else {
            return Err(ChangeError::broken("id", "a member is of a group"));
        };
        let what = match kind {
            MemberKind::User => Kind::User,
            MemberKind::Group => Kind::Group,
            MemberKind::Agent => Kind::Agent,
        };
        for (kind, id) in [(Kind::Group, group), (what, member)] {
            if !self.is_there(kind, id) {
                let id = id.into();
                return Err(ChangeError::NotFound { kind, id });
            }
        }
        match kind {
            MemberKind::Group => self.check_groups_end(group, member),
            _ => Ok(()),
        }
    }

    /// From the member down, the group must not come again, nor too many below each other.
    fn check_groups_end(&self, group: &str, member: &str) -> Result<(), ChangeError> {
        let mut seen: BTreeSet<Arc<str>> = BTreeSet::new();
        let mut level: Vec<Arc<str>> = vec![member.into()];
        let mut deep = self.height(group);
        while !level.is_empty() {
            if level.iter().any(|id| **id == *group) {
                let message = format!("the group `{group}` would be in itself, by `{member}`");
                return Err(ChangeError::broken("cyclic-groups", message));
            }
            deep += 1;
            if deep > DEEPEST {
                let message = format!("groups would be more than {DEEPEST} deep in each other");
                return Err(ChangeError::broken("deep-groups", message));
            }
            let mut next = Vec::new();
            for id in level {
                for inner in self.members(&id) {
                    if inner.kind == MemberKind::Group && seen.insert(Arc::clone(&inner.id)) {
                        next.push(inner.id);
                    }
                }
            }
            level = next;
        }
        Ok(())
    }

    /// How many groups are above a group, one in the other.
    fn height(&self, group: &str) -> usize {
        let mut seen: BTreeSet<Arc<str>> = BTreeSet::new();
        let mut level: Vec<Arc<str>> = vec![group.into()];
        let mut height = 0;
        while height <= DEEPEST {
            let mut above = Vec::new();
            for id in &level {
                let as_member = MemberRef {
                    kind: MemberKind::Group,
                    id: Arc::clone(id),
                };
                for outer in self.groups_with(&as_member) {
                    if seen.insert(Arc::clone(&outer)) {
                        above.push(outer);
                    }
                }
            }
            if above.is_empty() {
                break;
            }
            height += 1;
            level = above;
        }
        height
    }

    /// The groups that somebody is in by themselves, as the plan stands.
    fn groups_with(&self, member: &MemberRef) -> Vec<Arc<str>> {
        let before = self.state.direct_groups_of(member);
        let mut groups: Vec<Arc<str>> = before
            .filter(|group| self.is_member(group, member))
            .cloned()
            .collect();
        for ((kind, id), next) in &self.next {
            if *kind != Kind::Member || next.is_none() {
                continue;
            }
            if let Some((group, of)) = id.split_once('/')
                && *of == *member.id
                && self.is_member(group, member)
                && !groups.iter().any(|known| **known == *group)
            {
                groups.push(group.into());
            }
        }
        groups
    }
}
