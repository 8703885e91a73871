//! Records as resources, and resources as documents.

use gatewright_core::{TenantId, Timestamp};
use serde_json::{Map, Value, json};

use super::{Caller, ScimService, version::Version};
use crate::{
    LookError,
    directory::Listed,
    model::{Agent, AgentStatus, Document, Group, MemberKind, MemberRef, Origin, User},
    records::Kind,
    scim::{
        Attributes, ScimError, ScimType, comparable_name,
        patch::kind_name,
        schema::{AGENT, GROUP, ResourceType, USER},
        validate::schemas_of,
    },
};

const ACTIVE: &str = "active";

/// What of an agent's credential is public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicCredential {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub display: Option<String>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// From when on it is refused.
    pub expires: Option<Timestamp>,
}

/// Knows what of an agent's credentials is public.
pub(super) type Credentials = dyn Fn(&TenantId, &str) -> Vec<PublicCredential> + Send + Sync;

/// What of a resource is to be shown that its record does not hold.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shows<'a> {
    pub(super) memberships: Memberships<'a>,
    /// Of an agent the credentials.
    pub(super) credentials: bool,
}

/// Which of a person's groups, or of a group's members, are to be shown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Memberships<'a> {
    #[default]
    None,
    All,
    /// Of a group only this member, if it is one.
    Of(&'a str),
}

/// What can be the id of something: nothing else has to be looked for.
pub(super) fn is_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The kind of records that resources of a type are.
pub(super) fn kind_of(resource_type: &ResourceType) -> Kind {
    match resource_type.name {
        "Group" => Kind::Group,
        "Agent" => Kind::Agent,
        _ => Kind::User,
    }
}

/// The type of resources that members of a kind are.
fn type_of(kind: MemberKind) -> &'static ResourceType {
    match kind {
        MemberKind::User => &USER,
        MemberKind::Group => &GROUP,
        MemberKind::Agent => &AGENT,
    }
}

impl ScimService {
    /// The version of something.
    pub(super) fn version(&self, caller: &Caller, found: &Listed) -> Version {
        let members = (found.record.kind == Kind::Group).then(|| {
            self.0
                .directory
                .members_digest(&caller.tenant, &found.record.id)
        });
        Version {
            revision: found.record.revision,
            members,
        }
    }

    /// Something as the resource that it is.
    pub(super) fn resource(
        &self,
        caller: &Caller,
        resource_type: &'static ResourceType,
        found: &Listed,
        shows: Shows<'_>,
    ) -> Attributes {
        let id = &found.record.id;
        let mut resource = editable(&found.document);
        refer(caller, &mut resource);
        match &found.document {
            Document::User(_) => {
                let groups = self.groups_of(caller, id, shows.memberships);
                put_list(&mut resource, "groups", groups);
            }
            Document::Group(_) => {
                let members = self.members_of(caller, id, shows.memberships);
                put_list(&mut resource, "members", members);
            }
            Document::Agent(agent) if shows.credentials => {
                let credentials = self.credentials_of(caller, id, agent);
                put_list(&mut resource, "credentials", credentials);
            }
            _ => {}
        }
        let schemas = schemas_of(resource_type, &resource);
        resource.insert("schemas".to_owned(), schemas.into());
        resource.insert("id".to_owned(), (**id).into());
        let meta = json!({
            "resourceType": resource_type.name,
            "created": moment(found.record.created_at.millis()),
            "lastModified": moment(found.record.modified_at.millis()),
            "location": caller.location.of(resource_type, id),
            "version": self.version(caller, found).tag(),
        });
        resource.insert("meta".to_owned(), meta);
        resource
    }

    fn members_of(&self, caller: &Caller, id: &str, which: Memberships<'_>) -> Vec<Value> {
        let (directory, tenant) = (&self.0.directory, &caller.tenant);
        let members = match which {
            Memberships::None => Vec::new(),
            Memberships::All => directory.members(tenant, id, None, usize::MAX),
            Memberships::Of(member) => {
                let of_kinds = [
                    MemberRef::user(member),
                    MemberRef::group(member),
                    MemberRef::agent(member),
                ];
                let mut members = of_kinds.into_iter();
                let found = members.find(|member| directory.is_member(tenant, id, member));
                found.into_iter().collect()
            }
        };
        members
            .iter()
            .map(|member| as_member(caller, member))
            .collect()
    }

