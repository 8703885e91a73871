//! `gatewright policy explain`: the decision on a call that nobody makes.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    sync::Arc,
    time::Duration,
};

use clap::Args;
use gatewright_core::{
    AnyIdentified, AuthorizeError, CallBody, Clock as _, CredentialMode, CredentialOwner, Group,
    Identity, Outcome as Resolved, Party, Permitted, Principal, Route, Subject, SystemClock,
    authenticate, authorize, resolver_fn,
};
use gatewright_policy::Explain as _;
use gatewright_policy_cedar::TenantEngines;
use gatewright_vault::credential_mode;
use serde_json::value::RawValue;

use super::{FileArgs, Found, Outcome, block_on};
use crate::{
    config::{Organisation, Server, Tenant},
    routing,
};

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Who calls: `user:<id>`, `agent:<id>`, or `agent:<id> for user:<id>`, by the ids of their tokens
    #[arg(long = "as", value_name = "PRINCIPAL", value_parser = caller)]
    caller: Caller,
    /// What they ask: a JSON-RPC message, or for a tool only `{"name": …, "arguments": …}`
    #[arg(long, value_name = "JSON")]
    call: String,
    /// Of which server; may be left out where there is one
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// In which tenant
    #[arg(long, value_name = "NAME", default_value = "default")]
    tenant: String,
    /// Whose tokens they have, or `local` for who has API keys only; may be left out where there is at most one issuer
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// A group that they are in (of a delegation: the user); may be repeated
    #[arg(long = "group", value_name = "NAME")]
    groups: Vec<String>,
    /// A group that the agent of a delegation is in; may be repeated
    #[arg(long = "agent-group", value_name = "NAME")]
    agent_groups: Vec<String>,
    /// A scope of their token; may be repeated. Without any, scopes are not looked at
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// The OAuth client through which they call
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// How many seconds ago they authenticated
    #[arg(long, value_name = "SECONDS")]
    authenticated_ago: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Caller {
    User(String),
    Agent(String),
    Delegated { user: String, agent: String },
}

fn caller(text: &str) -> Result<Caller, String> {
    let one = |kind: &str, text: &str| {
        let id = text.trim().strip_prefix(kind)?.strip_prefix(':')?;
        (!id.is_empty()).then(|| id.to_owned())
    };
    if let Some((agent, user)) = text.split_once(" for ")
        && let (Some(agent), Some(user)) = (one("agent", agent), one("user", user))
    {
        return Ok(Caller::Delegated { user, agent });
    }
    let user = one("user", text).map(Caller::User);
    user.or_else(|| one("agent", text).map(Caller::Agent))
        .ok_or_else(|| {
            "write `user:alice`, `agent:report-bot` or `agent:report-bot for user:alice`".to_owned()
        })
}

