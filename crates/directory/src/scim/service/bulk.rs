//! Many requests in one (RFC 7644 §3.7).
//!
//! What is made has its id before it is made, so that whatever names it by its `bulkId` can be made after it wherever it
//! stands in the request, and people who name each other can be made at all. Groups that are in each other cannot.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use http::StatusCode;
use serde_json::{Map, Value};

use super::{
    Asked, Caller, ScimService,
    answer::Answer,
    change::Change,
    documents::kind_of,
    operation::{Operation, operations, put_ids, syntax, verb, with_ids_in},
    version::Matching,
    write::{Planned, Verb},
};
use crate::{
    model::MemberKind,
    records::Kind,
    scim::{ScimError, ScimType, error::excerpt, patch::member, schema::ResourceType},
};

const RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";

/// What became of one of the requests.
struct Outcome {
    status: StatusCode,
    location: Option<String>,
    version: Option<String>,
    error: Option<ScimError>,
}

/// The requests under way.
struct Job<'a> {
    service: &'a ScimService,
    caller: &'a Caller,
    operations: &'a [Operation],
    by_bulk_id: BTreeMap<&'a str, usize>,
    outcomes: BTreeMap<usize, Outcome>,
    under_way: BTreeSet<usize>,
    failed: usize,
    fail_on: usize,
    /// Only what would be done is asked; what is to be done so far.
    rehearsed: Option<Vec<Change>>,
    made: BTreeMap<String, MemberKind>,
}

impl ScimService {
    pub(super) async fn bulk(&self, caller: &Caller, asked: &Asked) -> Result<Answer, ScimError> {
        let body = asked.need_body()?;
        let operations = operations(body)?;
        let fail_on = match member(body, "failOnErrors") {
            None | Some(Value::Null) => usize::MAX,
            Some(value) => value
                .as_u64()
                .filter(|most| *most > 0)
                .and_then(|most| usize::try_from(most).ok())
                .ok_or_else(|| syntax("`failOnErrors` has to be a positive integer"))?,
        };
        // Each costs what it would cost by itself.
        self.0
            .limiter
            .charge_requests(&caller.tenant, &caller.bearer.id, operations.len());
        let mut job = Job {
            service: self,
            caller,
            operations: &operations,
            by_bulk_id: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            under_way: BTreeSet::new(),
            failed: 0,
            fail_on,
            rehearsed: asked.is_dry_run()?.then(Vec::new),
            made: BTreeMap::new(),
        };
        for (index, operation) in operations.iter().enumerate() {
            if let Some(bulk_id) = &operation.bulk_id
                && job.by_bulk_id.insert(bulk_id, index).is_some()
            {
                return Err(syntax(format!(
                    "the `bulkId` `{}` is there twice",
                    excerpt(bulk_id)
                )));
            }
        }
        for index in 0..operations.len() {
            if job.failed >= fail_on {
                break;
            }
            job.run(index).await;
        }
        job.answer().await
    }
}

