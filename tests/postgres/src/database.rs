#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "without its database a test fails"
)]

use std::{env, process::Command, sync::OnceLock};

use crate::{Programs, Server, VARIABLE, server::random};

/// An empty database with an owner of its own, who is no superuser. It goes when the server does.
#[derive(Debug)]
pub struct Database {
    url: String,
    name: String,
}

impl Database {
    /// Makes one on the server of this run of tests.
    ///
    /// # Panics
    /// When there is no server, and none can be started.
    #[must_use]
    pub fn create() -> Self {
        let name = format!("t{}", random().expect("names"));
        run(
            superuser(),
            &[
                &format!("CREATE ROLE {name} LOGIN PASSWORD '{name}'"),
                &format!("CREATE DATABASE {name} OWNER {name} STRATEGY file_copy"),
            ],
        );
        let (_, place) = superuser().rsplit_once('@').expect("a host");
        let (host, _) = place.split_once('/').expect("a database");
        Self {
            url: format!("postgres://{name}:{name}@{host}/{name}"),
            name,
        }
    }

    /// How its owner reaches it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How the superuser reaches it.
    #[must_use]
    pub fn superuser_url(&self) -> String {
        let (server, _) = superuser().rsplit_once('/').expect("a database");
        format!("{server}/{}", self.name)
    }

    /// Runs statements as the superuser.
    ///
    /// # Panics
    /// When one fails.
    pub fn run_as_superuser(&self, statements: &[&str]) {
        run(&self.superuser_url(), statements);
    }
}

/// The server of this run of tests, or else one of this process's own, which ends with it.
fn superuser() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    static OWN: OnceLock<Server> = OnceLock::new();
    URL.get_or_init(|| {
        #[expect(clippy::disallowed_methods, reason = "it is the tests' own variable")]
        let of_the_run = env::var(VARIABLE);
        of_the_run.unwrap_or_else(|_unset| {
            let own = OWN.get_or_init(|| match Server::start() {
                Ok(server) => server,
                Err(error) => panic!(
                    "this test needs a Postgres server: {VARIABLE} names none, and none could be started here: {error}"
                ),
            });
            own.url().to_owned()
        })
    })
}

/// Each statement by itself: a database is not made within a transaction.
fn run(url: &str, statements: &[&str]) {
    let programs = Programs::find().expect("programs");
    let mut command = Command::new(programs.path("psql"));
    command.args([
        "--no-psqlrc",
        "--quiet",
        "--set=ON_ERROR_STOP=1",
        "--dbname",
        url,
    ]);
    for statement in statements {
        command.args(["--command", statement]);
    }
    let done = command.output().expect("psql runs");
    assert!(
        done.status.success(),
        "{statements:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}
