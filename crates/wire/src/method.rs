//! Every method of the protocol, both directions and both eras.

use crate::version::Era;

/// Who sends a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// The MCP client.
    Client,
    /// The MCP server.
    Server,
}

/// Whether a method expects an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// Has an id and is answered.
    Request,
    /// Has no id and is not answered.
    Notification,
}

/// The eras that have a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Eras {
    /// 2025-11-25 and earlier.
    Legacy,
    /// 2026-07-28 and later.
    Modern,
    /// Both.
    Both,
}

impl Eras {
    /// Whether `era` is among them.
    #[must_use]
    pub const fn has(self, era: Era) -> bool {
        matches!(
            (self, era),
            (Self::Both, _) | (Self::Legacy, Era::Legacy) | (Self::Modern, Era::Modern)
        )
    }
}

/// What a message's target names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A tool, by name.
    Tool,
    /// A prompt, by name.
    Prompt,
    /// A resource, by URI; in `completion/complete` also a URI template.
    Resource,
    /// A task, by id.
    Task,
    /// Nothing in particular.
    None,
}

/// Where in `params` the target stands. A method that has one requires it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetField {
    /// There is none.
    None,
    /// `params.name`.
    Name,
    /// `params.uri`.
    Uri,
    /// `params.ref`, an object of `type` `ref/prompt` with a `name` or `ref/resource` with a `uri`.
    Ref,
    /// `params.taskId`.
    TaskId,
}

/// What a list method lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ItemKind {
    /// `tools/list`.
    Tool,
    /// `prompts/list`.
    Prompt,
    /// `resources/list`.
    Resource,
    /// `resources/templates/list`.
    ResourceTemplate,
}

impl ItemKind {
    /// The member of the result that holds the items.
    #[must_use]
    pub const fn result_field(self) -> &'static str {
        match self {
            Self::Tool => "tools",
            Self::Prompt => "prompts",
            Self::Resource => "resources",
            Self::ResourceTemplate => "resourceTemplates",
        }
    }

    /// The member of an item that other methods name it by.
    #[must_use]
    pub const fn name_field(self) -> &'static str {
        match self {
            Self::Tool | Self::Prompt => "name",
            Self::Resource => "uri",
            Self::ResourceTemplate => "uriTemplate",
        }
    }
}

/// What is known of one method, sent by one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodInfo {
    /// The method.
    pub name: &'static str,
    /// Who sends it.
    pub from: Peer,
    /// Request or notification.
    pub form: Form,
    /// The eras that have it.
    pub eras: Eras,
    /// Where its target stands.
    pub target: TargetField,
    /// What its target names. `completion/complete` says [`Subject::None`] here: its `ref` decides.
    pub subject: Subject,
    /// What its result lists.
    pub lists: Option<ItemKind>,
    /// Whether 2026-07-28 requires its target in the `Mcp-Name` header.
    pub named_in_header: bool,
}

/// The method of this name as sent by this peer, if the protocol has it in any era.
#[must_use]
pub fn method(name: &str, from: Peer) -> Option<&'static MethodInfo> {
    METHODS
        .iter()
        .find(|info| info.from == from && info.name == name)
}

const fn request(name: &'static str, from: Peer, eras: Eras) -> MethodInfo {
    MethodInfo {
        name,
        from,
        form: Form::Request,
        eras,
        target: TargetField::None,
        subject: Subject::None,
        lists: None,
        named_in_header: false,
    }
}

const fn notification(name: &'static str, from: Peer, eras: Eras) -> MethodInfo {
    MethodInfo {
        form: Form::Notification,
        ..request(name, from, eras)
    }
}

impl MethodInfo {
    const fn on(self, target: TargetField, subject: Subject) -> Self {
        Self {
            target,
            subject,
            ..self
        }
    }

    const fn listing(self, kind: ItemKind) -> Self {
        Self {
            lists: Some(kind),
            ..self
        }
    }

    const fn in_header(self) -> Self {
        Self {
            named_in_header: true,
            ..self
        }
    }
}

