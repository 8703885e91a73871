//! API keys.

use axum::{
    Json,
    extract::{Path, State, rejection::BytesRejection},
};
use bytes::Bytes;
use gatewright_core::{
    AdminAction, AdminVerb, CredentialOwner, PartyKind, ServerName, Subject, Timestamp,
    access::Pattern,
};
use gatewright_identity::{ApiKeyId, ApiKeyRecord, CreateApiKeyError, KeyHolder, NewApiKey};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Console, begin, now, parse, rfc3339, unknown_issuer, unknown_server};
use crate::{TenantView, caller::Caller, problem::Problem};

/// As policies know them.
pub(crate) const KIND: &str = "key";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateForm {
    name: String,
    /// `agent:<issuer>|<id>` or `user:<issuer>|<id>`.
    holder: String,
    servers: Vec<String>,
    expires_at: String,
}

pub(super) async fn list(
    State(console): State<Console>,
    caller: Caller,
    Path(tenant): Path<String>,
) -> Result<Json<Value>, Problem> {
    let tenant = console.tenant(&caller, &tenant)?;
    let action = AdminAction::new(tenant.name.clone(), AdminVerb::MetadataRead, KIND, "");
    console.may(&caller, &action).await?;
    let now = now();
    let keys = console.0.keys.list(&tenant.name);
    let keys: Vec<Value> = keys.iter().map(|record| shown(record, now)).collect();
    Ok(Json(json!({ "keys": keys })))
}

fn shown(record: &ApiKeyRecord, now: Timestamp) -> Value {
    json!({
        "id": record.id.to_string(),
        "name": record.name,
        "holder": written(&record.holder),
        "servers": record.servers.iter().map(Pattern::as_str).collect::<Vec<_>>(),
        "created_at": rfc3339(record.created_at),
        "expires_at": rfc3339(record.expires_at),
        "revoked_at": record.revoked_at.and_then(rfc3339),
        "last_used_at": record.last_used_at.and_then(rfc3339),
        "state": state(record, now),
    })
}

/// `good`, `expired` or `revoked`.
pub(super) fn state(record: &ApiKeyRecord, now: Timestamp) -> &'static str {
    match (record.revoked_at, record.expires_at <= now) {
        (Some(_), _) => "revoked",
        (None, true) => "expired",
        (None, false) => "good",
    }
}

fn written(holder: &KeyHolder) -> String {
    match holder {
        KeyHolder::Agent(subject) => format!("agent:{subject}"),
        KeyHolder::User(subject) => format!("user:{subject}"),
    }
}

pub(super) async fn create(
    State(console): State<Console>,
    caller: Caller,
    Path(tenant): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let form: CreateForm = parse(body)?;
    let tenant = console.tenant(&caller, &tenant)?;
    let holder = holder(&form)?;
    let (kind, subject) = side(&holder);
    let action = console.before(&tenant.name).making_key(kind, subject);
    console.may(&caller, &action).await?;
    let directory = &console.0.directory;
    let is_known = directory.whose(&tenant.name, kind, subject).is_some();
    let new = new(&form, holder, &tenant)?;
    if !is_known {
        // Whoever is entered under this name later would find that somebody has their key.
        let detail = "nobody here has this identity: enter the person or the agent first, and link the identity to them";
        return Err(Problem::unfit("unknown-holder", detail));
    }
    let expires_at = new.expires_at;
    let keys = console.0.keys.clone();
    // The record names the key before there is one.
    let drawn = keys.draw().map_err(|error| refused(&error))?;
    let change = begin(&tenant.name, &caller, "key.create")
        .with("key", &drawn.id)
        .with("holder", &written(&new.holder))
        .with("servers", &form.servers.join(" "))
        .with("name", &form.name)
        .with("expires_at", &rfc3339(expires_at).unwrap_or_default());
    let made = console.change(change, async move {
        let issued = keys.store(&tenant.name, new, drawn).await;
        Ok((issued.map_err(|error| refused(&error))?, Vec::new()))
    });
    let issued = made.await?;
    let document = json!({
        "id": issued.id.to_string(),
        "key": issued.text.expose(),
        "name": form.name,
        "holder": form.holder,
        "servers": form.servers,
        "expires_at": rfc3339(expires_at),
    });
    Ok((StatusCode::CREATED, Json(document)))
}

