//! What an identity provider that provisions may.

use std::collections::BTreeSet;

use gatewright_core::{AdminAction, AdminVerb};
use gatewright_directory::{
    Alteration, Edit,
    model::{Agent, AgentStatus, Document, MemberRef, Origin, ScimScope, User},
    records::Kind,
};

use super::{
    before::{Before, Unasked},
    groups::parts,
    thing,
};

pub(super) type Scopes = BTreeSet<ScimScope>;

/// The scopes of a token. It is good: whoever took it has looked.
pub(super) async fn scopes(before: &Before<'_>, token: &str) -> Result<Scopes, Unasked> {
    let found = before
        .directory
        .get(before.tenant, Kind::ScimToken, token)
        .await
        .map_err(|error| error.to_string())?;
    match found.map(|found| found.document) {
        Some(Document::ScimToken(token)) => Ok(token.scopes.into_iter().collect()),
        _ => Err("the token was taken away".to_owned()),
    }
}

/// Whether scopes are enough to know what these edits are about.
pub(super) fn knows(scopes: &Scopes, edits: &[Edit]) -> Result<(), Unasked> {
    for (kind, _) in edits.iter().map(thing) {
        let (read, write) = match kind {
            Kind::User => (ScimScope::ReadUsers, ScimScope::WriteUsers),
            Kind::Group => (ScimScope::ReadGroups, ScimScope::WriteGroups),
            Kind::Agent => (ScimScope::ReadAgents, ScimScope::WriteAgents),
            _ => return Err(format!("an identity provider has no {kind}")),
        };
        if !scopes.contains(&read) && !scopes.contains(&write) {
            return Err(format!("the token has no scope for a {kind}"));
        }
    }
    Ok(())
}

/// What is asked about one part of what is pushed.
pub(super) async fn actions(
    before: &Before<'_>,
    scopes: &Scopes,
    alteration: &Alteration,
) -> Result<Vec<AdminAction>, Unasked> {
    if before.follows(alteration) {
        return Ok(Vec::new());
    }
    let needed = match alteration.kind {
        Kind::User => ScimScope::WriteUsers,
        Kind::Group | Kind::Member => ScimScope::WriteGroups,
        Kind::Agent => ScimScope::WriteAgents,
        kind => return Err(format!("an identity provider does not push a {kind}")),
    };
    if !scopes.contains(&needed) {
        return Err(format!(
            "the token has no scope to change a {}",
            alteration.kind
        ));
    }
    let verbs = match (&alteration.before, &alteration.after) {
        (earlier, Some(Document::User(next))) => {
            let earlier = match earlier {
                Some(Document::User(user)) => Some(user),
                _ => None,
            };
            user(before, &alteration.id, earlier, next)?
        }
        (Some(Document::User(user)), None) => {
            left_alone(before, &MemberRef::user(&alteration.id), user.origin)?;
            vec![AdminVerb::UsersRemove]
        }
        (earlier, Some(Document::Agent(next))) => {
            let earlier = match earlier {
                Some(Document::Agent(agent)) => Some(agent),
                _ => None,
            };
            agent(before, &alteration.id, earlier, next)?
        }
        (Some(Document::Agent(agent)), None) => {
            left_alone(before, &MemberRef::agent(&alteration.id), agent.origin)?;
            vec![AdminVerb::AgentsRemove]
        }
        (earlier, _) if alteration.kind == Kind::Group => {
            if let Some(Document::Group(group)) = earlier {
                left_alone(before, &MemberRef::group(&alteration.id), group.origin)?;
            }
            vec![AdminVerb::GroupsWrite]
        }
        (_, after) => {
            let (group, _) = parts(&alteration.id)?;
            let origin = origin_of_group(before, group).await?;
            left_alone(before, &MemberRef::group(group), origin)?;
            match after {
                Some(_) if !before.powers(&MemberRef::group(group))?.is_empty() => {
                    return Err(format!(
                        "who is in `{group}` administers something: an identity provider puts nobody into it"
                    ));
                }
                Some(_) => vec![AdminVerb::MembersProvision],
                None => vec![AdminVerb::MembersRemove],
            }
        }
    };
    let of = |verb| before.action(verb, alteration.kind, &alteration.id);
    Ok(verbs.into_iter().map(of).collect())
}

