//! What children are for.

use gatewright_core::{ServerName, TenantId};
use gatewright_wire::{Era, Version};

/// Who shares a child.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// Every caller of the credential who speaks this revision.
    Callers(Version),
    /// One principal, in the modern era.
    Principal(String),
    /// One client session of a principal.
    Session { principal: String, id: String },
}

impl Scope {
    /// Whose children they are, where they are one principal's.
    pub(crate) fn principal(&self) -> Option<&str> {
        match self {
            Self::Callers(_) => None,
            Self::Principal(principal) | Self::Session { principal, .. } => Some(principal),
        }
    }
}

/// What a child is for (invariant 6): no other tenant, server, owner of a credential, principal or session reaches it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) tenant: TenantId,
    pub(crate) server: ServerName,
    pub(crate) owner: String,
    pub(crate) scope: Scope,
}

/// A client session, by who may use it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionKey {
    pub(crate) tenant: TenantId,
    pub(crate) server: ServerName,
    pub(crate) principal: String,
    pub(crate) id: String,
}

/// Children that fail together: those of one credential, and of one principal or one revision.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    tenant: TenantId,
    server: ServerName,
    credential: String,
    whose: Result<String, Version>,
}

impl Place {
    /// Whether both are of the same tenant, server and principal.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        self.tenant == other.tenant
            && self.server == other.server
            && self.scope.principal() == other.scope.principal()
    }

    /// The children that it fails together with.
    pub(crate) fn origin(&self, credential: &str) -> Origin {
        Origin {
            tenant: self.tenant.clone(),
            server: self.server.clone(),
            credential: credential.to_owned(),
            whose: match &self.scope {
                Scope::Callers(version) => Err(*version),
                Scope::Principal(principal) | Scope::Session { principal, .. } => {
                    Ok(principal.clone())
                }
            },
        }
    }

    /// The session that it belongs to.
    pub(crate) fn session(&self) -> Option<SessionKey> {
        let Scope::Session { principal, id } = &self.scope else {
            return None;
        };
        Some(SessionKey {
            tenant: self.tenant.clone(),
            server: self.server.clone(),
            principal: principal.clone(),
            id: id.clone(),
        })
    }
}

/// The revision that callers who share a child speak.
pub(crate) const fn revision(era: Era, named: Option<Version>) -> Version {
    match (era, named) {
        (_, Some(version)) => version,
        (Era::Modern, None) => Version::V2026_07_28,
        // What a request without the header speaks (2025-11-25, Protocol Version Header).
        (Era::Legacy, None) => Version::V2025_03_26,
    }
}
