//! People and agents, by what tokens call them.

use std::sync::Arc;

use gatewright_core::{PartyKind, Subject};

use super::{
    applying::Applying,
    at_issuer,
    names::ids_of,
    wanted::{WantedAgent, WantedHolder, WantedTenant, WantedUser},
};
use crate::{
    edit::ChangeError,
    model::{Agent, AgentStatus, Disabled, Document, Identity, User},
    records::Kind,
};

/// Whom the file has switched off, as `user/<id>/<when>` or `agent/<id>`: when it no longer says so they are switched on again,
/// and whom somebody else switched off are not.
const SWITCHED_OFF: &str = "switched-off";
/// Why, where the file did.
const REASON: &str = "in the file";

/// Somebody whom the file has switched off.
pub(super) struct Off {
    pub(super) kind: Kind,
    pub(super) id: String,
    at: Option<i64>,
}

/// Everybody whom a file names.
pub(super) fn named(wanted: &WantedTenant) -> impl Iterator<Item = (Kind, &Identity)> {
    let users = wanted.users.iter().map(|user| (Kind::User, &user.identity));
    let agents = wanted.agents.iter().flat_map(|agent| {
        let owner = agent.owner.iter().map(|owner| (Kind::User, owner));
        owner.chain([(Kind::Agent, &agent.identity)])
    });
    let members = wanted.groups.iter().flat_map(|group| {
        let users = group.users.iter().map(|user| (Kind::User, user));
        users.chain(group.agents.iter().map(|agent| (Kind::Agent, agent)))
    });
    let holders = wanted.grants.iter().filter_map(|grant| match &grant.to {
        WantedHolder::User(identity) => Some((Kind::User, identity)),
        WantedHolder::Agent(identity) => Some((Kind::Agent, identity)),
        _ => None,
    });
    users.chain(agents).chain(members).chain(holders)
}

