//! From what a request comes to, to what the directory does.

use std::sync::Arc;

use gatewright_core::{Actor, Difference, TenantId};
use http::StatusCode;
use serde_json::{Value, json};

use super::{Caller, ScimService, answer::Answer, documents::kind_of, version::changed_meanwhile};
use crate::{
    Directory,
    edit::{ChangeError, Edit},
    model::MemberKind,
    records::Kind,
    scim::{ScimError, ScimType, schema::ResourceType},
};

/// The schema of what a rehearsal answers.
const DRY_RUN: &str = "urn:gatewright:scim:api:messages:1.0:DryRun";

/// What a change is about.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) resource_type: &'static ResourceType,
    pub(super) id: Arc<str>,
}

impl Target {
    pub(super) fn new(resource_type: &'static ResourceType, id: &Arc<str>) -> Self {
        Self {
            resource_type,
            id: Arc::clone(id),
        }
    }
}

/// What a request comes to.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) target: Target,
    verb: &'static str,
    pub(super) edits: Vec<Edit>,
}

impl Change {
    pub(super) const fn new(target: Target, verb: &'static str) -> Self {
        Self {
            target,
            verb,
            edits: Vec::new(),
        }
    }

    /// What the log calls it.
    fn action(&self) -> &'static str {
        match (kind_of(self.target.resource_type), self.verb) {
            (Kind::Group, "create") => "scim.group.create",
            (Kind::Group, "replace") => "scim.group.replace",
            (Kind::Group, "patch") => "scim.group.patch",
            (Kind::Group, _) => "scim.group.delete",
            (Kind::Agent, "create") => "scim.agent.create",
            (Kind::Agent, "replace") => "scim.agent.replace",
            (Kind::Agent, "patch") => "scim.agent.patch",
            (Kind::Agent, _) => "scim.agent.delete",
            (_, "create") => "scim.user.create",
            (_, "replace") => "scim.user.replace",
            (_, "patch") => "scim.user.patch",
            (_, _) => "scim.user.delete",
        }
    }
}

impl ScimService {
    /// Makes it.
    pub(super) async fn commit(&self, caller: &Caller, change: Change) -> Result<(), ScimError> {
        let action = change.action();
        let made = self
            .0
            .directory
            .change(actor(caller), &caller.tenant, action, change.edits)
            .await;
        match made {
            Ok(_applied) => Ok(()),
            Err(error) => Err(refusal(error, &change.target)),
        }
    }

    /// Says what would become of what.
    pub(super) async fn rehearse(
        &self,
        caller: &Caller,
        changes: Vec<Change>,
    ) -> Result<Answer, ScimError> {
        let Some(first) = changes.first().map(|change| change.target.clone()) else {
            return Ok(Answer::ok(dry_run(&[])));
        };
        let edits: Vec<Edit> = changes
            .into_iter()
            .flat_map(|change| change.edits)
            .collect();
        let differences = self
            .0
            .directory
            .plan(&actor(caller), &caller.tenant, &edits)
            .await
            .map_err(|error| refusal(error, &first))?;
        Ok(Answer::ok(dry_run(&differences)))
    }
}

fn actor(caller: &Caller) -> Actor {
    Actor::Provisioner(Arc::clone(&caller.bearer.id))
}

fn dry_run(differences: &[Difference]) -> Value {
    let changes: Vec<Value> = differences
        .iter()
        .map(|difference| {
            json!({"of": difference.of, "before": difference.before, "after": difference.after})
        })
        .collect();
    json!({"schemas": [DRY_RUN], "changes": changes})
}

/// Why the directory did not make it, as SCIM says it. What is wrong inside is not told.
fn refusal(error: ChangeError, target: &Target) -> ScimError {
    let invalid = |detail: String| ScimError::new(ScimType::InvalidValue, detail);
    match error {
        ChangeError::NotFound { kind, id } => {
            if kind == kind_of(target.resource_type) && id == target.id {
                ScimError::not_found()
            } else {
                invalid(format!("there is no {kind} `{id}`"))
            }
        }
        ChangeError::Stale { .. } => changed_meanwhile(),
        ChangeError::Exists { kind, .. } => ScimError::new(
            ScimType::Uniqueness,
            format!("there is such a {kind} already"),
        ),
        // Who has the name is not told: a token may read less than it may write.
        ChangeError::Taken { space, value, .. } => ScimError::new(
            ScimType::Uniqueness,
            format!("the {space} `{value}` is taken"),
        ),
        ChangeError::Broken(fault) if is_about_values(fault.rule) => invalid(fault.message),
        ChangeError::Broken(fault) => ScimError::of_status(StatusCode::FORBIDDEN, fault.message),
        ChangeError::Forbidden(why) => ScimError::of_status(StatusCode::FORBIDDEN, why),
        ChangeError::NoTenant(_) => ScimError::not_found(),
        ChangeError::Busy
        | ChangeError::Unrecorded(_)
        | ChangeError::Unreadable(_)
        | ChangeError::Unavailable(_) => {
            tracing::error!(%error, "a change by SCIM was not made");
            let detail = "nothing can be changed now; try again";
            ScimError::of_status(StatusCode::SERVICE_UNAVAILABLE, detail)
        }
    }
}

/// Rules that another value would keep.
fn is_about_values(rule: &str) -> bool {
    let rules = [
        "id",
        "text",
        "too-large",
        "identities",
        "cyclic-groups",
        "deep-groups",
        "agent-owner",
    ];
    rules.contains(&rule)
}

impl Directory {
    /// What somebody of this id is, of what can be a member; of this kind, if one is given.
    pub(super) fn kind_of_member(
        &self,
        tenant: &TenantId,
        id: &str,
        kind: Option<MemberKind>,
    ) -> Option<MemberKind> {
        let kinds = MemberKind::ALL;
        self.with(tenant, |state| {
            kinds
                .into_iter()
                .filter(|known| kind.is_none_or(|kind| kind == *known))
                .find(|known| match known {
                    MemberKind::User => state.people.get(id).is_some(),
                    MemberKind::Group => state.groups.contains_key(id),
                    MemberKind::Agent => state.agents.contains_key(id),
                })
        })
        .flatten()
    }
}