/// Every known method.
pub const METHODS: &[MethodInfo] = {
    use Eras::{Both, Legacy, Modern};
    use Peer::{Client, Server};
    use TargetField::{Name, Ref, TaskId, Uri};
    &[
        // The hot ones first: the table is searched in order.
        request("tools/call", Client, Both)
            .on(Name, Subject::Tool)
            .in_header(),
        request("tools/list", Client, Both).listing(ItemKind::Tool),
        request("resources/read", Client, Both)
            .on(Uri, Subject::Resource)
            .in_header(),
        request("prompts/get", Client, Both)
            .on(Name, Subject::Prompt)
            .in_header(),
        request("resources/list", Client, Both).listing(ItemKind::Resource),
        request("resources/templates/list", Client, Both).listing(ItemKind::ResourceTemplate),
        request("prompts/list", Client, Both).listing(ItemKind::Prompt),
        request("completion/complete", Client, Both).on(Ref, Subject::None),
        request("server/discover", Client, Modern),
        request("subscriptions/listen", Client, Modern),
        request("tasks/get", Client, Both)
            .on(TaskId, Subject::Task)
            .in_header(),
        request("tasks/update", Client, Modern)
            .on(TaskId, Subject::Task)
            .in_header(),
        request("tasks/cancel", Client, Both)
            .on(TaskId, Subject::Task)
            .in_header(),
        request("tasks/result", Client, Legacy).on(TaskId, Subject::Task),
        request("tasks/list", Client, Legacy),
        request("initialize", Client, Legacy),
        request("ping", Client, Legacy),
        request("logging/setLevel", Client, Legacy),
        request("resources/subscribe", Client, Legacy).on(Uri, Subject::Resource),
        request("resources/unsubscribe", Client, Legacy).on(Uri, Subject::Resource),
        notification("notifications/initialized", Client, Legacy),
        notification("notifications/cancelled", Client, Both),
        notification("notifications/progress", Client, Legacy),
        notification("notifications/roots/list_changed", Client, Legacy),
        notification("notifications/tasks/status", Client, Legacy),
        request("sampling/createMessage", Server, Legacy),
        request("elicitation/create", Server, Legacy),
        request("roots/list", Server, Legacy),
        request("ping", Server, Legacy),
        // 2025-11-25 lets a client host tasks of sampling and elicitation.
        request("tasks/get", Server, Legacy).on(TaskId, Subject::Task),
        request("tasks/result", Server, Legacy).on(TaskId, Subject::Task),
        request("tasks/list", Server, Legacy),
        request("tasks/cancel", Server, Legacy).on(TaskId, Subject::Task),
        notification("notifications/progress", Server, Both),
        notification("notifications/message", Server, Both),
        notification("notifications/cancelled", Server, Both),
        notification("notifications/tools/list_changed", Server, Both),
        notification("notifications/prompts/list_changed", Server, Both),
        notification("notifications/resources/list_changed", Server, Both),
        notification("notifications/resources/updated", Server, Both).on(Uri, Subject::Resource),
        notification("notifications/subscriptions/acknowledged", Server, Modern),
        notification("notifications/elicitation/complete", Server, Legacy),
        notification("notifications/tasks", Server, Modern),
        notification("notifications/tasks/status", Server, Legacy),
    ]
};

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_method_appears_once_per_sender() {
        let all: HashSet<_> = METHODS.iter().map(|info| (info.name, info.from)).collect();
        assert_eq!(all.len(), METHODS.len());
    }

    #[test]
    fn notifications_are_named_so() {
        for info in METHODS {
            let named = info.name.starts_with("notifications/");
            assert_eq!(named, info.form == Form::Notification, "{}", info.name);
        }
    }

    #[test]
    fn a_method_belongs_to_its_sender() {
        assert!(method("tools/call", Peer::Client).is_some());
        assert!(method("tools/call", Peer::Server).is_none());
        assert!(method("sampling/createMessage", Peer::Client).is_none());
        assert!(method("ping", Peer::Client).is_some() && method("ping", Peer::Server).is_some());
    }

    #[test]
    fn methods_that_conformance_wants_gone_are_legacy_only() {
        for name in [
            "initialize",
            "ping",
            "logging/setLevel",
            "resources/subscribe",
            "resources/unsubscribe",
        ] {
            let info = method(name, Peer::Client).unwrap();
            assert!(!info.eras.has(Era::Modern), "{name}");
        }
    }
}