    fn groups_of(&self, caller: &Caller, id: &str, which: Memberships<'_>) -> Vec<Value> {
        if !matches!(which, Memberships::All) {
            return Vec::new();
        }
        let groups = self
            .0
            .directory
            .groups_of(&caller.tenant, &MemberRef::user(id));
        let value = |group: crate::GroupOf| {
            json!({
                "value": *group.id,
                "$ref": caller.location.of(&GROUP, &group.id),
                "display": *group.display_name,
                "type": if group.direct { "direct" } else { "indirect" },
            })
        };
        groups.into_iter().map(value).collect()
    }

    fn credentials_of(&self, caller: &Caller, id: &str, agent: &Agent) -> Vec<Value> {
        let identities = agent.identities.iter().map(|identity| {
            json!({"value": identity.subject, "type": "identity", "issuer": identity.issuer})
        });
        let keys = (self.0.credentials)(&caller.tenant, id);
        let keys = keys.into_iter().map(|key| {
            let mut members = Map::new();
            members.insert("value".to_owned(), key.id.into());
            members.insert("type".to_owned(), "api-key".into());
            let more = [
                ("display", key.display),
                ("created", key.created.map(|at| moment(at.millis()))),
                ("expires", key.expires.map(|at| moment(at.millis()))),
            ];
            for (name, value) in more {
                if let Some(value) = value {
                    members.insert(name.to_owned(), value.into());
                }
            }
            Value::Object(members)
        });
        identities.chain(keys).collect()
    }
}

/// Adds the URIs of the people that a resource names.
fn refer(caller: &Caller, resource: &mut Attributes) {
    let to = |person: Option<&mut Value>| {
        if let Some(person) = person.and_then(Value::as_object_mut)
            && let Some(id) = person.get("value").and_then(Value::as_str)
        {
            let reference = caller.location.of(&USER, id);
            person.insert("$ref".to_owned(), reference.into());
        }
    };
    to(resource.get_mut("owner"));
    for extension in USER.extensions {
        let members = resource.get_mut(extension.id);
        to(members.and_then(|members| members.get_mut("manager")));
    }
}
/// The attributes of a document that a client may write, without members.
pub(super) fn editable(document: &Document) -> Attributes {
    let mut resource;
    match document {
        Document::User(user) => {
            resource = user.attributes.clone();
            put_text(&mut resource, "userName", Some(&user.user_name));
            put_text(&mut resource, "displayName", user.display_name.as_deref());
            put_text(&mut resource, "externalId", user.external_id.as_deref());
            // Whoever took it away does not want to see it again; whether the person may do anything stays as it was.
            if resource.remove(ACTIVE) != Some(Value::Null) {
                resource.insert(ACTIVE.to_owned(), user.active.into());
            }
        }
        Document::Group(group) => {
            resource = group.attributes.clone();
            put_text(&mut resource, "displayName", Some(&group.display_name));
            put_text(&mut resource, "externalId", group.external_id.as_deref());
        }
        Document::Agent(agent) => {
            resource = Attributes::new();
            put_text(&mut resource, "name", Some(&agent.name));
            put_text(&mut resource, "purpose", agent.purpose.as_deref());
            put_text(&mut resource, "externalId", agent.external_id.as_deref());
            if let Some(owner) = &agent.owner {
                resource.insert("owner".to_owned(), json!({"value": owner}));
            }
            if let Some(expires) = agent.expires {
                resource.insert("expires".to_owned(), seconds(expires).into());
            }
            let active = agent.status == AgentStatus::Active;
            resource.insert("active".to_owned(), active.into());
        }
        _ => resource = Attributes::new(),
    }
    resource
}

