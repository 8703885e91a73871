//! Tokens by which identity providers provision. A token is replaced by making another, and removing the old one once the
//! identity provider has the new one: both are good meanwhile.

use std::sync::Arc;

use axum::{
    extract::{Path, State, rejection::BytesRejection},
    response::Response,
};
use bytes::Bytes;
use gatewright_core::ReferenceId;
use gatewright_directory::{
    Edit, Expected,
    model::{Document, ScimScope, ScimToken},
    records::Kind,
    scim::{digest_of_token, new_token},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Console,
    collection::TOKENS,
    form::{add, shown},
    now,
    records::{answer, object},
};
use crate::{caller::Caller, problem::Problem};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    name: String,
    scopes: Vec<ScimScope>,
    expires_at: String,
}

pub(super) async fn create(
    State(console): State<Console>,
    caller: Caller,
    Path(tenant): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let tenant = console.of_directory(&caller, &tenant)?;
    let form = Value::Object(object(body)?);
    let form: Form = serde_json::from_value(form)
        .map_err(|error| Problem::unfit("document", error.to_string()))?;
    let now = now();
    let expires_at = match form.expires_at.parse::<jiff::Timestamp>() {
        Ok(at) if at.as_millisecond() > now.millis() => at.as_millisecond(),
        _ => {
            let detail =
                "`expires_at` is a moment to come with its offset, as `2027-01-31T18:00:00Z`";
            return Err(Problem::unfit("moment", detail));
        }
    };
    if form.scopes.is_empty() {
        let detail = "`scopes` says what the token may: as `users:write` and `groups:write`";
        return Err(Problem::unfit("scopes", detail));
    }
    let no_token = |detail: &str| Problem::unavailable("token", &detail);
    let text = new_token().map_err(|error| no_token(&error.to_string()))?;
    let digest = digest_of_token(text.expose());
    let digest = digest.ok_or_else(|| no_token("what was made is no token"))?;
    let id: Arc<str> = ReferenceId::random().to_string().into();
    let edit = Edit::Put {
        id: Arc::clone(&id),
        document: Document::ScimToken(ScimToken {
            name: form.name,
            digest,
            scopes: form.scopes,
            created_at: now.millis(),
            expires_at,
        }),
        expected: Expected::Absent,
    };
    let made = console
        .edit(&caller, &tenant, "scim-tokens.create", vec![edit])
        .await;
    let made = made.map_err(|error| Problem::of_change(&error, Kind::ScimToken, &id))?;
    let found = console.got(&tenant, Kind::ScimToken, &id).await?;
    let found = found.ok_or_else(|| Problem::no_such(Kind::ScimToken))?;
    let mut body = shown(TOKENS, &found);
    // This once: nobody has it afterwards.
    add(&mut body, "token", text.expose());
    Ok(answer(StatusCode::CREATED, &found, body, &made.also))
}
