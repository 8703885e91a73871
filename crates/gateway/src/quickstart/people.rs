//! Who is in the demo organisation, and what their tokens say.

use serde_json::{Value, json};

/// Somebody who calls: a name for the screen and a token per server.
#[derive(Debug)]
pub(super) struct Caller {
    name: &'static str,
    tokens: Vec<(&'static str, String)>,
}

impl Caller {
    pub(super) const fn new(name: &'static str, tokens: Vec<(&'static str, String)>) -> Self {
        Self { name, tokens }
    }

    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    /// Their token for the server of this name; empty, and so of no use, for any other.
    pub(super) fn token(&self, server: &str) -> &str {
        self.tokens
            .iter()
            .find(|(name, _)| *name == server)
            .map_or("", |(_, token)| token)
    }
}

/// A person or an agent as the issuer describes them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Persona {
    pub(super) name: &'static str,
    /// What files of their tokens are called.
    pub(super) file: &'static str,
    subject: &'static str,
    group: &'static str,
    actor: Option<&'static str>,
}

pub(super) const ANN: Persona = Persona {
    name: "Ann",
    file: "ann",
    subject: "ann",
    group: "finance",
    actor: None,
};
pub(super) const BEN: Persona = Persona {
    name: "Ben",
    file: "ben",
    subject: "ben",
    group: "support",
    actor: None,
};
/// The agent acting for Ann: her token, with `act` naming it (RFC 8693 §4.1).
pub(super) const AGENT_FOR_ANN: Persona = Persona {
    name: "report-bot for Ann",
    file: "report-bot-for-ann",
    actor: Some("report-bot"),
    ..ANN
};

impl Persona {
    /// What a token says about them beyond who made it, for whom and for how long.
    pub(super) fn claims(self) -> Value {
        let mut claims = json!({
            "sub": self.subject,
            "groups": [self.group],
            "name": self.name,
            "client_id": "gatewright-quickstart",
        });
        if let (Some(agent), Some(fields)) = (self.actor, claims.as_object_mut()) {
            fields.insert("act".to_owned(), json!({ "sub": agent }));
        }
        claims
    }
}
