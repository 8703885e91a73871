use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher, RandomState},
    path::Path,
    sync::{Arc, RwLock},
};

use cedar_policy::{Authorizer, Context, Entities, RestrictedExpression, Schema};
use gatewright_core::{
    Call, Clock, Decision, Party, PolicyEngine, Principal, Route, ServerName, SnapshotVersion,
    TenantId, Timestamp, Visible, Who,
    access::{Grantee, Pattern},
};
use gatewright_policy::{Explain, Explanation, Half, HeldRole};
use gatewright_wire::ItemKind;

use crate::{
    BuildEngineError, CedarEngineBuilder, Limited, ToolFacts, arguments,
    ask::{self, Ask, Question, Target},
    index::{Index, Slice},
    names::{self, Kind},
    schema::SEE,
    view::{Granted, Ready, Verdict, View},
};

/// How many principals are kept ready.
pub(crate) const VIEWS: usize = 10_000;

/// The policies of one tenant, ready to be asked. It never changes; a change builds another.
pub struct CedarEngine {
    pub(crate) tenant: TenantId,
    pub(crate) version: SnapshotVersion,
    pub(crate) schema: Schema,
    pub(crate) index: Index,
    pub(crate) grants: HashMap<Grantee, Vec<Granted>>,
    pub(crate) facts: HashMap<ServerName, Vec<(Pattern, ToolFacts)>>,
    pub(crate) actions: Entities,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) warnings: Vec<String>,
    pub(crate) hasher: RandomState,
    pub(crate) views: RwLock<Limited<u64, Arc<View>>>,
    pub(crate) authorizer: Authorizer,
}

impl CedarEngine {
    /// An engine for the default tenant from a directory of `.cedar` files, without roles and grants.
    ///
    /// # Errors
    /// [`BuildEngineError`] when a file cannot be read, is not Cedar, or does not fit the [schema](crate::SCHEMA).
    pub fn from_dir(dir: impl AsRef<Path>) -> Result<Self, BuildEngineError> {
        Self::builder().policies_dir(dir.as_ref()).build()
    }

    /// An engine piece by piece.
    pub fn builder() -> CedarEngineBuilder {
        CedarEngineBuilder::default()
    }

    /// Whose policies these are.
    #[must_use]
    pub const fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Which version of them.
    #[must_use]
    pub const fn version(&self) -> SnapshotVersion {
        self.version
    }

    /// How many policies there are, those made from roles included.
    #[must_use]
    pub fn policies(&self) -> usize {
        self.index.len()
    }

    /// Policies whose scope limits neither principal nor resource. Each is evaluated on every call of its
    /// actions, so many of them make every call slow.
    pub fn unscoped(&self) -> impl Iterator<Item = &str> {
        self.index.unscoped()
    }

    /// What is allowed in policies and looks like a mistake, with file and line.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Decides, and says how. Unless it is `thorough` it stops at the first denial.
    fn judge(&self, principal: &Principal, call: &Call, thorough: bool) -> (Decision, Vec<Half>) {
        if *principal.tenant() != self.tenant || *call.route().tenant() != self.tenant {
            return (
                self.deny("these are not the policies of this tenant"),
                Vec::new(),
            );
        }
        let moment = self.clock.now();
        let Some(views) = self.views(principal, moment) else {
            return (
                self.deny("the principal cannot be told apart from others"),
                Vec::new(),
            );
        };
        let ask = match Ask::about(call, |server, tool| self.facts(server, tool)) {
            Ok(ask) => ask,
            Err(reason) => return (self.deny(reason), Vec::new()),
        };
        let moment = Moment {
            principal,
            call: Some(call),
            at: moment,
            views: &views,
        };
        let mut policies: Vec<String> = Vec::new();
        let mut denial = None;
        let mut halves = Vec::new();
        for view in &views {
            for question in &ask.questions {
                let verdict = self.answer(view, question, &moment);
                if thorough {
                    halves.push(half(view, question, &verdict));
                }
                if verdict.allowed {
                    let new = verdict
                        .policies
                        .iter()
                        .filter(|id| !policies.iter().any(|known| *known == ***id));
                    let new: Vec<String> = new.map(|id| id.to_string()).collect();
                    policies.extend(new);
                } else if denial.is_none() {
                    denial = Some(self.denial(view, question, &verdict));
                    if !thorough {
                        break;
                    }
                }
            }
            if denial.is_some() && !thorough {
                break;
            }
        }
        let allow = Decision::Allow {
            policies,
            obligations: Vec::new(),
            snapshot: self.version,
        };
        (denial.unwrap_or(allow), halves)
    }

