use std::collections::HashSet;

use gatewright_core::access::Grantee;
use serde_json::Value as Json;

use crate::{
    compile::{self, Source},
    names::Kind,
};

/// Whom policies written by hand name. Who gets such a role, joins such a group or acts as such a party gets what those
/// policies permit too, which nobody reads off a role.
#[derive(Debug, Default)]
pub(crate) struct Mentions {
    pub(crate) calls: Named,
    pub(crate) admin: Named,
}

/// What policies of one name space name.
#[derive(Debug, Default)]
pub(crate) struct Named {
    entities: HashSet<(Kind, String)>,
    /// A policy reads what the principal is, as its id, and may mean anybody.
    attributes: bool,
    /// A policy reads which roles are held over what, and may mean any role.
    tags: bool,
}

impl Mentions {
    /// The policies of every tenant are not among them.
    pub(crate) fn of(calls: &[Source], admin: &[Source]) -> Result<Self, String> {
        Ok(Self {
            calls: Named::of(calls)?,
            admin: Named::of(admin)?,
        })
    }
}

impl Named {
    fn of(sources: &[Source]) -> Result<Self, String> {
        let mut named = Self::default();
        for source in sources {
            let json = compile::light(&source.policy)
                .to_json()
                .map_err(|error| error.to_string())?;
            named.walk(&json);
        }
        Ok(named)
    }

    pub(crate) fn role(&self, name: &str) -> bool {
        self.tags || self.has(Kind::Role, name)
    }

    pub(crate) fn grantee(&self, grantee: &Grantee) -> bool {
        match grantee {
            Grantee::Group(group) => self.has(Kind::Group, &group.to_string()),
            Grantee::User(subject) => self.attributes || self.has(Kind::User, &subject.to_string()),
            Grantee::Agent(subject) => {
                self.attributes || self.has(Kind::Agent, &subject.to_string())
            }
            // Policies name the subjects of an account, and whoever asks adds those.
            Grantee::Account(_) => self.attributes,
        }
    }

    fn has(&self, kind: Kind, id: &str) -> bool {
        self.entities.contains(&(kind, id.to_owned()))
    }

    fn walk(&mut self, node: &Json) {
        match node {
            Json::Array(all) => all.iter().for_each(|inner| self.walk(inner)),
            Json::Object(members) => {
                if let (Some(Json::String(kind)), Some(Json::String(id))) =
                    (members.get("type"), members.get("id"))
                    && let Some(kind) = party(kind)
                {
                    self.entities.insert((kind, id.clone()));
                }
                for (name, inner) in members {
                    match name.as_str() {
                        "." | "has" | "is" => self.attributes |= reads_principal(inner),
                        "hasTag" | "getTag" => self.tags = true,
                        _ => {}
                    }
                    self.walk(inner);
                }
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
    }
}

/// The same of both name spaces.
fn party(type_name: &str) -> Option<Kind> {
    let (_, kind) = type_name.rsplit_once("::")?;
    match kind {
        "Role" => Some(Kind::Role),
        "Group" => Some(Kind::Group),
        "User" => Some(Kind::User),
        "Agent" => Some(Kind::Agent),
        _ => None,
    }
}

/// `principal.x`, and `context.user.x` and `context.agent.x`, which may be the principal.
fn reads_principal(access: &Json) -> bool {
    let Some(left) = access.get("left") else {
        return false;
    };
    let is_var = |node: &Json, name: &str| node.get("Var").is_some_and(|var| var == name);
    let is_party = left.get(".").is_some_and(|inner| {
        let attr = inner.get("attr").and_then(Json::as_str);
        matches!(attr, Some("user" | "agent"))
            && inner
                .get("left")
                .is_some_and(|left| is_var(left, "context"))
    });
    is_var(left, "principal") || is_party
}
