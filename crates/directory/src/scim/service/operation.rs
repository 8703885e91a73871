//! The parts of a bulk request, and how they name each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use http::{Method, StatusCode};
use serde_json::Value;

use super::{
    BULK,
    route::Target,
    write::{Verb, new_id},
};
use crate::scim::{ScimError, ScimType, error::excerpt, patch::member};

const REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
/// How a resource is named that the same request makes.
const BY_BULK_ID: &str = "bulkId:";

/// One of the requests.
pub(super) struct Operation {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) bulk_id: Option<String>,
    pub(super) version: Option<String>,
    pub(super) data: Value,
    /// The id of what it makes, which it has before.
    pub(super) id: Option<Arc<str>>,
    /// The `bulkId`s that it names.
    pub(super) names: BTreeSet<String>,
}

/// What is in the request, each with the id of what it makes.
pub(super) fn operations(body: &Value) -> Result<Vec<Operation>, ScimError> {
    let named = member(body, "schemas")
        .and_then(Value::as_array)
        .is_some_and(|schemas| schemas.iter().any(|schema| schema == REQUEST));
    if !named {
        return Err(syntax(format!("`schemas` has to name `{REQUEST}`")));
    }
    let operations = member(body, "Operations")
        .and_then(Value::as_array)
        .ok_or_else(|| syntax("`Operations` has to be a list"))?;
    let (most, _) = BULK;
    if operations.len() > most {
        let detail = format!(
            "there are {} operations, of at most {most}",
            operations.len()
        );
        return Err(ScimError::of_status(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    operations.iter().map(operation).collect()
}

fn operation(operation: &Value) -> Result<Operation, ScimError> {
    let text = |name: &str| member(operation, name).and_then(Value::as_str);
    let method = text("method")
        .map(str::to_ascii_uppercase)
        .and_then(|method| Method::from_bytes(method.as_bytes()).ok())
        .ok_or_else(|| syntax("an operation has no `method`"))?;
    let path = text("path")
        .ok_or_else(|| syntax("an operation has no `path`"))?
        .to_owned();
    let bulk_id = text("bulkId").map(str::to_owned);
    let makes = method == Method::POST;
    if makes && bulk_id.is_none() {
        return Err(syntax(
            "an operation that makes something has to have a `bulkId`",
        ));
    }
    let data = member(operation, "data").cloned().unwrap_or_default();
    let mut names = BTreeSet::new();
    names_in(&data, &mut names);
    names.extend(bulk_id_of(&path).map(str::to_owned));
    Ok(Operation {
        id: makes.then(new_id),
        version: text("version").map(str::to_owned),
        method,
        path,
        bulk_id,
        data,
        names,
    })
}

pub(super) fn verb(method: &Method, path: &str) -> Result<Verb, ScimError> {
    let target = Target::of(path).ok_or_else(ScimError::not_found)?;
    match (method.as_str(), target) {
        ("POST", Target::All(resource_type)) => Ok(Verb::Create(resource_type)),
        ("PUT", Target::One(resource_type, id)) => Ok(Verb::Replace(resource_type, id.into())),
        ("PATCH", Target::One(resource_type, id)) => Ok(Verb::Patch(resource_type, id.into())),
        ("DELETE", Target::One(resource_type, id)) => Ok(Verb::Delete(resource_type, id.into())),
        _ => {
            let detail = format!("`{method}` cannot be asked of `{}`", excerpt(path));
            Err(ScimError::of_status(StatusCode::METHOD_NOT_ALLOWED, detail))
        }
    }
}

/// The `bulkId`s that a document names. No document is deeper than a body may be.
fn names_in(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => names.extend(text.strip_prefix(BY_BULK_ID).map(str::to_owned)),
        Value::Array(values) => values.iter().for_each(|value| names_in(value, names)),
        Value::Object(members) => members.values().for_each(|value| names_in(value, names)),
        _ => {}
    }
}

pub(super) fn put_ids(value: &mut Value, ids: &BTreeMap<String, Arc<str>>) {
    match value {
        Value::String(text) => {
            if let Some(id) = text.strip_prefix(BY_BULK_ID).and_then(|name| ids.get(name)) {
                *text = id.to_string();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| put_ids(value, ids)),
        Value::Object(members) => members.values_mut().for_each(|value| put_ids(value, ids)),
        _ => {}
    }
}

fn bulk_id_of(path: &str) -> Option<&str> {
    path.rsplit('/').next()?.strip_prefix(BY_BULK_ID)
}

pub(super) fn with_ids_in(path: &str, ids: &BTreeMap<String, Arc<str>>) -> String {
    match bulk_id_of(path).and_then(|name| ids.get(name)) {
        Some(id) => {
            let before = path.rsplit_once('/').map_or("", |(before, _)| before);
            format!("{before}/{id}")
        }
        None => path.to_owned(),
    }
}

pub(super) fn syntax(detail: impl Into<String>) -> ScimError {
    ScimError::new(ScimType::InvalidSyntax, detail)
}
