//! `[database]`: where the organisation is, and what tells the processes that share it apart.

use std::{env, time::Duration};

use gatewright_core::{Secret, TenantId};
use url::Url;

use super::reader::Reader;
use crate::config::document::{Item, Table};

/// Where the organisation, the stored credentials and the API keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Database {
    /// Which database.
    pub place: Place,
    /// What this process is called among those that share the database: its chains of the audit log are under this name.
    pub replica: Replica,
    /// Where nothing was heard of the database for so long, nobody is let in.
    pub max_staleness: Duration,
}

/// Which database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// A file of the data directory, for one process.
    #[default]
    DataDir,
    /// A Postgres server at this URL, which holds no password.
    Url(Url),
    /// A Postgres server at the URL in the environment variable of this name.
    Environment(String),
}

/// What a process is called.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Replica {
    /// This.
    Named(String),
    /// What the environment variable of this name says.
    Environment(String),
}

/// Why it is not known which database or which replica is meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveDatabaseError {
    /// There is no such variable.
    #[error("`{key}` in `[database]` names the variable `{variable}`, which is not set: {fix}")]
    NoVariable {
        /// Of which setting.
        key: &'static str,
        /// Which.
        variable: String,
        /// What to put there.
        fix: &'static str,
    },
    /// The variable holds no name.
    #[error(
        "the variable `{variable}`, which `replica_env` in `[database]` names, holds `{name}`, which cannot be a name: {NAMES}"
    )]
    NoName {
        /// Which.
        variable: String,
        /// What it holds.
        name: String,
    },
}

const NAMES: &str = "use lower-case letters, digits and hyphens, as `gateway-1`";
const URL_FIX: &str =
    "put the database's URL there, as `postgres://gatewright:<password>@db.example.com/gatewright`";

impl Default for Database {
    fn default() -> Self {
        Self {
            place: Place::DataDir,
            replica: Replica::Named(Self::ALONE.to_owned()),
            max_staleness: gatewright_directory::MAX_STALENESS,
        }
    }
}

impl Database {
    /// What a process is called that shares its database with nobody.
    pub const ALONE: &'static str = "local";

    /// The URL of the Postgres server; `None` where the database is a file.
    ///
    /// # Errors
    /// [`ResolveDatabaseError`] when the variable that should hold it is not set.
    pub fn url(&self) -> Result<Option<Secret>, ResolveDatabaseError> {
        match &self.place {
            Place::DataDir => Ok(None),
            Place::Url(url) => Ok(Some(Secret::new(url.to_string()))),
            Place::Environment(variable) => match read(variable) {
                Some(url) => Ok(Some(Secret::new(url))),
                None => Err(ResolveDatabaseError::NoVariable {
                    key: "url_env",
                    variable: variable.clone(),
                    fix: URL_FIX,
                }),
            },
        }
    }

    /// What this process is called.
    ///
    /// # Errors
    /// [`ResolveDatabaseError`] when the variable that should say so is not set, or holds what cannot be a name.
    pub fn replica(&self) -> Result<String, ResolveDatabaseError> {
        let variable = match &self.replica {
            Replica::Named(name) => return Ok(name.clone()),
            Replica::Environment(variable) => variable,
        };
        let Some(name) = read(variable) else {
            return Err(ResolveDatabaseError::NoVariable {
                key: "replica_env",
                variable: variable.clone(),
                fix: "put a name there that no other replica has, as `gateway-1`",
            });
        };
        if is_name(&name) {
            return Ok(name);
        }
        Err(ResolveDatabaseError::NoName {
            variable: variable.clone(),
            name,
        })
    }
}

fn read(variable: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "this is the binary")]
    let value = env::var(variable).ok();
    value.filter(|value| !value.is_empty())
}

/// It becomes a directory of the audit log, as a tenant's name does.
fn is_name(name: &str) -> bool {
    TenantId::new(name).is_ok()
}

