//! What may fit a filter: one record by its unique name, the groups of a member, or else all of a kind.

use std::sync::Arc;

use super::{
    Caller, ScimService,
    documents::{is_id, kind_of, unavailable},
};
use crate::{
    Directory, LookError,
    directory::Listed,
    model::{Agent, Group, MemberKind, MemberRef, User},
    records::{Kind, UniqueName},
    scim::{Condition, ScimError, schema::ResourceType},
};

/// Records to look at, a page at a time, in the order of their ids.
pub(super) struct Candidates<'a> {
    directory: &'a Directory,
    caller: &'a Caller,
    kind: Kind,
    left: Left,
}

enum Left {
    /// These ids.
    These(Vec<Arc<str>>),
    /// All after an id.
    After(Option<Arc<str>>),
    Nothing,
}

impl<'a> Candidates<'a> {
    /// Of a type, after an id.
    pub(super) async fn of(
        service: &'a ScimService,
        caller: &'a Caller,
        resource_type: &'static ResourceType,
        condition: Option<&Condition>,
        after: Option<String>,
    ) -> Result<Self, ScimError> {
        let directory = &service.0.directory;
        let kind = kind_of(resource_type);
        let known = match condition {
            Some(condition) => known(directory, caller, kind, condition)
                .await
                .map_err(|error| unavailable(&error))?,
            None => None,
        };
        let left = match known {
            Some(mut ids) => {
                ids.sort_unstable();
                ids.dedup();
                ids.retain(|id| after.as_deref().is_none_or(|after| **id > *after));
                Left::These(ids)
            }
            None => Left::After(after.map(Into::into)),
        };
        Ok(Self {
            directory,
            caller,
            kind,
            left,
        })
    }

    /// The next ones; none where all were looked at.
    pub(super) async fn next(&mut self, limit: u32) -> Result<Option<Vec<Listed>>, ScimError> {
        let tenant = &self.caller.tenant;
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let read = match std::mem::replace(&mut self.left, Left::Nothing) {
            Left::Nothing => return Ok(None),
            Left::These(mut ids) => {
                let rest = ids.split_off(ids.len().min(most));
                if !rest.is_empty() {
                    self.left = Left::These(rest);
                }
                self.directory.get_all(tenant, self.kind, &ids).await
            }
            Left::After(after) => {
                let page = self
                    .directory
                    .page(tenant, self.kind, after.as_deref(), 0, limit)
                    .await;
                if let Ok(page) = &page
                    && page.len() >= most
                    && let Some(last) = page.last()
                {
                    self.left = Left::After(Some(Arc::clone(&last.record.id)));
                }
                page
            }
        };
        read.map(Some).map_err(|error| unavailable(&error))
    }
}

/// The ids of all that may fit, where a unique name or a member says so.
async fn known(
    directory: &Directory,
    caller: &Caller,
    kind: Kind,
    condition: &Condition,
) -> Result<Option<Vec<Arc<str>>>, LookError> {
    if let Some(id) = condition.required("id") {
        return Ok(Some(is_id(id).then(|| id.into()).into_iter().collect()));
    }
    if kind == Kind::Group
        && let Some(member) = condition.required("members.value")
    {
        return Ok(Some(directory.direct_groups(&caller.tenant, member)));
    }
    let Some(name) = unique_name(kind, condition) else {
        return Ok(None);
    };
    // No name has such a character, and not every storage takes one.
    if name.value.contains('\0') {
        return Ok(Some(Vec::new()));
    }
    let found = directory.find(&caller.tenant, &name).await?;
    let found = found.filter(|found| found.record.kind == kind);
    Ok(Some(
        found.map(|found| found.record.id).into_iter().collect(),
    ))
}

fn unique_name(kind: Kind, condition: &Condition) -> Option<UniqueName> {
    let by =
        |attribute: &str, name: fn(&str) -> UniqueName| condition.required(attribute).map(name);
    match kind {
        Kind::User => {
            by("externalId", User::by_external_id).or_else(|| by("userName", User::by_user_name))
        }
        Kind::Group => by("externalId", Group::by_external_id)
            .or_else(|| by("displayName", Group::by_display_name)),
        Kind::Agent => by("externalId", Agent::by_external_id),
        _ => None,
    }
}

impl Directory {
    /// The groups that somebody of this id is in by themselves, whatever they are.
    fn direct_groups(&self, tenant: &gatewright_core::TenantId, member: &str) -> Vec<Arc<str>> {
        self.with(tenant, |state| {
            let kinds = MemberKind::ALL;
            let of = |kind| MemberRef {
                kind,
                id: member.into(),
            };
            kinds
                .into_iter()
                .flat_map(|kind| {
                    state
                        .direct_groups_of(&of(kind))
                        .cloned()
                        .collect::<Vec<_>>()
                })
                .collect()
        })
        .unwrap_or_default()
    }
}
