use std::{collections::BTreeSet, sync::Arc};

use cedar_policy::{Context, Entities, Entity, RestrictedExpression};
use gatewright_core::{
    AdminAction, AdminVerb, Decision, Given, Method, Party, Principal, ServerName, SnapshotVersion,
    Subject, TenantId,
    access::{BuiltInRole, Grant, Pattern, Scope},
};

use super::{giving::Giver, view::AdminView, view::concern};
use crate::{
    CedarEngine,
    engine::Moment,
    names::{self, Kind},
    view::View,
};

/// The policy that decisions on operators name.
const OPERATORS: &str = "builtin:operators";

impl CedarEngine {
    /// May this principal make this grant? The same as `decide_admin` about it.
    ///
    /// Nobody can give away more than they hold. What they hold are their grants: each is an authority over the whole
    /// tenant or [over](Grant::over) a part of it, until it ends. A grant may be made by who holds, until the new grant
    /// ends:
    /// - `grants.write` over something that the grant concerns: a server that the role has permissions on, what the
    ///   grant is over, the group that it is to (or others that the action names);
    /// - every action that the role permits administrators, over the same part or over everything;
    /// - for every permission of the role: the role that has it, or `grants.write` over each server that it names;
    /// - where a policy written by hand names the role: the role itself, over the same part or everything; or
    ///   `grants.write` over everything, and if the policy is on administrators every action there is. Such a policy
    ///   may permit what no role says.
    ///
    /// Inherited roles count as the role itself. Policies written by hand permit nobody to give more than that, since it
    /// cannot be read off them what somebody could reach by them; they can forbid it.
    #[must_use]
    pub fn may_grant(&self, principal: &Principal, grant: &Grant) -> Decision {
        let tenant = principal.tenant().clone();
        self.judge_admin(principal, &AdminAction::grant(tenant, "", grant.clone()))
    }

    pub(crate) fn judge_admin(&self, principal: &Principal, action: &AdminAction) -> Decision {
        if *principal.tenant() != self.tenant || action.tenant != self.tenant {
            return self.deny("these are not the policies of this tenant");
        }
        if is_operator(principal) {
            return operators(self.version);
        }
        if action.verb.is_of_installation() && action.tenant != TenantId::default() {
            return self.deny("only the default tenant has administrators of the installation");
        }
        if action.verb.must_give() && action.gives.is_empty() {
            return self.deny("the action does not say what somebody gets by it");
        }
        let at = self.clock.now();
        let Some(views) = self.views(principal, at) else {
            return self.deny("the principal cannot be told apart from others");
        };
        let moment = Moment {
            principal,
            call: None,
            at,
            views: &views,
        };
        let also = fixed_role(principal);
        let Some(thing) = self.thing(action) else {
            return self.deny("the thing cannot be an entity");
        };
        let admin: Option<Vec<Arc<AdminView>>> = views
            .iter()
            .map(|view| view.admin(also, &self.admin))
            .collect();
        let Some(admin) = admin else {
            return self.deny("the principal cannot be an entity");
        };
        let mut policies: Vec<Arc<str>> = Vec::new();
        for view in &admin {
            match self.ask(view, &admin, action, &thing, &moment) {
                Ok(permitting) => policies.extend(permitting),
                Err(denial) => return denial,
            }
        }
        policies.sort();
        policies.dedup();
        // Whatever else it is, a grant is made by who may make grants.
        if action.verb != AdminVerb::GrantsWrite {
            for given in &action.gives {
                if let Given::Grant(grant) = given {
                    let tenant = action.tenant.clone();
                    let mut grant = AdminAction::grant(tenant, &action.id, grant.clone());
                    grant.concerns.extend(action.concerns.iter().cloned());
                    let decision = self.judge_admin(principal, &grant);
                    if !matches!(decision, Decision::Allow { .. }) {
                        return decision;
                    }
                }
            }
        }
        for view in &views {
            let giver = Giver::new(self, view, also, at);
            for given in &action.gives {
                if let Err(lacks) = giver.may_give(given) {
                    return self.deny(&format!(
                        "{} of {} by {}: nobody can give away more than they hold: {lacks}",
                        action.verb,
                        describe(action),
                        view.uid
                    ));
                }
            }
        }
        Decision::Allow {
            policies: policies.into(),
            obligations: Vec::new(),
            snapshot: self.version,
        }
    }

