//! Who is in a group.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
};
use gatewright_core::TenantId;
use gatewright_directory::{
    Edit,
    model::{Document, MemberKind, MemberRef},
    records::Kind,
};
use http::StatusCode;
use serde_json::{Value, json};

use super::{
    Console,
    page::{Asked, bad, cursor},
    records::listed,
};
use crate::{caller::Caller, problem::Problem};

pub(super) async fn list(
    State(console): State<Console>,
    caller: Caller,
    Path((tenant, group)): Path<(String, String)>,
    asked: Asked,
) -> Result<Json<Value>, Problem> {
    let tenant = console.of_directory(&caller, &tenant)?;
    let list = format!("{tenant}/groups/{group}/members");
    let page = asked.page(&list, &[])?;
    console
        .may_read(&caller, &tenant, Kind::Group, &group)
        .await?;
    if console.got(&tenant, Kind::Group, &group).await?.is_none() {
        return Err(Problem::no_such(Kind::Group));
    }
    let after = match &page.after {
        None => None,
        Some(last) => Some(member_of(last).ok_or_else(|| bad("`cursor` is not of this list"))?),
    };
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let directory = &console.0.directory;
    let mut members = directory.members(&tenant, &group, after.as_ref(), limit.saturating_add(1));
    let more = members.len() > limit;
    members.truncate(limit);
    let next = members
        .last()
        .filter(|_| more)
        .map(|last| cursor(&list, &format!("{}/{}", name(last.kind), last.id)));
    let names = names(&console, &tenant, &members).await?;
    let items = members.iter().map(|member| {
        json!({
            "kind": name(member.kind),
            "id": member.id,
            "name": names.get(member),
        })
    });
    Ok(listed(items.collect::<Vec<Value>>(), next))
}

/// What people call them.
async fn names(
    console: &Console,
    tenant: &TenantId,
    members: &[MemberRef],
) -> Result<HashMap<MemberRef, String>, Problem> {
    let mut names = HashMap::new();
    for kind in MemberKind::ALL {
        let of_kind = members.iter().filter(|member| member.kind == kind);
        let ids: Vec<Arc<str>> = of_kind.map(|member| Arc::clone(&member.id)).collect();
        let found = console
            .0
            .directory
            .get_all(tenant, record(kind), &ids)
            .await;
        for found in found.map_err(|error| Problem::of_look(&error))? {
            let name = match found.document {
                Document::User(user) => user.user_name,
                Document::Group(group) => group.display_name,
                Document::Agent(agent) => agent.name,
                _ => continue,
            };
            let id = found.record.id;
            names.insert(MemberRef { kind, id }, name);
        }
    }
    Ok(names)
}

pub(super) async fn put(
    State(console): State<Console>,
    caller: Caller,
    Path((tenant, group, kind, member)): Path<(String, String, String, String)>,
) -> Result<StatusCode, Problem> {
    let tenant = console.of_directory(&caller, &tenant)?;
    let member = of_path(&kind, &member)?;
    let edit = Edit::Join {
        group: group.as_str().into(),
        member,
    };
    let made = console
        .edit(&caller, &tenant, "members.put", vec![edit])
        .await;
    made.map_err(|error| Problem::of_change(&error, Kind::Group, &group))?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn remove(
    State(console): State<Console>,
    caller: Caller,
    Path((tenant, group, kind, member)): Path<(String, String, String, String)>,
) -> Result<StatusCode, Problem> {
    let tenant = console.of_directory(&caller, &tenant)?;
    let member = of_path(&kind, &member)?;
    let was = console.0.directory.is_member(&tenant, &group, &member);
    let edit = Edit::Leave {
        group: group.as_str().into(),
        member,
    };
    let made = console
        .edit(&caller, &tenant, "members.remove", vec![edit])
        .await;
    made.map_err(|error| Problem::of_change(&error, Kind::Group, &group))?;
    if was {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::no_such(Kind::Member))
    }
}

fn of_path(kind: &str, id: &str) -> Result<MemberRef, Problem> {
    member_of(&format!("{kind}/{id}")).ok_or_else(|| Problem::no_such(Kind::Member))
}

fn member_of(text: &str) -> Option<MemberRef> {
    let (kind, id) = text.split_once('/')?;
    Some(match kind {
        "users" => MemberRef::user(id),
        "groups" => MemberRef::group(id),
        "agents" => MemberRef::agent(id),
        _ => return None,
    })
}

/// As paths have it.
const fn name(kind: MemberKind) -> &'static str {
    match kind {
        MemberKind::Group => "groups",
        MemberKind::Agent => "agents",
        _ => "users",
    }
}

const fn record(kind: MemberKind) -> Kind {
    match kind {
        MemberKind::Group => Kind::Group,
        MemberKind::Agent => Kind::Agent,
        _ => Kind::User,
    }
}
