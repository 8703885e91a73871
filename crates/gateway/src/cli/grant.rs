//! `gatewright grant`: roles given to somebody.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{
    Failure, Outcome,
    key::end,
    table::of,
    things::{Place, Shape, put},
};

const GRANTS: Shape = Shape {
    segment: "grants",
    one: "the grant",
    heads: &["ROLE", "TO", "OVER", "EXPIRES", "REASON", "ID"],
    row: |one| {
        vec![
            of(one, "role"),
            said(one.get("to")),
            said(one.get("over")),
            of(one, "expires"),
            of(one, "reason"),
            of(one, "id"),
        ]
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum GrantCommand {
    /// Show who has which role
    #[command(after_help = "Example: gatewright grant list --user ann@example.com")]
    List(ListArgs),
    /// Show a grant
    Show(OneArgs),
    /// Give a role to somebody
    #[command(
        after_help = "Examples:\n  gatewright grant add invoice-reader --group finance\n  \
        gatewright grant add payer --user ann@example.com --expires 30d --reason 'ticket 4711'\n  \
        gatewright grant add administrator --user ben@example.com --over-group finance"
    )]
    Add(AddArgs),
    /// Change how long a grant lasts, or why it is there
    Change(ChangeArgs),
    /// Take a grant away
    #[command(
        after_help = "Example: gatewright grant remove 0199c2a4-…   (as `gatewright grant list` shows it)"
    )]
    Remove(OneArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    of: OfArgs,
}

/// Whose.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct OfArgs {
    /// Those of a person by themselves
    #[arg(long, value_name = "WHO")]
    user: Option<String>,
    /// Those of a group
    #[arg(long, value_name = "WHICH")]
    group: Option<String>,
    /// Those of an agent by itself
    #[arg(long, value_name = "WHICH")]
    agent: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct OneArgs {
    #[command(flatten)]
    place: Place,
    /// Its id
    id: String,
}

#[derive(Debug, Args)]
pub(super) struct AddArgs {
    #[command(flatten)]
    place: Place,
    /// Which role
    role: String,
    #[command(flatten)]
    to: ToArgs,
    /// What of it permits administrators, permits this to what concerns this server only
    #[arg(long, value_name = "NAME", conflicts_with = "over_group")]
    over_server: Option<String>,
    /// … to this group and who is in it only
    #[arg(long, value_name = "WHICH")]
    over_group: Option<String>,
    /// When it ends: in so many days or hours, as `90d` or `12h`, or at a moment; never if left out
    #[arg(long, value_name = "WHEN", value_parser = end)]
    expires: Option<jiff::Timestamp>,
    /// Why, for the next review
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// To whom.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct ToArgs {
    /// A person, by user name, id or name
    #[arg(long, value_name = "WHO")]
    user: Option<String>,
    /// A group, by name or id
    #[arg(long, value_name = "WHICH")]
    group: Option<String>,
    /// An agent, by id or name
    #[arg(long, value_name = "WHICH")]
    agent: Option<String>,
    /// Whoever's token says that they are in this group
    #[arg(long, value_name = "ISSUER|NAME")]
    claimed_group: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ChangeArgs {
    #[command(flatten)]
    one: OneArgs,
    /// When it ends
    #[arg(long, value_name = "WHEN", value_parser = end, conflicts_with = "never_expires")]
    expires: Option<jiff::Timestamp>,
    /// It does not end by itself
    #[arg(long)]
    never_expires: bool,
    /// Why, for the next review
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(super) fn run(command: &GrantCommand) -> Outcome {
    match command {
        GrantCommand::List(args) => args.list(),
        GrantCommand::Show(args) => args.place.show(&GRANTS, &args.id),
        GrantCommand::Add(args) => args.add(),
        GrantCommand::Change(args) => args.change(),
        GrantCommand::Remove(args) => args.place.remove(&GRANTS, &args.id),
    }
}

impl ListArgs {
    fn list(&self) -> Outcome {
        let place = &self.place;
        let query = match &self.of {
            OfArgs {
                user: Some(user), ..
            } => vec![("user", place.user(user)?)],
            OfArgs {
                group: Some(group), ..
            } => vec![("group", place.group(group)?)],
            OfArgs {
                agent: Some(agent), ..
            } => vec![("agent", place.agent(agent)?)],
            _ => Vec::new(),
        };
        let mut grants = place.items(&GRANTS, &query)?;
        if !place.json {
            place.tell_names(&mut grants)?;
        }
        place.table(GRANTS.heads, GRANTS.row, &grants)
    }
}

impl ToArgs {
    fn holder(&self, place: &Place) -> Result<Value, Failure> {
        Ok(match self {
            Self {
                user: Some(user), ..
            } => json!({"user": place.user(user)?}),
            Self {
                group: Some(group), ..
            } => json!({"group": place.group(group)?}),
            Self {
                agent: Some(agent), ..
            } => json!({"agent": place.agent(agent)?}),
            Self {
                claimed_group: Some(text),
                ..
            } => {
                let Some((issuer, name)) = text.split_once('|') else {
                    return Err("write the group of a token as `<issuer>|<name>`".into());
                };
                json!({"claimed-group": {"issuer": issuer, "name": name}})
            }
            _ => return Err("say to whom: `--user`, `--group` or `--agent`".into()),
        })
    }
}

impl AddArgs {
    fn add(&self) -> Outcome {
        let (place, mut body) = (&self.place, Map::new());
        put(&mut body, "role", Some(self.role.clone()));
        put(&mut body, "to", Some(self.to.holder(place)?));
        let server = self
            .over_server
            .as_ref()
            .map(|server| json!({ "server": server }));
        put(&mut body, "over", server);
        if let Some(group) = &self.over_group {
            put(
                &mut body,
                "over",
                Some(json!({"group": place.group(group)?})),
            );
        }
        put(&mut body, "expires", self.expires.map(|at| at.to_string()));
        put(&mut body, "reason", self.reason.clone());
        place.add(&GRANTS, &Value::Object(body))
    }
}

impl ChangeArgs {
    fn change(&self) -> Outcome {
        let mut patch = Map::new();
        put(&mut patch, "expires", self.expires.map(|at| at.to_string()));
        if self.never_expires {
            put(&mut patch, "expires", Some(Value::Null));
        }
        put(&mut patch, "reason", self.reason.clone());
        self.one.place.change(&GRANTS, &self.one.id, &patch)
    }
}

/// `user ann`, or what a grant is over.
fn said(value: Option<&Value>) -> String {
    let Some(Value::Object(members)) = value else {
        return "-".to_owned();
    };
    let one = members.iter().map(|(kind, of)| match of {
        Value::Object(group) => {
            let text = |name: &str| group.get(name).and_then(Value::as_str).unwrap_or_default();
            format!("{kind} {}|{}", text("issuer"), text("name"))
        }
        other => format!("{kind} {}", super::table::cell(other)),
    });
    one.collect::<Vec<_>>().join(" ")
}
