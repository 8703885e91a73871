//! Ids of entities. Whatever a caller or a server chose goes into an id as it is: ids are values here, never
//! policy text, so nothing in them can be mistaken for syntax.

use std::sync::LazyLock;

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use gatewright_core::{Group, ServerName, Subject};

/// Types of entities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Action,
    Group,
    Role,
    User,
    Agent,
    Server,
    Tool,
    Prompt,
    Resource,
    AdminAction,
    AdminGroup,
    AdminRole,
    AdminUser,
    AdminAgent,
    Thing,
}

const KINDS: [Kind; 15] = [
    Kind::Action,
    Kind::Group,
    Kind::Role,
    Kind::User,
    Kind::Agent,
    Kind::Server,
    Kind::Tool,
    Kind::Prompt,
    Kind::Resource,
    Kind::AdminAction,
    Kind::AdminGroup,
    Kind::AdminRole,
    Kind::AdminUser,
    Kind::AdminAgent,
    Kind::Thing,
];

impl Kind {
    /// The name in the schema.
    pub(crate) const fn type_name(self) -> &'static str {
        match self {
            Self::Action => "Gatewright::Action",
            Self::Group => "Gatewright::Group",
            Self::Role => "Gatewright::Role",
            Self::User => "Gatewright::User",
            Self::Agent => "Gatewright::Agent",
            Self::Server => "Gatewright::Server",
            Self::Tool => "Gatewright::Tool",
            Self::Prompt => "Gatewright::Prompt",
            Self::Resource => "Gatewright::Resource",
            Self::AdminAction => "GatewrightAdmin::Action",
            Self::AdminGroup => "GatewrightAdmin::Group",
            Self::AdminRole => "GatewrightAdmin::Role",
            Self::AdminUser => "GatewrightAdmin::User",
            Self::AdminAgent => "GatewrightAdmin::Agent",
            Self::Thing => "GatewrightAdmin::Thing",
        }
    }
}

static TYPES: LazyLock<[EntityTypeName; 15]> = LazyLock::new(|| {
    KINDS.map(|kind| {
        #[expect(clippy::expect_used, reason = "constants, each made by every test")]
        kind.type_name().parse().expect("a type name of the schema")
    })
});

/// An entity of this type and id.
pub(crate) fn uid(kind: Kind, id: &str) -> EntityUid {
    #[expect(clippy::indexing_slicing, reason = "one entry per variant, in order")]
    let name = TYPES[kind as usize].clone();
    EntityUid::from_type_name_and_id(name, EntityId::new(id))
}

/// `server/name`. Names of servers hold no `/`, so it reads one way only.
pub(crate) fn item(kind: Kind, server: &ServerName, name: &str) -> EntityUid {
    uid(kind, &format!("{server}/{name}"))
}

pub(crate) fn server(name: &ServerName) -> EntityUid {
    uid(Kind::Server, name.as_str())
}

/// `issuer|name`; `None` when the issuer holds a `|`, since then two parties could share an id.
pub(crate) fn group(group: &Group) -> Option<EntityUid> {
    group_as(Kind::Group, group)
}

/// See [`group`].
pub(crate) fn group_as(kind: Kind, group: &Group) -> Option<EntityUid> {
    plain(group.issuer()).then(|| uid(kind, &group.to_string()))
}

/// See [`group`].
pub(crate) fn subject(kind: Kind, subject: &Subject) -> Option<EntityUid> {
    plain(subject.issuer()).then(|| uid(kind, &subject.to_string()))
}

fn plain(issuer: &str) -> bool {
    !issuer.contains('|')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_its_own_name() {
        for kind in KINDS {
            assert_eq!(uid(kind, "x").type_name().to_string(), kind.type_name());
        }
    }

    #[test]
    fn ids_keep_every_character() {
        let server = ServerName::new("s").unwrap();
        for name in [
            r#""]"#,
            r"\",
            r#"x" || true || "#,
            "é\u{202e}\u{0}",
            "a/b",
            "",
            "*",
        ] {
            let uid = item(Kind::Tool, &server, name);
            assert_eq!(uid.id().unescaped(), format!("s/{name}"));
            // The text form, where somebody prints it, reads back as the same id.
            assert_eq!(uid.to_string().parse::<EntityUid>().unwrap(), uid, "{name}");
        }
    }

    #[test]
    fn parties_of_two_issuers_never_share_an_id() {
        assert_ne!(group(&Group::new("a", "x")), group(&Group::new("b", "x")));
        assert_eq!(group(&Group::new("a|b", "c")), None);
        assert_eq!(
            group(&Group::new("a", "b|c")).unwrap().id().unescaped(),
            "a|b|c",
            "the first `|` ends the issuer"
        );
        let ann = Subject::new("a", "x");
        assert_ne!(subject(Kind::User, &ann), subject(Kind::Agent, &ann));
    }
}
