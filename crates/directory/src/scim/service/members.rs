//! Members of groups, as edits of the directory.

use std::sync::Arc;

use super::{Caller, ScimService, change::Change, write::Planned};
use crate::{
    edit::Edit,
    model::{MemberKind, MemberRef},
    scim::{
        Attributes, MemberEdits, ScimError, ScimType,
        error::excerpt,
        patch::{Member, members_of},
        schema::ResourceType,
    },
};

impl ScimService {
    /// Members as edits of the directory.
    pub(super) async fn change_members(
        &self,
        caller: &Caller,
        change: &mut Change,
        (group, edits): (&Arc<str>, &MemberEdits),
        planned: &Planned,
    ) -> Result<(), ScimError> {
        if edits.clear {
            change.edits.push(Edit::LeaveAll {
                group: Arc::clone(group),
            });
        }
        for id in &edits.remove {
            // Whatever it is: who is not in the group stays out.
            for kind in MemberKind::ALL {
                change.edits.push(Edit::Leave {
                    group: Arc::clone(group),
                    member: MemberRef {
                        kind,
                        id: id.as_str().into(),
                    },
                });
            }
        }
        self.add_members(caller, change, (group, edits), planned)
            .await
    }

    pub(super) async fn add_members(
        &self,
        caller: &Caller,
        change: &mut Change,
        (group, edits): (&Arc<str>, &MemberEdits),
        planned: &Planned,
    ) -> Result<(), ScimError> {
        let mut looked = false;
        for (id, kind) in &edits.add {
            let known = |kind: Option<MemberKind>| {
                let known = self.0.directory.kind_of_member(&caller.tenant, id, kind);
                known.or_else(|| planned.made.get(id).copied())
            };
            let mut member = known(*kind);
            if member.is_none() && !looked {
                // Another replica may have made it a moment ago.
                looked = true;
                self.0.directory.look_at_heads().await;
                member = known(*kind);
            }
            let kind = member.ok_or_else(|| {
                let detail = format!("there is nobody `{}` who could be a member", excerpt(id));
                ScimError::new(ScimType::InvalidValue, detail)
            })?;
            change.edits.push(Edit::Join {
                group: Arc::clone(group),
                member: MemberRef {
                    kind,
                    id: id.as_str().into(),
                },
            });
        }
        Ok(())
    }
}

/// The members that a whole group names.
pub(super) fn members_in(
    resource_type: &'static ResourceType,
    resource: &Attributes,
) -> Result<Option<MemberEdits>, ScimError> {
    let (Some(attribute), Some(value)) =
        (resource_type.attribute("members"), resource.get("members"))
    else {
        return Ok(None);
    };
    Ok(Some(MemberEdits::exactly(members_of(attribute, value)?)))
}

impl From<MemberRef> for Member {
    fn from(member: MemberRef) -> Self {
        Self {
            id: member.id.to_string(),
            kind: Some(member.kind),
        }
    }
}
