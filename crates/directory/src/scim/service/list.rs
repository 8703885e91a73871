//! Looking at one resource, and at many.

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

use super::{
    Asked, Caller, ScimService,
    answer::Answer,
    documents::{Memberships, Shows, is_id, kind_of, unavailable},
    scope::Access,
};
use crate::{
    directory::Listed,
    scim::{
        Attributes, Condition, Cursor, Paging, Projection, Query, ScimError, Sort,
        page::{Shown, list_response},
        schema::{RESOURCE_TYPES, ResourceType},
    },
};

/// Resources of a type that are asked for.
pub(super) struct Part {
    pub(super) resource_type: &'static ResourceType,
    pub(super) condition: Option<Condition>,
    pub(super) sort: Option<Sort>,
}

/// A resource that fits.
pub(super) struct Found {
    pub(super) resource_type: &'static ResourceType,
    pub(super) listed: Listed,
}

impl ScimService {
    /// One resource (RFC 7644 §3.4.1).
    pub(super) async fn read(
        &self,
        caller: &Caller,
        resource_type: &'static ResourceType,
        id: &Arc<str>,
        asked: &Asked,
    ) -> Result<Answer, ScimError> {
        caller.bearer.need(resource_type, Access::Read)?;
        let projection = Query::from_parameters(asked.parameters())?.projection;
        let found = self.look(caller, resource_type, id).await?;
        let version = self.version(caller, &found);
        let tag = Some(version.tag());
        if asked.matching.is_known(version) {
            return Ok(Answer {
                version: tag,
                ..Answer::of(StatusCode::NOT_MODIFIED)
            });
        }
        Ok(Answer {
            version: tag,
            ..Answer::ok(Value::Object(self.shown(
                caller,
                resource_type,
                &found,
                &projection,
            )))
        })
    }

    /// What there is of a type and id.
    pub(super) async fn look(
        &self,
        caller: &Caller,
        resource_type: &'static ResourceType,
        id: &str,
    ) -> Result<Listed, ScimError> {
        if !is_id(id) {
            return Err(ScimError::not_found());
        }
        let directory = &self.0.directory;
        directory
            .get(&caller.tenant, kind_of(resource_type), id)
            .await
            .map_err(|error| unavailable(&error))?
            .ok_or_else(ScimError::not_found)
    }

    /// A resource with the attributes that are asked for.
    pub(super) fn shown(
        &self,
        caller: &Caller,
        resource_type: &'static ResourceType,
        found: &Listed,
        projection: &Projection,
    ) -> Attributes {
        let wants = |attribute: &str| projection.wants(resource_type, attribute);
        let shows = Shows {
            memberships: if wants("members") || wants("groups") {
                Memberships::All
            } else {
                Memberships::None
            },
            credentials: wants("credentials"),
        };
        let resource = self.resource(caller, resource_type, found, shows);
        projection.apply(resource_type, resource)
    }

    /// Many resources (RFC 7644 §3.4.2): of one type, or of every type that the token may read.
    pub(super) async fn list(
        &self,
        caller: &Caller,
        only: Option<&'static ResourceType>,
        query: &Query,
    ) -> Result<Answer, ScimError> {
        let parts = parts(caller, only, query)?;
        match &query.paging {
            Paging::Index { start, count } => {
                let (total, found) = self.by_index(caller, &parts, *start, *count).await?;
                let resources = self.shown_of(caller, &found, query);
                let start = *start;
                let shown = Shown::Index { total, start };
                Ok(Answer::ok(list_response(&shown, resources)))
            }
            Paging::Cursor { cursor, count } => {
                let question = question(&parts, query);
                let place = if cursor.is_empty() {
                    None
                } else {
                    Some(Cursor::read(cursor, &question, self.now())?.after)
                };
                let page = self
                    .by_cursor(caller, &parts, place.as_deref(), *count)
                    .await?;
                let resources = self.shown_of(caller, &page.found, query);
                let next = page.next_after(resources.len());
                let next = next.map(|place| Cursor::new(&question, &place, self.now()).text());
                let total = page.total;
                let shown = Shown::Cursor { total, next };
                Ok(Answer::ok(list_response(&shown, resources)))
            }
        }
    }

    /// Those that are found as they are shown. A page that would have too many members in it ends before (RFC 7644 §3.4.2.4
    /// allows fewer than were asked for); it has one resource at least.
    fn shown_of(&self, caller: &Caller, found: &[Found], query: &Query) -> Vec<Attributes> {
        let (mut shown, mut members) = (Vec::with_capacity(found.len()), 0);
        for found in found {
            let of = found.resource_type;
            let resource = self.shown(caller, of, &found.listed, &query.projection);
            let count = |name: &str| {
                resource
                    .get(name)
                    .and_then(Value::as_array)
                    .map_or(0, Vec::len)
            };
            members += count("members") + count("groups");
            if members > self.0.most_members && !shown.is_empty() {
                break;
            }
            shown.push(resource);
        }
        shown
    }
}

impl Part {
    pub(super) const fn is_plain(&self) -> bool {
        self.condition.is_none() && self.sort.is_none()
    }

    pub(super) const fn found(&self, listed: Listed) -> Found {
        Found {
            resource_type: self.resource_type,
            listed,
        }
    }
}

/// What of which types is asked for. A type without the attributes of a filter has nothing that fits (RFC 7644 §3.4.2.1).
fn parts(
    caller: &Caller,
    only: Option<&'static ResourceType>,
    query: &Query,
) -> Result<Vec<Part>, ScimError> {
    let part = |resource_type: &'static ResourceType| {
        let condition = match &query.filter {
            Some(filter) => Some(filter.bind(resource_type)?),
            None => None,
        };
        let sort = match &query.sort_by {
            Some(by) => Some(Sort::by(resource_type, by, query.order)?),
            None => None,
        };
        Ok(Part {
            resource_type,
            condition,
            sort,
        })
    };
    if let Some(only) = only {
        caller.bearer.need(only, Access::Read)?;
        return Ok(vec![part(only)?]);
    }
    let readable: Vec<&'static ResourceType> = RESOURCE_TYPES
        .into_iter()
        .filter(|resource_type| caller.bearer.may(resource_type, Access::Read))
        .collect();
    if readable.is_empty() {
        let detail = "the token may not read anything";
        return Err(ScimError::of_status(StatusCode::FORBIDDEN, detail));
    }
    let bound: Vec<Result<Part, ScimError>> = readable.into_iter().map(part).collect();
    if bound.iter().all(Result::is_err) {
        return bound.into_iter().collect();
    }
    Ok(bound.into_iter().flatten().collect())
}

/// Whatever decides which resources there are, and in what order.
fn question(parts: &[Part], query: &Query) -> String {
    let types: Vec<&str> = parts.iter().map(|part| part.resource_type.name).collect();
    let filter = query.filter.as_ref().map(ToString::to_string);
    format!("{types:?} {filter:?} {:?} {:?}", query.sort_by, query.order)
}