    fn deny(&self, reason: &str) -> Decision {
        Decision::Deny {
            policies: Vec::new(),
            reason: reason.to_owned(),
            snapshot: self.version,
        }
    }

    fn denial(&self, view: &View, question: &Question, verdict: &Verdict) -> Decision {
        let why = match (verdict.errors.as_slice(), verdict.policies.as_slice()) {
            ([error, ..], _) => format!("a policy failed: {error}"),
            ([], []) => "no policy permits it".to_owned(),
            ([], _) => "a policy forbids it".to_owned(),
        };
        Decision::Deny {
            policies: verdict.policies.iter().map(ToString::to_string).collect(),
            reason: format!(
                "{} of {} by {}: {why}",
                question.action.0, question.target.uid, view.uid
            ),
            snapshot: self.version,
        }
    }

    /// The view of every party; all of them must be allowed. `None` if there is none for one of them.
    fn views(&self, principal: &Principal, now: Timestamp) -> Option<Vec<Arc<View>>> {
        match principal.who() {
            Who::User(user) => Some(vec![self.view(Kind::User, user, now)?]),
            Who::Agent(agent) => Some(vec![self.view(Kind::Agent, agent, now)?]),
            Who::Delegated { user, agent } => Some(vec![
                self.view(Kind::User, user, now)?,
                self.view(Kind::Agent, agent, now)?,
            ]),
        }
    }

    fn view(&self, kind: Kind, party: &Party, now: Timestamp) -> Option<Arc<View>> {
        let key = self
            .hasher
            .hash_one((kind, party.subject(), party.groups(), party.roles()));
        if let Some(view) = crate::read(&self.views).get(&key)
            && view.is_of(kind, party, now)
        {
            return Some(Arc::clone(view));
        }
        let view = Arc::new(View::new(kind, party, &self.grants, &self.index, now)?);
        crate::write(&self.views).insert(key, Arc::clone(&view));
        Some(view)
    }

    fn facts(&self, server: &ServerName, tool: &str) -> ToolFacts {
        let vouched = self.facts.get(server).into_iter().flatten();
        vouched
            .filter(|(pattern, _)| pattern.matches(tool))
            .map(|(_, facts)| *facts)
            .next()
            .unwrap_or_default()
    }

    /// The answer to one question, from the last time where time and arguments cannot change it.
    fn answer(&self, view: &View, question: &Question, moment: &Moment<'_>) -> Arc<Verdict> {
        let sight = question.action == SEE;
        if sight && let Some(verdict) = crate::read(&view.seen).get(&question.target.uid) {
            return Arc::clone(verdict);
        }
        let scopes = [
            self.index.resource(&question.target.uid),
            self.index.resource(&question.target.server),
        ];
        let Some(ready) = view.ready(&self.index, &self.actions, question.action, scopes) else {
            return Arc::new(Verdict::default());
        };
        let verdict = Arc::new(self.evaluate(view, question, &ready, moment));
        if sight && ready.slice.timeless {
            crate::write(&view.seen).insert(question.target.uid.clone(), Arc::clone(&verdict));
        }
        verdict
    }

    fn evaluate(
        &self,
        view: &View,
        question: &Question,
        ready: &Ready,
        moment: &Moment<'_>,
    ) -> Verdict {
        let slice = &*ready.slice;
        if slice.len == 0 {
            return Verdict::default();
        }
        let failed = |error: String| Verdict {
            errors: vec![error],
            slice: slice.len,
            ..Verdict::default()
        };
        let Some(context) = moment.context(question, slice) else {
            return failed("the context of the call cannot be made".to_owned());
        };
        let principal = view.uid.clone();
        let (action, target) = (question.action.uid(), question.target.uid.clone());
        // The schema is held against every request: a value of the wrong type must not reach a policy.
        let request = match cedar_policy::Request::new(
            principal,
            action,
            target,
            context,
            Some(&self.schema),
        ) {
            Ok(request) => request,
            Err(error) => return failed(error.to_string()),
        };
        let others = moment
            .views
            .iter()
            .filter(|other| other.uid != view.uid && !slice.timeless);
        let Some(target) = question.target.entity() else {
            return failed("the target cannot be an entity".to_owned());
        };
        let more = [target]
            .into_iter()
            .chain(others.map(|other| other.entity.clone()));
        let entities = match Entities::clone(&ready.entities).add_entities(more, None) {
            Ok(entities) => entities,
            Err(error) => return failed(error.to_string()),
        };
        let response = self
            .authorizer
            .is_authorized(&request, &slice.set, &entities);
        let errors: Vec<String> = response
            .diagnostics()
            .errors()
            .map(ToString::to_string)
            .collect();
        let mut policies: Vec<Arc<str>> = response
            .diagnostics()
            .reason()
            .map(|id| self.index.reported(id))
            .collect();
        policies.sort();
        policies.dedup();
        // INVARIANT: a policy that fails might have been the one that forbids, so it denies.
        let allowed = response.decision() == cedar_policy::Decision::Allow && errors.is_empty();
        Verdict {
            allowed,
            policies,
            errors,
            slice: slice.len,
        }
    }
}

