//! Groups, and who is in them.

use gatewright_core::{AdminAction, AdminVerb, Given, access::Grantee};
use gatewright_directory::{
    model::{MemberKind, MemberRef},
    records::Kind,
};

use super::before::{Before, Unasked, group_named};

impl Before<'_> {
    /// Making, changing or removing a group. One that there was concerns itself; removing takes from who is in it, so only
    /// who holds as much as it has of administration does.
    pub(super) fn group_written(&self, id: &str, was_there: bool) -> AdminAction {
        let mut action = self.action(AdminVerb::GroupsWrite, Kind::Group, id);
        if was_there {
            action.concerns = self.group_and_around(id);
            let powers = self.powers(&MemberRef::group(id));
            action.gives = powers.unwrap_or_default();
        }
        action
    }

    /// Who joins gets what the group holds, and the groups that it is in.
    pub(super) fn joined(&self, id: &str, _kind: MemberKind) -> Result<Vec<AdminAction>, Unasked> {
        let (group, _) = parts(id)?;
        let mut action = AdminAction::join(self.tenant.clone(), id, group_named(group));
        let above = MemberRef::group(group);
        action.concerns.extend(self.groups_around(&above));
        let above = self.groups_of(&above).into_iter();
        action
            .gives
            .extend(above.map(|group| Given::Holdings(Grantee::Group(group))));
        Ok(vec![action])
    }

    pub(super) fn left(&self, id: &str) -> Result<AdminAction, Unasked> {
        let (group, _) = parts(id)?;
        let mut action = self.action(AdminVerb::MembersRemove, Kind::Member, id);
        action.concerns = self.group_and_around(group);
        action.gives = self.powers(&MemberRef::group(group))?;
        Ok(action)
    }
}

pub(super) fn parts(id: &str) -> Result<(&str, &str), Unasked> {
    id.split_once('/')
        .ok_or_else(|| "a member is of a group".to_owned())
}
