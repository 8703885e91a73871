//! Agents: principals that are no people. A schema of our own.

use super::{Attribute, ResourceType, Returned, Schema};

const OWNER: &[Attribute] = &[
    Attribute::text("value", "The id of the person.").exact(),
    Attribute::reference("$ref", &["User"], "The URI of the person."),
];

const CREDENTIALS: &[Attribute] = &[
    Attribute::text("value", "The id of the credential.")
        .exact()
        .read_only(),
    Attribute::text("type", "What kind of credential it is.")
        .read_only()
        .canonical(&["identity", "api-key"]),
    Attribute::text("issuer", "Who issues it, where somebody else does.")
        .exact()
        .read_only(),
    Attribute::text("display", "What people call it.").read_only(),
    Attribute::moment("created", "When it was made.").read_only(),
    Attribute::moment("expires", "From when on it is refused.").read_only(),
];

static SCHEMA: Schema = Schema {
    id: "urn:gatewright:scim:schemas:core:1.0:Agent",
    name: "Agent",
    description: "An agent: a principal that is no person",
    attributes: &[
        Attribute::text("name", "The name of the agent.")
            .required()
            .at_most(256),
        Attribute::complex(
            "owner",
            OWNER,
            "The person who answers for the agent; when she leaves, it is suspended.",
        ),
        Attribute::text("purpose", "What the agent is for.").at_most(256),
        Attribute::integer(
            "expires",
            "From when on the agent may do nothing, in seconds since 1970-01-01T00:00:00Z.",
        ),
        Attribute::flag("active", "Whether the agent may do anything.").required(),
        Attribute::list(
            "credentials",
            CREDENTIALS,
            "What of the agent's credentials is public.",
        )
        .read_only()
        .returned(Returned::Request),
    ],
};

/// Agents.
pub static AGENT: ResourceType = ResourceType {
    name: "Agent",
    endpoint: "/Agents",
    description: "An agent",
    schema: &SCHEMA,
    extensions: &[],
};
