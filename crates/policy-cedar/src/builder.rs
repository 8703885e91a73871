use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::RandomState,
    path::PathBuf,
    sync::{Arc, RwLock, atomic::AtomicUsize},
};

use cedar_policy::{Authorizer, PolicyId};
use gatewright_core::{
    Clock, ServerName, SnapshotVersion, SystemClock, TenantId,
    access::{Grant, Grantee, Pattern, Role},
};

use crate::{
    BuildEngineError, CedarEngine, Limited, compile,
    compile::Source,
    engine::VIEWS,
    files::{self, Place, PolicyFile},
    index::Index,
    schema,
    view::Granted,
};

/// What configuration vouches for about a tool. What a server says of its own tools is never believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolFacts {
    /// It changes nothing.
    pub read_only: bool,
    /// It may destroy something.
    pub destructive: bool,
}

impl ToolFacts {
    /// A tool that changes nothing.
    pub const READ_ONLY: Self = Self {
        read_only: true,
        destructive: false,
    };
}

impl Default for ToolFacts {
    /// A tool that nobody vouches for: it may change and destroy.
    fn default() -> Self {
        Self {
            read_only: false,
            destructive: true,
        }
    }
}

/// Collects what a [`CedarEngine`] is made from.
#[derive(Default)]
#[must_use]
pub struct CedarEngineBuilder {
    tenant: TenantId,
    version: SnapshotVersion,
    roles: Vec<Role>,
    grants: Vec<Grant>,
    facts: HashMap<ServerName, Vec<(Pattern, ToolFacts)>>,
    dirs: Vec<PathBuf>,
    texts: Vec<PolicyFile>,
    clock: Option<Arc<dyn Clock>>,
}

impl CedarEngineBuilder {
    /// Whose policies these are; the default tenant's if not said.
    pub fn tenant(mut self, tenant: TenantId) -> Self {
        self.tenant = tenant;
        self
    }

    /// The version that decisions name.
    pub const fn version(mut self, version: SnapshotVersion) -> Self {
        self.version = version;
        self
    }

    /// Adds roles.
    pub fn roles(mut self, roles: impl IntoIterator<Item = Role>) -> Self {
        self.roles.extend(roles);
        self
    }

    /// Adds grants of those roles.
    pub fn grants(mut self, grants: impl IntoIterator<Item = Grant>) -> Self {
        self.grants.extend(grants);
        self
    }

    /// Vouches for tools of a server. Of several patterns that fit a tool, the one added first counts.
    pub fn vouch(mut self, server: ServerName, tools: Pattern, facts: ToolFacts) -> Self {
        self.facts.entry(server).or_default().push((tools, facts));
        self
    }

    /// Adds the `.cedar` files of a directory.
    pub fn policies_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dirs.push(dir.into());
        self
    }

    /// Adds Cedar text under the name that errors and ids call it by.
    pub fn policies(mut self, name: &str, text: &str) -> Self {
        self.texts.push(PolicyFile {
            name: name.into(),
            text: text.into(),
        });
        self
    }

    /// Takes the time from another clock than the machine's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Compiles the roles, reads the files and checks every policy against the [schema](crate::SCHEMA).
    ///
    /// # Errors
    /// [`BuildEngineError`] names the file and line, or the role and permission, that is wrong.
    pub fn build(self) -> Result<CedarEngine, BuildEngineError> {
        let mut sources = Vec::new();
        let mut names = HashSet::new();
        for role in &self.roles {
            if !names.insert(role.name.as_str()) {
                return Err(BuildEngineError::TwoRoles(role.name.clone()));
            }
            sources.extend(compile::role(role)?);
        }
        let grants = grants(self.grants, &names)?;

        let mut written = self.texts;
        for dir in &self.dirs {
            written.extend(files::read_dir(dir)?);
        }
        let mut places: HashMap<PolicyId, Place> = HashMap::new();
        for file in &written {
            for (source, place) in files::parse(file)? {
                let id = source.policy.id().clone();
                if places.contains_key(&id) {
                    let (file, id) = (place.file.name.to_string(), id.to_string());
                    return Err(BuildEngineError::TakenId {
                        file,
                        line: place.line,
                        id,
                    });
                }
                places.insert(id, place);
                sources.push(source);
            }
        }

        let paths: BTreeSet<&str> = sources.iter().flat_map(argument_paths).collect();
        let schema = schema::with_arguments(paths)?;
        let actions = schema
            .action_entities()
            .map_err(|error| BuildEngineError::Schema {
                reason: error.to_string(),
            })?;
        let mut warnings = files::validate(schema.clone(), &sources, &places)?;
        let index = Index::new(sources)?;
        warnings.extend(unscoped(&index));
        Ok(CedarEngine {
            tenant: self.tenant,
            version: self.version,
            schema,
            index,
            grants,
            facts: self.facts,
            actions,
            clock: self.clock.unwrap_or_else(|| Arc::new(SystemClock)),
            warnings,
            hasher: RandomState::new(),
            views: RwLock::new(Limited::new(VIEWS)),
            answers: AtomicUsize::new(0),
            authorizer: Authorizer::new(),
        })
    }
}

/// Design: unscoped policies are counted and warned about.
fn unscoped(index: &Index) -> Option<String> {
    const NAMED: usize = 5;
    let names: Vec<String> = index.unscoped().map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(NAMED);
    let shown: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
    (!names.is_empty()).then(|| {
        format!(
            "{} of {} policies limit neither principal nor resource, so every call of their actions evaluates \
             them: {}{}",
            names.len(),
            index.len(),
            shown.join(", "),
            if more > 0 { format!(" and {more} more") } else { String::new() },
        )
    })
}

fn argument_paths(source: &Source) -> impl Iterator<Item = &str> {
    source.reads.arguments.iter().map(String::as_str)
}

fn grants(
    given: Vec<Grant>,
    roles: &HashSet<&str>,
) -> Result<HashMap<Grantee, Vec<Granted>>, BuildEngineError> {
    let mut grants: HashMap<Grantee, Vec<Granted>> = HashMap::new();
    for grant in given {
        if !roles.contains(grant.role.as_str()) {
            return Err(BuildEngineError::UnknownRole(grant.role));
        }
        let issuer = match &grant.to {
            Grantee::User(subject) | Grantee::Agent(subject) => subject.issuer(),
            Grantee::Group(group) => group.issuer(),
            Grantee::Account(_) => "",
        };
        if issuer.contains('|') {
            return Err(BuildEngineError::Issuer(issuer.to_owned()));
        }
        let granted = Granted {
            role: grant.role.into(),
            expires: grant.expires,
        };
        grants.entry(grant.to).or_default().push(granted);
    }
    Ok(grants)
}

impl std::fmt::Debug for CedarEngineBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CedarEngineBuilder")
            .field("tenant", &self.tenant)
            .field("roles", &self.roles.len())
            .field("grants", &self.grants.len())
            .finish_non_exhaustive()
    }
}
