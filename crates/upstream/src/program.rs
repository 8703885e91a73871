use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

/// Bounds on what one child process may use. What is `None` stays as the gateway itself has it; core dumps are switched
/// off, since the credential is in the process's memory.
///
/// They are set on the process right after it has started, and a program whose limits cannot be set does not stay
/// started. Linux only; for children that run [as another user](Program::as_user) the gateway needs `CAP_SYS_RESOURCE`, and
/// without it such children write core dumps unless the gateway itself may not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceLimits {
    /// Address space in bytes (`RLIMIT_AS`).
    pub memory: Option<u64>,
    /// Processor time in seconds (`RLIMIT_CPU`).
    pub cpu_seconds: Option<u64>,
    /// Open files (`RLIMIT_NOFILE`).
    pub open_files: Option<u64>,
    /// Processes and threads of its user (`RLIMIT_NPROC`).
    pub processes: Option<u64>,
    /// The largest file that it may write, in bytes (`RLIMIT_FSIZE`).
    pub file_size: Option<u64>,
}

/// Who shares a child process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// One principal; in the legacy era one client session of it.
    #[default]
    Separate,
    /// Every caller of the same credential: the server is declared to keep no state between calls, so that nothing of
    /// one caller can reach another through it.
    Stateless,
}

/// How many children there may be, and how much they may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildLimits {
    /// Children of the server within its tenant.
    pub per_server: usize,
    /// Children of one principal at the server. Where a new session needs one more, the principal's own session that
    /// was idle longest gives way.
    pub per_principal: usize,
    /// Calls under way at one child.
    pub calls: usize,
}

impl Default for ChildLimits {
    /// 64 children, 8 for a principal, 128 calls.
    fn default() -> Self {
        Self {
            per_server: 64,
            per_principal: 8,
            calls: 128,
        }
    }
}

/// How the child processes of a server are started, and how long they live.
///
/// A child inherits nothing of the gateway's environment. It gets `PATH`, `HOME` and `LANG` as below, what
/// [`with_variable`](Self::with_variable) adds or replaces, and the caller's credential where its form says so. It leads a
/// process group of its own, which ends with it.
#[derive(Clone, PartialEq, Eq)]
pub struct Program {
    command: PathBuf,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    directory: PathBuf,
    user: Option<(u32, u32)>,
    resources: ResourceLimits,
    sharing: Sharing,
    children: ChildLimits,
    idle: Duration,
    grace: Duration,
}

impl Program {
    /// A command: a path, or a name that is looked for in the child's own `PATH`.
    ///
    /// Its environment is `PATH=/usr/local/bin:/usr/bin:/bin`, `HOME` = its working directory, `LANG=C.UTF-8`; its working
    /// directory is `/`; it is not shared, ends after 15 minutes without a call, and has 5 seconds to end.
    #[must_use]
    pub fn new(command: impl Into<PathBuf>) -> Self {
        Self {
            command: command.into(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            directory: PathBuf::from("/"),
            user: None,
            resources: ResourceLimits::default(),
            sharing: Sharing::default(),
            children: ChildLimits::default(),
            idle: Duration::from_secs(15 * 60),
            grace: Duration::from_secs(5),
        }
    }

    /// Adds arguments. Everybody on the machine can read them: no secrets.
    #[must_use]
    pub fn with_arguments<A: Into<String>>(
        mut self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn with_variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Says where it runs.
    #[must_use]
    pub fn in_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = directory.into();
        self
    }

    /// Says as which user and group it runs, without supplementary groups. Needs a gateway that may become them.
    #[must_use]
    pub const fn as_user(mut self, user: u32, group: u32) -> Self {
        self.user = Some((user, group));
        self
    }

    /// Bounds what each child may use.
    #[must_use]
    pub const fn with_resources(mut self, resources: ResourceLimits) -> Self {
        self.resources = resources;
        self
    }

    /// Says who shares a child.
    #[must_use]
    pub const fn with_sharing(mut self, sharing: Sharing) -> Self {
        self.sharing = sharing;
        self
    }

    /// Bounds how many children there are.
    #[must_use]
    pub const fn with_children(mut self, children: ChildLimits) -> Self {
        self.children = children;
        self
    }

    /// Says how long a child lives without a call. With it ends its session, and the client opens another.
    #[must_use]
    pub const fn with_idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Says how long a child has to end by itself before it is killed.
    #[must_use]
    pub const fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// The command.
    #[must_use]
    pub fn command(&self) -> &Path {
        &self.command
    }

    /// Its arguments.
    #[must_use]
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// Where it runs.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// As which user and group it runs; `None` for the gateway's own.
    #[must_use]
    pub const fn user(&self) -> Option<(u32, u32)> {
        self.user
    }

    /// What each child may use.
    #[must_use]
    pub const fn resources(&self) -> ResourceLimits {
        self.resources
    }

    /// Who shares a child.
    #[must_use]
    pub const fn sharing(&self) -> Sharing {
        self.sharing
    }

    /// How many children there may be.
    #[must_use]
    pub const fn children(&self) -> ChildLimits {
        self.children
    }

    /// How long a child lives without a call.
    #[must_use]
    pub const fn idle(&self) -> Duration {
        self.idle
    }

    /// How long a child has to end by itself.
    #[must_use]
    pub const fn grace(&self) -> Duration {
        self.grace
    }

    /// Its whole environment but the credential.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        let mut environment = BTreeMap::from([
            ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()),
            ("HOME".to_owned(), self.directory.display().to_string()),
            ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ]);
        environment.extend(self.environment.clone());
        environment
    }
}

/// Shows the names of variables and not their values, which configuration may hold secrets in.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("command", &self.command)
            .field("arguments", &self.arguments)
            .field(
                "environment",
                &self.environment.keys().collect::<Vec<&String>>(),
            )
            .field("directory", &self.directory)
            .field("user", &self.user)
            .field("sharing", &self.sharing)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_what_configuration_says_and_three_defaults() {
        let program = Program::new("server")
            .in_directory("/srv/x")
            .with_variable("LANG", "de_DE.UTF-8")
            .with_variable("ROOT", "/data");
        let environment: Vec<String> = program
            .environment()
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            environment,
            [
                "HOME=/srv/x",
                "LANG=de_DE.UTF-8",
                "PATH=/usr/local/bin:/usr/bin:/bin",
                "ROOT=/data"
            ]
        );
    }

    #[test]
    fn debug_shows_no_values() {
        let shown = format!(
            "{:?}",
            Program::new("server").with_variable("TOKEN", "planted")
        );
        assert!(
            shown.contains("TOKEN") && !shown.contains("planted"),
            "{shown}"
        );
    }
}
