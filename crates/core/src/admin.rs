//! What administrators do, as an engine is asked about it.

mod verb;

use crate::{
    Group, ServerName, Subject, TenantId,
    access::{Grant, Grantee, Role, Scope},
};

pub use self::verb::AdminVerb;

/// Somebody wants to read or change a part of an organisation.
///
/// [`PolicyEngine::decide_admin`](crate::PolicyEngine::decide_admin) is asked about it. Whoever asks says everything
/// that the decision needs: what the thing [concerns](Self::concerning), so that delegated administrators can be told
/// from others, who [drafted](Self::drafted_by) it, and what others would get by it ([`giving`](Self::giving)).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdminAction {
    /// Whose organisation. What belongs to no tenant (other tenants, the installation) belongs to the default tenant.
    pub tenant: TenantId,
    /// What is done.
    pub verb: AdminVerb,
    /// The kind of the thing, in kebab case, as `user`.
    pub kind: String,
    /// Its id; empty where it is all things of the kind.
    pub id: String,
    /// The servers and groups that it concerns. Who administers one of them may do it; a thing that concerns nothing
    /// is for those alone who administer the tenant.
    pub concerns: Vec<Scope>,
    /// Every identity by which the person who drafted it could act: hers, those of an agent that drafted for her, and
    /// those of agents that she owns.
    pub drafted_by: Vec<Subject>,
    /// What others get by it.
    pub gives: Vec<Given>,
}

/// What somebody gets by what an administrator does. Nobody can give away more than they hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Given {
    /// A role.
    Grant(Grant),
    /// Everything that is granted to this grantee: by joining a group, by becoming an identity of a user, by getting a
    /// key that speaks for an agent. Of nested groups each is one; so are an account, each of its identities, and each
    /// group that it is in.
    Holdings(Grantee),
    /// What a role newly has, by all who hold it. It is the role as it is about to be.
    Role(Role),
}

impl AdminAction {
    /// Something is done to a thing, or to all things of a kind where `id` is empty.
    #[must_use]
    pub fn new(tenant: TenantId, verb: AdminVerb, kind: &str, id: &str) -> Self {
        Self {
            tenant,
            verb,
            kind: kind.to_owned(),
            id: id.to_owned(),
            concerns: Vec::new(),
            drafted_by: Vec::new(),
            gives: Vec::new(),
        }
    }

    /// A grant is made or changed. It concerns what it is over, and the group that it is to; add the groups of the user
    /// or agent that it is to.
    #[must_use]
    pub fn grant(tenant: TenantId, id: &str, grant: Grant) -> Self {
        let mut action = Self::new(tenant, AdminVerb::GrantsWrite, "grant", id);
        if let Grantee::Group(group) = &grant.to {
            action.concerns.push(Scope::Group(group.clone()));
        }
        action.giving(Given::Grant(grant))
    }

    /// A user, an agent or a group joins a group. Where that one is in groups itself, add their holdings too.
    #[must_use]
    pub fn join(tenant: TenantId, id: &str, group: Group) -> Self {
        Self::new(tenant, AdminVerb::MembersWrite, "member", id)
            .concerning(Scope::Group(group.clone()))
            .giving(Given::Holdings(Grantee::Group(group)))
    }

    /// Adds a server or a group that it concerns.
    #[must_use]
    pub fn concerning(mut self, scope: Scope) -> Self {
        self.concerns.push(scope);
        self
    }

    /// Adds a server that it concerns.
    #[must_use]
    pub fn of_server(self, server: ServerName) -> Self {
        self.concerning(Scope::Server(server))
    }

    /// Adds identities of who drafted it.
    #[must_use]
    pub fn drafted_by(mut self, subjects: impl IntoIterator<Item = Subject>) -> Self {
        self.drafted_by.extend(subjects);
        self
    }

    /// Adds what somebody gets by it.
    #[must_use]
    pub fn giving(mut self, given: Given) -> Self {
        self.gives.push(given);
        self
    }
}
