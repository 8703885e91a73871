//! Making, replacing, patching and removing resources (RFC 7644 §3.3, §3.5, §3.6).

use std::{collections::BTreeMap, sync::Arc};

use http::StatusCode;
use serde_json::Value;

use super::{
    Asked, Caller, ScimService,
    answer::Answer,
    change::{Change, Target},
    documents::{document, editable, kind_of},
    members::members_in,
    scope::Access,
    version::Matching,
};
use crate::{
    edit::{Edit, Expected},
    model::MemberKind,
    records::Kind,
    scim::{
        MemberEdits, Patch, Query, ScimError, ScimType, canonical,
        patch::{Member, member},
        schema::{GROUP, ResourceType, USER},
    },
};

/// So often a change is made again that somebody else came before.
const ATTEMPTS: usize = 16;

/// What is done to which resource.
#[derive(Clone, Debug)]
pub(super) enum Verb {
    Create(&'static ResourceType),
    Replace(&'static ResourceType, Arc<str>),
    Patch(&'static ResourceType, Arc<str>),
    Delete(&'static ResourceType, Arc<str>),
}

/// What other parts of the same request have decided.
#[derive(Clone, Debug, Default)]
pub(super) struct Planned {
    /// The id of what is made, where it was given one before.
    pub(super) id: Option<Arc<str>>,
    /// What is to be there by then, though it is not yet.
    pub(super) made: BTreeMap<String, MemberKind>,
}

impl Verb {
    pub(super) const fn resource_type(&self) -> &'static ResourceType {
        match self {
            Self::Create(of) | Self::Replace(of, _) | Self::Patch(of, _) | Self::Delete(of, _) => {
                of
            }
        }
    }
}

impl ScimService {
    /// One request that changes something.
    pub(super) async fn write(
        &self,
        caller: &Caller,
        verb: Verb,
        asked: &Asked,
    ) -> Result<Answer, ScimError> {
        let projection = Query::from_parameters(asked.parameters())?.projection;
        let dry_run = asked.is_dry_run()?;
        let body = match verb {
            Verb::Delete(..) => &Value::Null,
            _ => asked.need_body()?,
        };
        let planned = Planned::default();
        if dry_run {
            let change = self
                .prepare(caller, &verb, body, &asked.matching, &planned)
                .await?;
            return self.rehearse(caller, vec![change]).await;
        }
        let target = self
            .make(caller, &verb, body, &asked.matching, &planned)
            .await?;
        let resource_type = verb.resource_type();
        let selects = asked
            .parameters()
            .any(|(name, _)| name == "attributes" || name == "excludedAttributes");
        let no_content = match verb {
            Verb::Delete(..) => true,
            // Whoever adds one of 50,000 does not want to see the others (RFC 7644 §3.5.2).
            Verb::Patch(..) => kind_of(resource_type) == Kind::Group && !selects,
            Verb::Create(_) | Verb::Replace(..) => false,
        };
        if matches!(verb, Verb::Delete(..)) {
            return Ok(Answer::of(StatusCode::NO_CONTENT));
        }
        let found = self.look(caller, resource_type, &target.id).await?;
        let version = Some(self.version(caller, &found).tag());
        if no_content {
            return Ok(Answer {
                version,
                ..Answer::of(StatusCode::NO_CONTENT)
            });
        }
        let shown = self.shown(caller, resource_type, &found, &projection);
        let created = matches!(verb, Verb::Create(_));
        Ok(Answer {
            status: if created {
                StatusCode::CREATED
            } else {
                StatusCode::OK
            },
            location: created.then(|| caller.location.of(resource_type, &target.id)),
            version,
            ..Answer::ok(Value::Object(shown))
        })
    }

    /// Prepares a change and makes it; again, where somebody else came between and whoever asks has not said what version it
    /// is about.
    pub(super) async fn make(
        &self,
        caller: &Caller,
        verb: &Verb,
        body: &Value,
        matching: &Matching,
        planned: &Planned,
    ) -> Result<Target, ScimError> {
        for _ in 0..ATTEMPTS {
            let change = self.prepare(caller, verb, body, matching, planned).await?;
            let target = change.target.clone();
            match self.commit(caller, change).await {
                Ok(()) => return Ok(target),
                Err(error)
                    if error.status() == StatusCode::PRECONDITION_FAILED
                        && !matching.is_about_a_version() => {}
                Err(error) => return Err(error),
            }
        }
        let detail = "others change the resource all the time; try again";
        Err(ScimError::of_status(
            StatusCode::SERVICE_UNAVAILABLE,
            detail,
        ))
    }

    /// What a request comes to.
    pub(super) async fn prepare(
        &self,
        caller: &Caller,
        verb: &Verb,
        body: &Value,
        matching: &Matching,
        planned: &Planned,
    ) -> Result<Change, ScimError> {
        caller.bearer.need(verb.resource_type(), Access::Write)?;
        match verb {
            Verb::Create(resource_type) => self.create(caller, resource_type, body, planned).await,
            Verb::Replace(resource_type, id) => {
                let request = (body, matching, planned);
                self.replace(caller, resource_type, id, request).await
            }
            Verb::Patch(resource_type, id) => {
                let request = (body, matching, planned);
                self.patch(caller, resource_type, id, request).await
            }
            Verb::Delete(resource_type, id) => {
                self.delete(caller, resource_type, id, matching).await
            }
        }
    }

    async fn create(
        &self,
        caller: &Caller,
        resource_type: &'static ResourceType,
        body: &Value,
        planned: &Planned,
    ) -> Result<Change, ScimError> {
        let id = planned.id.as_ref().map_or_else(new_id, Arc::clone);
        let mut resource = canonical(resource_type, body)?;
        if resource_type.name == USER.name && !resource.contains_key("active") {
            resource.insert("active".to_owned(), true.into());
        }
        let edits = members_in(resource_type, &resource)?;
        let document = document(resource_type, resource, None)?;
        let mut change = Change::new(Target::new(resource_type, &id), "create");
        change.edits.push(Edit::Put {
            id: Arc::clone(&id),
            document,
            expected: Expected::Absent,
        });
        if let Some(edits) = edits {
            self.add_members(caller, &mut change, (&id, &edits), planned)
                .await?;
        }
        Ok(change)
    }

    async fn replace(
        &self,
        caller: &Caller,
        resource_type: &'static ResourceType,
        id: &Arc<str>,
        (body, matching, planned): (&Value, &Matching, &Planned),
    ) -> Result<Change, ScimError> {
        let found = self.look(caller, resource_type, id).await?;
        let version = self.version(caller, &found);
        matching.check(version)?;
        check_id(body, id)?;
        let mut resource = canonical(resource_type, body)?;
        // By these it is known who somebody is, and whether they are let in: neither changes by being left out (RFC 7644 §3.5.1
        // leaves that open).
        let mut known = editable(&found.document);
        for name in ["externalId", "active"] {
            if member(body, name).is_none()
                && let Some(value) = known.remove(name)
            {
                resource.insert(name.to_owned(), value);
            }
        }
        let edits = match member(body, "members") {
            Some(_) => {
                members_in(resource_type, &resource)?.or_else(|| Some(MemberEdits::exactly([])))
            }
            None => None,
        };
        let document = document(resource_type, resource, Some(&found.document))?;
        let mut change = Change::new(Target::new(resource_type, id), "replace");
        change.edits.push(Edit::Put {
            id: Arc::clone(id),
            document,
            expected: version.expected(),
        });
        if let Some(edits) = edits.filter(|_| resource_type.name == GROUP.name) {
            self.change_members(caller, &mut change, (id, &edits), planned)
                .await?;
        }
        Ok(change)
    }

    async fn patch(
        &self,
        caller: &Caller,
        resource_type: &'static ResourceType,
        id: &Arc<str>,
        (body, matching, planned): (&Value, &Matching, &Planned),
    ) -> Result<Change, ScimError> {
        let patch = Patch::parse(resource_type, body)?;
        let found = self.look(caller, resource_type, id).await?;
        let version = self.version(caller, &found);
        matching.check(version)?;
        let present: Vec<Member> = if patch.needs_members() {
            let members = self
                .0
                .directory
                .members(&caller.tenant, id, None, usize::MAX);
            members.into_iter().map(Member::from).collect()
        } else {
            Vec::new()
        };
        let mut resource = editable(&found.document);
        let edits = patch.apply(id, &mut resource, &present)?;
        let document = document(resource_type, resource, Some(&found.document))?;
        let mut change = Change::new(Target::new(resource_type, id), "patch");
        // Members are added and taken away, whoever else does so meanwhile; only what was read is not to be overwritten.
        let whole = matching.is_about_a_version() || patch.needs_members();
        if whole || document != found.document {
            let expected = if whole {
                version.expected()
            } else {
                Expected::At(version.revision)
            };
            change.edits.push(Edit::Put {
                id: Arc::clone(id),
                document,
                expected,
            });
        }
        self.change_members(caller, &mut change, (id, &edits), planned)
            .await?;
        Ok(change)
    }

    async fn delete(
        &self,
        caller: &Caller,
        resource_type: &'static ResourceType,
        id: &Arc<str>,
        matching: &Matching,
    ) -> Result<Change, ScimError> {
        let found = self.look(caller, resource_type, id).await?;
        let version = self.version(caller, &found);
        matching.check(version)?;
        let mut change = Change::new(Target::new(resource_type, id), "delete");
        change.edits.push(Edit::Remove {
            kind: kind_of(resource_type),
            id: Arc::clone(id),
            expected: if matching.is_about_a_version() {
                version.expected()
            } else {
                Expected::Present
            },
        });
        Ok(change)
    }
}

/// A resource that says it is another one is not put in the place of this one (RFC 7644 §3.5.1).
fn check_id(body: &Value, id: &str) -> Result<(), ScimError> {
    match member(body, "id").and_then(Value::as_str) {
        Some(given) if given != id => {
            let detail = "the `id` is that of another resource, and cannot be changed";
            Err(ScimError::new(ScimType::Mutability, detail))
        }
        _ => Ok(()),
    }
}

/// Ids are in the order in which they are made.
pub(super) fn new_id() -> Arc<str> {
    uuid::Uuid::now_v7().to_string().into()
}