impl Applying<'_> {
    pub(super) fn parties(&mut self, wanted: &WantedTenant) -> Result<(), ChangeError> {
        // Who is local has no other id than their own, so they choose first.
        let local = named(wanted).filter(|(_, identity)| identity.issuer == Subject::LOCAL);
        for (kind, identity) in local {
            self.party(kind, identity)?;
        }
        for user in &wanted.users {
            self.user(user)?;
        }
        for agent in &wanted.agents {
            self.agent(agent)?;
        }
        Ok(())
    }

    fn known_id(&self, kind: Kind, identity: &Identity) -> Option<Arc<str>> {
        let party = match kind {
            Kind::Agent => PartyKind::Agent,
            _ => PartyKind::User,
        };
        let subject = identity.subject();
        self.directory.whose(self.tenant, party, &subject)
    }

    /// The ids that somebody has or could have.
    pub(super) fn candidates(&self, kind: Kind, identity: &Identity) -> Vec<Arc<str>> {
        let known = self.known_id(kind, identity);
        known.map_or_else(|| ids_of(identity), |id| vec![id])
    }

    /// The id of somebody, whom the file makes where nobody is known by this.
    pub(super) fn party(
        &mut self,
        kind: Kind,
        identity: &Identity,
    ) -> Result<Arc<str>, ChangeError> {
        let called = (kind, identity.clone());
        if let Some(id) = self.parties.get(&called) {
            return Ok(Arc::clone(id));
        }
        let id = if let Some(id) = self.known_id(kind, identity) {
            if self.had_in_mind(kind.name(), &id) {
                self.own(kind, &id);
            }
            id
        } else {
            let id = self.free_id(kind, identity)?;
            // Whom the file made at this id, and who is local, is known by that.
            if self.stored(kind, &id).is_none() {
                let document = match kind {
                    Kind::Agent => Document::Agent(new_agent(identity)),
                    _ => Document::User(self.new_user(identity, &id)),
                };
                self.put(Arc::clone(&id), document);
            }
            self.own(kind, &id);
            id
        };
        self.parties.insert(called, Arc::clone(&id));
        Ok(id)
    }

    /// An id that nobody else has.
    fn free_id(&self, kind: Kind, identity: &Identity) -> Result<Arc<str>, ChangeError> {
        let ids = ids_of(identity);
        let is_free = |id: &Arc<str>| {
            let is_local = identity.issuer == Subject::LOCAL;
            let was_made = is_local && self.had_in_mind(kind.name(), id);
            !self.is_put(kind, id) && (self.stored(kind, id).is_none() || was_made)
        };
        if let Some(id) = ids.iter().find(|id| is_free(id)) {
            return Ok(Arc::clone(id));
        }
        let message = format!(
            "`{}` of the issuer `{}` cannot be the {kind} `{}`: that is somebody else; add this identity to the {kind} that \
             there is, or name them otherwise",
            identity.subject,
            identity.issuer,
            ids.last().map_or("", |id| id)
        );
        Err(ChangeError::broken("id-of-others", message))
    }

    /// Nobody is described twice, as two whom they are.
    fn describe(&mut self, kind: Kind, identity: &Identity) -> Result<Arc<str>, ChangeError> {
        let id = self.party(kind, identity)?;
        let before = self
            .described
            .insert((kind, Arc::clone(&id)), identity.clone());
        match before {
            Some(other) if other != *identity => {
                let message = format!(
                    "`{}` of `{}` and `{}` of `{}` are both the {kind} `{id}`: name it once",
                    other.subject, other.issuer, identity.subject, identity.issuer
                );
                Err(ChangeError::broken("named-twice", message))
            }
            _ => Ok(id),
        }
    }

    fn user(&mut self, wanted: &WantedUser) -> Result<(), ChangeError> {
        let id = self.describe(Kind::User, &wanted.identity)?;
        let mut user = match self.document(Kind::User, &id) {
            Some(Document::User(user)) => user.clone(),
            // Memory knows them, and the storage does not any more.
            _ => return Err(gone(Kind::User, id)),
        };
        if wanted.disabled {
            let written = match &user.disabled {
                None => {
                    let now = self.directory.now();
                    let disabled = Disabled::new(now, Some(REASON.to_owned()));
                    Some(user.disabled.insert(disabled).at)
                }
                Some(disabled) => {
                    let was = self.had_in_mind(SWITCHED_OFF, &off_user(&id, disabled.at));
                    was.then_some(disabled.at)
                }
            };
            if let Some(at) = written {
                self.keep_in_mind(SWITCHED_OFF, &off_user(&id, at));
            }
        }
        if let Some(name) = &wanted.display_name
            && self.is_own(Kind::User, &id)
        {
            user.display_name = Some(name.clone());
        }
        self.put(id, Document::User(user));
        Ok(())
    }

    fn new_user(&mut self, identity: &Identity, id: &Arc<str>) -> User {
        if identity.issuer == Subject::LOCAL {
            return self.naming(User::new(id), id);
        }
        let mut user = User::new(&identity.subject);
        // Two issuers may call two people alike.
        for name in [&at_issuer(&identity.subject()), &**id] {
            if !self.is_name_taken(&user.user_name) {
                break;
            }
            name.clone_into(&mut user.user_name);
        }
        user.identities = vec![identity.clone()];
        self.naming(user, id)
    }

    fn naming(&mut self, user: User, id: &Arc<str>) -> User {
        let folded = User::folded(&user.user_name);
        self.names.insert(folded, Arc::clone(id));
        user
    }

    fn is_name_taken(&self, user_name: &str) -> bool {
        self.names.contains_key(&User::folded(user_name))
            || self.directory.is_user_name_taken(self.tenant, user_name)
    }

    fn agent(&mut self, wanted: &WantedAgent) -> Result<(), ChangeError> {
        let owner = match &wanted.owner {
            Some(owner) => Some(self.party(Kind::User, owner)?.to_string()),
            None => None,
        };
        let id = self.describe(Kind::Agent, &wanted.identity)?;
        let mut agent = match self.document(Kind::Agent, &id) {
            Some(Document::Agent(agent)) => agent.clone(),
            _ => return Err(gone(Kind::Agent, id)),
        };
        if self.is_own(Kind::Agent, &id) {
            agent.name = wanted.name.clone().unwrap_or_else(|| id.to_string());
            agent.owner = owner;
            agent.purpose.clone_from(&wanted.purpose);
            agent.expires = wanted.expires;
            // Whose owner left stays suspended, until the file names another.
            let owner = agent.owner.as_deref();
            if agent.status == AgentStatus::Suspended
                && owner.is_some_and(|owner| self.directory.is_alive_user(self.tenant, owner))
            {
                agent.status = AgentStatus::Active;
            }
        }
        if wanted.disabled {
            let off = format!("{}/{id}", Kind::Agent);
            if agent.status != AgentStatus::Disabled || self.had_in_mind(SWITCHED_OFF, &off) {
                agent.status = AgentStatus::Disabled;
                self.keep_in_mind(SWITCHED_OFF, &off);
            }
        }
        self.put(id, Document::Agent(agent));
        Ok(())
    }

    pub(super) fn switched_off_before(&self) -> Vec<Off> {
        let before = self.before.get(SWITCHED_OFF);
        before
            .into_iter()
            .flatten()
            .filter_map(|off| {
                let mut parts = off.splitn(3, '/');
                Some(Off {
                    kind: Kind::named(parts.next()?)?,
                    id: parts.next()?.to_owned(),
                    at: parts.next().and_then(|at| at.parse().ok()),
                })
            })
            .collect()
    }

    /// Switches those on that the file had switched off, and no longer does.
    pub(super) fn switch_on(&mut self) {
        for off in self.switched_off_before() {
            let called = match off.at {
                Some(at) => off_user(&off.id, at),
                None => format!("{}/{}", off.kind, off.id),
            };
            let still = self.owned.get(SWITCHED_OFF);
            if still.is_some_and(|still| still.contains(&called)) {
                continue;
            }
            let on = match self.document(off.kind, &off.id) {
                // Whoever switched them off after the file did so at another time.
                Some(Document::User(user)) if user.disabled.as_ref().map(|it| it.at) == off.at => {
                    Document::User(User {
                        disabled: None,
                        ..user.clone()
                    })
                }
                Some(Document::Agent(agent)) if agent.status == AgentStatus::Disabled => {
                    Document::Agent(Agent {
                        status: AgentStatus::Active,
                        ..agent.clone()
                    })
                }
                _ => continue,
            };
            self.put(off.id.into(), on);
        }
    }
}

fn off_user(id: &str, at: i64) -> String {
    format!("{}/{id}/{at}", Kind::User)
}

fn gone(kind: Kind, id: Arc<str>) -> ChangeError {
    ChangeError::NotFound { kind, id }
}

fn new_agent(identity: &Identity) -> Agent {
    let mut agent = Agent::new(&identity.subject);
    if identity.issuer != Subject::LOCAL {
        agent.identities = vec![identity.clone()];
    }
    agent
}
