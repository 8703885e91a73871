use std::fmt;

macro_rules! verbs {
    ($($(#[doc = $meaning:literal])+ $verb:ident = $name:literal,)+) => {
        /// What an administrator does. The names are stable: roles, policies and records have them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum AdminVerb {
            $($(#[doc = $meaning])+ $verb,)+
        }

        impl AdminVerb {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$verb),+];

            /// Its name, as roles and policies write it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$verb => $name,)+
                }
            }

            /// What it means, for people.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$verb => concat!($($meaning),+).trim_ascii(),)+
                }
            }
        }
    };
}

verbs! {
    /// Read names, settings and state of everything but people: servers, roles, grants, policies, tenants, receipts.
    MetadataRead = "metadata.read",
    /// Read people, groups with their members, and agents.
    DirectoryRead = "directory.read",
    /// Ask what somebody may do, who may call a tool, and what a draft would change.
    AccessExplain = "access.explain",
    /// Read audit records without the contents of calls.
    AuditRead = "audit.read",
    /// Read the arguments and answers of calls in audit records.
    AuditReadContents = "audit.read-contents",
    /// Create and change people, and switch them on.
    UsersWrite = "users.write",
    /// Switch people off, which cuts what they have open.
    UsersDisable = "users.disable",
    /// Delete people.
    UsersRemove = "users.remove",
    /// Link an identity to a person: who has it gets what she holds.
    IdentitiesWrite = "identities.write",
    /// Unlink an identity from a person.
    IdentitiesRemove = "identities.remove",
    /// Invite people by e-mail.
    InvitationsWrite = "invitations.write",
    /// Create, change and delete groups, but not who is in them.
    GroupsWrite = "groups.write",
    /// Add somebody to a group: they get what it holds.
    MembersWrite = "members.write",
    /// Take somebody out of a group.
    MembersRemove = "members.remove",
    /// Say who is in a group as its identity provider does, whatever the group holds.
    MembersProvision = "members.provision",
    /// Create and change agents, their owner and their expiry, and switch them on.
    AgentsWrite = "agents.write",
    /// Switch agents off.
    AgentsDisable = "agents.disable",
    /// Delete agents.
    AgentsRemove = "agents.remove",
    /// Make an API key or another credential that speaks for an agent or a person.
    KeysWrite = "keys.write",
    /// Revoke such a key.
    KeysRemove = "keys.remove",
    /// End sessions and streams.
    SessionsEnd = "sessions.end",
    /// Create and change roles.
    RolesWrite = "roles.write",
    /// Delete roles.
    RolesRemove = "roles.remove",
    /// Give a role to somebody, or make a grant last longer or reach further.
    GrantsWrite = "grants.write",
    /// Take a grant away.
    GrantsRemove = "grants.remove",
    /// Create and change servers and virtual servers.
    ServersWrite = "servers.write",
    /// Create and change servers that are programs of the gateway's machine. In the default tenant only.
    ServersRunPrograms = "servers.run-programs",
    /// Delete servers and virtual servers.
    ServersRemove = "servers.remove",
    /// Say whose tokens are taken.
    IssuersWrite = "issuers.write",
    /// Store a credential for a server.
    CredentialsWrite = "credentials.write",
    /// Destroy a stored credential.
    CredentialsRemove = "credentials.remove",
    /// Draft policies.
    PoliciesWrite = "policies.write",
    /// Publish drafted policies, or earlier ones again.
    PoliciesPublish = "policies.publish",
    /// Change the settings of the tenant.
    SettingsWrite = "settings.write",
    /// Make and revoke the tokens by which identity providers provision.
    ScimTokensWrite = "scim-tokens.write",
    /// Create, switch off and delete other tenants. In the default tenant only.
    TenantsWrite = "tenants.write",
    /// Read how the installation is: its replicas, its store. In the default tenant only.
    SystemRead = "system.read",
    /// Back up, move and seal anew. In the default tenant only.
    SystemWrite = "system.write",
}

impl AdminVerb {
    /// The verb of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|verb| verb.name() == name)
    }

    /// Whether somebody always gets something by it, so that an action without
    /// [`gives`](crate::AdminAction::gives) does not say all that it does, and is denied.
    #[must_use]
    pub const fn must_give(self) -> bool {
        matches!(
            self,
            Self::GrantsWrite
                | Self::RolesWrite
                | Self::MembersWrite
                | Self::IdentitiesWrite
                | Self::KeysWrite
        )
    }

    /// Whether it is about the installation, and therefore something of the default tenant only.
    #[must_use]
    pub const fn is_of_installation(self) -> bool {
        matches!(
            self,
            Self::TenantsWrite | Self::SystemRead | Self::SystemWrite | Self::ServersRunPrograms
        )
    }

    /// Whether it reaches the whole tenant whatever it is done to, so that nobody may do it who administers a server or
    /// a group.
    #[must_use]
    pub const fn is_of_tenant(self) -> bool {
        self.is_of_installation()
            || matches!(
                self,
                Self::MembersProvision
                    | Self::IssuersWrite
                    | Self::PoliciesWrite
                    | Self::PoliciesPublish
                    | Self::SettingsWrite
                    | Self::ScimTokensWrite
            )
    }
}

impl fmt::Display for AdminVerb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_stable_words_of_their_own() {
        let mut names = HashSet::new();
        for verb in AdminVerb::ALL {
            let name = verb.name();
            assert!(names.insert(name), "{name}");
            assert!(
                name.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'-')),
                "{name}"
            );
            assert_eq!(AdminVerb::from_name(name), Some(*verb));
            assert!(!verb.meaning().is_empty());
        }
        assert_eq!(AdminVerb::from_name("grants"), None);
        assert_eq!(AdminVerb::from_name("*"), None);
    }

    /// What one reads is what is enforced.
    #[test]
    fn the_documentation_has_every_verb_with_its_meaning() {
        let page = include_str!("../../../../docs/configuration.md");
        for verb in AdminVerb::ALL {
            let row = format!("| `{}` | {} |", verb.name(), verb.meaning());
            assert!(page.contains(&row), "docs/configuration.md lacks: {row}");
        }
    }
}
