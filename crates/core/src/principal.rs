use std::{collections::BTreeSet, fmt, sync::Arc};

use crate::{Membership, PartyKind, Route, TenantId, Timestamp, Withdrawal};

/// The stable key of a user or an agent: who vouches for it, and its name there.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    issuer: Arc<str>,
    id: Arc<str>,
}

impl Subject {
    /// The issuer of those who are known here only, by API keys: no tokens are of it, since it is no URL.
    pub const LOCAL: &'static str = "local";

    /// The issuer of those who reach the machine itself, through its local socket. No token and no key is theirs: they
    /// are identified by the service that listens there ([`Method::External`]), and they administer everything.
    pub const OPERATOR: &'static str = "operator";

    /// The issuer of identity providers that push people and groups, by the tokens that they do it with. As
    /// [`OPERATOR`](Self::OPERATOR) they are identified by the service that listens for them.
    pub const SCIM: &'static str = "scim";

    /// A subject as its issuer names it (`iss` and `sub`, RFC 7519 §4.1).
    #[must_use]
    pub fn new(issuer: &str, id: &str) -> Self {
        Self {
            issuer: issuer.into(),
            id: id.into(),
        }
    }

    /// Who vouches for the subject.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Its name at the issuer.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// `issuer|id`. Issuers are URLs or plain words and never hold a `|`, so it reads one way only.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}", self.issuer, self.id)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A group as its issuer names it. Two issuers' groups of one name are two groups.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Group {
    issuer: Arc<str>,
    name: Arc<str>,
}

impl Group {
    /// The issuer of groups that the directory knows, whose names are their ids there: no tokens are of it, since it is no
    /// URL.
    pub const DIRECTORY: &'static str = "directory";

    /// A group of an issuer.
    #[must_use]
    pub fn new(issuer: &str, name: &str) -> Self {
        Self {
            issuer: issuer.into(),
            name: name.into(),
        }
    }

    /// Who says so.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Its name there.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// `issuer|name`, see [`Subject`].
impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}", self.issuer, self.name)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One side of an identity: a subject with its groups and the roles that its token names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    subject: Subject,
    // Shared: a remembered token makes a party at every request, however many groups it has.
    groups: Arc<BTreeSet<Group>>,
    roles: Arc<BTreeSet<Arc<str>>>,
    name: Option<Arc<str>>,
    account: Option<Arc<str>>,
    verified_email: Option<Arc<str>>,
}

impl Party {
    /// A subject without groups, roles or a display name.
    #[must_use]
    pub fn new(subject: Subject) -> Self {
        Self {
            subject,
            groups: Arc::default(),
            roles: Arc::default(),
            name: None,
            account: None,
            verified_email: None,
        }
    }

    /// Adds groups.
    #[must_use]
    pub fn with_groups(mut self, groups: impl IntoIterator<Item = Group>) -> Self {
        Arc::make_mut(&mut self.groups).extend(groups);
        self
    }

    /// Adds roles that the issuer asserts by name.
    #[must_use]
    pub fn with_roles<'a>(mut self, roles: impl IntoIterator<Item = &'a str>) -> Self {
        Arc::make_mut(&mut self.roles).extend(roles.into_iter().map(Arc::from));
        self
    }

    /// Sets a name for people to read; nothing is decided on it.
    #[must_use]
    pub fn with_name(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the e-mail address that the issuer says it has verified.
    #[must_use]
    pub fn with_verified_email(mut self, email: &str) -> Self {
        self.verified_email = Some(email.into());
        self
    }

    /// The stable key.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Groups, from the token and the directory.
    #[must_use]
    pub fn groups(&self) -> &BTreeSet<Group> {
        &self.groups
    }

    /// Roles that the issuer asserts by name.
    #[must_use]
    pub fn roles(&self) -> &BTreeSet<Arc<str>> {
        &self.roles
    }

    /// A name for people to read.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The e-mail address that the issuer says it has verified. Who may say so of which domains is the directory's to know.
    #[must_use]
    pub fn verified_email(&self) -> Option<&str> {
        self.verified_email.as_deref()
    }

    /// The directory's own name for them, where there is one; the same for each of their identities.
    #[must_use]
    pub fn account(&self) -> Option<&Arc<str>> {
        self.account.as_ref()
    }

    pub(crate) fn join(&mut self, membership: Membership) {
        if membership.account.is_some() {
            self.account = membership.account;
        }
        if !membership.groups.is_empty() {
            Arc::make_mut(&mut self.groups).extend(membership.groups);
        }
    }
}

/// Who acts. Delegation names both; they are never merged (RFC 8693 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// A person.
    User(Party),
    /// A non-human principal on its own behalf.
    Agent(Party),
    /// An agent acting for a person: allowed is what both are allowed (invariant 5).
    Delegated {
        /// The person, the token's `sub`.
        user: Party,
        /// The agent, the token's `act`.
        agent: Party,
    },
}

impl Who {
    pub(crate) fn parties_mut(&mut self) -> Vec<(PartyKind, &mut Party)> {
        match self {
            Self::User(user) => vec![(PartyKind::User, user)],
            Self::Agent(agent) => vec![(PartyKind::Agent, agent)],
            Self::Delegated { user, agent } => {
                vec![(PartyKind::User, user), (PartyKind::Agent, agent)]
            }
        }
    }
}

/// How the caller proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// A signed access token (RFC 9068 or an issuer's own JWT form).
    AccessToken,
    /// A key that this installation issued.
    ApiKey,
    /// Whatever the embedding service does by itself.
    External,
}

impl Method {
    /// A stable name for records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccessToken => "access-token",
            Self::ApiKey => "api-key",
            Self::External => "external",
        }
    }
}

