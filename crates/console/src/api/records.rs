//! Listing, reading and changing what a tenant consists of: the same for every kind.

use std::sync::Arc;

use axum::{
    Json,
    extract::rejection::BytesRejection,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use gatewright_core::{
    AdminAction, JsonLimits, PartyKind, ReferenceId, Subject, TenantId, json as strict,
};
use gatewright_directory::{
    Applied, ChangeError, Edit, Expected, Listed,
    model::{Group, Holder, MemberRef, User},
    records::{Kind, UniqueName},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use super::{
    Console,
    collection::{Changes, Collection},
    conditions::{Conditions, etag},
    form::{self, ID, META, shown},
    merge::merge,
    now,
    page::{Asked, Page, bad, cursor},
};
use crate::{authority::Before, caller::Caller, problem::Problem};

/// A merge patch that meets somebody else's change is made again so often.
const ATTEMPTS: usize = 4;

impl Console {
    /// The tenant of a path, where whoever asks may know that there is one.
    pub(super) fn of_directory(&self, caller: &Caller, name: &str) -> Result<TenantId, Problem> {
        let tenant = TenantId::new(name).map_err(|_unfit| Problem::no_tenant())?;
        let foreign = caller.tenant().is_some_and(|own| *own != tenant);
        if foreign || !self.0.directory.has_tenant(&tenant) {
            return Err(Problem::no_tenant());
        }
        Ok(tenant)
    }

    pub(super) async fn may(&self, caller: &Caller, action: &AdminAction) -> Result<(), Problem> {
        let may = self.0.authority.may(caller.actor(), action).await;
        may.map_err(Problem::forbidden)
    }

    /// Whether whoever asks may read this thing, or all of its kind where `id` is empty.
    pub(super) async fn may_read(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        kind: Kind,
        id: &str,
    ) -> Result<(), Problem> {
        let action = self.before(tenant).reading(kind, id);
        self.may(caller, &action).await
    }

    pub(super) fn before<'a>(&'a self, tenant: &'a TenantId) -> Before<'a> {
        Before::looking(&self.0.directory, tenant, now())
    }

    pub(super) async fn got(
        &self,
        tenant: &TenantId,
        kind: Kind,
        id: &str,
    ) -> Result<Option<Listed>, Problem> {
        let found = self.0.directory.get(tenant, kind, id).await;
        found.map_err(|error| Problem::of_look(&error))
    }

    /// Makes a change through the one door.
    pub(super) async fn edit(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        action: &'static str,
        edits: Vec<Edit>,
    ) -> Result<Applied, ChangeError> {
        let actor = caller.actor().clone();
        self.0.directory.change(actor, tenant, action, edits).await
    }
}

/// What answers a request about one thing.
pub(super) fn answer(
    status: StatusCode,
    found: &Listed,
    mut body: Value,
    also: &[String],
) -> Response {
    if !also.is_empty()
        && let Some(Value::Object(meta)) = body.get_mut(META)
    {
        meta.insert("also".to_owned(), json!(also));
    }
    let mut answer = (status, Json(body)).into_response();
    if let Some(etag) = etag(found.record.revision) {
        answer.headers_mut().insert(header::ETAG, etag);
    }
    answer
}

pub(super) async fn list(
    console: Console,
    collection: &'static Collection,
    caller: Caller,
    tenant: String,
    asked: Asked,
) -> Result<Json<Value>, Problem> {
    let tenant = console.of_directory(&caller, &tenant)?;
    let list = format!("{tenant}/{}", collection.segment);
    let page = asked.page(&list, collection.filters)?;
    if let Some((name, value)) = &page.filter {
        let found = filtered(&console, collection, &caller, &tenant, name, value);
        let ids = found.await?;
        return picked(&console, collection, &tenant, &list, &page, ids).await;
    }
    console
        .may_read(&caller, &tenant, collection.kind, "")
        .await?;
    let after = page.after.as_deref();
    let found = console.0.directory.page(
        &tenant,
        collection.kind,
        after,
        0,
        page.limit.saturating_add(1),
    );
    let mut found = found.await.map_err(|error| Problem::of_look(&error))?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more);
    let next = next.map(|last| cursor(&list, &last.record.id));
    let mut items: Vec<Value> = Vec::new();
    if collection.kind == Kind::Role && after.is_none() {
        items.extend(form::built_in());
    }
    items.extend(found.iter().map(|found| shown(collection, found)));
    Ok(listed(items, next))
}

pub(super) fn listed(items: impl Into<Value>, next: Option<String>) -> Json<Value> {
    let items: Value = items.into();
    let mut body = json!({ "items": items });
    if let Some(next) = next {
        form::add(&mut body, "next", next);
    }
    Json(body)
}

/// The ids of what a filter picks, without reading all.
async fn filtered(
    console: &Console,
    collection: &'static Collection,
    caller: &Caller,
    tenant: &TenantId,
    name: &str,
    value: &str,
) -> Result<Vec<Arc<str>>, Problem> {
    let directory = &console.0.directory;
    let kind = collection.kind;
    let unique: UniqueName = match (kind, name) {
        (Kind::Grant, _) => {
            let holder = match name {
                "group" => Holder::Group(value.to_owned()),
                "agent" => Holder::Agent(value.to_owned()),
                _ => Holder::User(value.to_owned()),
            };
            let action = console.before(tenant).reading_grants_of(&holder);
            console.may(caller, &action).await?;
            let grants = directory.grants_of(tenant, &holder).into_iter();
            return Ok(grants.map(|(id, _)| id).collect());
        }
        (Kind::Agent, "owner") => {
            console.may_read(caller, tenant, kind, "").await?;
            return Ok(directory.agents_of(tenant, value));
        }
        (Kind::User | Kind::Agent, "identity") => {
            let Some((issuer, subject)) = value.split_once('|') else {
                return Err(bad("`identity` is `<issuer>|<id>`"));
            };
            let party = match kind {
                Kind::Agent => PartyKind::Agent,
                _ => PartyKind::User,
            };
            let found = directory.whose(tenant, party, &Subject::new(issuer, subject));
            let id = found.as_deref().unwrap_or(NOBODY);
            console.may_read(caller, tenant, kind, id).await?;
            return Ok(found.into_iter().collect());
        }
        (Kind::User, "external_id") => User::by_external_id(value),
        (Kind::User, _) => User::by_user_name(value),
        (_, "external_id") => Group::by_external_id(value),
        _ => Group::by_display_name(value),
    };
    let found = directory.find(tenant, &unique).await;
    let found = found.map_err(|error| Problem::of_look(&error))?;
    let found = found.filter(|found| found.record.kind == kind);
    let id = found.as_ref().map_or(NOBODY, |found| &found.record.id);
    console.may_read(caller, tenant, kind, id).await?;
    Ok(found.into_iter().map(|found| found.record.id).collect())
}

/// No id, and not that of all: who may read only some learns nothing of others by asking for one that there is not.
const NOBODY: &str = "/";

async fn picked(
    console: &Console,
    collection: &'static Collection,
    tenant: &TenantId,
    list: &str,
    page: &Page,
    mut ids: Vec<Arc<str>>,
) -> Result<Json<Value>, Problem> {
    ids.sort();
    if let Some(after) = &page.after {
        ids.retain(|id| **id > **after);
    }
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let more = ids.len() > limit;
    ids.truncate(limit);
    let next = ids.last().filter(|_| more).map(|last| cursor(list, last));
    let found = console.0.directory.get_all(tenant, collection.kind, &ids);
    let found = found.await.map_err(|error| Problem::of_look(&error))?;
    let items = found.iter().map(|found| shown(collection, found));
    Ok(listed(items.collect::<Vec<Value>>(), next))
}

pub(super) async fn read(
    console: Console,
    collection: &'static Collection,
    caller: Caller,
    tenant: String,
    id: String,
) -> Result<Response, Problem> {
    let tenant = console.of_directory(&caller, &tenant)?;
    let kind = collection.kind;
    console.may_read(&caller, &tenant, kind, &id).await?;
    if kind == Kind::Role
        && let Some(role) = form::built_in().into_iter().find(|role| role["id"] == *id)
    {
        return Ok(Json(role).into_response());
    }
    let found = console.got(&tenant, kind, &id).await?;
    let found = found.ok_or_else(|| Problem::no_such(kind))?;
    Ok(answer(
        StatusCode::OK,
        &found,
        shown(collection, &found),
        &[],
    ))
}

pub(super) async fn create(
    console: Console,
    collection: &'static Collection,
    caller: Caller,
    tenant: String,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let tenant = console.of_directory(&caller, &tenant)?;
    let members = object(body)?;
    let given = match (members.get(ID), collection.kind) {
        (None, Kind::Role) => members.get("name"),
        (given, _) => given,
    };
    let id: Arc<str> = match (given.and_then(Value::as_str), collection.changes) {
        (Some(id), _) => id.into(),
        (None, Changes::MakesIds) => ReferenceId::random().to_string().into(),
        (None, _) => {
            let detail = format!(
                "{} has an `id` that people give: it is missing",
                collection.one
            );
            return Err(Problem::unfit("id", detail));
        }
    };
    let document = form::taken(collection, &id, members, None)?;
    let edit = Edit::Put {
        id: Arc::clone(&id),
        document,
        expected: Expected::Absent,
    };
    let made = console
        .edit(&caller, &tenant, collection.put, vec![edit])
        .await;
    let made = made.map_err(|error| Problem::of_change(&error, collection.kind, &id))?;
    let mut answer = as_it_is(
        &console,
        collection,
        &tenant,
        &id,
        StatusCode::CREATED,
        &made,
    )
    .await?;
    let place = format!("/api/v1/tenants/{tenant}/{}/{id}", collection.segment);
    if let Ok(place) = HeaderValue::from_str(&place) {
        answer.headers_mut().insert(header::LOCATION, place);
    }
    Ok(answer)
}

pub(super) async fn put(
    console: Console,
    collection: &'static Collection,
    caller: Caller,
    (tenant, id): (String, String),
    conditions: Conditions,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let tenant = console.of_directory(&caller, &tenant)?;
    let (kind, id) = (collection.kind, Arc::from(id));
    let members = object(body)?;
    if !conditions.are_none() || form::repeats_untold(&members) {
        console.may_read(&caller, &tenant, kind, &id).await?;
    }
    let there = console.got(&tenant, kind, &id).await?;
    let expected = conditions.expected(there.as_ref())?;
    let document = form::taken(collection, &id, members, there.as_ref())?;
    let edit = Edit::Put {
        id: Arc::clone(&id),
        document,
        expected,
    };
    let made = console
        .edit(&caller, &tenant, collection.put, vec![edit])
        .await;
    let made = made.map_err(|error| Problem::of_change(&error, kind, &id))?;
    let status = match there {
        Some(_) => StatusCode::OK,
        None => StatusCode::CREATED,
    };
    as_it_is(&console, collection, &tenant, &id, status, &made).await
}

pub(super) async fn patch(
    console: Console,
    collection: &'static Collection,
    caller: Caller,
    (tenant, id): (String, String),
    conditions: Conditions,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let tenant = console.of_directory(&caller, &tenant)?;
    let (kind, id): (Kind, Arc<str>) = (collection.kind, id.into());
    let patch = object(body)?;
    // The answer says what it is then.
    console.may_read(&caller, &tenant, kind, &id).await?;
    for attempt in 1.. {
        let there = console.got(&tenant, kind, &id).await?;
        let there = there.ok_or_else(|| Problem::no_such(kind))?;
        conditions.expected(Some(&there))?;
        let mut next = Value::Object(form::document(collection, &there.document));
        merge(&mut next, Value::Object(patch.clone()));
        let Value::Object(next) = next else {
            return Err(Problem::unfit("document", "it is no object any more"));
        };
        let edit = Edit::Put {
            id: Arc::clone(&id),
            document: form::taken(collection, &id, next, Some(&there))?,
            // What the patch says nothing of stays as it is now, and not as it was.
            expected: Expected::At(there.record.revision),
        };
        let made = console
            .edit(&caller, &tenant, collection.put, vec![edit])
            .await;
        match made {
            Err(ChangeError::Stale { .. }) if conditions.are_none() && attempt < ATTEMPTS => {}
            Err(error) => return Err(Problem::of_change(&error, kind, &id)),
            Ok(made) => {
                return as_it_is(&console, collection, &tenant, &id, StatusCode::OK, &made).await;
            }
        }
    }
    Err(Problem::unavailable(
        "busy",
        &"others change it all the time",
    ))
}

pub(super) async fn remove(
    console: Console,
    collection: &'static Collection,
    caller: Caller,
    (tenant, id): (String, String),
    conditions: Conditions,
) -> Result<Json<Value>, Problem> {
    let tenant = console.of_directory(&caller, &tenant)?;
    let (kind, id): (Kind, Arc<str>) = (collection.kind, id.into());
    let expected = if conditions.are_none() {
        Expected::Present
    } else {
        console.may_read(&caller, &tenant, kind, &id).await?;
        let there = console.got(&tenant, kind, &id).await?;
        conditions.expected(there.as_ref())?
    };
    let edit = Edit::Remove {
        kind,
        id: Arc::clone(&id),
        expected,
    };
    let made = console
        .edit(&caller, &tenant, collection.remove, vec![edit])
        .await;
    let made = made.map_err(|error| Problem::of_change(&error, kind, &id))?;
    Ok(Json(json!({"id": id, "also": made.also})))
}

/// What a change has made, as it is now.
async fn as_it_is(
    console: &Console,
    collection: &'static Collection,
    tenant: &TenantId,
    id: &str,
    status: StatusCode,
    made: &Applied,
) -> Result<Response, Problem> {
    let found = console.got(tenant, collection.kind, id).await?;
    let Some(found) = found else {
        // Somebody else was quick.
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    Ok(answer(
        status,
        &found,
        shown(collection, &found),
        &made.also,
    ))
}

/// The object that a body is.
pub(super) fn object(body: Result<Bytes, BytesRejection>) -> Result<Map<String, Value>, Problem> {
    let body = body.map_err(|_unread| {
        let detail = "the body is too large, or broke off";
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body", detail)
    })?;
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "body", detail);
    let limits = JsonLimits {
        max_bytes: usize::MAX,
        max_depth: 32,
    };
    let text = strict::check(&body, &limits)
        .map_err(|error| bad(format!("the body is not the JSON that this takes: {error}")))?;
    match serde_json::from_str(text) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(bad("the body is not an object".to_owned())),
    }
}

/// The groups that somebody is in.
pub(super) async fn groups(
    console: Console,
    collection: &'static Collection,
    caller: Caller,
    tenant: String,
    id: String,
) -> Result<Json<Value>, Problem> {
    let tenant = console.of_directory(&caller, &tenant)?;
    console
        .may_read(&caller, &tenant, collection.kind, &id)
        .await?;
    if console.got(&tenant, collection.kind, &id).await?.is_none() {
        return Err(Problem::no_such(collection.kind));
    }
    let member = match collection.kind {
        Kind::Agent => MemberRef::agent(&id),
        Kind::Group => MemberRef::group(&id),
        _ => MemberRef::user(&id),
    };
    let groups = console.0.directory.groups_of(&tenant, &member);
    let items = groups.iter().map(
        |group| json!({"id": group.id, "display_name": group.display_name, "direct": group.direct}),
    );
    Ok(listed(items.collect::<Vec<Value>>(), None))
}
