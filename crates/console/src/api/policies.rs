//! Hand-written policies: a draft, what is in force, and every version that was.
//!
//! Each version is a record that nobody changes; what is in force is another that repeats it and names it as its base.
//! Publishing is one commit of both, so that what is in force always has its version.

mod difference;

use axum::{
    Json,
    extract::{Path, State, rejection::BytesRejection},
    response::Response,
};
use bytes::Bytes;
use gatewright_core::TenantId;
use gatewright_directory::{
    ChangeError, Edit, Expected, Listed,
    model::{Document, Identity, Policies},
    records::Kind,
};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    Console,
    conditions::Conditions,
    form::{self, ID, META, moment},
    now,
    page::{Asked, cursor},
    records::{answer, listed, object},
};
use crate::{caller::Caller, problem::Problem};

pub(super) async fn draft(
    State(console): State<Console>,
    caller: Caller,
    Path(tenant): Path<String>,
) -> Result<Response, Problem> {
    show(&console, &caller, &tenant, Policies::DRAFT).await
}

pub(super) async fn published(
    State(console): State<Console>,
    caller: Caller,
    Path(tenant): Path<String>,
) -> Result<Response, Problem> {
    show(&console, &caller, &tenant, Policies::PUBLISHED).await
}

pub(super) async fn version(
    State(console): State<Console>,
    caller: Caller,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let id = Policies::number(&id).map_or_else(String::new, Policies::version);
    show(&console, &caller, &tenant, &id).await
}

async fn show(
    console: &Console,
    caller: &Caller,
    tenant: &str,
    id: &str,
) -> Result<Response, Problem> {
    let tenant = console.of_directory(caller, tenant)?;
    console
        .may_read(caller, &tenant, Kind::Policies, "")
        .await?;
    let (found, policies) = policies(console, &tenant, id)
        .await?
        .ok_or_else(|| missing(id))?;
    Ok(answer(
        StatusCode::OK,
        &found,
        shown(id, &policies, Some(&found), true),
        &[],
    ))
}

fn missing(id: &str) -> Problem {
    match id {
        Policies::DRAFT => Problem::unknown("no-draft", "there is no draft: put one first"),
        Policies::PUBLISHED => {
            Problem::unknown("nothing-published", "no policies were published yet")
        }
        _ => Problem::unknown("not-found", "there is no such version"),
    }
}

/// Puts a draft in the place of what was drafted. It may be wrong; `check` says so.
pub(super) async fn put_draft(
    State(console): State<Console>,
    caller: Caller,
    Path(tenant): Path<String>,
    conditions: Conditions,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let tenant = console.of_directory(&caller, &tenant)?;
    let members = object(body)?;
    // What others have drafted is what the answer and the conditions speak of.
    console
        .may_read(&caller, &tenant, Kind::Policies, "")
        .await?;
    let mut next = drafted(members)?;
    let there = policies(&console, &tenant, Policies::DRAFT).await?;
    let expected = conditions.expected(there.as_ref().map(|(found, _)| found))?;
    let expected = match (expected, &there) {
        // Whoever drafted before has drafted a part of it; none of them is lost to somebody who is quick.
        (Expected::Any, Some((found, _))) => Expected::At(found.record.revision),
        (Expected::Any, None) => Expected::Absent,
        (expected, _) => expected,
    };
    let in_force = policies(&console, &tenant, Policies::PUBLISHED).await?;
    next.base = next.base.take().or_else(|| base_of(in_force.as_ref()));
    next.by = Some(caller.actor().to_string());
    next.at = Some(now().millis());
    next.drafted_by = there
        .map(|(_, policies)| policies.drafted_by)
        .unwrap_or_default();
    let new = caller.could_come_as(&console.0.directory, &tenant).await;
    add(&mut next.drafted_by, new);
    let edits = vec![put(Policies::DRAFT, next, expected)];
    make(
        &console,
        &caller,
        &tenant,
        "policies.draft",
        edits,
        Policies::DRAFT,
    )
    .await?;
    show(&console, &caller, tenant.as_str(), Policies::DRAFT).await
}

