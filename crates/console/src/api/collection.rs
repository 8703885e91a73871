//! What there is of each kind, and what may be done with it.

use gatewright_directory::records::Kind;

/// Things of one kind, under one path.
#[derive(Debug)]
pub(crate) struct Collection {
    /// In paths.
    pub(crate) segment: &'static str,
    pub(crate) kind: Kind,
    /// Its schema in the description of the API.
    pub(crate) schema: &'static str,
    /// By what one is found without reading all; one at a time.
    pub(crate) filters: &'static [&'static str],
    /// Members that are milliseconds in what is stored and moments in the API.
    pub(crate) moments: &'static [&'static [&'static str]],
    /// Members that are never shown.
    pub(crate) untold: &'static [&'static str],
    pub(crate) changes: Changes,
    /// What the log calls that one is put, changed, and removed.
    pub(crate) put: &'static str,
    pub(crate) remove: &'static str,
    /// For people: one of them.
    pub(crate) one: &'static str,
}

/// What is changed through the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changes {
    /// Everything. Ids are made where none are given.
    MakesIds,
    /// Everything; the id is a name that people give.
    Named,
    /// They are made by routes of their own, and taken away.
    RemovesOnly,
    /// Nothing.
    ReadOnly,
}

macro_rules! collection {
    ($name:ident: $segment:literal, $kind:ident, $schema:literal, $changes:ident, $one:literal {
        filters: $filters:expr, moments: $moments:expr, untold: $untold:expr,
    }) => {
        static $name: Collection = Collection {
            segment: $segment,
            kind: Kind::$kind,
            schema: $schema,
            filters: &$filters,
            moments: &$moments,
            untold: &$untold,
            changes: Changes::$changes,
            put: concat!($segment, ".put"),
            remove: concat!($segment, ".remove"),
            one: $one,
        };
    };
}

collection!(USERS: "users", User, "User", MakesIds, "a person" {
    filters: ["user_name", "external_id", "identity"],
    moments: [&["disabled", "at"], &["invited", "expires"]],
    untold: [],
});
collection!(GROUPS: "groups", Group, "Group", MakesIds, "a group" {
    filters: ["display_name", "external_id"],
    moments: [],
    untold: [],
});
collection!(AGENTS: "agents", Agent, "Agent", MakesIds, "an agent" {
    filters: ["owner", "identity"],
    moments: [&["expires"]],
    untold: [],
});
collection!(ROLES: "roles", Role, "Role", Named, "a role" {
    filters: [],
    moments: [],
    untold: [],
});
collection!(GRANTS: "grants", Grant, "Grant", MakesIds, "a grant" {
    filters: ["user", "group", "agent"],
    moments: [&["expires"]],
    untold: [],
});
collection!(SERVERS: "servers", Server, "Server", Named, "a server" {
    filters: [],
    moments: [],
    untold: [],
});
collection!(VIRTUAL_SERVERS: "virtual-servers", VirtualServer, "VirtualServer", Named, "a virtual server" {
    filters: [],
    moments: [],
    untold: [],
});
collection!(ISSUERS: "issuers", Issuer, "Issuer", Named, "an issuer" {
    filters: [],
    moments: [],
    untold: [],
});
collection!(SCIM_TOKENS: "scim-tokens", ScimToken, "ScimToken", RemovesOnly, "a token for SCIM" {
    filters: [],
    moments: [&["created_at"], &["expires_at"]],
    untold: ["digest"],
});
collection!(RECEIPTS: "receipts", Receipt, "Receipt", ReadOnly, "a receipt" {
    filters: [],
    moments: [],
    untold: [],
});

/// The settings of a tenant, of which there is one.
pub(crate) static TENANT: Collection = Collection {
    segment: "tenants",
    kind: Kind::Tenant,
    schema: "Tenant",
    filters: &[],
    moments: &[],
    untold: &[],
    changes: Changes::Named,
    put: "tenant.put",
    remove: "tenant.remove",
    one: "a tenant",
};

/// All that are under a tenant.
pub(crate) static COLLECTIONS: [&Collection; 10] = [
    &USERS,
    &GROUPS,
    &AGENTS,
    &ROLES,
    &GRANTS,
    &SERVERS,
    &VIRTUAL_SERVERS,
    &ISSUERS,
    &SCIM_TOKENS,
    &RECEIPTS,
];

pub(crate) static TOKENS: &Collection = &SCIM_TOKENS;
