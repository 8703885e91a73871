//! Stored credentials.

use axum::{
    Json,
    extract::{Path, State, rejection::BytesRejection},
};
use bytes::Bytes;
use gatewright_core::{AdminAction, AdminVerb, CredentialForm, CredentialOwner, Secret};
use gatewright_vault::{Connection, PutCredentialError, RecordKey};
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Console, begin, parse, rfc3339, server_name, unknown_issuer, unknown_server};
use crate::{ServerView, TenantView, caller::Caller, problem::Problem};

/// Credentials that are read at a time.
const PAGE: u32 = 500;
/// As policies know them.
const KIND: &str = "credential";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutForm {
    secret: String,
}

pub(super) async fn list(
    State(console): State<Console>,
    caller: Caller,
    Path(tenant): Path<String>,
) -> Result<Json<Value>, Problem> {
    let tenant = console.tenant(&caller, &tenant)?;
    let action = AdminAction::new(tenant.name.clone(), AdminVerb::MetadataRead, KIND, "");
    console.may(&caller, &action).await?;
    let mut all: Vec<Value> = Vec::new();
    let mut after: Option<RecordKey> = None;
    loop {
        let page = console.0.vault.list(&tenant.name, after.as_ref(), PAGE);
        let page = page
            .await
            .map_err(|error| Problem::unavailable("vault", &error))?;
        let Some(last) = page.last() else { break };
        after = Some(RecordKey {
            owner: last.owner.clone(),
            server: last.server.clone(),
        });
        all.extend(page.iter().map(shown));
    }
    Ok(Json(json!({ "credentials": all })))
}

fn shown(connection: &Connection) -> Value {
    json!({
        "server": connection.server,
        "owner": connection.owner.to_string(),
        "version": connection.version,
        "stored_at": rfc3339(connection.stored_at),
        "master_key": connection.master_key.as_ref().map(ToString::to_string),
    })
}

pub(super) async fn put(
    State(console): State<Console>,
    caller: Caller,
    Path((tenant, server, owner)): Path<(String, String, String)>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    let secret = Secret::new(parse::<PutForm>(body)?.secret);
    let tenant = console.tenant(&caller, &tenant)?;
    let key = key(&server, &owner)?;
    console
        .may(&caller, &action(&tenant, AdminVerb::CredentialsWrite, &key))
        .await?;
    let Some(server) = tenant.server(&key.server) else {
        return Err(unknown_server(&tenant));
    };
    if let Some(subject) = key.owner.subject()
        && !tenant.knows(subject.issuer())
    {
        return Err(unknown_issuer(&tenant));
    }
    check(&secret, server)?;
    let note = note(server, &key.owner);
    let change = begin(&tenant.name, &caller, "credential.put")
        .at(&key.server)
        .with("owner", &key.owner);
    let vault = console.0.vault.clone();
    let stored_at = key.clone();
    let made = console.change(change, async move {
        let stored = vault.put(&tenant.name, stored_at, secret).await;
        let version = stored.map_err(|error| match error {
            PutCredentialError::Empty | PutCredentialError::TooLong => {
                Problem::unfit("secret", error.to_string())
            }
            error => Problem::unavailable("vault", &error),
        })?;
        Ok((version, vec![("version", version.to_string())]))
    });
    let version = made.await?;
    let owner = key.owner.to_string();
    Ok(Json(json!({
        "server": key.server, "owner": owner, "version": version, "note": note,
    })))
}

pub(super) async fn remove(
    State(console): State<Console>,
    caller: Caller,
    Path((tenant, server, owner)): Path<(String, String, String)>,
) -> Result<StatusCode, Problem> {
    let tenant = console.tenant(&caller, &tenant)?;
    // Also where there is no such server any more: what is left of it can go.
    let key = key(&server, &owner)?;
    console
        .may(
            &caller,
            &action(&tenant, AdminVerb::CredentialsRemove, &key),
        )
        .await?;
    let change = begin(&tenant.name, &caller, "credential.remove")
        .at(&key.server)
        .with("owner", &key.owner);
    let vault = console.0.vault.clone();
    console
        .change(change, async move {
            let removed = vault.remove(&tenant.name, key).await;
            if removed.map_err(|error| Problem::unavailable("vault", &error))? {
                Ok(((), Vec::new()))
            } else {
                let detail = "no such credential is stored";
                Err(Problem::unknown("unknown-credential", detail))
            }
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is done to a credential concerns its server.
fn action(tenant: &TenantView, verb: AdminVerb, key: &RecordKey) -> AdminAction {
    let id = format!("{}/{}", key.server, key.owner);
    AdminAction::new(tenant.name.clone(), verb, KIND, &id).of_server(key.server.clone())
}

fn key(server: &str, owner: &str) -> Result<RecordKey, Problem> {
    let owner = owner
        .parse()
        .map_err(|error: gatewright_core::UnknownOwner| {
            Problem::unfit("owner", error.to_string())
        })?;
    let server = server_name(server)?;
    Ok(RecordKey { owner, server })
}

/// Whether the secret can go where the server's form puts it: better said now than in the next call.
fn check(secret: &Secret, server: &ServerView) -> Result<(), Problem> {
    let fits = match &server.credential.form {
        CredentialForm::Header { .. } => HeaderValue::from_str(secret.expose()).is_ok(),
        _ => !secret.expose().contains('\0'),
    };
    if fits {
        return Ok(());
    }
    let detail = "the secret has characters that cannot reach the server: is it all of one line?";
    Err(Problem::unfit("secret", detail))
}

/// What is worth knowing of a credential that was stored.
fn note(server: &ServerView, owner: &CredentialOwner) -> Option<String> {
    if server.takes(owner) {
        return None;
    }
    let mode = server.credential.mode.name();
    Some(format!(
        "calls to `{}` take no credential of this kind of owner: its mode is `{mode}`, unless a role or a policy chooses another",
        server.name
    ))
}