/// Why there is nothing to explain.
#[derive(Debug, thiserror::Error)]
enum ExplainError {
    #[error("there is no tenant `{0}`")]
    Tenant(String),
    #[error("there is no server `{given}` in this tenant: use one of {known}")]
    Server { given: String, known: String },
    #[error("name the server with `--server`, one of {0}")]
    WhichServer(String),
    #[error("there is no issuer `{given}` in this tenant: use one of {known}")]
    Issuer { given: String, known: String },
    #[error("name the issuer with `--issuer`, one of {0}")]
    WhichIssuer(String),
    #[error("`--call` is no JSON object: {0}")]
    Json(String),
    #[error("`--call` is no call: {0}")]
    Call(#[from] gatewright_core::ParseCallError),
    #[error("the principal cannot be made: {0}")]
    Principal(#[from] gatewright_core::AuthenticateError),
}

pub(super) fn run(args: &ExplainArgs) -> Outcome {
    let (settings, mut organisation) = args.file.load()?;
    let tenant = tenant(&organisation, &args.tenant)?;
    let server = server(tenant, args.server.as_deref())?;
    let path = routing::path(&tenant.id, &server.name);
    let route = routing::route(tenant, server, &settings.public_url, &path)?;
    let issuer = issuer(tenant, args.issuer.as_deref())?;
    let identity = identity(args, &issuer);
    let call = || call(&route, &args.call);
    let (asked, again) = (call()?, call()?);
    let engines = TenantEngines::new(std::mem::take(&mut organisation.engines));
    block_on(async move {
        let principal = principal(&route, identity).await?;
        let explanation = engines.explain(&principal, asked.call()).await;
        let mut out = io::stdout().lock();
        write!(out, "{explanation}")?;
        match authorize(&engines, &principal, again).await {
            Ok(permitted) => match upstream(&permitted) {
                Ok(whom) => {
                    writeln!(out, "credential: {whom}")?;
                    Ok(Found::Good)
                }
                Err(reason) => {
                    writeln!(out, "refused all the same: {reason}")?;
                    Ok(Found::Bad)
                }
            },
            Err(AuthorizeError::Challenged { challenge, .. }) => {
                writeln!(
                    out,
                    "not yet: the token needs the scopes {}",
                    challenge.scopes.join(" ")
                )?;
                Ok(Found::Bad)
            }
            Err(_denied) => Ok(Found::Bad),
        }
    })
}

fn tenant<'a>(organisation: &'a Organisation, name: &str) -> Result<&'a Tenant, ExplainError> {
    let found = organisation
        .tenants
        .iter()
        .find(|tenant| tenant.id.as_str() == name);
    found.ok_or_else(|| ExplainError::Tenant(name.to_owned()))
}

fn server<'a>(tenant: &'a Tenant, given: Option<&str>) -> Result<&'a Server, ExplainError> {
    let known = || listed(tenant.servers.iter().map(|server| server.name.as_str()));
    match (given, tenant.servers.as_slice()) {
        (Some(given), all) => all
            .iter()
            .find(|server| server.name.as_str() == given)
            .ok_or_else(|| ExplainError::Server {
                given: given.to_owned(),
                known: known(),
            }),
        (None, [only]) => Ok(only),
        (None, _) => Err(ExplainError::WhichServer(known())),
    }
}