fn user(
    before: &Before<'_>,
    id: &str,
    earlier: Option<&User>,
    next: &User,
) -> Result<Vec<AdminVerb>, Unasked> {
    let Some(earlier) = earlier else {
        if !next.identities.is_empty() || next.invited.is_some() || next.disabled.is_some() {
            return Err(ADMINISTRATORS_ONLY.to_owned());
        }
        return Ok(vec![AdminVerb::UsersWrite]);
    };
    if (&earlier.identities, &earlier.invited, &earlier.disabled)
        != (&next.identities, &next.invited, &next.disabled)
    {
        return Err(ADMINISTRATORS_ONLY.to_owned());
    }
    left_alone(before, &MemberRef::user(id), earlier.origin)?;
    // By their names tokens find people: who moves one comes as somebody else.
    let renamed =
        (&earlier.external_id, &earlier.user_name) != (&next.external_id, &next.user_name);
    if renamed && !before.powers(&MemberRef::user(id))?.is_empty() {
        return Err(format!(
            "`{id}` administers something: an identity provider switches them off, and does not say who they are; an \
             administrator does"
        ));
    }
    let switched_off = User {
        active: false,
        ..earlier.clone()
    };
    Ok(match earlier.active && !next.active {
        true if switched_off == *next => vec![AdminVerb::UsersDisable],
        true => vec![AdminVerb::UsersWrite, AdminVerb::UsersDisable],
        false => vec![AdminVerb::UsersWrite],
    })
}

fn agent(
    before: &Before<'_>,
    id: &str,
    earlier: Option<&Agent>,
    next: &Agent,
) -> Result<Vec<AdminVerb>, Unasked> {
    let identities = earlier.map(|agent| agent.identities.as_slice());
    if identities.unwrap_or_default() != next.identities {
        return Err(ADMINISTRATORS_ONLY.to_owned());
    }
    let Some(earlier) = earlier else {
        return Ok(vec![AdminVerb::AgentsWrite]);
    };
    left_alone(before, &MemberRef::agent(id), earlier.origin)?;
    if earlier.owner != next.owner && earlier.origin == Origin::Administrator {
        return Err(format!(
            "`{id}` was entered by an administrator: an identity provider does not say who answers for it"
        ));
    }
    if earlier.status == AgentStatus::Disabled && next.status != AgentStatus::Disabled {
        return Err(format!(
            "`{id}` is switched off, perhaps by an administrator: an administrator switches it on again"
        ));
    }
    let off = earlier.status == AgentStatus::Active && next.status != AgentStatus::Active;
    let switched_off = Agent {
        status: next.status.clone(),
        ..earlier.clone()
    };
    Ok(match off {
        true if switched_off == *next => vec![AdminVerb::AgentsDisable],
        true => vec![AdminVerb::AgentsWrite, AdminVerb::AgentsDisable],
        false => vec![AdminVerb::AgentsWrite],
    })
}

const ADMINISTRATORS_ONLY: &str = "identities, invitations, and whether an administrator switched somebody off, are for \
    administrators of the gateway";

/// Who administers something was made to by an administrator: an identity provider changes them only where it made them.
fn left_alone(before: &Before<'_>, who: &MemberRef, origin: Origin) -> Result<(), Unasked> {
    if origin == Origin::Scim || before.powers(who)?.is_empty() {
        return Ok(());
    }
    Err(format!(
        "`{}` administers something, and was entered by an administrator: an identity provider does not change that",
        who.id
    ))
}

async fn origin_of_group(before: &Before<'_>, group: &str) -> Result<Origin, Unasked> {
    let made = before
        .alterations
        .iter()
        .find_map(|other| match (&other.before, &other.after) {
            (None, Some(Document::Group(made))) if *other.id == *group => Some(made.origin),
            _ => None,
        });
    if let Some(origin) = made {
        return Ok(origin);
    }
    let found = before
        .directory
        .get(before.tenant, Kind::Group, group)
        .await
        .map_err(|error| error.to_string())?;
    match found.map(|found| found.document) {
        Some(Document::Group(group)) => Ok(group.origin),
        _ => Err(format!("there is no group `{group}`")),
    }
}