impl Job<'_> {
    /// One request, after those that it names.
    async fn run(&mut self, index: usize) {
        let mut stack = vec![index];
        while let Some(next) = stack.last().copied() {
            if self.outcomes.contains_key(&next) || self.failed >= self.fail_on {
                stack.pop();
                continue;
            }
            self.under_way.insert(next);
            let before = self.operations.get(next).and_then(|operation| {
                let mut named = operation
                    .names
                    .iter()
                    .filter_map(|name| self.by_bulk_id.get(name.as_str()));
                named
                    .find(|index| {
                        !self.outcomes.contains_key(index) && !self.under_way.contains(index)
                    })
                    .copied()
            });
            match before {
                Some(before) => stack.push(before),
                None => {
                    self.run_alone(next).await;
                    stack.pop();
                }
            }
        }
    }

    async fn run_alone(&mut self, index: usize) {
        let Some(operation) = self.operations.get(index) else {
            return;
        };
        let outcome = match self.made(operation).await {
            Ok(outcome) => outcome,
            Err(error) => {
                self.failed += 1;
                Outcome {
                    status: error.status(),
                    location: None,
                    version: None,
                    error: Some(error),
                }
            }
        };
        self.outcomes.insert(index, outcome);
    }

    async fn made(&mut self, operation: &Operation) -> Result<Outcome, ScimError> {
        let ids = self.ids_of(operation)?;
        let path = with_ids_in(&operation.path, &ids);
        let verb = verb(&operation.method, &path)?;
        let resource_type = verb.resource_type();
        let mut data = operation.data.clone();
        put_ids(&mut data, &ids);
        let matching = match &operation.version {
            Some(version) => Matching::one(version)?,
            None => Matching::default(),
        };
        let planned = Planned {
            id: operation.id.clone(),
            made: self.made.clone(),
        };
        let target = match &mut self.rehearsed {
            Some(rehearsed) => {
                let prepared = self
                    .service
                    .prepare(self.caller, &verb, &data, &matching, &planned)
                    .await?;
                let target = prepared.target.clone();
                rehearsed.push(prepared);
                if let Some(kind) = member_kind(resource_type) {
                    self.made.insert(target.id.to_string(), kind);
                }
                target
            }
            None => {
                self.service
                    .make(self.caller, &verb, &data, &matching, &planned)
                    .await?
            }
        };
        let version = if self.rehearsed.is_some() || matches!(verb, Verb::Delete(..)) {
            None
        } else {
            let found = self
                .service
                .look(self.caller, resource_type, &target.id)
                .await?;
            Some(self.service.version(self.caller, &found).tag())
        };
        Ok(Outcome {
            status: match verb {
                Verb::Create(_) => StatusCode::CREATED,
                Verb::Delete(..) => StatusCode::NO_CONTENT,
                Verb::Replace(..) | Verb::Patch(..) => StatusCode::OK,
            },
            location: Some(self.caller.location.of(resource_type, &target.id)),
            version,
            error: None,
        })
    }

    /// The ids of what a request names.
    fn ids_of(&self, operation: &Operation) -> Result<BTreeMap<String, Arc<str>>, ScimError> {
        let mut ids = BTreeMap::new();
        for name in &operation.names {
            let index = self.by_bulk_id.get(name.as_str());
            let named = index.and_then(|index| self.operations.get(*index));
            let id = named.and_then(|named| named.id.as_ref()).ok_or_else(|| {
                invalid(format!(
                    "nothing is made that has the `bulkId` `{}`",
                    excerpt(name)
                ))
            })?;
            let outcome = index.and_then(|index| self.outcomes.get(index));
            match outcome {
                Some(outcome) if outcome.error.is_some() => {
                    let detail = format!("what has the `bulkId` `{}` was not made", excerpt(name));
                    return Err(invalid(detail));
                }
                // It is not made yet, since it names this one: whoever need not be there can be named before.
                None if operation.path.trim_start_matches('/').starts_with("Groups") => {
                    let detail = format!(
                        "the `bulkId` `{}` is that of a group which is in this one",
                        excerpt(name)
                    );
                    return Err(ScimError::of_status(StatusCode::CONFLICT, detail));
                }
                _ => {}
            }
            ids.insert(name.clone(), Arc::clone(id));
        }
        Ok(ids)
    }

    async fn answer(self) -> Result<Answer, ScimError> {
        let mut shown = Vec::with_capacity(self.outcomes.len());
        for (index, outcome) in &self.outcomes {
            if let Some(operation) = self.operations.get(*index) {
                shown.push(as_value(operation, outcome));
            }
        }
        let mut body = Map::new();
        body.insert("schemas".to_owned(), vec![RESPONSE].into());
        body.insert("Operations".to_owned(), shown.into());
        if let Some(changes) = self.rehearsed {
            let answer = self.service.rehearse(self.caller, changes).await?;
            let changes = answer.body.as_ref().and_then(|body| body.get("changes"));
            body.insert("changes".to_owned(), changes.cloned().unwrap_or_default());
        }
        Ok(Answer::ok(Value::Object(body)))
    }
}

fn as_value(operation: &Operation, outcome: &Outcome) -> Value {
    let mut shown = Map::new();
    let mut put = |name: &str, value: Value| shown.insert(name.to_owned(), value);
    put("method", operation.method.as_str().into());
    put("status", outcome.status.as_str().into());
    let texts = [
        ("bulkId", &operation.bulk_id),
        ("location", &outcome.location),
        ("version", &outcome.version),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            put(name, text.as_str().into());
        }
    }
    if let Some(error) = &outcome.error {
        put("response", error.body());
    }
    Value::Object(shown)
}

fn member_kind(resource_type: &'static ResourceType) -> Option<MemberKind> {
    match kind_of(resource_type) {
        Kind::User => Some(MemberKind::User),
        Kind::Group => Some(MemberKind::Group),
        Kind::Agent => Some(MemberKind::Agent),
        _ => None,
    }
}

fn invalid(detail: impl Into<String>) -> ScimError {
    ScimError::new(ScimType::InvalidValue, detail)
}
