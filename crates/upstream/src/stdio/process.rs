//! A child process and the group that it leads.

use std::{fmt, io, process::Stdio, time::Duration};

use gatewright_core::Secret;
use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process_group},
};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use crate::program::{Program, ResourceLimits};

/// How long a child has to end by itself once its input is closed, within its grace.
const POLITE: Duration = Duration::from_secs(1);

/// A running child. Dropped, it and its group are killed at once.
pub(crate) struct Process {
    // Dropped first: while the child is not waited for, no other group can have its id.
    group: Group,
    child: Child,
}

/// Its three streams.
pub(crate) struct Streams {
    pub(crate) input: ChildStdin,
    pub(crate) output: ChildStdout,
    pub(crate) errors: ChildStderr,
}

/// Starts a child with the environment that `program` describes, and the credential if its form is a variable.
///
/// # Errors
/// Whatever the system says. No error has a value of the environment in its text.
pub(crate) fn start(
    program: &Program,
    credential: Option<(&str, &Secret)>,
) -> io::Result<(Process, Streams)> {
    let mut command = Command::new(program.command());
    command
        .args(program.arguments())
        .env_clear()
        .envs(program.environment())
        .current_dir(program.directory())
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if let Some((variable, secret)) = credential {
        command.env(variable, secret.expose());
    }
    if let Some((user, group)) = program.user() {
        // With a user set, the standard library drops the supplementary groups of root too.
        command.uid(user).gid(group);
    }
    let mut child = command.spawn()?;
    let Some(leader) = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw)
    else {
        return Err(io::Error::other("the process has no id"));
    };
    // From here on an error kills the group.
    let group = Group {
        leader,
        over: false,
    };
    limit(leader, program.resources())?;
    let (Some(input), Some(output), Some(errors)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(io::Error::other("the process lacks a standard stream"));
    };
    let streams = Streams {
        input,
        output,
        errors,
    };
    Ok((Process { group, child }, streams))
}

impl Process {
    /// The id of the child, which is that of its group.
    pub(crate) const fn id(&self) -> i32 {
        self.group.leader.as_raw_pid()
    }

    /// Waits for the child to end by itself. May be dropped and called again.
    pub(crate) async fn wait(&mut self) -> io::Result<std::process::ExitStatus> {
        self.child.wait().await
    }

    /// Ends it and its group: its input is closed already, so it has a moment to leave; then SIGTERM, then SIGKILL.
    /// What is left of the group when the child itself has ended is killed.
    pub(crate) async fn end(mut self, grace: Duration) {
        let polite = POLITE.min(grace);
        if tokio::time::timeout(polite, self.child.wait())
            .await
            .is_err()
        {
            self.group.signal(Signal::TERM);
            let rest = grace.saturating_sub(polite);
            let ended = tokio::time::timeout(rest, self.child.wait()).await;
            if ended.is_err() {
                tracing::warn!(
                    process = self.id(),
                    "a child did not end in its grace and is killed"
                );
            }
        }
        self.group.signal(Signal::KILL);
        self.group.over = true;
        if let Err(error) = self.child.wait().await {
            tracing::warn!(process = self.id(), %error, "a child could not be waited for");
        }
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Process").field(&self.id()).finish()
    }
}

/// The process group that a child leads: whatever it starts is in it, unless it leaves on purpose.
struct Group {
    leader: Pid,
    /// It has been killed, and its id may be another's soon.
    over: bool,
}

impl Group {
    fn signal(&self, signal: Signal) {
        match kill_process_group(self.leader, signal) {
            // Nobody is left in the group.
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => {
                tracing::error!(process = self.leader.as_raw_pid(), %error, "a child cannot be ended");
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.over {
            self.signal(Signal::KILL);
        }
    }
}

#[cfg(target_os = "linux")]
fn limit(leader: Pid, limits: ResourceLimits) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, prlimit};

    let set = |resource, most| {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        prlimit(Some(leader), resource, limit)
    };
    match set(Resource::Core, 0) {
        Ok(_) => {}
        // Another user's process: what it inherits from the gateway must do.
        Err(Errno::PERM) => tracing::debug!("core dumps of a child cannot be switched off"),
        Err(error) => return Err(error.into()),
    }
    for (resource, most) in [
        (Resource::As, limits.memory),
        (Resource::Cpu, limits.cpu_seconds),
        (Resource::Nofile, limits.open_files),
        (Resource::Nproc, limits.processes),
        (Resource::Fsize, limits.file_size),
    ] {
        if let Some(most) = most {
            set(resource, most)?;
        }
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn limit(_: Pid, limits: ResourceLimits) -> io::Result<()> {
    if limits == ResourceLimits::default() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "resource limits of child processes need Linux",
    ))
}
