//! What a call asks of the policies.

use std::{borrow::Cow, collections::HashMap};

use cedar_policy::{Entity, EntityUid, RestrictedExpression};
use gatewright_core::{Call, ServerName};
use gatewright_wire::{ItemKind, Peer, Subject};
use hashbrown::Equivalent;

use crate::{
    ToolFacts,
    names::{self, Kind},
    schema::{Action, SEE, SUBSCRIBE},
    uri,
};

/// May somebody do this with that? Entities are made of it only where policies have to be evaluated.
///
/// Hashes as [`Asked`] does.
#[derive(Debug, Hash)]
pub(crate) struct Question<'a> {
    pub(crate) action: Action,
    kind: Kind,
    server: &'a ServerName,
    name: Cow<'a, str>,
}

/// A question that was answered.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    action: Action,
    kind: Kind,
    server: ServerName,
    name: Box<str>,
}

impl Equivalent<Asked> for Question<'_> {
    fn equivalent(&self, asked: &Asked) -> bool {
        self.name == *asked.name
            && self.action == asked.action
            && self.kind == asked.kind
            && *self.server == asked.server
    }
}

/// Every question that must be answered with yes.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) questions: Vec<Question<'a>>,
}

impl<'a> Ask<'a> {
    /// What `call` asks. A call on a tool, prompt or resource asks whether it may be seen, too (invariant 4).
    pub(crate) fn about(call: &'a Call) -> Result<Self, &'static str> {
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
                let mut questions = vec![Question {
                    action,
                    kind: Kind::Server,
                    server,
                    name: server.as_str().into(),
                }];
                let subscriptions = call.subscriptions().map_err(|error| error.reason())?;
                for uri in subscriptions {
                    refuse_unless_plain(&uri)?;
                    for action in [SEE, SUBSCRIBE] {
                        let uri = Cow::Owned(uri.clone());
                        questions.push(Question::item(action, ItemKind::Resource, server, uri));
                    }
                }
                return Ok(Self { questions });
            }
        };
        let name = call.target().ok_or("the call names no target")?;
        if kind == ItemKind::Resource {
            refuse_unless_plain(name)?;
        }
        let question = |action| Question::item(action, kind, server, name.into());
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

impl<'a> Question<'a> {
    /// May somebody do this with an item of a list, or one that could be in it?
    pub(crate) fn item(
        action: Action,
        kind: ItemKind,
        server: &'a ServerName,
        name: Cow<'a, str>,
    ) -> Self {
        let kind = match kind {
            ItemKind::Tool => Kind::Tool,
            ItemKind::Prompt => Kind::Prompt,
            ItemKind::Resource | ItemKind::ResourceTemplate => Kind::Resource,
        };
        Self {
            action,
            kind,
            server,
            name,
        }
    }

    /// The id of what it is about.
    pub(crate) fn target(&self) -> EntityUid {
        match self.kind {
            Kind::Server => self.target_server(),
            kind => names::item(kind, self.server, &self.name),
        }
    }

    /// The id of the server that this belongs to.
    pub(crate) fn target_server(&self) -> EntityUid {
        names::server(self.server)
    }

    /// Server and name of the tool that it is about, if it is about one.
    pub(crate) fn tool(&self) -> Option<(&ServerName, &str)> {
        (self.kind == Kind::Tool).then_some((self.server, &*self.name))
    }

    /// As what its answer is kept. `None` if it is longer than `longest` bytes.
    pub(crate) fn to_asked(&self, longest: usize) -> Option<Asked> {
        (self.name.len() <= longest).then(|| Asked {
            action: self.action,
            kind: self.kind,
            server: self.server.clone(),
            name: (*self.name).into(),
        })
    }

    /// What it is about, as policies read it. `None` if Cedar cannot hold it.
    pub(crate) fn entity(&self, uid: EntityUid, facts: Option<&ToolFacts>) -> Option<Entity> {
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let flag = RestrictedExpression::new_bool;
        let field = if self.kind == Kind::Resource {
            "uri"
        } else {
            "name"
        };
        let mut attributes = HashMap::from([(field.to_owned(), text(&self.name))]);
        if self.kind == Kind::Server {
            return Entity::new(uid, attributes, [].into()).ok();
        }
        attributes.insert("server".to_owned(), text(self.server.as_str()));
        if self.kind == Kind::Tool {
            // Nobody vouches for it: it may change and destroy.
            let (read_only, destructive) =
                facts.map_or((false, true), |facts| (facts.read_only, facts.destructive));
            let tags = facts.iter().flat_map(|facts| &facts.tags);
            let tags = RestrictedExpression::new_set(tags.map(|tag| text(tag)));
            attributes.insert("readOnly".to_owned(), flag(read_only));
            attributes.insert("destructive".to_owned(), flag(destructive));
            attributes.insert("tags".to_owned(), tags);
        }
        Entity::new(uid, attributes, [self.target_server()].into()).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;

    #[test]
    fn a_question_finds_its_own_answer_and_no_other() {
        let (billing, mail) = (
            ServerName::new("billing").unwrap(),
            ServerName::new("mail").unwrap(),
        );
        let questions = [
            Question::item(SEE, ItemKind::Tool, &billing, "pay".into()),
            Question::item(SUBSCRIBE, ItemKind::Tool, &billing, "pay".into()),
            Question::item(SEE, ItemKind::Prompt, &billing, "pay".into()),
            Question::item(SEE, ItemKind::Tool, &mail, "pay".into()),
            Question::item(SEE, ItemKind::Tool, &billing, "pa".into()),
        ];
        let hasher = RandomState::new();
        for (i, question) in questions.iter().enumerate() {
            for (j, other) in questions.iter().enumerate() {
                let asked = other.to_asked(3).unwrap();
                assert_eq!(question.equivalent(&asked), i == j, "{i} {j}");
                if i == j {
                    assert_eq!(hasher.hash_one(question), hasher.hash_one(&asked));
                }
            }
        }
        assert_eq!(questions[0].to_asked(2), None);
    }
}
