//! Servers that check which credential arrives, one for each way to get one; who calls them; and what must stay secret.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use super::gateway::{Gateway, as_process, at_url};
use super::peers::Peers;
use super::process::Running;
use super::{Tokens, token};

/// `tests/e2e/servers/keeper.py` behind one credential mode.
#[derive(Debug)]
struct Keeper {
    /// How `credentials.py` calls it.
    name: &'static str,
    /// Its name in the configuration.
    route: &'static str,
    /// Which credential it gets, as the configuration says it.
    mode: &'static str,
    /// The header or variable that has the credential there.
    arrives_in: &'static str,
}

const KEEPERS: &[Keeper] = &[
    Keeper {
        name: "shared",
        route: "keeper-shared",
        mode: "credential = \"shared\"\ncredential_header = \"x-api-key\"\n",
        arrives_in: "x-api-key",
    },
    Keeper {
        name: "people",
        route: "keeper-people",
        mode: "credential = \"per-user\"\n",
        arrives_in: "authorization",
    },
    Keeper {
        name: "agents",
        route: "keeper-agents",
        mode: "credential = \"per-agent\"\n",
        arrives_in: "authorization",
    },
    PROCESS,
];

/// The one that the gateway starts.
const PROCESS: Keeper = Keeper {
    name: "process",
    route: "keeper-process",
    mode: "credential = \"per-user\"\ncredential_env = \"KEEPER_KEY\"\n",
    arrives_in: "keeper_key",
};

const PEOPLE: &[&str] = &["alice", "bob", "carol"];

/// Who has a credential, and who gets another one.
const OWNERS: &[&str] = &["everybody", "alice", "bob", "robot", "exchanger"];
const REPLACED: &[&str] = &["everybody", "alice", "robot"];

/// What `keeper.py` writes before its credential.
pub(super) const SAID: &str = "starting with the key";

/// How often `credentials.py` and `plan` have something changed.
pub(super) const CHANGES: &[(&str, usize)] = &[
    ("credential.put", 11),
    ("credential.remove", 2),
    ("key.create", 1),
    ("key.revoke", 1),
];

/// What everybody may do there.
const ROLE: &str = r#"
[[roles]]
name = "keeper"

[[roles.permissions]]
servers = ["keeper-*"]
tools = ["credential"]

[[grants]]
role = "keeper"
group = "staff"

[[grants]]
role = "keeper"
agent = "robot"

[[grants]]
role = "keeper"
agent = "exchanger"
"#;

/// Starts what has to be started, and returns it with what the configuration says.
pub(super) fn start(peers: &Peers, folder: &Path) -> Result<(Running, String)> {
    let mut listening = peers.start("keeper", &peers.keeper(), folder)?;
    let url = listening.announced_url("Uvicorn running on ")?;
    let mut text = String::new();
    for keeper in KEEPERS {
        let reached = if keeper.name == PROCESS.name {
            let mut command = peers.keeper();
            command.arg("stdio");
            as_process(&command)?
        } else {
            at_url(&format!("{url}/mcp"))
        };
        let (route, mode) = (keeper.route, keeper.mode);
        text.push_str(&format!(
            "\n[[servers]]\nname = \"{route}\"\n{reached}{mode}"
        ));
    }
    text.push_str(ROLE);
    Ok((listening, text))
}

/// Which tokens are wanted, as `login.py` takes it.
pub(super) fn wanted(gateway: &Gateway) -> Map<String, Value> {
    let mut wanted = Map::new();
    for keeper in KEEPERS {
        let resource = gateway.route(keeper.route);
        for person in PEOPLE {
            wanted.insert(
                label(keeper, person),
                json!({"user": person, "resource": resource}),
            );
        }
        wanted.insert(
            label(keeper, "robot"),
            json!({"robot": true, "resource": resource}),
        );
        wanted.insert(
            label(keeper, "exchanger"),
            json!({"act_for": label(keeper, "alice"), "resource": resource}),
        );
    }
    wanted
}

fn label(keeper: &Keeper, caller: &str) -> String {
    format!("{} {caller}", keeper.route)
}

/// Has an API key made, and puts it with the credentials among what must stay secret. Returns what `credentials.py` takes.
pub(super) fn plan(gateway: &Gateway, secrets: &mut Tokens) -> Result<Value> {
    let mut tokens: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    for keeper in KEEPERS {
        for caller in PEOPLE.iter().chain(&["robot", "exchanger"]) {
            let token = token(secrets, &label(keeper, caller))?;
            tokens.entry(caller).or_default().insert(keeper.name, token);
        }
    }
    let of = |value: fn(&Keeper) -> String| -> BTreeMap<&str, String> {
        KEEPERS
            .iter()
            .map(|keeper| (keeper.name, value(keeper)))
            .collect()
    };
    let urls: BTreeMap<_, _> = KEEPERS
        .iter()
        .map(|keeper| (keeper.name, gateway.route(keeper.route)))
        .collect();
    let credentials = |owners: &[&'static str], kind: &str| -> BTreeMap<&str, String> {
        let secret = |owner: &&'static str| (*owner, format!("planted-{kind}-of-{owner}-4711"));
        owners.iter().map(secret).collect()
    };
    let first = credentials(OWNERS, "secret");
    let replaced = credentials(REPLACED, "other-secret");
    let key = make_key(gateway)?;
    let text = key
        .pointer("/key")
        .and_then(Value::as_str)
        .context("no key was printed")?
        .to_owned();
    let plan = json!({
        "urls": urls,
        "names": of(|keeper| keeper.route.to_owned()),
        "where": of(|keeper| keeper.arrives_in.to_owned()),
        "tokens": tokens,
        "program": gateway.program(),
        "config": gateway.config(),
        "secrets": first,
        "replaced": replaced,
        "key": key,
    });
    for (kind, credentials) in [("credential", first), ("new credential", replaced)] {
        for (owner, secret) in credentials {
            secrets.insert(format!("the {kind} of {owner}"), secret);
        }
    }
    secrets.insert("the API key".to_owned(), text);
    Ok(plan)
}

fn make_key(gateway: &Gateway) -> Result<Value> {
    let mut create = gateway.command("key", "create");
    create.args(["--agent", "robot", "--expires", "1h", "--json"]);
    for keeper in KEEPERS
        .iter()
        .filter(|one| one.name == "shared" || one.name == "agents")
    {
        create.args(["--server", keeper.route]);
    }
    let output = create.output()?;
    ensure!(
        output.status.success(),
        "no API key was made: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("the command printed something else than a key")
}
