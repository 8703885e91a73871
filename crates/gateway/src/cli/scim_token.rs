//! `gatewright scim-token`: the tokens by which identity providers push people and groups.

use std::io::{self, Write as _};

use clap::{Args, Subcommand};
use http::Method;
use serde_json::json;

use super::{
    Found, Outcome,
    key::end,
    table::of,
    things::{Place, Shape},
};

const TOKENS: Shape = Shape {
    segment: "scim-tokens",
    one: "the token",
    heads: &["NAME", "SCOPES", "CREATED", "EXPIRES", "ID"],
    row: |one| {
        ["name", "scopes", "created_at", "expires_at", "id"]
            .map(|name| of(one, name))
            .to_vec()
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum ScimTokenCommand {
    /// Show all tokens, without their texts
    List(Place),
    /// Show a token, without its text
    Show(OneArgs),
    /// Make a token; its text is shown this once
    #[command(
        after_help = "To replace a token, make another, give it to the identity provider, and remove the old one: both are good meanwhile.\n\n\
        Example: gatewright scim-token add okta --expires 365d > okta.token"
    )]
    Add(AddArgs),
    /// Remove a token; the next request with it is refused
    Remove(OneArgs),
}

#[derive(Debug, Args)]
pub(super) struct OneArgs {
    #[command(flatten)]
    place: Place,
    /// Its id, as `gatewright scim-token list` shows it
    id: String,
}

#[derive(Debug, Args)]
pub(super) struct AddArgs {
    #[command(flatten)]
    place: Place,
    /// A name for people
    name: String,
    /// What it may: `users:read`, `users:write`, and the same of `groups` and `agents`; may be repeated
    #[arg(long = "scope", value_name = "SCOPE", default_values = ["users:write", "groups:write"])]
    scopes: Vec<String>,
    /// When it ends: in so many days or hours, as `90d` or `12h`, or at a moment
    #[arg(long, value_name = "WHEN", default_value = "365d", value_parser = end)]
    expires: jiff::Timestamp,
}

pub(super) fn run(command: &ScimTokenCommand) -> Outcome {
    match command {
        ScimTokenCommand::List(place) => place.list(&TOKENS, &[]),
        ScimTokenCommand::Show(args) => args.place.show(&TOKENS, &args.id),
        ScimTokenCommand::Add(args) => args.add(),
        ScimTokenCommand::Remove(args) => args.place.remove(&TOKENS, &args.id),
    }
}

impl AddArgs {
    fn add(&self) -> Outcome {
        let place = &self.place;
        let body = json!({
            "name": self.name, "scopes": self.scopes, "expires_at": self.expires.to_string(),
        });
        let made = place
            .admin()
            .ask(Method::POST, &place.at(&["scim-tokens"]), Some(&body))?;
        let mut out = io::stdout().lock();
        if place.json {
            writeln!(out, "{made}")?;
            return Ok(Found::Good);
        }
        // First: if the token cannot be written, this says which one to remove.
        writeln!(
            io::stderr().lock(),
            "token {} of {}, until {}; it is shown this once",
            of(&made, "id"),
            self.name,
            of(&made, "expires_at")
        )?;
        writeln!(out, "{}", of(&made, "token"))?;
        Ok(Found::Good)
    }
}