/// What the context of a decision is made from.
struct Moment<'a> {
    principal: &'a Principal,
    call: Option<&'a Call>,
    at: Timestamp,
    views: &'a [Arc<View>],
}

impl Moment<'_> {
    fn context(&self, question: &Question, slice: &Slice) -> Option<Context> {
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let long = RestrictedExpression::new_long;
        let mut pairs: Vec<(&str, RestrictedExpression)> = Vec::with_capacity(10);
        if question.action != SEE {
            let call = self.call?;
            pairs.push(("method", text(call.method().unwrap_or(question.action.0))));
            pairs.push((
                "args",
                arguments::record(ask::arguments(call), &slice.paths)?,
            ));
        }
        let seconds = self.at.secs();
        pairs.push(("now", long(self.at.millis())));
        pairs.push(("hour", long(seconds.rem_euclid(86_400) / 3_600)));
        // 1970-01-01 was a Thursday.
        pairs.push((
            "weekday",
            long((seconds.div_euclid(86_400) + 3).rem_euclid(7) + 1),
        ));
        pairs.push((
            "delegated",
            RestrictedExpression::new_bool(self.views.len() > 1),
        ));
        if !slice.timeless {
            if let Some(then) = self.principal.authenticated_at() {
                let age = i64::try_from(self.at.since(then).as_secs()).unwrap_or(i64::MAX);
                pairs.push(("authAge", long(age)));
            }
            if let Some(client) = self.principal.client_id() {
                pairs.push(("client", text(client)));
            }
            let (user, agent) = (self.principal.user(), self.principal.agent());
            for (name, kind, party) in [("user", Kind::User, user), ("agent", Kind::Agent, agent)] {
                if let Some(party) = party {
                    let uid = names::subject(kind, party.subject())?;
                    pairs.push((name, RestrictedExpression::new_entity_uid(uid)));
                }
            }
        }
        Context::from_pairs(
            pairs
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value)),
        )
        .ok()
    }
}

impl PolicyEngine for CedarEngine {
    async fn decide(&self, principal: &Principal, call: &Call) -> Decision {
        self.judge(principal, call, false).0
    }

    async fn visible(
        &self,
        principal: &Principal,
        route: &Route,
        kind: ItemKind,
        names: &[&str],
    ) -> Visible {
        let hidden = Visible {
            shown: vec![false; names.len()],
            snapshot: self.version,
        };
        if *principal.tenant() != self.tenant || *route.tenant() != self.tenant {
            return hidden;
        }
        let at = self.clock.now();
        let Some(views) = self.views(principal, at) else {
            return hidden;
        };
        let moment = Moment {
            principal,
            call: None,
            at,
            views: &views,
        };
        let shown = names.iter().map(|name| {
            let target = Target::item(kind, route.server(), name, |server, tool| {
                self.facts(server, tool)
            });
            let question = Question {
                action: SEE,
                target,
            };
            views
                .iter()
                .all(|view| self.answer(view, &question, &moment).allowed)
        });
        Visible {
            shown: shown.collect(),
            snapshot: self.version,
        }
    }
}

impl Explain for CedarEngine {
    async fn explain(&self, principal: &Principal, call: &Call) -> Explanation {
        let (decision, halves) = self.judge(principal, call, true);
        let views = self.views(principal, self.clock.now()).unwrap_or_default();
        let held = views
            .iter()
            .flat_map(|view| view.held.iter().map(move |held| (view, held)));
        let roles = held.map(|(view, held)| {
            HeldRole::new(
                view.uid.to_string(),
                held.role.to_string(),
                held.through.to_string(),
            )
        });
        Explanation::new(decision, halves, roles.collect())
    }
}

fn half(view: &View, question: &Question, verdict: &Verdict) -> Half {
    let mut half = Half::denied(
        view.uid.to_string(),
        question.action.0.to_owned(),
        question.target.uid.to_string(),
    );
    half.allowed = verdict.allowed;
    half.policies = verdict.policies.iter().map(ToString::to_string).collect();
    half.errors.clone_from(&verdict.errors);
    half.slice = verdict.slice;
    half
}

impl fmt::Debug for CedarEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CedarEngine")
            .field("tenant", &self.tenant)
            .field("version", &self.version)
            .field("policies", &self.index.len())
            .finish_non_exhaustive()
    }
}