/// The document that a resource is, in the place of what there was; `members` are not in it.
pub(super) fn document(
    resource_type: &ResourceType,
    mut resource: Attributes,
    before: Option<&Document>,
) -> Result<Document, ScimError> {
    resource.remove("members");
    let mut text = |name: &str| match resource.remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    Ok(match resource_type.name {
        "Group" => {
            let display_name = text("displayName").unwrap_or_default();
            let external_id = text("externalId");
            Document::Group(Group {
                display_name,
                external_id,
                origin: match before {
                    Some(Document::Group(group)) => group.origin,
                    _ => Origin::Scim,
                },
                attributes: resource,
            })
        }
        "Agent" => {
            let before = match before {
                Some(Document::Agent(agent)) => Some(agent),
                _ => None,
            };
            let mut agent = before.cloned().unwrap_or_else(|| Agent {
                origin: Origin::Scim,
                ..Agent::new("")
            });
            agent.name = text("name").unwrap_or_default();
            agent.purpose = text("purpose");
            agent.external_id = text("externalId");
            let expires = resource.get("expires").and_then(Value::as_i64);
            // What has not been changed keeps its milliseconds.
            if expires != agent.expires.map(seconds) {
                agent.expires = expires.map(|seconds| seconds.saturating_mul(1_000));
            }
            agent.owner = resource
                .get("owner")
                .and_then(|owner| owner.get("value"))
                .and_then(Value::as_str)
                .map(str::to_owned);
            agent.status = match (resource.get("active"), agent.status) {
                // Whatever put it out of service keeps it there.
                (Some(Value::Bool(false)), AgentStatus::Active) => AgentStatus::Disabled,
                (Some(Value::Bool(true)), _) => AgentStatus::Active,
                (_, status) => status,
            };
            Document::Agent(agent)
        }
        _ => {
            let user_name = text("userName").unwrap_or_default();
            let display_name = text("displayName");
            let external_id = text("externalId");
            let before = match before {
                Some(Document::User(user)) => Some(user),
                _ => None,
            };
            // Whoever has a name already can be switched off whatever it is.
            if before.is_none_or(|before| before.user_name != user_name) {
                comparable_name(&user_name).map_err(|error| {
                    ScimError::new(ScimType::InvalidValue, format!("`userName`: {error}"))
                })?;
            }
            let active = match resource.remove(ACTIVE) {
                Some(Value::Bool(active)) => active,
                _ => {
                    resource.insert(ACTIVE.to_owned(), Value::Null);
                    before.is_none_or(|before| before.active)
                }
            };
            without_references(&mut resource);
            Document::User(User {
                display_name,
                external_id,
                active,
                disabled: before.and_then(|before| before.disabled.clone()),
                identities: before
                    .map(|before| before.identities.clone())
                    .unwrap_or_default(),
                // An invitation is the administrator's, and stays open whatever is pushed.
                invited: before.and_then(|before| before.invited.clone()),
                origin: before.map_or(Origin::Scim, |before| before.origin),
                attributes: resource,
                ..User::new(&user_name)
            })
        }
    })
}

/// URIs are made when they are shown: they follow the gateway to wherever it moves.
fn without_references(resource: &mut Attributes) {
    for extension in USER.extensions {
        let manager = resource
            .get_mut(extension.id)
            .and_then(|members| members.get_mut("manager"))
            .and_then(Value::as_object_mut);
        if let Some(manager) = manager {
            manager.remove("$ref");
        }
    }
}

fn as_member(caller: &Caller, member: &MemberRef) -> Value {
    json!({
        "value": *member.id,
        "$ref": caller.location.of(type_of(member.kind), &member.id),
        "type": kind_name(member.kind),
    })
}

fn put_text(resource: &mut Attributes, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        resource.insert(name.to_owned(), text.into());
    }
}

fn put_list(resource: &mut Attributes, name: &str, values: Vec<Value>) {
    if !values.is_empty() {
        resource.insert(name.to_owned(), values.into());
    }
}

fn moment(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis)
        .map_or_else(|_beyond| millis.to_string(), |at| at.to_string())
}

const fn seconds(millis: i64) -> i64 {
    millis.div_euclid(1_000)
}

/// What is wrong here is not told to whoever asks.
pub(super) fn unavailable(error: &LookError) -> ScimError {
    tracing::error!(%error, "a request for SCIM cannot be answered");
    let detail = "what is stored cannot be read now; try again";
    ScimError::of_status(http::StatusCode::SERVICE_UNAVAILABLE, detail)
}
