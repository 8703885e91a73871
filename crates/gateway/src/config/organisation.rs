//! An organisation: as a file has it, and as the directory has it. Both are read by the same rules.

mod access;
mod credential;
mod forms;
mod grants;
mod people;
mod reach;
mod reader;
mod served;
mod servers;
#[cfg(test)]
mod tests;
mod wanted;

use std::{fmt, path::Path, time::Duration};

use gatewright_core::{
    AuditClass, Clock as _, CredentialRule, ScopeRule, ServerName, SystemClock, TenantId,
    UnknownMethods,
    access::{Grant, Pattern, Role},
};
use gatewright_directory::apply::Wanted;
use gatewright_jose::Algorithm;
use gatewright_policy_cedar::{CedarEngine, ToolFacts};
use gatewright_upstream::{EraSetting, Program, Timeouts};
use url::Url;

use self::reader::Reader;
pub(crate) use self::served::{grant, grantee, served};
use super::{
    LoadConfigError, Settings,
    document::{Problems, Table, parse},
    read,
};

/// Who there is and who may do what, checked in full; the policies are compiled.
#[derive(Debug)]
#[non_exhaustive]
pub struct Organisation {
    /// The default tenant first, then the others as they stand in the file.
    pub tenants: Vec<Tenant>,
    /// One engine for each tenant.
    pub engines: Vec<CedarEngine>,
    /// The same as the directory is asked for it.
    pub wanted: Wanted,
}

/// One tenant.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Tenant {
    /// Its name.
    pub id: TenantId,
    /// Whether people may have API keys; agents always may.
    pub people_keys: bool,
    /// Whose tokens it takes.
    pub issuers: Vec<Issuer>,
    /// What its callers may reach.
    pub servers: Vec<Server>,
    /// Its roles.
    pub roles: Vec<Role>,
    /// Who has them; those of the directory are the engine's only.
    pub grants: Vec<Grant>,
}

/// An issuer of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Issuer {
    /// Its identifier, the `iss` of its tokens.
    pub issuer: String,
    /// Where its keys are, if its metadata is not to be asked.
    pub jwks_url: Option<Url>,
    /// Algorithms that it may sign with; every asymmetric one if empty.
    pub algorithms: Vec<Algorithm>,
    /// Whether tokens may have `typ: JWT` or none, as providers older than RFC 9068 send.
    pub accept_plain_jwt: bool,
    /// The claim that names the person; `sub` if not set.
    pub user_claim: Option<String>,
    /// The claim that lists groups.
    pub groups_claim: Option<String>,
    /// The claim that lists roles.
    pub roles_claim: Option<String>,
    /// The claim with a name for people to read.
    pub name_claim: Option<String>,
    /// The claim that names the OAuth client; `client_id` or `azp` if not set.
    pub client_claim: Option<String>,
}

/// An MCP server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Server {
    /// Its name, the last part of its path.
    pub name: ServerName,
    /// Switched off: nobody finds it.
    pub disabled: bool,
    /// How it is reached.
    pub reach: Reach,
    /// As whom calls reach it.
    pub credential: CredentialRule,
    /// Which revisions it speaks.
    pub era: EraSetting,
    /// A name for people.
    pub title: Option<String>,
    /// What the log must hold before a call.
    pub audit: AuditClass,
    /// Whether the log holds arguments themselves and not only their digest.
    pub log_contents: bool,
    /// What becomes of unknown methods.
    pub unknown_methods: UnknownMethods,
    /// Scopes that tokens must have.
    pub scopes: Vec<ScopeRule>,
    /// What is vouched for about its tools, the most specific pattern first.
    pub tools: Vec<(Pattern, ToolFacts)>,
    /// How long it may take.
    pub timeouts: Timeouts,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reach {
    /// Over HTTP, at this URL.
    Url(Url),
    /// By the standard streams of processes that are started like this.
    Program(Program),
}

impl Organisation {
    /// Reads a file, and the policies that it names.
    ///
    /// # Errors
    /// [`LoadConfigError`] names everything that is wrong.
    pub fn load(file: &Path, settings: &Settings) -> Result<Self, LoadConfigError> {
        Self::parse(&read(file)?, file, settings)
    }

    /// Takes the text of a file, which names other files relative to itself.
    ///
    /// # Errors
    /// [`LoadConfigError`] names everything that is wrong.
    pub fn parse(text: &str, file: &Path, settings: &Settings) -> Result<Self, LoadConfigError> {
        let mut problems = Problems::new(file, text);
        let root = parse(text, &mut problems);
        // Later snapshots have larger versions, across restarts too.
        let version = u64::try_from(SystemClock.now().millis()).unwrap_or_default();
        let organisation =
            Reader::new(settings, file, version, &mut problems).organisation(Table::root(&root));
        problems.end(Some(organisation))
    }

    /// What is allowed in hand-written policies and looks like a mistake.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        self.engines
            .iter()
            .flat_map(|engine| engine.warnings())
            .map(String::as_str)
    }
}

/// `default`, or `acme`.
impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

fn millis(value: Option<u64>, otherwise: Duration) -> Duration {
    value.map_or(otherwise, Duration::from_millis)
}