pub(super) async fn remove_draft(
    State(console): State<Console>,
    caller: Caller,
    Path(tenant): Path<String>,
) -> Result<StatusCode, Problem> {
    let tenant = console.of_directory(&caller, &tenant)?;
    let edit = Edit::Remove {
        kind: Kind::Policies,
        id: Policies::DRAFT.into(),
        expected: Expected::Present,
    };
    make(
        &console,
        &caller,
        &tenant,
        "policies.draft.remove",
        vec![edit],
        Policies::DRAFT,
    )
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether the draft could be published.
pub(super) async fn check(
    State(console): State<Console>,
    caller: Caller,
    Path(tenant): Path<String>,
) -> Result<Json<Value>, Problem> {
    let tenant = console.of_directory(&caller, &tenant)?;
    console
        .may_read(&caller, &tenant, Kind::Policies, "")
        .await?;
    let (_, draft) = policies(&console, &tenant, Policies::DRAFT)
        .await?
        .ok_or_else(|| missing(Policies::DRAFT))?;
    let directory = &console.0.directory;
    let mut settings = directory.settings(&tenant).ok_or_else(Problem::no_tenant)?;
    settings.policies.insert(Policies::PUBLISHED.into(), draft);
    Ok(Json(match directory.check(&tenant, &settings) {
        Ok(()) => json!({"good": true}),
        Err(fault) => json!({"good": false, "rule": fault.rule, "detail": fault.message}),
    }))
}

/// What publishing the draft would change in the texts.
pub(super) async fn diff(
    State(console): State<Console>,
    caller: Caller,
    Path(tenant): Path<String>,
) -> Result<Json<Value>, Problem> {
    let tenant = console.of_directory(&caller, &tenant)?;
    console
        .may_read(&caller, &tenant, Kind::Policies, "")
        .await?;
    let (_, draft) = policies(&console, &tenant, Policies::DRAFT)
        .await?
        .ok_or_else(|| missing(Policies::DRAFT))?;
    let in_force = policies(&console, &tenant, Policies::PUBLISHED).await?;
    let base = base_of(in_force.as_ref());
    let in_force = in_force.map(|(_, policies)| policies).unwrap_or_default();
    Ok(Json(json!({
        "base": draft.base,
        "published": base,
        "files": difference::between(&in_force.files, &draft.files),
    })))
}

/// Puts the draft in force, as a new version.
pub(super) async fn publish(
    State(console): State<Console>,
    caller: Caller,
    Path(tenant): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let tenant = console.of_directory(&caller, &tenant)?;
    let note = note(body)?;
    console
        .may_read(&caller, &tenant, Kind::Policies, "")
        .await?;
    let (found, mut next) = policies(&console, &tenant, Policies::DRAFT)
        .await?
        .ok_or_else(|| missing(Policies::DRAFT))?;
    let in_force = policies(&console, &tenant, Policies::PUBLISHED).await?;
    let base = base_of(in_force.as_ref());
    if next.base != base {
        let detail = format!(
            "the draft was made from {}, and {} is in force: look at the difference, and put the draft again",
            next.base.as_deref().unwrap_or("nothing"),
            base.as_deref().unwrap_or("nothing"),
        );
        return Err(Problem::new(StatusCode::CONFLICT, "stale-draft", detail));
    }
    if let Some(note) = note {
        next.note = Some(note);
    }
    let mut edits = put_in_force(&console, &caller, &tenant, next, in_force.as_ref())?;
    edits.push(Edit::Remove {
        kind: Kind::Policies,
        id: Policies::DRAFT.into(),
        expected: Expected::At(found.record.revision),
    });
    make(
        &console,
        &caller,
        &tenant,
        "policies.publish",
        edits,
        Policies::DRAFT,
    )
    .await?;
    show(&console, &caller, tenant.as_str(), Policies::PUBLISHED).await
}

/// Puts an earlier version in force again, as a new one. The draft stays.
pub(super) async fn revert(
    State(console): State<Console>,
    caller: Caller,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let tenant = console.of_directory(&caller, &tenant)?;
    console
        .may_read(&caller, &tenant, Kind::Policies, "")
        .await?;
    let id = Policies::number(&id).map_or_else(String::new, Policies::version);
    let (_, mut next) = policies(&console, &tenant, &id)
        .await?
        .ok_or_else(|| missing(&id))?;
    next.note = Some(format!("back to {id}"));
    let in_force = policies(&console, &tenant, Policies::PUBLISHED).await?;
    let edits = put_in_force(&console, &caller, &tenant, next, in_force.as_ref())?;
    make(&console, &caller, &tenant, "policies.revert", edits, &id).await?;
    show(&console, &caller, tenant.as_str(), Policies::PUBLISHED).await
}

/// Every version, the latest first, without the texts.
pub(super) async fn versions(
    State(console): State<Console>,
    caller: Caller,
    Path(tenant): Path<String>,
    asked: Asked,
) -> Result<Json<Value>, Problem> {
    let tenant = console.of_directory(&caller, &tenant)?;
    let list = format!("{tenant}/policies/versions");
    let page = asked.page(&list, &[])?;
    console
        .may_read(&caller, &tenant, Kind::Policies, "")
        .await?;
    let settings = console
        .0
        .directory
        .settings(&tenant)
        .ok_or_else(Problem::no_tenant)?;
    let in_force = settings.policies.get(Policies::PUBLISHED);
    let in_force = in_force.and_then(|policies| policies.base.as_deref());
    let mut versions: Vec<(u64, &Policies)> = settings
        .policies
        .iter()
        .filter_map(|(id, policies)| Some((Policies::number(id)?, policies)))
        .collect();
    versions.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    if let Some(after) = page.after.as_deref().and_then(Policies::number) {
        versions.retain(|(number, _)| *number < after);
    }
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let more = versions.len() > limit;
    versions.truncate(limit);
    let next = versions.last().filter(|_| more);
    let next = next.map(|(number, _)| cursor(&list, &Policies::version(*number)));
    let items = versions.into_iter().map(|(number, policies)| {
        let id = Policies::version(number);
        let mut item = shown(&id, policies, None, false);
        form::add(&mut item, "in_force", in_force == Some(id.as_str()));
        item
    });
    Ok(listed(items.collect::<Vec<Value>>(), next))
}

async fn policies(
    console: &Console,
    tenant: &TenantId,
    id: &str,
) -> Result<Option<(Listed, Policies)>, Problem> {
    let found = console.got(tenant, Kind::Policies, id).await?;
    Ok(found.and_then(|found| match found.document.clone() {
        Document::Policies(policies) => Some((found, policies)),
        _ => None,
    }))
}

/// The version in force, which a draft that is made now is made from.
fn base_of(in_force: Option<&(Listed, Policies)>) -> Option<String> {
    in_force.and_then(|(_, policies)| policies.base.clone())
}

/// What is put in force, and its version.
fn put_in_force(
    console: &Console,
    caller: &Caller,
    tenant: &TenantId,
    mut next: Policies,
    in_force: Option<&(Listed, Policies)>,
) -> Result<Vec<Edit>, Problem> {
    let settings = console
        .0
        .directory
        .settings(tenant)
        .ok_or_else(Problem::no_tenant)?;
    let version = Policies::next_version(settings.policies.keys());
    next.by = Some(caller.actor().to_string());
    next.at = Some(now().millis());
    let mut kept = next.clone();
    kept.base = base_of(in_force);
    next.base = Some(version.clone());
    let expected = match in_force {
        Some((found, _)) => Expected::At(found.record.revision),
        None => Expected::Absent,
    };
    Ok(vec![
        put(Policies::PUBLISHED, next, expected),
        put(&version, kept, Expected::Absent),
    ])
}

async fn make(
    console: &Console,
    caller: &Caller,
    tenant: &TenantId,
    action: &'static str,
    edits: Vec<Edit>,
    id: &str,
) -> Result<(), Problem> {
    match console.edit(caller, tenant, action, edits).await {
        Ok(_made) => Ok(()),
        Err(error @ (ChangeError::Exists { .. } | ChangeError::Stale { .. }))
            if id != Policies::DRAFT =>
        {
            Err(Problem::new(
                StatusCode::CONFLICT,
                "stale",
                error.to_string(),
            ))
        }
        Err(error) => Err(Problem::of_change(&error, Kind::Policies, id)),
    }
}

fn put(id: &str, policies: Policies, expected: Expected) -> Edit {
    Edit::Put {
        id: id.into(),
        document: Document::Policies(policies),
        expected,
    }
}

/// What a body says of a draft: its files, what it is about, and the version that it was made from.
fn drafted(mut members: Map<String, Value>) -> Result<Policies, Problem> {
    // A draft that was read can be put back.
    for name in [ID, META, "by", "at", "drafted_by"] {
        members.remove(name);
    }
    let policies: Policies = serde_json::from_value(Value::Object(members))
        .map_err(|error| Problem::unfit("document", format!("this is no draft: {error}")))?;
    let odd = policies.files.keys().find(|name| !is_file(name));
    if let Some(name) = odd {
        let detail = format!(
            "`{}` is no name of a policy file: it has letters, digits, `-`, `_`, `.` and `/`, and ends with `.cedar`",
            name.escape_debug()
        );
        return Err(Problem::unfit("file-name", detail));
    }
    Ok(policies)
}

fn is_file(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_./".contains(&b);
    name.len() <= 128
        && name.ends_with(".cedar")
        && name.bytes().all(fits)
        && name
            .split('/')
            .all(|part| !part.starts_with('.') && !part.is_empty())
}

fn note(body: Result<Bytes, BytesRejection>) -> Result<Option<String>, Problem> {
    if body.as_ref().is_ok_and(Bytes::is_empty) {
        return Ok(None);
    }
    let members = object(body)?;
    match (members.get("note"), members.len()) {
        (Some(Value::String(note)), 1) if note.len() <= 1_024 => Ok(Some(note.clone())),
        (None, 0) => Ok(None),
        _ => Err(Problem::unfit(
            "note",
            "the body has a `note` of at most 1024 bytes, or nothing",
        )),
    }
}

fn shown(id: &str, policies: &Policies, found: Option<&Listed>, whole: bool) -> Value {
    let mut value = json!({
        ID: id,
        "note": policies.note,
        "by": policies.by,
        "at": policies.at.map(|at| moment(gatewright_core::Timestamp::from_millis(at))),
        "drafted_by": policies.drafted_by,
        "base": policies.base,
    });
    let files = if whole {
        json!(policies.files)
    } else {
        json!(policies.files.keys().collect::<Vec<_>>())
    };
    form::add(&mut value, "files", files);
    if let Some(found) = found {
        let meta = json!({
            "revision": found.record.revision.0,
            "created_at": moment(found.record.created_at),
            "modified_at": moment(found.record.modified_at),
        });
        form::add(&mut value, META, meta);
    }
    value
}

fn add(all: &mut Vec<Identity>, new: Vec<Identity>) {
    for identity in new {
        if !all.contains(&identity) {
            all.push(identity);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_leave_no_directory() {
        for good in ["a.cedar", "team/a-1_x.cedar"] {
            assert!(is_file(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "../a.cedar",
            "/a.cedar",
            "a//b.cedar",
            "a b.cedar",
            ".cedar",
            "a\u{202e}.cedar",
        ] {
            assert!(!is_file(bad), "{bad}");
        }
    }
}