/// What a resolver found out. Not yet a [`Principal`]: only [`authenticate`](crate::authenticate) makes that.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// Who acts.
    pub who: Who,
    /// Scopes of the token; `None` where the credential knows no scopes and therefore limits nothing.
    pub scopes: Option<BTreeSet<Arc<str>>>,
    /// The OAuth client through which they act (`client_id`, `azp`).
    pub client_id: Option<Arc<str>>,
    /// How they proved it.
    pub method: Method,
    /// When the person last authenticated (`auth_time`).
    pub authenticated_at: Option<Timestamp>,
    /// How strongly they authenticated (`acr`).
    pub acr: Option<Arc<str>>,
    /// When the credential ends; standing streams end then.
    pub expires_at: Option<Timestamp>,
    /// Where the credential can be withdrawn before that: whatever is open on it ends then.
    pub withdrawal: Option<Withdrawal>,
}

impl Identity {
    fn new(who: Who) -> Self {
        Self {
            who,
            scopes: None,
            client_id: None,
            method: Method::External,
            authenticated_at: None,
            acr: None,
            expires_at: None,
            withdrawal: None,
        }
    }

    /// Who reaches the machine itself, under a name for the record: see [`Subject::OPERATOR`].
    #[must_use]
    pub fn operator(name: &str) -> Self {
        Self::user(Party::new(Subject::new(Subject::OPERATOR, name)))
    }

    /// An identity provider that pushes people and groups, by the id of its token: see [`Subject::SCIM`].
    #[must_use]
    pub fn provisioner(token: &str) -> Self {
        Self::agent(Party::new(Subject::new(Subject::SCIM, token)))
    }

    /// A person, with nothing else known.
    #[must_use]
    pub fn user(user: Party) -> Self {
        Self::new(Who::User(user))
    }

    /// An agent on its own behalf, with nothing else known.
    #[must_use]
    pub fn agent(agent: Party) -> Self {
        Self::new(Who::Agent(agent))
    }

    /// An agent acting for a person, with nothing else known.
    #[must_use]
    pub fn delegated(user: Party, agent: Party) -> Self {
        Self::new(Who::Delegated { user, agent })
    }
}

/// An authenticated caller on one route. Cheap to clone; made only by [`authenticate`](crate::authenticate).
#[derive(Clone, Debug)]
pub struct Principal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    route: Route,
    identity: Identity,
}

impl Principal {
    pub(crate) fn new(route: Route, identity: Identity) -> Self {
        Self(Arc::new(Inner { route, identity }))
    }

    /// The tenant, from the route and never from the token.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        self.0.route.tenant()
    }

    /// The route on which they authenticated; the proof holds for no other.
    #[must_use]
    pub fn route(&self) -> &Route {
        &self.0.route
    }

    /// Who acts.
    #[must_use]
    pub fn who(&self) -> &Who {
        &self.0.identity.who
    }

    /// The person, if one is involved.
    #[must_use]
    pub fn user(&self) -> Option<&Party> {
        match self.who() {
            Who::User(user) | Who::Delegated { user, .. } => Some(user),
            Who::Agent(_) => None,
        }
    }

    /// The agent, if one is involved.
    #[must_use]
    pub fn agent(&self) -> Option<&Party> {
        match self.who() {
            Who::Agent(agent) | Who::Delegated { agent, .. } => Some(agent),
            Who::User(_) => None,
        }
    }

    /// Every party involved: one, or the user and then the agent.
    pub fn parties(&self) -> impl Iterator<Item = &Party> {
        self.user().into_iter().chain(self.agent())
    }

    /// The stable keys of every party, each with its side.
    pub fn sides(&self) -> impl Iterator<Item = (PartyKind, &Subject)> {
        let user = self.user().map(|user| (PartyKind::User, user.subject()));
        let agent = self
            .agent()
            .map(|agent| (PartyKind::Agent, agent.subject()));
        user.into_iter().chain(agent)
    }

    /// The token's scopes; `None` where the credential knows none and limits nothing.
    #[must_use]
    pub fn scopes(&self) -> Option<&BTreeSet<Arc<str>>> {
        self.0.identity.scopes.as_ref()
    }

    /// The OAuth client through which they act.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.0.identity.client_id.as_deref()
    }

    /// How they proved who they are.
    #[must_use]
    pub fn method(&self) -> Method {
        self.0.identity.method
    }

    /// When the person last authenticated.
    #[must_use]
    pub fn authenticated_at(&self) -> Option<Timestamp> {
        self.0.identity.authenticated_at
    }

    /// How strongly they authenticated (`acr`).
    #[must_use]
    pub fn acr(&self) -> Option<&str> {
        self.0.identity.acr.as_deref()
    }

    /// When the credential ends.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.0.identity.expires_at
    }

    /// Completes when the credential is withdrawn before its end, where that can be.
    #[must_use]
    pub fn withdrawal(&self) -> Option<&Withdrawal> {
        self.0.identity.withdrawal.as_ref()
    }

    /// A stable text for who acts: the key that sessions and caches are bound to (invariant 6).
    ///
    /// `user:<subject>`, `agent:<subject>` or, for a delegation, both with the lengths in front so that no
    /// choice of names makes two principals alike.
    #[must_use]
    pub fn key(&self) -> String {
        match self.who() {
            Who::User(user) => format!("user:{}", user.subject()),
            Who::Agent(agent) => format!("agent:{}", agent.subject()),
            Who::Delegated { user, agent } => {
                let (user, agent) = (user.subject().to_string(), agent.subject().to_string());
                format!("delegated:{}:{user}:{agent}", user.len())
            }
        }
    }
}