fn holder(form: &CreateForm) -> Result<KeyHolder, Problem> {
    match form.holder.parse() {
        Ok(CredentialOwner::Agent(subject)) => Ok(KeyHolder::Agent(subject)),
        Ok(CredentialOwner::User(subject)) => Ok(KeyHolder::User(subject)),
        _ => {
            let detail = "a key is held by `agent:<issuer>|<id>` or `user:<issuer>|<id>`";
            Err(Problem::unfit("holder", detail))
        }
    }
}

const fn side(holder: &KeyHolder) -> (PartyKind, &Subject) {
    match holder {
        KeyHolder::Agent(subject) => (PartyKind::Agent, subject),
        KeyHolder::User(subject) => (PartyKind::User, subject),
    }
}

fn new(form: &CreateForm, holder: KeyHolder, tenant: &TenantView) -> Result<NewApiKey, Problem> {
    let (_, subject) = side(&holder);
    if !tenant.knows(subject.issuer()) {
        return Err(unknown_issuer(tenant));
    }
    let servers: Vec<Pattern> = form.servers.iter().map(|text| Pattern::new(text)).collect();
    let known = |name: &str| ServerName::new(name).is_ok_and(|name| tenant.server(&name).is_some());
    if !servers.iter().filter_map(Pattern::literal).all(known) {
        return Err(unknown_server(tenant));
    }
    let Ok(expires_at) = form.expires_at.parse::<jiff::Timestamp>() else {
        let detail = "`expires_at` is a moment with its offset, as `2027-01-31T18:00:00Z`";
        return Err(Problem::unfit("expires-at", detail));
    };
    Ok(NewApiKey {
        name: form.name.clone(),
        holder,
        servers,
        expires_at: Timestamp::from_millis(expires_at.as_millisecond()),
    })
}

fn refused(error: &CreateApiKeyError) -> Problem {
    let detail = error.to_string();
    match error {
        CreateApiKeyError::Name
        | CreateApiKeyError::Holder
        | CreateApiKeyError::Servers
        | CreateApiKeyError::Ended => Problem::unfit("key", detail),
        CreateApiKeyError::PeopleOff => {
            let detail = "this tenant has no keys for people: set `api_keys_for_people = true` in org.toml, or make it for an agent";
            Problem::new(StatusCode::CONFLICT, "people-keys-off", detail)
        }
        CreateApiKeyError::TooMany => Problem::new(StatusCode::CONFLICT, "too-many-keys", detail),
        _ => Problem::unavailable("keys", &detail),
    }
}

pub(super) async fn revoke(
    State(console): State<Console>,
    caller: Caller,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let tenant = console.tenant(&caller, &tenant)?;
    let id = ApiKeyId::parse(&id);
    let mut held = console.0.keys.list(&tenant.name).into_iter();
    let held = held.find(|record| id.as_ref().is_ok_and(|id| *id == record.id));
    let before = console.before(&tenant.name);
    let action = before.revoking_key(held.as_ref().map(|record| side(&record.holder)));
    console.may(&caller, &action).await?;
    let id = id.map_err(|_invalid| unknown_key())?;
    let change = begin(&tenant.name, &caller, "key.revoke").with("key", &id);
    let keys = console.0.keys.clone();
    console
        .change(change, async move {
            let found = keys.revoke(&tenant.name, &id).await;
            match found.map_err(|error| Problem::unavailable("keys", &error))? {
                true => Ok(((), Vec::new())),
                false => Err(unknown_key()),
            }
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn unknown_key() -> Problem {
    Problem::unknown("unknown-key", "there is no key of this id")
}

/// Removes the keys that have ended.
pub(super) async fn purge(
    State(console): State<Console>,
    caller: Caller,
    Path(tenant): Path<String>,
) -> Result<Json<Value>, Problem> {
    let tenant = console.tenant(&caller, &tenant)?;
    let action = console.before(&tenant.name).revoking_key(None);
    console.may(&caller, &action).await?;
    let change = begin(&tenant.name, &caller, "key.purge");
    let keys = console.0.keys.clone();
    let purged = console.change(change, async move {
        let purged = keys.purge(&tenant.name, now()).await;
        let purged = purged.map_err(|error| Problem::unavailable("keys", &error))?;
        Ok((purged, vec![("purged", purged.to_string())]))
    });
    Ok(Json(json!({ "purged": purged.await? })))
}
