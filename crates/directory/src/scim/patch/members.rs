//! What a patch does to the members of a group.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Op;
use crate::{
    model::MemberKind,
    scim::{
        ScimError, ScimType,
        path::AttributeTarget,
        schema::{Attribute, GROUP, ResourceType},
        validate,
    },
};

/// Somebody in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The id.
    pub id: String,
    /// What it is, where the client said so.
    pub kind: Option<MemberKind>,
}

/// What becomes of the members of a group: those that are there, or none if `clear`, without `remove` and with `add`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberEdits {
    /// None of those that are there stays, unless it is added.
    pub clear: bool,
    /// These are members from now on.
    pub add: BTreeMap<String, Option<MemberKind>>,
    /// These are none from now on; empty if `clear`.
    pub remove: BTreeSet<String>,
}

impl MemberEdits {
    /// These and no others.
    #[must_use]
    pub fn exactly(members: impl IntoIterator<Item = Member>) -> Self {
        let mut edits = Self::default();
        edits.set(members);
        edits
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.clear && self.add.is_empty() && self.remove.is_empty()
    }

    fn add(&mut self, member: Member) {
        self.remove.remove(&member.id);
        let kind = self.add.entry(member.id).or_default();
        *kind = member.kind.or(*kind);
    }

    fn remove(&mut self, id: &str) {
        self.add.remove(id);
        if !self.clear {
            self.remove.insert(id.to_owned());
        }
    }

    fn set(&mut self, members: impl IntoIterator<Item = Member>) {
        *self = Self {
            clear: true,
            ..Self::default()
        };
        for member in members {
            self.add(member);
        }
    }

    /// Who is in the group at this point, of those that were.
    fn now<'a>(&'a self, present: &'a [Member]) -> impl Iterator<Item = Member> {
        let stay = present.iter().filter(|member| {
            !self.clear && !self.remove.contains(&member.id) && !self.add.contains_key(&member.id)
        });
        let added = self.add.iter().map(|(id, kind)| Member {
            id: id.clone(),
            kind: *kind,
        });
        stay.cloned().chain(added)
    }
}

/// Whether a target is the members of a group.
pub(super) fn is_members(resource_type: &ResourceType, attribute: &Attribute) -> bool {
    std::ptr::eq(resource_type, &raw const GROUP) && attribute.name == "members"
}

/// Whether members are chosen by something else than their ids.
pub(super) fn needs_present(target: &AttributeTarget) -> bool {
    target.place.attribute.name == "members"
        && target
            .which
            .as_ref()
            .is_some_and(|which| which.only_values().is_none())
}

/// One operation on the members.
pub(super) fn change(
    edits: &mut MemberEdits,
    op: Op,
    target: &AttributeTarget,
    value: Option<&Value>,
    present: &[Member],
) -> Result<(), ScimError> {
    if target.sub.is_some() || (op != Op::Remove && target.which.is_some()) {
        let detail = "a member cannot be changed: remove it and add the other";
        return Err(ScimError::new(ScimType::Mutability, detail));
    }
    let named = match value {
        None => None,
        Some(value) => Some(members_of(target.place.attribute, value)?),
    };
    match (op, &target.which) {
        (Op::Add, _) => named
            .into_iter()
            .flatten()
            .for_each(|member| edits.add(member)),
        (Op::Replace, _) => edits.set(named.into_iter().flatten()),
        (Op::Remove, None) => match named {
            // As Entra ID removes members. An empty list names nobody: it does not mean everybody.
            Some(named) => named.iter().for_each(|member| edits.remove(&member.id)),
            None => edits.set([]),
        },
        (Op::Remove, Some(which)) => match which.only_values() {
            Some(ids) => ids.iter().for_each(|id| edits.remove(id)),
            None => {
                let chosen: Vec<Member> = edits
                    .now(present)
                    .filter(|member| which.matches_value(&as_value(member)))
                    .collect();
                chosen.iter().for_each(|member| edits.remove(&member.id));
            }
        },
    }
    Ok(())
}

/// The members that a document names.
pub(crate) fn members_of(
    attribute: &'static Attribute,
    value: &Value,
) -> Result<Vec<Member>, ScimError> {
    let value = validate::attribute_value(attribute, value)?;
    let Some(Value::Array(values)) = value else {
        return Ok(Vec::new());
    };
    let mut members = Vec::with_capacity(values.len());
    for value in values {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let Some(id) = text("value") else { continue };
        let kind = match text("type") {
            Some(name) => Some(kind_named(name)?),
            None => text("$ref").and_then(kind_of_reference),
        };
        members.push(Member {
            id: id.to_owned(),
            kind,
        });
    }
    Ok(members)
}

const KINDS: [(&str, &str, MemberKind); 3] = [
    ("User", "/Users/", MemberKind::User),
    ("Group", "/Groups/", MemberKind::Group),
    ("Agent", "/Agents/", MemberKind::Agent),
];

fn kind_named(name: &str) -> Result<MemberKind, ScimError> {
    let known = KINDS
        .iter()
        .find(|(known, _, _)| known.eq_ignore_ascii_case(name));
    known.map(|(_, _, kind)| *kind).ok_or_else(|| {
        let detail = "the `type` of a member is `User`, `Group` or `Agent`";
        ScimError::new(ScimType::InvalidValue, detail)
    })
}

fn kind_of_reference(reference: &str) -> Option<MemberKind> {
    let (before, _) = reference.rsplit_once('/')?;
    KINDS
        .iter()
        .find(|(_, path, _)| format!("/{before}/").ends_with(path))
        .map(|(_, _, kind)| *kind)
}

/// How the schema calls a kind of members.
pub(crate) fn kind_name(kind: MemberKind) -> &'static str {
    KINDS
        .iter()
        .find(|(_, _, known)| *known == kind)
        .map_or("User", |(name, _, _)| *name)
}

fn as_value(member: &Member) -> Value {
    let mut value = serde_json::json!({"value": member.id});
    if let (Some(kind), Some(members)) = (member.kind, value.as_object_mut()) {
        members.insert("type".to_owned(), kind_name(kind).into());
    }
    value
}
