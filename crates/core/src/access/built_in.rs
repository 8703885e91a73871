use super::{AdminPermission, Pattern, Role};
use crate::AdminVerb;

/// A role that every tenant has. It permits administrators only, and cannot be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuiltInRole {
    /// No role of a tenant's own has this name.
    pub name: &'static str,
    /// For people.
    pub description: &'static str,
    /// What it permits.
    pub verbs: &'static [AdminVerb],
}

impl BuiltInRole {
    /// Who may do everything.
    pub const ADMINISTRATOR: &'static str = "administrator";

    /// Who pushes people and groups from an identity provider.
    pub const PROVISIONER: &'static str = "provisioner";

    /// The built-in role of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        BUILT_IN.iter().find(|role| role.name == name)
    }
}

/// Every built-in role. None but the administrator's lets one person do what another should look at: who drafts
/// policies does not publish them, who reads contents changes nothing, who keeps credentials gives nobody a role.
pub const BUILT_IN: &[BuiltInRole] = &[
    BuiltInRole {
        name: "metadata-viewer",
        description: "Sees what there is and who may do what; no contents of calls",
        verbs: &[
            AdminVerb::MetadataRead,
            AdminVerb::DirectoryRead,
            AdminVerb::AccessExplain,
        ],
    },
    BuiltInRole {
        name: "content-auditor",
        description: "Reads audit records with the contents of calls",
        verbs: &[
            AdminVerb::MetadataRead,
            AdminVerb::AuditRead,
            AdminVerb::AuditReadContents,
        ],
    },
    BuiltInRole {
        name: "credential-custodian",
        description: "Stores and destroys credentials for servers",
        verbs: &[
            AdminVerb::MetadataRead,
            AdminVerb::CredentialsWrite,
            AdminVerb::CredentialsRemove,
        ],
    },
    BuiltInRole {
        name: "policy-author",
        description: "Drafts policies",
        verbs: &[
            AdminVerb::MetadataRead,
            AdminVerb::DirectoryRead,
            AdminVerb::AccessExplain,
            AdminVerb::PoliciesWrite,
        ],
    },
    BuiltInRole {
        name: "policy-approver",
        description: "Publishes policies that somebody else drafted",
        verbs: &[
            AdminVerb::MetadataRead,
            AdminVerb::DirectoryRead,
            AdminVerb::AccessExplain,
            AdminVerb::PoliciesPublish,
        ],
    },
    BuiltInRole {
        name: BuiltInRole::PROVISIONER,
        description: "Pushes people, groups and agents, as an identity provider does",
        verbs: &[
            AdminVerb::DirectoryRead,
            AdminVerb::UsersWrite,
            AdminVerb::UsersDisable,
            AdminVerb::UsersRemove,
            AdminVerb::GroupsWrite,
            AdminVerb::MembersProvision,
            AdminVerb::MembersRemove,
            AdminVerb::AgentsWrite,
            AdminVerb::AgentsDisable,
            AdminVerb::AgentsRemove,
        ],
    },
    BuiltInRole {
        name: BuiltInRole::ADMINISTRATOR,
        description: "Does everything",
        verbs: AdminVerb::ALL,
    },
];

/// The built-in roles as [`Role`]s.
pub fn built_in_roles() -> impl Iterator<Item = Role> {
    BUILT_IN.iter().map(|built_in| Role {
        description: Some(built_in.description.to_owned()),
        admin: vec![AdminPermission {
            actions: built_in
                .verbs
                .iter()
                .map(|verb| Pattern::new(verb.name()))
                .collect(),
        }],
        ..Role::new(built_in.name)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_role_is_its_verbs() {
        let mut names = HashSet::new();
        for (built_in, role) in BUILT_IN.iter().zip(built_in_roles()) {
            assert!(names.insert(built_in.name), "{}", built_in.name);
            assert_eq!(BuiltInRole::named(&role.name), Some(built_in));
            let verbs: HashSet<_> = role.admin.iter().flat_map(AdminPermission::verbs).collect();
            assert_eq!(verbs, built_in.verbs.iter().copied().collect());
        }
        assert_eq!(BuiltInRole::named("clerk"), None);
    }

    #[test]
    fn the_documentation_has_every_role_with_what_it_permits() {
        let page = include_str!("../../../../docs/configuration.md");
        for role in BUILT_IN {
            let verbs: Vec<String> = role.verbs.iter().map(|verb| format!("`{verb}`")).collect();
            let verbs = match role.name {
                BuiltInRole::ADMINISTRATOR => "everything".to_owned(),
                _ => verbs.join(", "),
            };
            let row = format!("| `{}` | {} | {verbs} |", role.name, role.description);
            assert!(page.contains(&row), "docs/configuration.md lacks: {row}");
        }
    }

    #[test]
    fn only_administrators_can_do_everything_or_give_anything() {
        for role in BUILT_IN {
            let may = |verb| role.verbs.contains(&verb);
            if role.name == BuiltInRole::ADMINISTRATOR {
                assert_eq!(role.verbs, AdminVerb::ALL);
                continue;
            }
            assert!(
                !(may(AdminVerb::PoliciesWrite) && may(AdminVerb::PoliciesPublish)),
                "{}",
                role.name
            );
            for verb in [
                AdminVerb::GrantsWrite,
                AdminVerb::RolesWrite,
                AdminVerb::KeysWrite,
                AdminVerb::IdentitiesWrite,
                AdminVerb::IssuersWrite,
                AdminVerb::ServersWrite,
                AdminVerb::ServersRunPrograms,
                AdminVerb::SettingsWrite,
                AdminVerb::TenantsWrite,
                AdminVerb::ScimTokensWrite,
                AdminVerb::SystemWrite,
            ] {
                assert!(!may(verb), "{} may {verb}", role.name);
            }
            let contents = may(AdminVerb::AuditReadContents);
            assert_eq!(contents, role.name == "content-auditor", "{}", role.name);
        }
    }
}
