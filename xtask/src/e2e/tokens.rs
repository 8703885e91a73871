//! Whose tokens the clients have.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::credentials;
use super::gateway::Gateway;
use super::peers::Peers;
use super::process;
use super::servers::{SERVERS, Server, WORKBENCH};

/// Tokens by label, as `login.py` returns them.
pub(super) type Tokens = BTreeMap<String, String>;

/// Logs people and machines in at the provider: per server a member, a visitor and an ID token, and agents
/// on their own and for these.
pub(super) fn tokens(
    peers: &Peers,
    issuer: &str,
    gateway: &Gateway,
    folder: &Path,
) -> Result<Tokens> {
    let mut wanted = serde_json::Map::new();
    for server in SERVERS {
        let resource = gateway.route(server.name);
        for (role, user) in [("member", "alice"), ("visitor", "guest")] {
            wanted.insert(
                label(server, role),
                json!({"user": user, "resource": resource}),
            );
        }
        let id_token = json!({"user": "alice", "resource": resource, "id_token": true});
        wanted.insert(label(server, "id"), id_token);
    }
    let resource = gateway.route(WORKBENCH.name);
    wanted.insert(
        "robot".to_owned(),
        json!({"robot": true, "resource": resource}),
    );
    for (agent, person) in [("for_member", "member"), ("for_visitor", "visitor")] {
        let act_for = label(&WORKBENCH, person);
        wanted.insert(
            agent.to_owned(),
            json!({"act_for": act_for, "resource": resource}),
        );
    }
    wanted.extend(credentials::wanted(gateway));
    let request = json!({"issuer": issuer, "wanted": wanted});
    let output = process::ask(peers.login(), &request, folder, "login")
        .context("the login at the provider failed")?;
    serde_json::from_str(&output).context("the login script printed something else than tokens")
}

pub(super) fn label(server: &Server, role: &str) -> String {
    format!("{} {role}", server.name)
}

pub(super) fn token<'a>(tokens: &'a Tokens, label: &str) -> Result<&'a str> {
    match tokens.get(label) {
        Some(token) => Ok(token),
        None => bail!("no token for `{label}`"),
    }
}
