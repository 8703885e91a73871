//! Documents as the API shows and takes them: with their id and what the storage knows of them, and with moments as people
//! write them.

use std::sync::Arc;

use gatewright_core::{Timestamp, access::built_in_roles};
use gatewright_directory::{
    Listed,
    model::{Document, Origin},
    records::Kind,
};
use serde_json::{Map, Value, json};

use super::collection::Collection;
use crate::problem::Problem;

/// The id, which a body may repeat.
pub(super) const ID: &str = "id";
/// What the storage knows; a body may repeat it, and nobody looks at it.
pub(super) const META: &str = "meta";

/// What children of processes get in their environment may be secret.
const VARIABLES: &str = "env";
const UNTOLD: &str = "[not told]";

/// Something that was found, as the API shows it.
pub(super) fn shown(collection: &Collection, found: &Listed) -> Value {
    let record = &found.record;
    let mut members = document(collection, &found.document);
    members.insert(ID.to_owned(), Value::from(&*record.id));
    members.insert(
        META.to_owned(),
        json!({
            "revision": record.revision.0,
            "created_at": moment(record.created_at),
            "modified_at": moment(record.modified_at),
        }),
    );
    Value::Object(members)
}

/// The roles that every tenant has.
pub(super) fn built_in() -> Vec<Value> {
    let roles = built_in_roles().map(|role| {
        let mut value = serde_json::to_value(&role).unwrap_or_default();
        if let Value::Object(members) = &mut value {
            members.insert(ID.to_owned(), Value::from(role.name));
            members.insert("built_in".to_owned(), Value::from(true));
        }
        value
    });
    roles.collect()
}

/// The members of a document, as the API shows them.
pub(super) fn document(collection: &Collection, document: &Document) -> Map<String, Value> {
    let Value::Object(mut members) = document.to_value() else {
        return Map::new();
    };
    for name in collection.untold {
        members.remove(*name);
    }
    if collection.kind == Kind::Server {
        hide_variables(&mut members);
    }
    for path in collection.moments {
        if let Some(value) = at(&mut members, path)
            && let Some(millis) = value.as_i64()
        {
            *value = moment(Timestamp::from_millis(millis));
        }
    }
    members
}

/// What a body says a thing is to be. `id` is the one in the path.
pub(super) fn taken(
    collection: &Collection,
    id: &Arc<str>,
    mut members: Map<String, Value>,
    there: Option<&Listed>,
) -> Result<Document, Problem> {
    members.remove(META);
    if let Some(said) = members.remove(ID)
        && said != **id
    {
        let detail = format!("the id in the body is {said}, and in the path `{id}`");
        return Err(Problem::unfit("id", detail));
    }
    if collection.has_origin() {
        // How somebody came to be here is not said, but known.
        let origin = there.map_or(Origin::Administrator, |there| origin(&there.document));
        members.insert("origin".to_owned(), json!(origin));
    }
    match collection.kind {
        Kind::User => switch(&mut members),
        Kind::Server => keep_variables(&mut members, there)?,
        _ => {}
    }
    for path in collection.moments {
        let Some(value) = at(&mut members, path) else {
            continue;
        };
        if let Some(text) = value.as_str() {
            let Ok(parsed) = text.parse::<jiff::Timestamp>() else {
                let detail = format!(
                    "`{}` is a moment with its offset, as `2027-01-31T18:00:00Z`",
                    path.join(".")
                );
                return Err(Problem::unfit("moment", detail));
            };
            *value = Value::from(parsed.as_millisecond());
        }
    }
    let text = Value::Object(members).to_string();
    Document::parse(collection.kind, id, &text)
        .map_err(|error| Problem::unfit("document", error.to_string()))
}

/// Adds a member to what is an object.
pub(super) fn add(value: &mut Value, name: &str, member: impl Into<Value>) {
    if let Value::Object(members) = value {
        members.insert(name.to_owned(), member.into());
    }
}

fn at<'v>(members: &'v mut Map<String, Value>, path: &[&str]) -> Option<&'v mut Value> {
    let (first, rest) = path.split_first()?;
    let mut value = members.get_mut(*first)?;
    for name in rest {
        value = value.get_mut(*name)?;
    }
    Some(value)
}

/// A moment as RFC 3339 has it.
pub(super) fn moment(at: Timestamp) -> Value {
    jiff::Timestamp::from_millisecond(at.millis())
        .map_or(Value::Null, |at| Value::from(at.to_string()))
}

/// That somebody is switched off can be said without saying when: it is now.
fn switch(members: &mut Map<String, Value>) {
    let now = || Value::from(super::now().millis());
    match members.get_mut("disabled") {
        Some(Value::Bool(true)) => {
            members.insert("disabled".to_owned(), json!({"at": now()}));
        }
        Some(Value::Bool(false)) => {
            members.remove("disabled");
        }
        Some(Value::Object(disabled)) => {
            disabled.entry("at").or_insert_with(now);
        }
        _ => {}
    }
}

/// The values of variables are not shown, and what is not shown stays as it is where a body repeats that.
fn hide_variables(members: &mut Map<String, Value>) {
    if let Some(Value::Object(variables)) = members.get_mut(VARIABLES) {
        for value in variables.values_mut() {
            *value = Value::from(UNTOLD);
        }
    }
}

/// Whether a body says that something stays as it is without saying what: that tells whoever sends it what there is.
pub(super) fn repeats_untold(members: &Map<String, Value>) -> bool {
    let variables = members.get(VARIABLES).and_then(Value::as_object);
    variables.is_some_and(|variables| variables.values().any(|value| *value == UNTOLD))
}

fn keep_variables(members: &mut Map<String, Value>, there: Option<&Listed>) -> Result<(), Problem> {
    let Some(Value::Object(variables)) = members.get_mut(VARIABLES) else {
        return Ok(());
    };
    let before = match there.map(|there| &there.document) {
        Some(Document::Server(server)) => server.settings.get(VARIABLES),
        _ => None,
    };
    for (name, value) in variables.iter_mut().filter(|(_, value)| *value == UNTOLD) {
        let Some(stored) = before.and_then(|before| before.get(name)) else {
            let detail = format!(
                "the variable `{name}` has no value: `{UNTOLD}` stands for the one that is stored"
            );
            return Err(Problem::unfit("variable", detail));
        };
        *value = stored.clone();
    }
    Ok(())
}

/// How something came to be here.
const fn origin(document: &Document) -> Origin {
    match document {
        Document::User(user) => user.origin,
        Document::Group(group) => group.origin,
        Document::Agent(agent) => agent.origin,
        _ => Origin::Administrator,
    }
}

impl Collection {
    const fn has_origin(&self) -> bool {
        matches!(self.kind, Kind::User | Kind::Group | Kind::Agent)
    }
}
