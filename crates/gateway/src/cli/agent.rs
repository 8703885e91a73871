//! `gatewright agent`: agents.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value};

use super::{
    Failure, Outcome,
    key::end,
    table::of,
    things::{Place, Shape, identities, put},
};

const AGENTS: Shape = Shape {
    segment: "agents",
    one: "the agent",
    heads: &["ID", "NAME", "STATUS", "OWNER", "EXPIRES", "PURPOSE"],
    row: |one| {
        ["id", "name", "status", "owner", "expires", "purpose"]
            .map(|name| of(one, name))
            .to_vec()
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum AgentCommand {
    /// Show all agents
    List(ListArgs),
    /// Show an agent
    Show(OneArgs),
    /// Make an agent; `gatewright key create --agent` gives it an API key
    #[command(
        after_help = "Example: gatewright agent add report-bot --owner ann@example.com --purpose 'weekly report' --expires 365d"
    )]
    Add(AddArgs),
    /// Change an agent, switch it off or on
    #[command(
        after_help = "An agent whose owner left is suspended: give it another owner and switch it on.\n\n\
        Example: gatewright agent change report-bot --owner ben@example.com --status active"
    )]
    Change(ChangeArgs),
    /// Delete an agent, with its memberships and grants
    Remove(OneArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    place: Place,
    /// Only those for which this person answers
    #[arg(long, value_name = "WHO")]
    owner: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct OneArgs {
    #[command(flatten)]
    place: Place,
    /// Its id or name
    agent: String,
}

#[derive(Debug, Args)]
struct Said {
    /// The person who answers for it, by user name, id or name
    #[arg(long, value_name = "WHO")]
    owner: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    purpose: Option<String>,
    /// When it ends: in so many days or hours, as `90d` or `12h`, or at a moment
    #[arg(long, value_name = "WHEN", value_parser = end)]
    expires: Option<jiff::Timestamp>,
    /// As whom tokens know it, in place of what there was; may be repeated
    #[arg(long, value_name = "ISSUER|ID")]
    identity: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct AddArgs {
    #[command(flatten)]
    place: Place,
    /// Its id, which is its name in policies and keys
    id: String,
    /// A name for people; the id if left out
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    #[command(flatten)]
    said: Said,
}

#[derive(Debug, Args)]
pub(super) struct ChangeArgs {
    #[command(flatten)]
    one: OneArgs,
    /// A name for people
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    #[command(flatten)]
    said: Said,
    /// Whether it may do anything
    #[arg(long, value_enum)]
    status: Option<Status>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Status {
    Active,
    Disabled,
}

pub(super) fn run(command: &AgentCommand) -> Outcome {
    match command {
        AgentCommand::List(args) => args.list(),
        AgentCommand::Show(args) => args.place.show(&AGENTS, &args.id()?),
        AgentCommand::Add(args) => args.add(),
        AgentCommand::Change(args) => args.change(),
        AgentCommand::Remove(args) => args.place.remove(&AGENTS, &args.id()?),
    }
}

impl ListArgs {
    fn list(&self) -> Outcome {
        match &self.owner {
            Some(owner) => self
                .place
                .list(&AGENTS, &[("owner", self.place.user(owner)?)]),
            None => self.place.list(&AGENTS, &[]),
        }
    }
}

impl OneArgs {
    fn id(&self) -> Result<String, Failure> {
        self.place.agent(&self.agent)
    }
}

impl Said {
    fn put(&self, place: &Place, body: &mut Map<String, Value>) -> Result<(), Failure> {
        let owner = self.owner.as_ref().map(|owner| place.user(owner));
        put(body, "owner", owner.transpose()?);
        put(body, "purpose", self.purpose.clone());
        put(body, "expires", self.expires.map(|at| at.to_string()));
        if !self.identity.is_empty() {
            put(body, "identities", Some(identities(&self.identity)?));
        }
        Ok(())
    }
}

impl AddArgs {
    fn add(&self) -> Outcome {
        let mut body = Map::new();
        put(&mut body, "id", Some(self.id.clone()));
        put(
            &mut body,
            "name",
            Some(self.name.as_ref().unwrap_or(&self.id).clone()),
        );
        self.said.put(&self.place, &mut body)?;
        self.place.add(&AGENTS, &Value::Object(body))
    }
}

impl ChangeArgs {
    fn change(&self) -> Outcome {
        let (place, mut patch) = (&self.one.place, Map::new());
        put(&mut patch, "name", self.name.clone());
        self.said.put(place, &mut patch)?;
        let status = self.status.map(|status| match status {
            Status::Active => "active",
            Status::Disabled => "disabled",
        });
        put(&mut patch, "status", status);
        place.change(&AGENTS, &self.one.id()?, &patch)
    }
}
