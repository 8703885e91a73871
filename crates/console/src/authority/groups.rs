//! Groups, and who is in them.

use gatewright_core::{AdminAction, AdminVerb, Given, access::Grantee};
use gatewright_directory::{
    model::{MemberKind, MemberRef},
    records::Kind,
};

use super::before::{Before, Unasked, group_named, kind_of};

impl Before<'_> {
    /// Making, changing or removing a group. One that there was concerns itself; removing takes from who is in it, so only
    /// who holds as much as it has of administration does.
    pub(super) fn group_written(&self, id: &str, was_there: bool) -> AdminAction {
        let mut action = self.action(AdminVerb::GroupsWrite, Kind::Group, id);
        if was_there {
            action.concerns = self.group_and_around(id);
            action.gives = self.guarded_by(&MemberRef::group(id));
        }
        action
    }

    /// Who joins gets what the group holds, and the groups that it is in. Who administers these administers the member from
    /// then on: so whoever was there before is put into them only by who could change them already.
    pub(super) fn joined(&self, id: &str, kind: MemberKind) -> Result<Vec<AdminAction>, Unasked> {
        let (group, member) = parts(id)?;
        let mut action = AdminAction::join(self.tenant.clone(), id, group_named(group));
        let above = MemberRef::group(group);
        action.concerns.extend(self.groups_around(&above));
        let above = self.groups_of(&above).into_iter();
        action
            .gives
            .extend(above.map(|group| Given::Holdings(Grantee::Group(group))));
        let mut actions = vec![action];
        match kind {
            _ if self.is_made(kind_of(kind), member) => {}
            MemberKind::User => {
                actions.push(self.of(AdminVerb::UsersWrite, &MemberRef::user(member), false));
            }
            MemberKind::Agent => {
                actions.push(self.of(AdminVerb::AgentsWrite, &MemberRef::agent(member), false));
            }
            _ => {
                // With the group comes everybody who is in it.
                for (verb, kind, id) in [
                    (AdminVerb::GroupsWrite, Kind::Group, member),
                    (AdminVerb::UsersWrite, Kind::User, ""),
                    (AdminVerb::AgentsWrite, Kind::Agent, ""),
                ] {
                    let mut action = self.action(verb, kind, id);
                    action.concerns = self.group_and_around(member);
                    actions.push(action);
                }
            }
        }
        Ok(actions)
    }

    /// Whether the change makes it.
    fn is_made(&self, kind: Kind, id: &str) -> bool {
        self.alterations.iter().any(|other| {
            other.kind == kind
                && *other.id == *id
                && other.before.is_none()
                && other.after.is_some()
        })
    }

    pub(super) fn left(&self, id: &str) -> Result<AdminAction, Unasked> {
        let (group, _) = parts(id)?;
        let mut action = self.action(AdminVerb::MembersRemove, Kind::Member, id);
        action.concerns = self.group_and_around(group);
        action.gives = self.guarded_by(&MemberRef::group(group));
        Ok(action)
    }
}

pub(super) fn parts(id: &str) -> Result<(&str, &str), Unasked> {
    id.split_once('/')
        .ok_or_else(|| "a member is of a group".to_owned())
}
