//! What a call asks of the policies.

use std::collections::HashMap;

use cedar_policy::{Entity, EntityUid, RestrictedExpression};
use gatewright_core::{Call, ServerName};
use gatewright_wire::{ItemKind, Peer, Subject};

use crate::{
    ToolFacts,
    names::{self, Kind},
    schema::{Action, SEE, SUBSCRIBE},
    uri,
};

/// What a question is about, with its server.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) uid: EntityUid,
    pub(crate) server: EntityUid,
    kind: Kind,
    name: String,
    server_name: ServerName,
    facts: ToolFacts,
}

/// May somebody do this with that?
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) action: Action,
    pub(crate) target: Target,
}

/// Every question that must be answered with yes.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) questions: Vec<Question>,
}

impl Ask {
    /// What `call` asks. A call on a tool, prompt or resource asks whether it may be seen, too (invariant 4).
    pub(crate) fn about(
        call: &Call,
        facts: impl Fn(&ServerName, &str) -> ToolFacts,
    ) -> Result<Self, &'static str> {
        let server = call.route().server();
        let action = Action::of(call);
        let subject = match call.from() {
            Peer::Client => call
                .envelope()
                .map_or(Subject::None, gatewright_wire::Envelope::subject),
            // What a server names in a request of its own is not something that the caller uses.
            Peer::Server => Subject::None,
        };
        let kind = match subject {
            Subject::Tool => ItemKind::Tool,
            Subject::Prompt => ItemKind::Prompt,
            Subject::Resource => ItemKind::Resource,
            Subject::Task | Subject::None => {
                let target = Target::server(server);
                let mut questions = vec![Question { action, target }];
                let subscriptions = call.subscriptions().map_err(|error| error.reason())?;
                for uri in subscriptions {
                    refuse_unless_plain(&uri)?;
                    for action in [SEE, SUBSCRIBE] {
                        let target = Target::item(ItemKind::Resource, server, &uri, &facts);
                        questions.push(Question { action, target });
                    }
                }
                return Ok(Self { questions });
            }
        };
        let name = call.target().ok_or("the call names no target")?;
        if kind == ItemKind::Resource {
            refuse_unless_plain(name)?;
        }
        let question = |action| Question {
            action,
            target: Target::item(kind, server, name, &facts),
        };
        Ok(Self {
            questions: vec![question(SEE), question(action)],
        })
    }
}

fn refuse_unless_plain(uri: &str) -> Result<(), &'static str> {
    if uri::is_plain(uri) {
        Ok(())
    } else {
        Err("the URI is not in its normal form, and servers may read it otherwise than policies do")
    }
}

/// The text of the arguments that policies read: for a request of a server, all of its parameters.
pub(crate) fn arguments(call: &Call) -> Option<&str> {
    match call.from() {
        Peer::Client => call.arguments(),
        Peer::Server => call.params(),
    }
}

impl Target {
    pub(crate) fn item(
        kind: ItemKind,
        server: &ServerName,
        name: &str,
        facts: impl Fn(&ServerName, &str) -> ToolFacts,
    ) -> Self {
        let kind = match kind {
            ItemKind::Tool => Kind::Tool,
            ItemKind::Prompt => Kind::Prompt,
            ItemKind::Resource | ItemKind::ResourceTemplate => Kind::Resource,
        };
        let facts = if kind == Kind::Tool {
            facts(server, name)
        } else {
            ToolFacts::default()
        };
        Self {
            uid: names::item(kind, server, name),
            server: names::server(server),
            kind,
            name: name.to_owned(),
            server_name: server.clone(),
            facts,
        }
    }

    fn server(name: &ServerName) -> Self {
        Self {
            uid: names::server(name),
            server: names::server(name),
            kind: Kind::Server,
            name: name.to_string(),
            server_name: name.clone(),
            facts: ToolFacts::default(),
        }
    }

    /// The entity that policies read. `None` if Cedar cannot hold it.
    pub(crate) fn entity(&self) -> Option<Entity> {
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let flag = RestrictedExpression::new_bool;
        let field = if self.kind == Kind::Resource {
            "uri"
        } else {
            "name"
        };
        let mut attributes = HashMap::from([(field.to_owned(), text(&self.name))]);
        if self.kind == Kind::Server {
            return Entity::new(self.uid.clone(), attributes, [].into()).ok();
        }
        attributes.insert("server".to_owned(), text(self.server_name.as_str()));
        if self.kind == Kind::Tool {
            attributes.insert("readOnly".to_owned(), flag(self.facts.read_only));
            attributes.insert("destructive".to_owned(), flag(self.facts.destructive));
        }
        Entity::new(self.uid.clone(), attributes, [self.server.clone()].into()).ok()
    }
}
