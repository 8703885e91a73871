//! Reads how a server is reached: over HTTP, or as a process.

use std::{
    path::{Component, Path},
    time::Duration,
};

use gatewright_upstream::{ChildLimits, Program, ResourceLimits, Sharing};

use super::{
    Reach,
    forms::{ProcessForm, ServerForm},
    reader::Reader,
};
use crate::config::document::Item;

/// What no process needs more of, and arithmetic bears.
const MOST: u64 = 1 << 50;
/// Bounds on numbers of processes and calls.
const MANY: u64 = 100_000;
const A_DAY: u64 = 86_400_000;

impl<'t> Reader<'_, 't> {
    pub(super) fn reach(&mut self, item: &Item<'_, 't, ServerForm>) -> Option<Reach> {
        let form = &item.value;
        match (&form.url, &form.command) {
            (Some(url), None) => {
                let own = self.has_no_process(item);
                let url = self.fetched_url(url, item.at(&["url"]))?;
                own.then_some(Reach::Url(url))
            }
            (None, Some(command)) => self.program(item, command).map(Reach::Program),
            (Some(_), Some(_)) => {
                let fix = "keep `url` for a server over HTTP, or `command` for one that is started as a process";
                self.problems.add(
                    item.at(&["command"]),
                    "the server has both `url` and `command`",
                    fix,
                );
                None
            }
            (None, None) => {
                let fix = "add `url = \"https://…\"`, or `command = \"…\"` for a server that is started as a process";
                self.problems
                    .add(item.at(&[]), "nothing says where the server is", fix);
                None
            }
        }
    }

    fn has_no_process(&mut self, item: &Item<'_, 't, ServerForm>) -> bool {
        let form = &item.value;
        let said = [
            ("args", form.args.is_some()),
            ("env", form.env.is_some()),
            ("cwd", form.cwd.is_some()),
            ("user", form.user.is_some()),
            ("stateless", form.stateless.is_some()),
            ("process", form.process.is_some()),
        ];
        let mut none = true;
        for (key, _) in said.into_iter().filter(|(_, said)| *said) {
            none = false;
            let what = format!("`{key}` is set, and the server is no process");
            let fix = "remove it, or use `command` in the place of `url`";
            self.problems.add(item.at(&[key]), what, fix);
        }
        none
    }

    fn program(&mut self, item: &Item<'_, 't, ServerForm>, command: &Path) -> Option<Program> {
        let form = &item.value;
        if command.as_os_str().is_empty() {
            let fix = "name a program, as `command = \"mcp-server-git\"`";
            self.problems
                .add(item.at(&["command"]), "`command` is empty", fix);
            return None;
        }
        let is_name = command.components().count() == 1
            && matches!(command.components().next(), Some(Component::Normal(_)));
        let command = if is_name {
            command.to_owned()
        } else {
            self.beside(command)
        };
        let mut program = Program::new(command);
        let arguments = form.args.clone().unwrap_or_default();
        if arguments.iter().any(|argument| argument.contains('\0')) {
            let what = "an argument holds a zero byte";
            self.problems
                .add(item.at(&["args"]), what, "remove it: no program can get it");
            return None;
        }
        program = program.with_arguments(arguments);
        for (name, value) in form.env.iter().flatten() {
            if !is_variable(name) || value.contains('\0') {
                let what = format!("`{name}` cannot be a variable of a process");
                let fix = "use letters, digits and `_` for its name, and no zero byte in its value";
                self.problems.add(item.at(&["env", name]), what, fix);
                continue;
            }
            program = program.with_variable(name, value);
        }
        if let Some(directory) = &form.cwd {
            let directory = self.beside(directory);
            if !directory.is_dir() {
                let what = format!("there is no directory `{}`", directory.display());
                let fix = "name one that is there; the path is relative to this file";
                self.problems.add(item.at(&["cwd"]), what, fix);
            }
            program = program.in_directory(directory);
        }
        if let Some(text) = &form.user {
            match ids(text) {
                Some((user, group)) => program = program.as_user(user, group),
                None => {
                    let what = format!("`{text}` is no user and group");
                    let fix = "write their numbers, as `user = \"65534:65534\"` (`id -u NAME` and `id -g NAME` show them)";
                    self.problems.add(item.at(&["user"]), what, fix);
                }
            }
        }
        if form.stateless == Some(true) {
            program = program.with_sharing(Sharing::Stateless);
        }
        Some(self.bounded(item, program))
    }

    fn bounded(&mut self, item: &Item<'_, 't, ServerForm>, program: Program) -> Program {
        let Some(form) = item.value.process else {
            return program;
        };
        let ProcessForm {
            memory_bytes,
            cpu_seconds,
            open_files,
            processes,
            file_bytes,
            children,
            children_per_principal,
            calls,
            idle_ms,
            grace_ms,
        } = form;
        for (key, value, from, to) in [
            ("memory_bytes", memory_bytes, 1 << 20, MOST),
            ("cpu_seconds", cpu_seconds, 1, MOST),
            ("open_files", open_files, 8, 1 << 30),
            ("processes", processes, 1, 1 << 30),
            ("file_bytes", file_bytes, 0, MOST),
            ("children", children, 1, MANY),
            ("children_per_principal", children_per_principal, 1, MANY),
            ("calls", calls, 1, MANY),
            ("idle_ms", idle_ms, 1, A_DAY),
            ("grace_ms", grace_ms, 0, A_DAY),
        ] {
            if value.is_some_and(|value| !(from..=to).contains(&value)) {
                let at = item.at(&["process", key]);
                let what = format!("`{key}` is out of bounds");
                self.problems.add(at, what, format!("use {from} to {to}"));
            }
        }
        let mut resources = ResourceLimits::default();
        resources.memory = memory_bytes;
        resources.cpu_seconds = cpu_seconds;
        resources.open_files = open_files;
        resources.processes = processes;
        resources.file_size = file_bytes;
        let mut limits = ChildLimits::default();
        for (value, into) in [
            (children, &mut limits.per_server),
            (children_per_principal, &mut limits.per_principal),
            (calls, &mut limits.calls),
        ] {
            if let Some(value) = value.and_then(|value| usize::try_from(value).ok()) {
                *into = value;
            }
        }
        let mut program = program.with_resources(resources).with_children(limits);
        if let Some(idle) = idle_ms {
            program = program.with_idle(Duration::from_millis(idle));
        }
        if let Some(grace) = grace_ms {
            program = program.with_grace(Duration::from_millis(grace));
        }
        program
    }
}

/// POSIX, Environment Variables: a name that every program can have.
pub(super) fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn ids(text: &str) -> Option<(u32, u32)> {
    let (user, group) = text.split_once(':')?;
    Some((user.parse().ok()?, group.parse().ok()?))
}
