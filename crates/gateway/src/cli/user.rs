//! `gatewright user`: people.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{
    Outcome,
    key::end,
    table::of,
    things::{Place, Shape, identities, put},
};

const USERS: Shape = Shape {
    segment: "users",
    one: "the person",
    heads: &["USER NAME", "NAME", "STATE", "FROM", "ID"],
    row: |one| {
        vec![
            of(one, "user_name"),
            of(one, "display_name"),
            state(one).to_owned(),
            of(one, "origin"),
            of(one, "id"),
        ]
    },
};

/// How long an invitation is good where nobody says how long.
const INVITED: &str = "14d";

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Show everybody
    #[command(after_help = "Example: gatewright user list --json")]
    List(Place),
    /// Show a person, and the groups that they are in
    #[command(after_help = "Example: gatewright user show ann@example.com")]
    Show(OneArgs),
    /// Enter a person
    #[command(
        after_help = "Examples:\n  gatewright user add ann@example.com --identity 'https://login.example.com|ann'\n  \
        gatewright user add ben@example.com --invite ben@example.com"
    )]
    Add(AddArgs),
    /// Change a person, switch them off or on
    #[command(
        after_help = "Switched off, they are refused at once: calls, open streams, API keys, and the agents that they answer for.\n\n\
        Examples:\n  gatewright user change ann@example.com --disable --reason 'left on Friday'\n  \
        gatewright user change ann@example.com --enable"
    )]
    Change(ChangeArgs),
    /// Delete a person, with their memberships and grants
    #[command(after_help = "Example: gatewright user remove ann@example.com")]
    Remove(OneArgs),
}

#[derive(Debug, Args)]
pub(super) struct OneArgs {
    #[command(flatten)]
    place: Place,
    /// Their user name, id or name
    who: String,
}

#[derive(Debug, Args)]
struct Said {
    /// A name for people to read
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// The identity provider's id for them
    #[arg(long, value_name = "TEXT")]
    external_id: Option<String>,
    /// As whom tokens know them, in place of what there was; may be repeated
    #[arg(long, value_name = "ISSUER|ID")]
    identity: Vec<String>,
    /// Whoever comes with this verified address, from an issuer that is believed for its domain, is this person
    #[arg(long, value_name = "E-MAIL")]
    invite: Option<String>,
    /// How long the invitation is good
    #[arg(long, value_name = "WHEN", default_value = INVITED, value_parser = end)]
    until: jiff::Timestamp,
}

#[derive(Debug, Args)]
pub(super) struct AddArgs {
    #[command(flatten)]
    place: Place,
    /// The name to sign in with
    user_name: String,
    /// Their id; made if left out
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    #[command(flatten)]
    said: Said,
}

#[derive(Debug, Args)]
pub(super) struct ChangeArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Another name to sign in with
    #[arg(long, value_name = "TEXT")]
    user_name: Option<String>,
    #[command(flatten)]
    said: Said,
    /// Switch them off
    #[arg(long, conflicts_with = "enable")]
    disable: bool,
    /// Why
    #[arg(long, value_name = "TEXT", requires = "disable")]
    reason: Option<String>,
    /// Switch them on
    #[arg(long)]
    enable: bool,
}

pub(super) fn run(command: &UserCommand) -> Outcome {
    match command {
        UserCommand::List(place) => place.list(&USERS, &[]),
        UserCommand::Show(args) => args.show(),
        UserCommand::Add(args) => args.add(),
        UserCommand::Change(args) => args.change(),
        UserCommand::Remove(args) => args.place.remove(&USERS, &args.place.user(&args.who)?),
    }
}

impl OneArgs {
    fn show(&self) -> Outcome {
        let (place, id) = (&self.place, self.place.user(&self.who)?);
        let admin = place.admin();
        let mut person = admin.ask(http::Method::GET, &place.at(&["users", &id]), None)?;
        let groups = admin.items(&place.at(&["users", &id, "groups"]), &[], usize::MAX)?;
        if let Value::Object(members) = &mut person {
            let names = groups
                .iter()
                .map(|group| group.get("display_name").cloned());
            members.insert("groups".to_owned(), names.flatten().collect());
        }
        place.print(&person)
    }
}

impl Said {
    fn put(&self, body: &mut Map<String, Value>) -> Result<(), super::Failure> {
        put(body, "display_name", self.name.clone());
        put(body, "external_id", self.external_id.clone());
        if !self.identity.is_empty() {
            put(body, "identities", Some(identities(&self.identity)?));
        }
        let invited = self.invite.as_ref();
        let invited =
            invited.map(|email| json!({"email": email, "expires": self.until.to_string()}));
        put(body, "invited", invited);
        Ok(())
    }
}

impl AddArgs {
    fn add(&self) -> Outcome {
        let mut body = Map::new();
        put(&mut body, "user_name", Some(self.user_name.clone()));
        put(&mut body, "id", self.id.clone());
        self.said.put(&mut body)?;
        self.place.add(&USERS, &Value::Object(body))
    }
}

impl ChangeArgs {
    fn change(&self) -> Outcome {
        let mut patch = Map::new();
        put(&mut patch, "user_name", self.user_name.clone());
        self.said.put(&mut patch)?;
        if self.disable {
            put(&mut patch, "disabled", Some(json!({"reason": self.reason})));
        }
        if self.enable {
            put(&mut patch, "disabled", Some(Value::Null));
        }
        let place = &self.one.place;
        place.change(&USERS, &place.user(&self.one.who)?, &patch)
    }
}

fn state(one: &Value) -> &'static str {
    let active = one.get("active").and_then(Value::as_bool).unwrap_or(true);
    match (one.get("disabled"), one.get("invited"), active) {
        (Some(_), ..) => "disabled",
        (_, _, false) => "inactive",
        (_, Some(_), _) => "invited",
        _ => "active",
    }
}
