pub(crate) mod answer;
mod explain;
mod moment;

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    future::poll_fn,
    hash::{BuildHasher, RandomState},
    path::Path,
    sync::{Arc, RwLock, atomic::AtomicUsize},
    task::Poll,
};

use cedar_policy::{Authorizer, Entities, Schema};
use gatewright_core::{
    AdminAction, Call, Clock, Decision, Obligation, Party, PolicyEngine, Principal, Route,
    ServerName, SnapshotVersion, TenantId, Timestamp, Visible, Who, access::Pattern,
};
use gatewright_policy::Half;
use gatewright_wire::ItemKind;

use self::explain::half;
pub(crate) use self::{
    explain::{held_role, moment, through},
    moment::Moment,
};
use crate::{
    BuildEngineError, CedarEngineBuilder, Grants, Limited, ToolFacts,
    admin::AdminPolicies,
    ask::{Ask, Question},
    index::Index,
    names::Kind,
    roles::Roles,
    schema::SEE,
    uri,
    view::{Verdict, View},
};

/// How many principals are kept ready.
pub(crate) const VIEWS: usize = 10_000;
/// After so many items of a list others may use the thread.
const ITEMS_AT_ONCE: usize = 64;

/// The policies of one tenant, ready to be asked. It never changes; a change builds another.
pub struct CedarEngine {
    pub(crate) tenant: TenantId,
    pub(crate) version: SnapshotVersion,
    pub(crate) schema: Schema,
    pub(crate) index: Index,
    pub(crate) admin: AdminPolicies,
    pub(crate) roles: Roles,
    pub(crate) grants: Grants,
    pub(crate) facts: HashMap<ServerName, Vec<(Pattern, ToolFacts)>>,
    pub(crate) actions: Entities,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) warnings: Vec<String>,
    pub(crate) hasher: RandomState,
    pub(crate) views: RwLock<Limited<u64, Arc<View>>>,
    /// Answers that the views keep; those that they let go of are counted on.
    pub(crate) answers: AtomicUsize,
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
        self.index.len() + self.admin.len()
    }

    /// Policies whose scope limits neither principal nor resource. Each is evaluated on every call of its
    /// actions, so many of them make every call slow.
    pub fn unscoped(&self) -> impl Iterator<Item = &str> {
        self.index.unscoped()
    }

    /// Who has which role. Changes of it count from the next decision on; an engine that follows this one takes it over
    /// by [`shared_grants`](CedarEngineBuilder::shared_grants).
    #[must_use]
    pub const fn grants(&self) -> &Grants {
        &self.grants
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
        let ask = match Ask::about(call) {
            Ok(ask) => ask,
            Err(reason) => return (self.deny(reason), Vec::new()),
        };
        let moment = Moment {
            principal,
            call: Some(call),
            at: moment,
            views: &views,
        };
        let mut policies: Vec<Arc<str>> = Vec::new();
        let mut credentials = BTreeSet::new();
        let mut denial = None;
        let mut halves = Vec::new();
        for view in &views {
            for question in &ask.questions {
                let verdict = self.answer(view, question, &moment);
                if thorough {
                    halves.push(half(view, question, &verdict));
                }
                if verdict.allowed {
                    for id in &verdict.policies {
                        if !policies.contains(id) {
                            policies.push(Arc::clone(id));
                        }
                    }
                    // With what a call goes is for what permits it to say, and not for what shows its target.
                    if question.action != SEE {
                        credentials.extend(verdict.credentials.iter().map(|mode| mode.name()));
                    }
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
            policies: policies.into(),
            // Each mode once. Where there are several the layer that obeys refuses the call.
            obligations: credentials
                .into_iter()
                .map(|mode| Obligation::new(Obligation::CREDENTIAL, mode))
                .collect(),
            snapshot: self.version,
        };
        (denial.unwrap_or(allow), halves)
    }

    pub(crate) fn deny(&self, reason: &str) -> Decision {
        Decision::Deny {
            policies: Arc::default(),
            reason: reason.to_owned(),
            snapshot: self.version,
        }
    }

    fn denial(&self, view: &View, question: &Question<'_>, verdict: &Verdict) -> Decision {
        let why = match (verdict.errors.as_slice(), verdict.policies.as_slice()) {
            ([error, ..], _) => format!("a policy failed: {error}"),
            ([], []) => "no policy permits it".to_owned(),
            ([], _) => "a policy forbids it".to_owned(),
        };
        Decision::Deny {
            policies: verdict.policies.as_slice().into(),
            reason: format!(
                "{} of {} by {}: {why}",
                question.action.0,
                question.target(),
                view.uid
            ),
            snapshot: self.version,
        }
    }

    /// The view of every party; all of them must be allowed. `None` if there is none for one of them.
    pub(crate) fn views(&self, principal: &Principal, now: Timestamp) -> Option<Vec<Arc<View>>> {
        match principal.who() {
            Who::User(user) => Some(vec![self.view(Kind::User, user, now)?]),
            Who::Agent(agent) => Some(vec![self.view(Kind::Agent, agent, now)?]),
            Who::Delegated { user, agent } => Some(vec![
                self.view(Kind::User, user, now)?,
                self.view(Kind::Agent, agent, now)?,
            ]),
        }
    }

    pub(crate) fn view(&self, kind: Kind, party: &Party, now: Timestamp) -> Option<Arc<View>> {
        let key = self
            .hasher
            .hash_one((kind, party.subject(), party.groups(), party.roles()));
        let kept = crate::read(&self.views).get(&key).cloned();
        if let Some(view) = kept
            && view.is_of(kind, party, now)
            && view.still_holds(&self.grants, &self.roles, now)
        {
            return Some(view);
        }
        let view = View::new(kind, party, &self.grants, &self.roles, &self.index, now)?;
        let view = Arc::new(view);
        crate::write(&self.views).insert(key, Arc::clone(&view));
        Some(view)
    }

    /// What configuration vouches for about the tool that the question is about.
    fn facts(&self, question: &Question<'_>) -> Option<&ToolFacts> {
        let (server, tool) = question.tool()?;
        self.facts_of(server, tool)
    }

    pub(crate) fn facts_of(&self, server: &ServerName, tool: &str) -> Option<&ToolFacts> {
        let vouched = self.facts.get(server).into_iter().flatten();
        vouched
            .filter(|(pattern, _)| pattern.matches(tool))
            .map(|(_, facts)| facts)
            .next()
    }
}

impl PolicyEngine for CedarEngine {
    async fn decide(&self, principal: &Principal, call: &Call) -> Decision {
        self.judge(principal, call, false).0
    }

    async fn decide_admin(&self, principal: &Principal, action: &AdminAction) -> Decision {
        self.judge_admin(principal, action)
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
        let mut shown = Vec::with_capacity(names.len());
        for name in names {
            let question = Question::item(SEE, kind, route.server(), (*name).into());
            let of_resources = matches!(kind, ItemKind::Resource | ItemKind::ResourceTemplate);
            let all = (!of_resources || uri::is_plain(name))
                && views
                    .iter()
                    .all(|view| self.answer(view, &question, &moment).allowed);
            shown.push(all);
            if shown.len().is_multiple_of(ITEMS_AT_ONCE) {
                let_others_go_on().await;
            }
        }
        Visible {
            shown,
            snapshot: self.version,
        }
    }
}

/// A list of a hostile server can be long, and a runtime may have one thread.
async fn let_others_go_on() {
    let mut waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
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
