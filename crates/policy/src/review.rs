//! Who may do what, as people ask it: what somebody can do, who can call a tool, what a change changes.

use std::fmt;

use gatewright_core::{Principal, ServerName, TenantId, access::Permission};
use serde::Serialize;

use crate::HeldRole;

/// What a principal can do. Where an agent acts for a person, they can do what both parties can.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Abilities {
    /// The person, the agent, or both.
    pub parties: Vec<PartyAbilities>,
}

/// What one party can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartyAbilities {
    /// Who.
    pub party: String,
    /// Permissions of the roles that it holds.
    pub permissions: Vec<HeldPermission>,
    /// What those roles permit administrators.
    pub administration: Vec<HeldAdministration>,
    /// Policies written by hand whose scope it is in: they may permit more, and forbid some of it.
    pub policies: Vec<WrittenPolicy>,
}

/// A permission that somebody has by a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldPermission {
    /// The role, and how it is held.
    pub by: HeldRole,
    /// Which of the role's permissions, from 1.
    pub number: usize,
    /// Those of the servers that were asked about which it is on.
    pub servers: Vec<String>,
    /// What it permits, with its conditions.
    pub permission: Permission,
}

/// What a role permits its holder as an administrator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldAdministration {
    /// The role, and how it is held; `over` is what is administered.
    pub by: HeldRole,
    /// Names of actions.
    pub actions: Vec<String>,
}

/// A policy written by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WrittenPolicy {
    /// The id that decisions name.
    pub id: String,
    /// Whether it forbids; otherwise it permits.
    pub forbids: bool,
    /// The policy.
    pub text: String,
}

/// Who can call a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Callers {
    /// To whom roles are granted that permit it: users and agents by themselves, and groups with everybody in them.
    pub callers: Vec<HeldPermission>,
    /// How many more there are than are listed.
    pub more: usize,
    /// Policies written by hand that may permit or forbid it.
    pub policies: Vec<WrittenPolicy>,
}

/// What changes if policies, roles or grants take the place of others.
///
/// Permissions are compared as they are written, so one that is written otherwise and means the same is lost and
/// gained. What policies written by hand permit is not read out of them: they are listed where they differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Who gains or loses what.
    pub grantees: Vec<GranteeChange>,
    /// How many more there are than are listed.
    pub more: usize,
    /// The policies written by hand that differ.
    pub policies: Vec<PolicyChange>,
    /// Servers of whose tools something else is vouched for: that changes what `read_only`, `destructive` and `tags` of
    /// permissions mean there.
    pub vouched: Vec<String>,
}

/// What one user, group or agent gains and loses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GranteeChange {
    /// To whom roles are granted.
    pub grantee: String,
    /// What they have then and not now, or longer.
    pub gained: Vec<Change>,
    /// What they have now and not then, or for a shorter time.
    pub lost: Vec<Change>,
}

/// Something that is gained or lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What.
    #[serde(flatten)]
    pub what: Changed,
    /// Until when they have it, where that ends.
    pub until: Option<String>,
}

/// What is gained or lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    /// A permission of a role.
    Permission(Box<Permission>),
    /// An action of administrators.
    Action {
        /// Its name.
        name: String,
        /// Over what; everything if it does not say.
        over: Option<String>,
    },
}

/// A policy written by hand that is added, removed or changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyChange {
    /// Its id.
    pub id: String,
    /// As it is now; there is none where it is added.
    pub before: Option<String>,
    /// As it is then; there is none where it is removed.
    pub after: Option<String>,
}

/// An engine that can say who may do what.
pub trait Review: Send + Sync {
    /// What can this principal do, on these servers? `None` where the tenant has no policies.
    fn abilities(&self, principal: &Principal, servers: &[ServerName]) -> Option<Abilities>;

    /// Who can call this tool? `None` where the tenant has no policies.
    fn callers(&self, tenant: &TenantId, server: &ServerName, tool: &str) -> Option<Callers>;
}

impl Changes {
    /// Whether nothing changes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.grantees.is_empty()
            && self.more == 0
            && self.policies.is_empty()
            && self.vouched.is_empty()
    }
}

/// For people to read; not stable.
impl fmt::Display for Abilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for party in &self.parties {
            writeln!(f, "{}", party.party)?;
            for held in &party.permissions {
                writeln!(f, "  {held}")?;
            }
            for held in &party.administration {
                writeln!(f, "  {}: {}", held.by, held.actions.join(", "))?;
            }
            for policy in &party.policies {
                writeln!(f, "  {policy}")?;
            }
        }
        Ok(())
    }
}

/// For people to read; not stable.
impl fmt::Display for HeldPermission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let permission = &self.permission;
        let patterns = [
            ("servers", &permission.servers),
            ("tools", &permission.tools),
            ("prompts", &permission.prompts),
            ("resources", &permission.resources),
            ("methods", &permission.methods),
            ("server requests", &permission.server_requests),
        ];
        write!(f, "{}, permission {}:", self.by, self.number)?;
        for (name, all) in patterns.into_iter().filter(|(_, all)| !all.is_empty()) {
            let all: Vec<&str> = all.iter().map(|pattern| pattern.as_str()).collect();
            write!(f, " {name} {};", all.join(", "))?;
        }
        if permission.read_only {
            f.write_str(" read only;")?;
        }
        match permission.destructive {
            Some(true) => f.write_str(" destructive;")?,
            Some(false) => f.write_str(" not destructive;")?,
            None => {}
        }
        if !permission.tags.is_empty() {
            write!(f, " tags {};", permission.tags.join(", "))?;
        }
        if permission.when != Default::default() {
            let when = serde_json::to_string(&permission.when).map_err(|_unwritable| fmt::Error)?;
            write!(f, " when {when}")?;
        }
        Ok(())
    }
}

/// For people to read; not stable.
impl fmt::Display for WrittenPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = if self.forbids { "forbid" } else { "permit" };
        write!(f, "policy `{}` may {effect}", self.id)
    }
}

/// For people to read; not stable.
impl fmt::Display for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for caller in &self.callers {
            writeln!(f, "{caller}")?;
        }
        if self.more > 0 {
            writeln!(f, "and {} more", self.more)?;
        }
        for policy in &self.policies {
            writeln!(f, "{policy}")?;
        }
        Ok(())
    }
}

/// For people to read, as a diff; not stable.
impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.grantees {
            writeln!(f, "{}", change.grantee)?;
            for (sign, all) in [('+', &change.gained), ('-', &change.lost)] {
                for one in all {
                    writeln!(f, "  {sign} {one}")?;
                }
            }
        }
        if self.more > 0 {
            writeln!(f, "and {} more", self.more)?;
        }
        for policy in &self.policies {
            let sign = match (&policy.before, &policy.after) {
                (None, _) => '+',
                (_, None) => '-',
                _ => '~',
            };
            writeln!(f, "{sign} policy `{}`", policy.id)?;
        }
        for server in &self.vouched {
            writeln!(f, "~ tools of `{server}`")?;
        }
        Ok(())
    }
}

/// For people to read; not stable.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            Changed::Permission(permission) => {
                let text = serde_json::to_string(permission).map_err(|_unwritable| fmt::Error)?;
                f.write_str(&text)?;
            }
            Changed::Action { name, over: None } => f.write_str(name)?,
            Changed::Action {
                name,
                over: Some(over),
            } => write!(f, "{name} over {over}")?,
        }
        match &self.until {
            Some(until) => write!(f, " until {until}"),
            None => Ok(()),
        }
    }
}
