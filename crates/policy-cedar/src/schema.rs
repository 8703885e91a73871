use std::collections::BTreeSet;

use cedar_policy::{EntityUid, Schema};
use gatewright_core::{Call, CallKind};
use gatewright_wire::{Form, MethodInfo, Peer, json};

use crate::{BuildEngineError, names};

/// The schema without arguments.
pub const SCHEMA: &str = include_str!("schema.cedarschema");

/// The schema of a tenant whose policies name these argument paths.
pub(crate) fn with_arguments<'a>(
    paths: impl IntoIterator<Item = &'a str>,
) -> Result<Schema, BuildEngineError> {
    let paths: BTreeSet<&str> = paths.into_iter().collect();
    // A JSON string is a Cedar string for every character that JSON text may hold unescaped; control
    // characters are the one difference, and no path has them (see `arguments::Path`).
    let attributes: Vec<String> = paths
        .into_iter()
        .map(|path| format!("{}?: Argument", json::quote(path)))
        .collect();
    let text = SCHEMA.replace(
        "type Arguments = {};",
        &format!("type Arguments = {{{}}};", attributes.join(", ")),
    );
    let (schema, _) =
        Schema::from_cedarschema_str(&text).map_err(|error| BuildEngineError::Schema {
            reason: error.to_string(),
        })?;
    Ok(schema)
}

/// What is asked of the engine about a call: an action of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Action(pub(crate) &'static str);

pub(crate) const SEE: Action = Action("see");
pub(crate) const UNKNOWN: Action = Action("unknown");
pub(crate) const REVERSE_UNKNOWN: Action = Action("reverse/unknown");
pub(crate) const SUBSCRIBE: Action = Action("resources/subscribe");
/// Groups of actions.
pub(crate) const CONNECT: &str = "connect";
pub(crate) const CALL: &str = "call";
pub(crate) const SERVER_REQUEST: &str = "serverRequest";

/// Members of `connect`.
pub(crate) const CONNECT_ACTIONS: &[Action] = &[
    Action("initialize"),
    Action("ping"),
    Action("server/discover"),
    Action("logging/setLevel"),
    Action("subscriptions/listen"),
    Action("tools/list"),
    Action("prompts/list"),
    Action("resources/list"),
    Action("resources/templates/list"),
    Action("notifications/initialized"),
    Action("notifications/cancelled"),
    Action("notifications/progress"),
    Action("notifications/roots/list_changed"),
    Action("notifications/tasks/status"),
    Action("session/stream"),
    Action("session/end"),
    Action("response"),
];

/// Members of `call` that name a tool, prompt or resource. A permission gives them by `tools`, `prompts` and
/// `resources`, never by `methods`.
pub(crate) const ITEM_ACTIONS: &[Action] = &[
    Action("tools/call"),
    Action("prompts/get"),
    Action("resources/read"),
    SUBSCRIBE,
    Action("resources/unsubscribe"),
];

/// Members of `call` that a permission gives by `methods`.
pub(crate) const METHOD_ACTIONS: &[Action] = &[
    Action("completion/complete"),
    Action("tasks/get"),
    Action("tasks/update"),
    Action("tasks/cancel"),
    Action("tasks/result"),
    Action("tasks/list"),
];

/// Members of `serverRequest`, with the method that each is.
pub(crate) const SERVER_ACTIONS: &[(Action, &str)] = &[
    (Action("sampling/createMessage"), "sampling/createMessage"),
    (Action("elicitation/create"), "elicitation/create"),
    (Action("roots/list"), "roots/list"),
    (Action("reverse/ping"), "ping"),
    (Action("reverse/tasks/get"), "tasks/get"),
    (Action("reverse/tasks/result"), "tasks/result"),
    (Action("reverse/tasks/list"), "tasks/list"),
    (Action("reverse/tasks/cancel"), "tasks/cancel"),
    (Action("reverse/notification"), "notifications/*"),
    (REVERSE_UNKNOWN, ""),
];

