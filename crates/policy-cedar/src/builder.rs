use std::{
    collections::{BTreeSet, HashMap},
    hash::RandomState,
    path::PathBuf,
    sync::{Arc, RwLock, atomic::AtomicUsize},
};

use cedar_policy::{Authorizer, PolicyId};
use gatewright_core::{
    Clock, ServerName, SnapshotVersion, SystemClock, TenantId,
    access::{BuiltInRole, Grant, Pattern, Role},
};

use crate::{
    BuildEngineError, CedarEngine, Grants, Limited,
    admin::{self, AdminPolicies, Mentions},
    compile,
    compile::Source,
    engine::VIEWS,
    files::{self, Place, PolicyFile},
    index::Index,
    roles::Roles,
    schema,
};

/// What configuration vouches for about a tool. What a server says of its own tools is never believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolFacts {
    /// It changes nothing.
    pub read_only: bool,
    /// It may destroy something.
    pub destructive: bool,
    /// Words that permissions pick tools by.
    pub tags: BTreeSet<String>,
}

impl ToolFacts {
    /// A tool that changes nothing.
    pub const READ_ONLY: Self = Self {
        read_only: true,
        destructive: false,
        tags: BTreeSet::new(),
    };
}

impl Default for ToolFacts {
    /// A tool that nobody vouches for: it may change and destroy.
    fn default() -> Self {
        Self {
            read_only: false,
            destructive: true,
            tags: BTreeSet::new(),
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
    shared: Option<Grants>,
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

    /// Takes grants that others change: those of the engine before, or those of a directory. A grant of a role that
    /// there is none of gives nothing, and is warned about.
    pub fn shared_grants(mut self, grants: Grants) -> Self {
        self.shared = Some(grants);
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
        let roles = Roles::new(self.roles)?;
        let mut sources = Vec::new();
        let mut of_administrators: HashMap<Arc<str>, Vec<Source>> = HashMap::new();
        for role in roles.iter() {
            sources.extend(compile::role(role)?);
            of_administrators.insert(role.name.as_str().into(), admin::role(role)?);
        }
        let (grants, unknown) = grants(self.grants, self.shared, &roles)?;

        let mut files = self.texts;
        for dir in &self.dirs {
            files.extend(files::read_dir(dir)?);
        }
        let mut written = Written::default();
        for file in &files {
            written.read(file)?;
        }
        let mentions = written.mentions()?;
        sources.append(&mut written.calls);

        let paths: BTreeSet<&str> = sources.iter().flat_map(argument_paths).collect();
        let schema = schema::with_arguments(paths)?;
        let actions = schema
            .action_entities()
            .map_err(|error| BuildEngineError::Schema {
                reason: error.to_string(),
            })?;
        let mut warnings = files::validate(schema.clone(), &sources, &written.places)?;
        let index = Index::new(sources)?;
        warnings.extend(unscoped(&index));
        warnings.extend(unknown);

        let admin_schema = admin::schema()?;
        // What every tenant has is the same each time: a test holds it against the schema.
        let own = of_administrators
            .iter()
            .filter(|(name, _)| BuiltInRole::named(name).is_none())
            .flat_map(|(_, of_role)| of_role);
        let administrators: Vec<Source> = own.chain(&written.admin).cloned().collect();
        let more = files::validate(admin_schema.clone(), &administrators, &written.places)?;
        warnings.extend(more);
        written.read_built_in()?;
        let admin = AdminPolicies::new(admin_schema, of_administrators, written.admin, mentions)?;
        Ok(CedarEngine {
            tenant: self.tenant,
            version: self.version,
            schema,
            index,
            admin,
            roles,
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

/// Policies written by hand.
#[derive(Default)]
struct Written {
    calls: Vec<Source>,
    admin: Vec<Source>,
    places: HashMap<PolicyId, Place>,
}

impl Written {
    fn read(&mut self, file: &PolicyFile) -> Result<(), BuildEngineError> {
        for (source, place) in files::parse(file)? {
            if source.reported.starts_with(admin::RESERVED) {
                return Err(BuildEngineError::Policy {
                    file: file.name.to_string(),
                    line: place.line,
                    reason: format!(
                        "`{}` cannot be an id: `{}…` names policies that every tenant has",
                        source.reported,
                        admin::RESERVED
                    ),
                });
            }
            self.add(source, place)?;
        }
        Ok(())
    }

    fn read_built_in(&mut self) -> Result<(), BuildEngineError> {
        for (source, place) in files::parse(&admin::built_in())? {
            self.add(source, place)?;
        }
        Ok(())
    }

    fn add(&mut self, source: Source, place: Place) -> Result<(), BuildEngineError> {
        let id = source.policy.id().clone();
        if self.places.contains_key(&id) {
            return Err(BuildEngineError::TakenId {
                file: place.file.name.to_string(),
                line: place.line,
                id: id.to_string(),
            });
        }
        let is_admin =
            admin::is_about(&source.policy).map_err(|reason| BuildEngineError::Policy {
                file: place.file.name.to_string(),
                line: place.line,
                reason,
            })?;
        self.places.insert(id, place);
        if is_admin {
            self.admin.push(source);
        } else {
            self.calls.push(source);
        }
        Ok(())
    }

    fn mentions(&self) -> Result<Mentions, BuildEngineError> {
        Mentions::of(&self.calls, &self.admin).map_err(|reason| BuildEngineError::Schema { reason })
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

/// The grants of a builder, which name roles that there are, and those that it was given to share.
fn grants(
    given: Vec<Grant>,
    shared: Option<Grants>,
    roles: &Roles,
) -> Result<(Grants, Vec<String>), BuildEngineError> {
    if let Some(unknown) = given.iter().find(|grant| roles.role(&grant.role).is_none()) {
        return Err(BuildEngineError::UnknownRole(unknown.role.clone()));
    }
    let Some(shared) = shared else {
        return Ok((Grants::new(given)?, Vec::new()));
    };
    shared.add(given)?;
    let unknown: BTreeSet<String> = shared
        .all()
        .iter()
        .filter(|grant| roles.role(&grant.role).is_none())
        .map(|grant| grant.role.clone())
        .collect();
    let warnings = unknown.into_iter().map(|role| {
        format!("grants give the role `{role}`, which is not defined: they give nothing")
    });
    Ok((shared, warnings.collect()))
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