impl<'t> Reader<'_, 't> {
    pub(super) fn database(&mut self, root: &mut Table<'_, 't>) -> Database {
        let mut database = Database::default();
        let Some(mut table) = root.table("database", self.problems) else {
            return database;
        };
        let url: Option<Item<'_, '_, String>> = table.take("url", self.problems);
        let variable: Option<Item<'_, '_, String>> = table.take("url_env", self.problems);
        match (url, variable) {
            (None, None) => {}
            (Some(url), None) => {
                let at = url.at(&[]);
                if let Some(url) = self.database_url(&url.value, at) {
                    database.place = Place::Url(url);
                }
            }
            (None, Some(variable)) => {
                self.variable(&variable, "GATEWRIGHT_DATABASE_URL", "the URL itself");
                database.place = Place::Environment(variable.value);
            }
            (Some(_), Some(variable)) => self.problems.add(
                variable.at(&[]),
                "`url` and `url_env` name two databases",
                "keep one of them",
            ),
        }
        self.replica(&mut table, &mut database);
        let staleness: Option<Item<'_, '_, u64>> = table.take("max_staleness_ms", self.problems);
        if let Some(item) = staleness {
            if !(1_000..=300_000).contains(&item.value) {
                let what = format!("`max_staleness_ms = {}` is out of bounds", item.value);
                self.problems.add(item.at(&[]), what, "use 1000 to 300000");
            }
            database.max_staleness = Duration::from_millis(item.value);
        }
        table.end(self.problems);
        database
    }

    fn replica(&mut self, table: &mut Table<'_, 't>, database: &mut Database) {
        let at = table.start();
        let name: Option<Item<'_, '_, String>> = table.take("replica", self.problems);
        let variable: Option<Item<'_, '_, String>> = table.take("replica_env", self.problems);
        match (name, variable) {
            (Some(name), None) => {
                if !is_name(&name.value) {
                    let what = format!("`{}` cannot be the name of a replica", name.value);
                    self.problems.add(name.at(&[]), what, NAMES);
                }
                database.replica = Replica::Named(name.value);
            }
            (None, Some(variable)) => {
                self.variable(&variable, "HOSTNAME", "the name itself");
                database.replica = Replica::Environment(variable.value);
            }
            (Some(_), Some(variable)) => self.problems.add(
                variable.at(&[]),
                "`replica` and `replica_env` are two names",
                "keep one of them",
            ),
            (None, None) if database.place == Place::DataDir => {}
            (None, None) => self.problems.add(
                at,
                "processes that share a database have to be told apart, and this one has no name",
                "write `replica = \"gateway-1\"`, or `replica_env = \"HOSTNAME\"` where the environment says it",
            ),
        }
    }

    fn database_url(&mut self, text: &str, at: usize) -> Option<Url> {
        let Ok(url) = Url::parse(text) else {
            // Not shown: there may be a password in it.
            let fix = "write it as `postgres://gatewright@db.example.com/gatewright`";
            self.problems.add(at, "this is no URL", fix);
            return None;
        };
        // libpq takes it as a parameter, too.
        let parameter = url.query_pairs().any(|(name, _)| name == "password");
        if url.password().is_some() || parameter {
            let what =
                "the URL holds a password, and whoever reads or copies this file would have it";
            let fix = "put the URL into an environment variable and name that, as `url_env = \"GATEWRIGHT_DATABASE_URL\"`";
            self.problems.add(at, what, fix);
            return None;
        }
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            // No more of it is shown: whatever comes after may be a password.
            let what = format!("`{}:` is of no database that can be used", url.scheme());
            let fix = "write `postgres://…`, or leave `[database]` out for SQLite in `data_dir`";
            self.problems.add(at, what, fix);
            return None;
        }
        Some(url)
    }

    /// Whether this names a variable. Not shown: whoever writes the value itself here has made a mistake that should not spread.
    pub(super) fn variable(&mut self, item: &Item<'_, '_, String>, example: &str, value: &str) {
        let is_name = !item.value.is_empty()
            && !item.value.starts_with(|first: char| first.is_ascii_digit())
            && item
                .value
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name {
            let fix = format!("write the name of the variable, as `{example}`, and never {value}");
            self.problems
                .add(item.at(&[]), "this is no name of a variable", fix);
        }
    }
}