    /// The policies that permit it to one party, or the denial.
    fn ask(
        &self,
        view: &AdminView,
        all: &[Arc<AdminView>],
        action: &AdminAction,
        thing: &Entity,
        moment: &Moment<'_>,
    ) -> Result<Vec<Arc<str>>, Decision> {
        let refuse = |policies: Vec<Arc<str>>, why: &str| Decision::Deny {
            policies: policies.into(),
            reason: format!(
                "{} of {} by {}: {why}",
                action.verb,
                describe(action),
                view.uid
            ),
            snapshot: self.version,
        };
        let failed = |error: String| refuse(Vec::new(), &format!("it cannot be asked: {error}"));
        let context = context(moment)
            .ok_or_else(|| failed("the context of the action cannot be made".to_owned()))?;
        // The schema is held against every request: a value of the wrong type must not reach a policy.
        let asked = names::uid(Kind::AdminAction, action.verb.name());
        let request = cedar_policy::Request::new(
            view.uid.clone(),
            asked.clone(),
            thing.uid(),
            context,
            Some(&self.admin.schema),
        )
        .map_err(|error| failed(error.to_string()))?;
        let parties = all.iter().map(|party| party.entity.clone());
        let action_entity = self.admin.actions.get(&asked).cloned();
        let entities = parties.chain([thing.clone()]).chain(action_entity);
        let entities =
            Entities::from_entities(entities, None).map_err(|error| failed(error.to_string()))?;
        let response = self
            .authorizer
            .is_authorized(&request, &view.policies, &entities);
        let diagnostics = response.diagnostics();
        let policies: BTreeSet<Arc<str>> = diagnostics
            .reason()
            .map(|id| self.admin.reported(id))
            .collect();
        let policies: Vec<Arc<str>> = policies.into_iter().collect();
        // INVARIANT: a policy that fails might have been the one that forbids, so it denies.
        if let Some(error) = diagnostics.errors().next() {
            return Err(refuse(policies, &format!("a policy failed: {error}")));
        }
        if response.decision() == cedar_policy::Decision::Allow {
            return Ok(policies);
        }
        let why = if policies.is_empty() {
            "no policy permits it"
        } else {
            "a policy forbids it"
        };
        Err(refuse(policies, why))
    }

    fn thing(&self, action: &AdminAction) -> Option<Entity> {
        let text = |text: String| RestrictedExpression::new_string(text);
        let set = |all: BTreeSet<String>| RestrictedExpression::new_set(all.into_iter().map(text));
        let mut concerns: BTreeSet<String> = action.concerns.iter().map(concern).collect();
        for given in &action.gives {
            if let Given::Grant(grant) = given {
                concerns.extend(grant.over.iter().map(concern));
                concerns.extend(self.servers_of(&grant.role).map(|server| concern(&server)));
            }
        }
        let drafters = action.drafted_by.iter().map(Subject::to_string);
        let attributes = [
            ("kind", text(action.kind.clone())),
            ("name", text(action.id.clone())),
            ("concerns", set(concerns)),
            ("draftedBy", set(drafters.collect())),
        ];
        let attributes = attributes.map(|(name, value)| (name.to_owned(), value));
        let uid = names::uid(Kind::Thing, &format!("{}/{}", action.kind, action.id));
        Entity::new(uid, attributes.into(), [].into()).ok()
    }

    /// The servers that a role has permissions on, where it names them.
    fn servers_of(&self, role: &str) -> impl Iterator<Item = Scope> {
        let roles = self.roles.with_inherited(role);
        let roles: Vec<_> = roles
            .iter()
            .filter_map(|role| self.roles.role(role))
            .collect();
        let servers = roles
            .into_iter()
            .flat_map(|role| role.permissions.iter())
            .flat_map(|permission| permission.servers.iter());
        servers
            .filter_map(Pattern::literal)
            .filter_map(|name| ServerName::new(name).ok())
            .map(Scope::Server)
    }
}

fn describe(action: &AdminAction) -> String {
    format!("{} `{}`", action.kind, action.id.escape_debug())
}

/// No credential says that somebody is of such an issuer: issuers of tokens are URLs, and who comes with a key is never
/// of these two.
fn is_by_itself(principal: &Principal, party: &Party, issuer: &str) -> bool {
    principal.method() == Method::External && party.subject().issuer() == issuer
}

/// Whether the principal reaches the machine itself, and so could change whatever it is refused.
pub(crate) fn is_operator(principal: &Principal) -> bool {
    principal.agent().is_none()
        && principal
            .user()
            .is_some_and(|user| is_by_itself(principal, user, Subject::OPERATOR))
}

pub(crate) fn operators(snapshot: SnapshotVersion) -> Decision {
    Decision::Allow {
        policies: [OPERATORS.into()].into(),
        obligations: Vec::new(),
        snapshot,
    }
}

/// The built-in role that somebody has by what they are.
fn fixed_role(principal: &Principal) -> Option<&'static str> {
    let pushes = principal.user().is_none()
        && principal
            .agent()
            .is_some_and(|agent| is_by_itself(principal, agent, Subject::SCIM));
    pushes.then_some(BuiltInRole::PROVISIONER)
}

fn context(moment: &Moment<'_>) -> Option<Context> {
    let mut pairs = moment.pairs();
    pairs.extend(moment.caller_pairs(Kind::AdminUser, Kind::AdminAgent)?);
    let pairs = pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    Context::from_pairs(pairs).ok()
}

impl View {
    /// The party as policies on administrators see it, kept from one action to the next.
    fn admin(
        &self,
        also: Option<&'static str>,
        policies: &super::AdminPolicies,
    ) -> Option<Arc<AdminView>> {
        let kept = match also {
            None => &self.admin,
            Some(_) => &self.fixed,
        };
        let made = kept.get_or_init(|| AdminView::new(self, also, policies).map(Arc::new));
        made.clone()
    }
}
