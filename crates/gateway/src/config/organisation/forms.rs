//! How things stand in the file, before they are checked against each other.

use std::{collections::BTreeMap, path::PathBuf};

use gatewright_core::{
    AuditClass, CredentialMode, ScopeRule, UnknownMethods,
    access::{AdminPermission, Permission},
};
use gatewright_directory::model::{Part, ScimAttribute};
use gatewright_upstream::EraSetting;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuerForm {
    pub(super) issuer: String,
    pub(super) jwks_url: Option<String>,
    #[serde(default)]
    pub(super) algorithms: Vec<String>,
    #[serde(default)]
    pub(super) accept_plain_jwt: bool,
    pub(super) user_claim: Option<String>,
    pub(super) groups_claim: Option<String>,
    pub(super) roles_claim: Option<String>,
    pub(super) name_claim: Option<String>,
    pub(super) client_claim: Option<String>,
    // What the directory decides on; that it can be read is all that is asked of it here.
    #[serde(rename = "scim_attribute")]
    pub(super) _scim_attribute: Option<ScimAttribute>,
    #[serde(default, rename = "email_domains")]
    pub(super) _email_domains: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerForm {
    pub(super) name: String,
    #[serde(default)]
    pub(super) disabled: bool,
    pub(super) url: Option<String>,
    pub(super) command: Option<PathBuf>,
    pub(super) args: Option<Vec<String>>,
    pub(super) env: Option<BTreeMap<String, String>>,
    pub(super) cwd: Option<PathBuf>,
    pub(super) user: Option<String>,
    pub(super) stateless: Option<bool>,
    pub(super) process: Option<ProcessForm>,
    #[serde(default)]
    pub(super) credential: CredentialMode,
    pub(super) credential_header: Option<String>,
    pub(super) credential_prefix: Option<String>,
    pub(super) credential_env: Option<String>,
    #[serde(default)]
    pub(super) era: EraForm,
    pub(super) title: Option<String>,
    #[serde(default)]
    pub(super) audit: AuditClass,
    #[serde(default)]
    pub(super) log_contents: bool,
    #[serde(default)]
    pub(super) unknown_methods: UnknownMethods,
    #[serde(default)]
    pub(super) scopes: Vec<ScopeRule>,
    #[serde(default)]
    pub(super) tools: BTreeMap<String, FactsForm>,
    #[serde(default)]
    pub(super) timeouts: TimeoutsForm,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProcessForm {
    pub(super) memory_bytes: Option<u64>,
    pub(super) cpu_seconds: Option<u64>,
    pub(super) open_files: Option<u64>,
    pub(super) processes: Option<u64>,
    pub(super) file_bytes: Option<u64>,
    pub(super) children: Option<u64>,
    pub(super) children_per_principal: Option<u64>,
    pub(super) calls: Option<u64>,
    pub(super) idle_ms: Option<u64>,
    pub(super) grace_ms: Option<u64>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum EraForm {
    #[default]
    Auto,
    Modern,
    Legacy,
}

impl From<EraForm> for EraSetting {
    fn from(form: EraForm) -> Self {
        match form {
            EraForm::Auto => Self::Probe,
            EraForm::Modern => Self::Modern,
            EraForm::Legacy => Self::Legacy,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FactsForm {
    pub(super) read_only: Option<bool>,
    pub(super) destructive: Option<bool>,
    #[serde(default)]
    pub(super) tags: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TimeoutsForm {
    pub(super) first_byte_ms: Option<u64>,
    pub(super) idle_ms: Option<u64>,
    pub(super) total_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserForm {
    pub(super) id: String,
    pub(super) issuer: Option<String>,
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) disabled: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentForm {
    pub(super) id: String,
    pub(super) issuer: Option<String>,
    pub(super) name: Option<String>,
    pub(super) owner: Option<String>,
    /// Of the owner, where it is not the agent's.
    pub(super) owner_issuer: Option<String>,
    pub(super) purpose: Option<String>,
    pub(super) expires: Option<toml::Value>,
    #[serde(default)]
    pub(super) disabled: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupForm {
    pub(super) name: String,
    /// Of the people and agents in it.
    pub(super) issuer: Option<String>,
    #[serde(default)]
    pub(super) users: Vec<String>,
    #[serde(default)]
    pub(super) agents: Vec<String>,
    #[serde(default)]
    pub(super) groups: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BundleForm {
    pub(super) name: String,
    pub(super) title: Option<String>,
    #[serde(default)]
    pub(super) parts: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleForm {
    pub(super) name: String,
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) inherits: Vec<String>,
    #[serde(default)]
    pub(super) permissions: Vec<Permission>,
    #[serde(default)]
    pub(super) admin: Vec<AdminPermission>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantForm {
    pub(super) role: String,
    pub(super) user: Option<String>,
    pub(super) group: Option<String>,
    pub(super) agent: Option<String>,
    pub(super) issuer: Option<String>,
    pub(super) expires: Option<toml::Value>,
    pub(super) reason: Option<String>,
    pub(super) over: Option<OverForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OverForm {
    pub(super) server: Option<String>,
    pub(super) group: Option<String>,
}
