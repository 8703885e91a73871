//! What every test stands on: an identity provider, a gateway, and a client.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use gatewright::{
    config::{Organisation, Settings},
    serve::{self, Running},
};
use gatewright_core::Actor;
use gatewright_test_support::{Client, FakeIdp, TokenBuilder, message, modern_request};
use http::Response;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) struct Bed {
    pub(crate) idp: FakeIdp,
    pub(crate) client: Client,
    pub(crate) running: Running,
    pub(crate) dir: TempDir,
    base: String,
}

/// Everybody of the group `staff` may use these tools of every server, and everything else that has a name.
pub(crate) const STAFF_ECHOES: &str = r#"
    [[roles]]
    name = "staff"
    [[roles.permissions]]
    servers = ["*"]
    tools = ["echo", "slow", "progress", "big", "ask", "headers"]
    prompts = ["*"]
    resources = ["*"]
    server_requests = ["*"]
    [[grants]]
    role = "staff"
    group = "staff"
"#;

impl Bed {
    /// A gateway in front of these servers (name and URL), with this further text of `org.toml`.
    pub(crate) async fn start(servers: &[(&str, String)], organisation: &str) -> Self {
        Self::start_with(servers, organisation, "").await
    }

    /// The same with further text of `gatewright.toml`.
    pub(crate) async fn start_with(
        servers: &[(&str, String)],
        organisation: &str,
        settings: &str,
    ) -> Self {
        Self::start_all("", servers, organisation, settings).await
    }

    /// A gateway with text at the top of `org.toml`, before its tables.
    pub(crate) async fn start_top(
        top: &str,
        servers: &[(&str, String)],
        organisation: &str,
    ) -> Self {
        Self::start_all(top, servers, organisation, "").await
    }

    async fn start_all(
        top: &str,
        servers: &[(&str, String)],
        organisation: &str,
        settings: &str,
    ) -> Self {
        let idp = FakeIdp::start().await;
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let base = format!("http://127.0.0.1:{port}");
        let text = format!(
            "data_dir = '{}'\npublic_url = '{base}'\ndevelopment = true\n{settings}\n\
             [listen]\npublic = '127.0.0.1:{port}'\n[outbound]\nallow = ['127.0.0.0/8']\n",
            dir.path().join("data").display()
        );
        let settings = Settings::parse(&text, dir.path()).unwrap();
        let organisation = org(&idp, top, servers, organisation);
        let running = serve::start(settings).await.unwrap();
        let bed = Self {
            idp,
            client: Client::default(),
            running,
            dir,
            base,
        };
        bed.apply(&organisation).await;
        bed
    }

    /// Makes the organisation as this text has it, as `gatewright apply` does.
    pub(crate) async fn apply(&self, organisation: &str) {
        let file = self.dir.path().join("org.toml");
        let parsed = Organisation::parse(organisation, &file, self.running.settings()).unwrap();
        let directory = self.running.directory();
        let applied = directory.apply_file(&Actor::Operator(0), &parsed.wanted);
        applied.await.unwrap();
    }

    /// Takes another file in the place of the one before.
    pub(crate) async fn reapply(&self, servers: &[(&str, String)], organisation: &str) {
        self.reapply_top("", servers, organisation).await;
    }

    /// The same with text at the top of it, before its tables.
    pub(crate) async fn reapply_top(
        &self,
        top: &str,
        servers: &[(&str, String)],
        organisation: &str,
    ) {
        self.apply(&org(&self.idp, top, servers, organisation))
            .await;
    }

    /// The same gateway after an end in good order and another start.
    pub(crate) async fn restarted(self) -> Self {
        let settings = self.running.settings().clone();
        self.running.shutdown().await;
        let running = serve::start(settings).await.unwrap();
        Self { running, ..self }
    }

    pub(crate) fn url(&self, server: &str) -> String {
        format!("{}/mcp/{server}", self.base)
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// A token of a member of `staff`, for one server.
    pub(crate) fn token(&self, user: &str, server: &str) -> TokenBuilder {
        self.idp
            .token(user, &self.url(server))
            .claim("groups", ["staff"])
    }

    /// A modern call.
    pub(crate) async fn call(
        &self,
        server: &str,
        token: &str,
        method: &str,
        params: Value,
    ) -> Response<Bytes> {
        self.client
            .send(modern_request(
                &self.url(server),
                Some(token),
                7,
                method,
                params,
            ))
            .await
    }

    /// A modern call of a tool; the JSON-RPC answer.
    pub(crate) async fn tool(
        &self,
        server: &str,
        token: &str,
        tool: &str,
        arguments: Value,
    ) -> Value {
        let params = json!({"name": tool, "arguments": arguments});
        message(&self.call(server, token, "tools/call", params).await)
    }

    pub(crate) fn audit_dir(&self) -> PathBuf {
        self.running.audit_dir()
    }

    /// Every record of the log, once the gateway has drained: outcomes and refusals are written behind their answers.
    pub(crate) async fn closed_log(self) -> String {
        let log = self.audit_dir();
        self.running.shutdown().await;
        everything_in(&log)
    }
}

/// Every file of a folder, and of those within it, as text.
pub(crate) fn everything_in(folder: &Path) -> String {
    let mut text = String::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                text += &String::from_utf8_lossy(&std::fs::read(path).unwrap());
            }
        }
    }
    text
}

fn org(idp: &FakeIdp, top: &str, servers: &[(&str, String)], rest: &str) -> String {
    let mut text = format!(
        "create_people_on_sight = true\n{top}\n[[issuers]]\nissuer = '{}'\ngroups_claim = 'groups'\n",
        idp.issuer()
    );
    for (name, url) in servers {
        text += &format!("[[servers]]\nname = '{name}'\nurl = '{url}'\n");
    }
    format!("{text}\n{rest}")
}