fn issuer(tenant: &Tenant, given: Option<&str>) -> Result<String, ExplainError> {
    let known = || listed(tenant.issuers.iter().map(|issuer| issuer.issuer.as_str()));
    match (given, tenant.issuers.as_slice()) {
        (Some(Subject::LOCAL), _) | (None, []) => Ok(Subject::LOCAL.to_owned()),
        (Some(given), all) if all.iter().any(|issuer| issuer.issuer == given) => {
            Ok(given.to_owned())
        }
        (Some(given), _) => Err(ExplainError::Issuer {
            given: given.to_owned(),
            known: known(),
        }),
        (None, [only]) => Ok(only.issuer.clone()),
        (None, _) => Err(ExplainError::WhichIssuer(known())),
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn identity(args: &ExplainArgs, issuer: &str) -> Identity {
    let party = |id: &str, groups: &[String]| {
        Party::new(Subject::new(issuer, id))
            .with_groups(groups.iter().map(|name| Group::new(issuer, name)))
    };
    let mut identity = match &args.caller {
        Caller::User(id) => Identity::user(party(id, &args.groups)),
        Caller::Agent(id) => Identity::agent(party(id, &args.groups)),
        Caller::Delegated { user, agent } => {
            Identity::delegated(party(user, &args.groups), party(agent, &args.agent_groups))
        }
    };
    if !args.scopes.is_empty() {
        identity.scopes = Some(
            args.scopes
                .iter()
                .map(|scope| Arc::from(scope.as_str()))
                .collect(),
        );
    }
    identity.client_id = args.client.as_deref().map(Arc::from);
    let before = |ago: u32| SystemClock.now().minus(Duration::from_secs(ago.into()));
    identity.authenticated_at = args.authenticated_ago.map(before);
    identity
}

async fn principal(route: &Route, identity: Identity) -> Result<Principal, ExplainError> {
    let mut request = http::Request::new(());
    request.extensions_mut().insert(route.clone());
    let (parts, ()) = request.into_parts();
    let resolver = resolver_fn(move |_| Resolved::Identified(Box::new(identity.clone())));
    Ok(authenticate(&resolver, &AnyIdentified, &SystemClock, &parts).await?)
}

/// As whom the call would go upstream, or why it would not.
fn upstream(permitted: &Permitted) -> Result<String, String> {
    let mode = credential_mode(permitted).map_err(|error| error.to_string())?;
    if mode == CredentialMode::None {
        return Ok(mode.name().to_owned());
    }
    match CredentialOwner::of(permitted.principal(), mode) {
        Some(owner @ CredentialOwner::Shared) => Ok(owner.to_string()),
        Some(owner) => Ok(format!("{}, of {owner}", mode.name())),
        None => Err(format!(
            "the credential is `{}`, and the caller has no such side",
            mode.name()
        )),
    }
}

/// The call as a client would send it; the values keep their digits.
fn call(route: &Route, text: &str) -> Result<CallBody, ExplainError> {
    let json = |error: serde_json::Error| ExplainError::Json(error.to_string());
    let mut message: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).map_err(json)?;
    if !message.contains_key("method") {
        let params = RawValue::from_string(text.trim().to_owned()).map_err(json)?;
        message = BTreeMap::from([("params".to_owned(), params)]);
    }
    for (key, value) in [
        ("jsonrpc", "\"2.0\""),
        ("id", "1"),
        ("method", "\"tools/call\""),
    ] {
        let value = RawValue::from_string(value.to_owned()).map_err(json)?;
        message.entry(key.to_owned()).or_insert(value);
    }
    let bytes = serde_json::to_vec(&message).map_err(json)?;
    let mut request = http::Request::new(());
    *request.method_mut() = http::Method::POST;
    let (parts, ()) = request.into_parts();
    Ok(CallBody::parse(
        route,
        &parts,
        bytes.into(),
        &gatewright_wire::Limits::default(),
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_are_written_as_people_say_them() {
        assert_eq!(caller("user:alice"), Ok(Caller::User("alice".into())));
        assert_eq!(caller("agent:bot"), Ok(Caller::Agent("bot".into())));
        let both = Caller::Delegated {
            user: "alice".into(),
            agent: "bot".into(),
        };
        assert_eq!(caller("agent:bot for user:alice"), Ok(both));
        // An id may hold anything, as a phrase of ours.
        assert_eq!(caller("user:a for b"), Ok(Caller::User("a for b".into())));
        for wrong in [
            "alice",
            "user:",
            "user",
            "group:x",
            "user:a for agent:b x",
            "",
        ] {
            let parsed = caller(wrong);
            assert!(parsed.is_err() || wrong.contains(" for "), "{wrong}");
        }
    }

    fn explain(args: &[&str]) -> Result<Found, String> {
        let org = "[[servers]]\nname = 'billing'\nurl = 'https://b.example/mcp'\n\
             scopes = [{ targets = ['pay'], scopes = ['write'] }]\n\
             [[roles]]\nname = 'clerk'\n[[roles.permissions]]\nservers = ['billing']\ntools = ['pay']\n\
             when.arguments = [{ argument = 'amount', at_most = 1000 }]\n\
             [[grants]]\nrole = 'clerk'\ngroup = 'finance'\n";
        explain_in(org, args)
    }

    fn explain_in(org: &str, args: &[&str]) -> Result<Found, String> {
        use clap::Parser;

        #[derive(Parser)]
        struct Alone {
            #[command(flatten)]
            args: ExplainArgs,
        }

        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("gatewright.toml");
        std::fs::write(&config, "public_url = 'https://gw.example'").unwrap();
        std::fs::write(
            dir.path().join("org.toml"),
            format!("[[issuers]]\nissuer = 'https://idp.example'\n{org}"),
        )
        .unwrap();
        let file = dir.path().join("org.toml");
        let (config, file) = (config.to_str().unwrap(), file.to_str().unwrap());
        let all = ["explain", "--config", config, "--file", file]
            .into_iter()
            .chain(args.iter().copied());
        let parsed = Alone::try_parse_from(all).map_err(|error| error.to_string())?;
        run(&parsed.args).map_err(|error| error.to_string())
    }

    #[test]
    fn explain_gives_the_decision_of_the_engine() {
        let pay = |amount: u32| format!(r#"{{"name":"pay","arguments":{{"amount":{amount}}}}}"#);
        let ann = ["--as", "user:ann", "--group", "finance", "--call"];
        let with = |more: &[&str]| explain(&[&ann, more].concat());
        assert_eq!(with(&[&pay(1000)]), Ok(Found::Good));
        assert_eq!(with(&[&pay(1001)]), Ok(Found::Bad));
        assert_eq!(
            with(&[r#"{"method":"tools/call","params":{"name":"pay"}}"#]),
            Ok(Found::Bad)
        );
        assert_eq!(with(&[&pay(1), "--scope", "read"]), Ok(Found::Bad));
        assert_eq!(with(&[&pay(1), "--scope", "write"]), Ok(Found::Good));
        assert_eq!(
            explain(&["--as", "user:ben", "--call", &pay(1)]),
            Ok(Found::Bad)
        );
        let delegated = [
            "--as",
            "agent:bot for user:ann",
            "--group",
            "finance",
            "--call",
            &pay(1),
        ];
        assert_eq!(
            explain(&delegated),
            Ok(Found::Bad),
            "the agent has no permission"
        );
        let both = [&delegated[..], &["--agent-group", "finance"]].concat();
        assert_eq!(explain(&both), Ok(Found::Good));
    }

    #[test]
    fn a_credential_that_nothing_clearly_chooses_is_a_refusal() {
        let with = |credential: &str| {
            let server = "[[servers]]\nname = 'billing'\nurl = 'https://b.example/mcp'\n\
                          credential = 'shared'\n";
            let role = |name: &str, credential: &str| {
                format!(
                    "[[roles]]\nname = '{name}'\n[[roles.permissions]]\nservers = ['billing']\ntools = ['pay']\n\
                     {credential}\n[[grants]]\nrole = '{name}'\nuser = 'ann'\n"
                )
            };
            let one = role("one", "credential = 'per-user'");
            let org = format!("{server}{one}{}", role("other", credential));
            explain_in(&org, &["--as", "user:ann", "--call", r#"{"name":"pay"}"#])
        };
        assert_eq!(with(""), Ok(Found::Good));
        assert_eq!(with("credential = 'per-user'"), Ok(Found::Good));
        assert_eq!(with("credential = 'none'"), Ok(Found::Bad));
        assert_eq!(with("credential = 'per-agent'"), Ok(Found::Bad));
    }

    #[test]
    fn what_cannot_be_explained_is_said() {
        let refused = |args: &[&str]| explain(&[&["--as", "user:ann"], args].concat()).unwrap_err();
        assert!(refused(&["--call", "{"]).contains("no JSON object"));
        assert!(refused(&["--call", "[]"]).contains("no JSON object"));
        assert!(refused(&["--call", r#"{"method":"tools/call"}"#]).contains("no call"));
        assert!(refused(&["--call", "{}", "--server", "x"]).contains("use one of `billing`"));
        assert!(refused(&["--call", "{}", "--tenant", "x"]).contains("no tenant"));
        assert!(refused(&["--call", "{}", "--issuer", "x"]).contains("`https://idp.example`"));
    }
}
