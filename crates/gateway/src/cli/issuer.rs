//! `gatewright issuer`: whose tokens are taken.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{
    Failure, Outcome,
    table::of,
    things::{Place, Shape, put, set, settings},
};

const ISSUERS: Shape = Shape {
    segment: "issuers",
    one: "the issuer",
    heads: &["ID", "ISSUER", "PEOPLE BY", "DOMAINS"],
    row: |one| {
        ["id", "issuer", "scim_attribute", "email_domains"]
            .map(|name| of(one, name))
            .to_vec()
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum IssuerCommand {
    /// Show all issuers
    List(Place),
    /// Show an issuer
    Show(OneArgs),
    /// Take the tokens of an issuer
    #[command(
        after_help = "Example: gatewright issuer add login --issuer https://login.example.com --scim-attribute externalId"
    )]
    Add(WriteArgs),
    /// Change how tokens of an issuer are read
    Change(ChangeArgs),
    /// Take no more tokens of an issuer
    Remove(OneArgs),
}

#[derive(Debug, Args)]
pub(super) struct OneArgs {
    #[command(flatten)]
    place: Place,
    /// Its id
    id: String,
}

#[derive(Debug, Args)]
pub(super) struct WriteArgs {
    #[command(flatten)]
    one: OneArgs,
    /// The `iss` of its tokens
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// What of people that are pushed by SCIM equals the claim by which it names them
    #[arg(long, value_name = "NAME", value_parser = ["externalId", "userName"])]
    scim_attribute: Option<String>,
    /// A domain for whose addresses it is believed, for invitations; may be repeated
    #[arg(long, value_name = "DOMAIN")]
    email_domain: Vec<String>,
    /// A setting, as `user_claim=oid`; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct ChangeArgs {
    #[command(flatten)]
    write: WriteArgs,
    /// Take a setting away; may be repeated
    #[arg(long, value_name = "NAME")]
    unset: Vec<String>,
}

pub(super) fn run(command: &IssuerCommand) -> Outcome {
    match command {
        IssuerCommand::List(place) => place.list(&ISSUERS, &[]),
        IssuerCommand::Show(args) => args.place.show(&ISSUERS, &args.id),
        IssuerCommand::Add(args) => {
            let mut body = args.body()?;
            put(&mut body, "id", Some(args.one.id.clone()));
            args.one.place.add(&ISSUERS, &Value::Object(body))
        }
        IssuerCommand::Change(args) => {
            let mut patch = args.write.body()?;
            for name in &args.unset {
                set(&mut patch, name, Value::Null);
            }
            let one = &args.write.one;
            one.place.change(&ISSUERS, &one.id, &patch)
        }
        IssuerCommand::Remove(args) => args.place.remove(&ISSUERS, &args.id),
    }
}

impl WriteArgs {
    fn body(&self) -> Result<Map<String, Value>, Failure> {
        let mut body = Map::new();
        put(&mut body, "issuer", self.issuer.clone());
        put(&mut body, "scim_attribute", self.scim_attribute.clone());
        if !self.email_domain.is_empty() {
            put(&mut body, "email_domains", Some(json!(self.email_domain)));
        }
        settings(&self.set, &mut body)?;
        Ok(body)
    }
}
