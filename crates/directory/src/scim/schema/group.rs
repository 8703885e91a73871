//! Groups (RFC 7643 §4.2).

use super::{Attribute, ResourceType, Schema};

/// How many members one request can name.
const MOST_MEMBERS: usize = 100_000;

const MEMBERS: &[Attribute] = &[
    Attribute::text("value", "The id of the member.")
        .exact()
        .immutable()
        .required(),
    Attribute::reference(
        "$ref",
        &["User", "Group", "Agent"],
        "The URI of the member.",
    )
    .immutable(),
    Attribute::text("type", "What the member is.")
        .immutable()
        .canonical(&["User", "Group", "Agent"]),
];

static SCHEMA: Schema = Schema {
    id: "urn:ietf:params:scim:schemas:core:2.0:Group",
    name: "Group",
    description: "A group",
    attributes: &[
        Attribute::text("displayName", "The name of the group.")
            .required()
            .unique()
            .at_most(256),
        Attribute::list("members", MEMBERS, "Who is in the group.").at_most(MOST_MEMBERS),
    ],
};

/// Groups.
pub static GROUP: ResourceType = ResourceType {
    name: "Group",
    endpoint: "/Groups",
    description: "A group",
    schema: &SCHEMA,
    extensions: &[],
};