impl Action {
    /// The action that a call is.
    pub(crate) fn of(call: &Call) -> Self {
        match (call.from(), call.kind()) {
            (Peer::Client, CallKind::Stream) => Self("session/stream"),
            (Peer::Client, CallKind::EndSession) => Self("session/end"),
            (_, CallKind::Response) => Self("response"),
            (Peer::Client, _) => call.info().map_or(UNKNOWN, Self::of_client_method),
            (Peer::Server, _) => call.info().map_or(REVERSE_UNKNOWN, Self::of_server_method),
        }
    }

    fn of_client_method(info: &MethodInfo) -> Self {
        let mut known = CONNECT_ACTIONS
            .iter()
            .chain(ITEM_ACTIONS)
            .chain(METHOD_ACTIONS);
        known
            .find(|action| action.0 == info.name)
            .copied()
            .unwrap_or(UNKNOWN)
    }

    fn of_server_method(info: &MethodInfo) -> Self {
        if info.form == Form::Notification {
            return Self("reverse/notification");
        }
        SERVER_ACTIONS
            .iter()
            .find(|(_, method)| *method == info.name)
            .map_or(REVERSE_UNKNOWN, |(action, _)| *action)
    }

    /// Every action, `see` first.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        [SEE, UNKNOWN]
            .into_iter()
            .chain(
                CONNECT_ACTIONS
                    .iter()
                    .chain(ITEM_ACTIONS)
                    .chain(METHOD_ACTIONS)
                    .copied(),
            )
            .chain(SERVER_ACTIONS.iter().map(|(action, _)| *action))
    }

    /// The actions that a name in the scope of a policy stands for: itself, or the members of a group.
    pub(crate) fn named(name: &str) -> Vec<Self> {
        match name {
            CONNECT => CONNECT_ACTIONS.to_vec(),
            CALL => [UNKNOWN]
                .iter()
                .chain(ITEM_ACTIONS)
                .chain(METHOD_ACTIONS)
                .copied()
                .collect(),
            SERVER_REQUEST => SERVER_ACTIONS.iter().map(|(action, _)| *action).collect(),
            name => Self::all().filter(|action| action.0 == name).collect(),
        }
    }

    pub(crate) fn uid(self) -> EntityUid {
        names::uid(names::Kind::Action, self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use gatewright_wire::METHODS;

    use super::*;

    #[test]
    fn every_method_of_the_protocol_has_an_action() {
        for info in METHODS {
            let action = match info.from {
                Peer::Client => Action::of_client_method(info),
                Peer::Server => Action::of_server_method(info),
            };
            assert!(
                action != UNKNOWN && action != REVERSE_UNKNOWN,
                "{} has no action",
                info.name
            );
        }
    }

    #[test]
    fn the_schema_and_the_code_know_the_same_actions() {
        let schema = with_arguments([]).unwrap();
        let groups: HashSet<EntityUid> = schema.action_groups().cloned().collect();
        let in_schema: HashSet<EntityUid> = schema
            .actions()
            .filter(|uid| !groups.contains(uid))
            .cloned()
            .collect();
        let in_code: HashSet<EntityUid> = Action::all().map(Action::uid).collect();
        assert_eq!(in_schema, in_code);
        for group in [CONNECT, CALL, SERVER_REQUEST] {
            let uid = names::uid(names::Kind::Action, group);
            let entities = schema.action_entities().unwrap();
            let members: HashSet<EntityUid> = in_schema
                .iter()
                .filter(|action| entities.is_ancestor_of(&uid, action))
                .cloned()
                .collect();
            let named: HashSet<EntityUid> =
                Action::named(group).into_iter().map(Action::uid).collect();
            assert_eq!(members, named, "{group}");
        }
    }

    #[test]
    fn paths_cannot_break_out_of_the_schema() {
        for path in [
            "a",
            "transfer.amount",
            "a\"}; entity X; //",
            "\\",
            "ünï",
            "if",
            "a b",
        ] {
            assert!(with_arguments([path]).is_ok(), "{path}");
        }
    }
}
