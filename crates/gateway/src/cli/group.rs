//! `gatewright group`: groups, and who is in them.

use std::io::{self, Write as _};

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};

use super::{
    Failure, Found, Outcome,
    table::of,
    things::{Place, Shape, put},
};

const GROUPS: Shape = Shape {
    segment: "groups",
    one: "the group",
    heads: &["NAME", "FROM", "ID"],
    row: |one| vec![of(one, "display_name"), of(one, "origin"), of(one, "id")],
};

#[derive(Debug, Subcommand)]
pub(super) enum GroupCommand {
    /// Show all groups
    List(Place),
    /// Show a group
    #[command(after_help = "Example: gatewright group show finance")]
    Show(OneArgs),
    /// Make a group
    #[command(after_help = "Example: gatewright group add finance")]
    Add(AddArgs),
    /// Give a group another name
    Change(ChangeArgs),
    /// Delete a group, with its memberships and grants; who was in it stays
    Remove(OneArgs),
    /// Look after who is in a group
    #[command(subcommand)]
    Members(MembersCommand),
}

#[derive(Debug, Subcommand)]
pub(super) enum MembersCommand {
    /// Show who is in a group by themselves
    #[command(after_help = "Example: gatewright group members list finance")]
    List(OneArgs),
    /// Put people, agents or groups into a group
    #[command(
        after_help = "Example: gatewright group members add finance --user ann@example.com --agent report-bot"
    )]
    Add(MembersArgs),
    /// Take people, agents or groups out of a group
    #[command(
        after_help = "Example: gatewright group members remove finance --user ann@example.com"
    )]
    Remove(MembersArgs),
}

#[derive(Debug, Args)]
pub(super) struct OneArgs {
    #[command(flatten)]
    place: Place,
    /// Its name or id
    group: String,
}

#[derive(Debug, Args)]
pub(super) struct AddArgs {
    #[command(flatten)]
    place: Place,
    /// Its name
    name: String,
    /// Its id; made if left out
    #[arg(long, value_name = "ID")]
    id: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ChangeArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Another name
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct MembersArgs {
    #[command(flatten)]
    one: OneArgs,
    #[command(flatten)]
    who: WhoArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct WhoArgs {
    /// A person, by user name, id or name; may be repeated
    #[arg(long = "user", value_name = "WHO")]
    users: Vec<String>,
    /// An agent, by id or name; may be repeated
    #[arg(long = "agent", value_name = "WHICH")]
    agents: Vec<String>,
    /// A group, by name or id; may be repeated
    #[arg(long = "group", value_name = "WHICH", id = "member_group")]
    groups: Vec<String>,
}

pub(super) fn run(command: &GroupCommand) -> Outcome {
    match command {
        GroupCommand::List(place) => place.list(&GROUPS, &[]),
        GroupCommand::Show(args) => args.place.show(&GROUPS, &args.id()?),
        GroupCommand::Add(args) => {
            let mut body = Map::new();
            put(&mut body, "display_name", Some(args.name.clone()));
            put(&mut body, "id", args.id.clone());
            args.place.add(&GROUPS, &Value::Object(body))
        }
        GroupCommand::Change(args) => {
            let mut patch = Map::new();
            put(&mut patch, "display_name", args.name.clone());
            args.one.place.change(&GROUPS, &args.one.id()?, &patch)
        }
        GroupCommand::Remove(args) => args.place.remove(&GROUPS, &args.id()?),
        GroupCommand::Members(MembersCommand::List(args)) => args.members(),
        GroupCommand::Members(MembersCommand::Add(args)) => args.each(&Method::PUT, "added"),
        GroupCommand::Members(MembersCommand::Remove(args)) => {
            args.each(&Method::DELETE, "removed")
        }
    }
}

impl OneArgs {
    fn id(&self) -> Result<String, Failure> {
        self.place.group(&self.group)
    }

    fn members(&self) -> Outcome {
        let (place, id) = (&self.place, self.id()?);
        let items = place
            .admin()
            .items(&place.at(&["groups", &id, "members"]), &[], usize::MAX)?;
        let row = |one: &Value| {
            let kind = of(one, "kind");
            vec![
                kind.trim_end_matches('s').to_owned(),
                of(one, "name"),
                of(one, "id"),
            ]
        };
        place.table(&["KIND", "NAME", "ID"], row, &items)
    }
}

impl MembersArgs {
    fn each(&self, method: &Method, done: &str) -> Outcome {
        let (place, group) = (&self.one.place, self.one.id()?);
        // All names first: a mistake in the last one is found before the first is done.
        let mut members: Vec<(&str, String, &String)> = Vec::new();
        for text in &self.who.users {
            members.push(("users", place.user(text)?, text));
        }
        for text in &self.who.agents {
            members.push(("agents", place.agent(text)?, text));
        }
        for text in &self.who.groups {
            members.push(("groups", place.group(text)?, text));
        }
        let mut out = io::stdout().lock();
        let mut told = Vec::new();
        for (kind, id, text) in members {
            let path = place.at(&["groups", &group, "members", kind, &id]);
            place.admin().ask(method.clone(), &path, None)?;
            if place.json {
                told.push(json!({"kind": kind, "id": id}));
            } else {
                writeln!(out, "{done} {} {text}", kind.trim_end_matches('s'))?;
            }
        }
        if place.json {
            writeln!(out, "{:#}", json!({done: told}))?;
        }
        Ok(Found::Good)
    }
}
