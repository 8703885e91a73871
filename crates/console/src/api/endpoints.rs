//! Every route, once: the router and the description of the API are made of this, so that neither has what the other lacks.

use axum::{
    extract::{DefaultBodyLimit, Path, State, rejection::BytesRejection},
    routing::{MethodRouter, delete, get, patch, post, put},
};
use bytes::Bytes;
use gatewright_core::AdminVerb;
use http::Method;

use super::{
    Console, apply, audit,
    collection::{COLLECTIONS, Changes, Collection, TENANT},
    conditions::Conditions,
    credentials, keys, master_key, members, openapi,
    page::Asked,
    policies, records, scim_tokens, status, tenants,
};
use crate::caller::Caller;

/// Policies are texts, and many.
const LARGEST_POLICIES: usize = 4 << 20;

/// One route.
pub(crate) struct Endpoint {
    pub(crate) method: Method,
    /// Under `/api/v1`.
    pub(crate) path: String,
    pub(crate) summary: String,
    /// The action that the policy engine is asked about; the first of several.
    pub(crate) verb: Option<AdminVerb>,
    /// Parameters of the query, besides those of a page.
    pub(crate) query: Vec<&'static str>,
    /// What it takes and answers.
    pub(crate) takes: Option<&'static str>,
    pub(crate) answers: Answers,
    /// Whether it takes conditions on what there is.
    pub(crate) is_conditional: bool,
    pub(crate) router: MethodRouter<Console>,
}

/// What a route answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    /// Nothing.
    Nothing,
    /// One thing, by the name of its schema.
    One(&'static str),
    /// One thing that it made.
    Made(&'static str),
    /// A page of things.
    Page(&'static str),
    /// Lines of JSON.
    Lines,
}

impl Endpoint {
    fn new(
        method: Method,
        path: impl Into<String>,
        verb: Option<AdminVerb>,
        summary: impl Into<String>,
        router: MethodRouter<Console>,
    ) -> Self {
        Self {
            method,
            path: path.into(),
            summary: summary.into(),
            verb,
            query: Vec::new(),
            takes: None,
            answers: Answers::Nothing,
            is_conditional: false,
            router,
        }
    }

    const fn takes(mut self, schema: &'static str) -> Self {
        self.takes = Some(schema);
        self
    }

    const fn answers(mut self, answers: Answers) -> Self {
        self.answers = answers;
        self
    }

    fn asks(mut self, query: &[&'static str]) -> Self {
        self.query = query.to_vec();
        self
    }

    const fn conditional(mut self) -> Self {
        self.is_conditional = true;
        self
    }
}

/// All of them.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    let mut all = of_installation();
    all.extend(of_tenants());
    for collection in COLLECTIONS {
        all.extend(of_collection(collection));
    }
    all.extend(of_groups());
    all.extend(of_policies());
    all.extend(of_holdings());
    all
}

fn of_installation() -> Vec<Endpoint> {
    use AdminVerb as V;
    vec![
        Endpoint::new(
            Method::GET,
            "/openapi.json",
            None,
            "Describes this API",
            get(openapi::show),
        )
        .answers(Answers::One("OpenApi")),
        Endpoint::new(
            Method::GET,
            "/status",
            Some(V::SystemRead),
            "Says what is served",
            get(status),
        )
        .answers(Answers::One("Status")),
        Endpoint::new(
            Method::POST,
            "/apply",
            Some(V::SettingsWrite),
            "Makes tenants as a file has them, or says what that would come to",
            post(apply::apply).layer(DefaultBodyLimit::max(apply::LARGEST)),
        )
        .asks(&["plan"])
        .takes("File")
        .answers(Answers::One("Applied")),
        Endpoint::new(
            Method::POST,
            "/master-key/rotate",
            Some(V::SystemWrite),
            "Makes a master key, and seals under it what was sealed under older ones",
            post(master_key::rotate),
        )
        .answers(Answers::One("Rotated")),
        Endpoint::new(
            Method::GET,
            "/audit/records",
            Some(V::AuditRead),
            "The latest records of the audit log, and those that come",
            get(audit::records),
        )
        .asks(&[
            "tenant",
            "since",
            "until",
            "principal",
            "reference",
            "count",
            "follow",
        ])
        .answers(Answers::Lines),
    ]
}

fn of_tenants() -> Vec<Endpoint> {
    use AdminVerb as V;
    let one = |method, verb, summary: &str, router| {
        Endpoint::new(method, "/tenants/{tenant}", Some(verb), summary, router)
            .answers(Answers::One("Tenant"))
            .conditional()
    };
    vec![
        Endpoint::new(
            Method::GET,
            "/tenants",
            Some(V::MetadataRead),
            "Lists tenants",
            get(tenants::list),
        )
        .answers(Answers::Page("Tenant")),
        Endpoint::new(
            Method::POST,
            "/tenants",
            Some(V::TenantsWrite),
            "Makes a tenant",
            post(tenants::create),
        )
        .takes("Tenant")
        .answers(Answers::Made("Tenant")),
        Endpoint::new(
            Method::GET,
            "/tenants/{tenant}",
            Some(V::MetadataRead),
            "Shows the settings of a tenant",
            get(
                async |State(console), caller: Caller, Path(tenant): Path<String>| {
                    records::read(console, &TENANT, caller, tenant.clone(), tenant).await
                },
            ),
        )
        .answers(Answers::One("Tenant")),
        one(
            Method::PUT,
            V::SettingsWrite,
            "Puts the settings of a tenant",
            put(
                async |State(console),
                       caller: Caller,
                       Path(tenant): Path<String>,
                       conditions: Conditions,
                       body: Result<Bytes, BytesRejection>| {
                    let place = (tenant.clone(), tenant);
                    records::put(console, &TENANT, caller, place, conditions, body).await
                },
            ),
        )
        .takes("Tenant"),
        one(
            Method::PATCH,
            V::SettingsWrite,
            "Changes settings of a tenant",
            patch(
                async |State(console),
                       caller: Caller,
                       Path(tenant): Path<String>,
                       conditions: Conditions,
                       body: Result<Bytes, BytesRejection>| {
                    let place = (tenant.clone(), tenant);
                    records::patch(console, &TENANT, caller, place, conditions, body).await
                },
            ),
        )
        .takes("Tenant"),
    ]
}

/// Who writes things of a kind asks for this, and for more where others get something by it.
const fn write_verb(collection: &Collection) -> AdminVerb {
    use gatewright_directory::records::Kind;
    match collection.kind {
        Kind::User => AdminVerb::UsersWrite,
        Kind::Group => AdminVerb::GroupsWrite,
        Kind::Agent => AdminVerb::AgentsWrite,
        Kind::Role => AdminVerb::RolesWrite,
        Kind::Grant => AdminVerb::GrantsWrite,
        Kind::Server | Kind::VirtualServer => AdminVerb::ServersWrite,
        Kind::Issuer => AdminVerb::IssuersWrite,
        Kind::ScimToken => AdminVerb::ScimTokensWrite,
        _ => AdminVerb::SettingsWrite,
    }
}

const fn remove_verb(collection: &Collection) -> AdminVerb {
    use gatewright_directory::records::Kind;
    match collection.kind {
        Kind::User => AdminVerb::UsersRemove,
        Kind::Agent => AdminVerb::AgentsRemove,
        Kind::Role => AdminVerb::RolesRemove,
        Kind::Grant => AdminVerb::GrantsRemove,
        Kind::Server | Kind::VirtualServer => AdminVerb::ServersRemove,
        _ => write_verb(collection),
    }
}

fn of_collection(collection: &'static Collection) -> Vec<Endpoint> {
    let all = format!("/tenants/{{tenant}}/{}", collection.segment);
    let one = format!("{all}/{{id}}");
    let read = Some(crate::authority::read_verb(collection.kind));
    let (schema, called) = (collection.schema, collection.one);
    let mut endpoints = vec![
        Endpoint::new(
            Method::GET,
            &all,
            read,
            format!("Lists {}", collection.segment),
            get(
                async move |State(console),
                            caller: Caller,
                            Path(tenant): Path<String>,
                            asked: Asked| {
                    records::list(console, collection, caller, tenant, asked).await
                },
            ),
        )
        .asks(collection.filters)
        .answers(Answers::Page(schema)),
        Endpoint::new(
            Method::GET,
            &one,
            read,
            format!("Shows {called}"),
            get(
                async move |State(console),
                            caller: Caller,
                            Path((tenant, id)): Path<(String, String)>| {
                    records::read(console, collection, caller, tenant, id).await
                },
            ),
        )
        .answers(Answers::One(schema)),
    ];
    if collection.changes != Changes::ReadOnly {
        endpoints.push(
            Endpoint::new(
                Method::DELETE,
                &one,
                Some(remove_verb(collection)),
                format!("Removes {called}, with what is nothing without it"),
                delete(
                    async move |State(console),
                                caller: Caller,
                                Path(place): Path<(String, String)>,
                                conditions: Conditions| {
                        records::remove(console, collection, caller, place, conditions).await
                    },
                ),
            )
            .answers(Answers::One("Removed"))
            .conditional(),
        );
    }
    if matches!(collection.changes, Changes::MakesIds | Changes::Named) {
        endpoints.extend(changing(collection, &all, &one));
    }
    if collection.changes == Changes::RemovesOnly {
        endpoints.push(
            Endpoint::new(
                Method::POST,
                &all,
                Some(write_verb(collection)),
                "Makes a token for SCIM, and shows its text this once",
                post(scim_tokens::create),
            )
            .takes("NewScimToken")
            .answers(Answers::Made("NewScimToken")),
        );
    }
    endpoints
}

fn changing(collection: &'static Collection, all: &str, one: &str) -> [Endpoint; 3] {
    let verb = Some(write_verb(collection));
    let (schema, called) = (collection.schema, collection.one);
    [
        Endpoint::new(
            Method::POST,
            all,
            verb,
            format!("Makes {called}"),
            post(
                async move |State(console),
                            caller: Caller,
                            Path(tenant): Path<String>,
                            body: Result<Bytes, BytesRejection>| {
                    records::create(console, collection, caller, tenant, body).await
                },
            ),
        )
        .takes(schema)
        .answers(Answers::Made(schema)),
        Endpoint::new(
            Method::PUT,
            one,
            verb,
            format!("Puts {called} in the place of what there is of this id"),
            put(
                async move |State(console),
                            caller: Caller,
                            Path(place): Path<(String, String)>,
                            conditions: Conditions,
                            body: Result<Bytes, BytesRejection>| {
                    records::put(console, collection, caller, place, conditions, body).await
                },
            ),
        )
        .takes(schema)
        .answers(Answers::One(schema))
        .conditional(),
        Endpoint::new(
            Method::PATCH,
            one,
            verb,
            format!("Changes {called} by a merge patch"),
            patch(
                async move |State(console),
                            caller: Caller,
                            Path(place): Path<(String, String)>,
                            conditions: Conditions,
                            body: Result<Bytes, BytesRejection>| {
                    records::patch(console, collection, caller, place, conditions, body).await
                },
            ),
        )
        .takes(schema)
        .answers(Answers::One(schema))
        .conditional(),
    ]
}

fn of_groups() -> Vec<Endpoint> {
    use AdminVerb as V;
    let members = "/tenants/{tenant}/groups/{id}/members";
    let member = format!("{members}/{{kind}}/{{member}}");
    let mut endpoints = vec![
        Endpoint::new(
            Method::GET,
            members,
            Some(V::DirectoryRead),
            "Lists who is in a group",
            get(members::list),
        )
        .answers(Answers::Page("Member")),
        Endpoint::new(
            Method::PUT,
            &member,
            Some(V::MembersWrite),
            "Puts somebody into a group; `kind` is `users`, `groups` or `agents`",
            put(members::put),
        ),
        Endpoint::new(
            Method::DELETE,
            &member,
            Some(V::MembersRemove),
            "Takes somebody out of a group",
            delete(members::remove),
        ),
    ];
    for collection in COLLECTIONS.into_iter().filter(|one| one.is_in_groups()) {
        endpoints.push(
            Endpoint::new(
                Method::GET,
                format!("/tenants/{{tenant}}/{}/{{id}}/groups", collection.segment),
                Some(V::DirectoryRead),
                format!("Lists the groups that {} is in", collection.one),
                get(
                    async move |State(console),
                                caller: Caller,
                                Path((tenant, id)): Path<(String, String)>| {
                        records::groups(console, collection, caller, tenant, id).await
                    },
                ),
            )
            .answers(Answers::Page("GroupOf")),
        );
    }
    endpoints
}

fn of_policies() -> Vec<Endpoint> {
    use AdminVerb as V;
    let at = |path: &str| format!("/tenants/{{tenant}}/policies/{path}");
    let read = Some(V::MetadataRead);
    let one = Answers::One("Policies");
    vec![
        Endpoint::new(
            Method::GET,
            at("draft"),
            read,
            "Shows the draft",
            get(policies::draft),
        )
        .answers(one),
        Endpoint::new(
            Method::PUT,
            at("draft"),
            Some(V::PoliciesWrite),
            "Puts a draft in the place of what was drafted",
            put(policies::put_draft).layer(DefaultBodyLimit::max(LARGEST_POLICIES)),
        )
        .takes("PoliciesDraft")
        .answers(one)
        .conditional(),
        Endpoint::new(
            Method::DELETE,
            at("draft"),
            Some(V::PoliciesWrite),
            "Throws the draft away",
            delete(policies::remove_draft),
        ),
        Endpoint::new(
            Method::GET,
            at("draft/check"),
            read,
            "Says whether the draft could be published",
            get(policies::check),
        )
        .answers(Answers::One("PoliciesCheck")),
        Endpoint::new(
            Method::GET,
            at("draft/diff"),
            read,
            "Says what publishing the draft changes in the texts",
            get(policies::diff),
        )
        .answers(Answers::One("PoliciesDiff")),
        Endpoint::new(
            Method::POST,
            at("publish"),
            Some(V::PoliciesPublish),
            "Puts the draft in force, as a new version",
            post(policies::publish),
        )
        .takes("PublishNote")
        .answers(one),
        Endpoint::new(
            Method::GET,
            at("published"),
            read,
            "Shows what is in force",
            get(policies::published),
        )
        .answers(one),
        Endpoint::new(
            Method::GET,
            at("versions"),
            read,
            "Lists what was published, the latest first",
            get(policies::versions),
        )
        .answers(Answers::Page("PoliciesVersion")),
        Endpoint::new(
            Method::GET,
            at("versions/{id}"),
            read,
            "Shows a version",
            get(policies::version),
        )
        .answers(one),
        Endpoint::new(
            Method::POST,
            at("revert/{id}"),
            Some(V::PoliciesPublish),
            "Puts an earlier version in force again, as a new one",
            post(policies::revert),
        )
        .answers(one),
    ]
}

fn of_holdings() -> Vec<Endpoint> {
    use AdminVerb as V;
    let credential = "/tenants/{tenant}/credentials/{server}/{owner}";
    let keys = "/tenants/{tenant}/keys";
    vec![
        Endpoint::new(
            Method::GET,
            "/tenants/{tenant}/credentials",
            Some(V::MetadataRead),
            "Lists stored credentials, without their secrets",
            get(credentials::list),
        )
        .answers(Answers::One("Credentials")),
        Endpoint::new(
            Method::PUT,
            credential,
            Some(V::CredentialsWrite),
            "Stores a credential",
            put(credentials::put),
        )
        .takes("Secret")
        .answers(Answers::One("Credential")),
        Endpoint::new(
            Method::DELETE,
            credential,
            Some(V::CredentialsRemove),
            "Removes a stored credential",
            delete(credentials::remove),
        ),
        Endpoint::new(
            Method::GET,
            keys,
            Some(V::MetadataRead),
            "Lists API keys",
            get(keys::list),
        )
        .answers(Answers::One("Keys")),
        Endpoint::new(
            Method::POST,
            keys,
            Some(V::KeysWrite),
            "Makes an API key, and shows its text this once",
            post(keys::create),
        )
        .takes("NewKey")
        .answers(Answers::Made("NewKey")),
        Endpoint::new(
            Method::DELETE,
            format!("{keys}/{{id}}"),
            Some(V::KeysRemove),
            "Revokes an API key",
            delete(keys::revoke),
        ),
        Endpoint::new(
            Method::POST,
            format!("{keys}/purge"),
            Some(V::KeysRemove),
            "Forgets the API keys that have ended",
            post(keys::purge),
        )
        .answers(Answers::One("Purged")),
    ]
}

impl Collection {
    const fn is_in_groups(&self) -> bool {
        use gatewright_directory::records::Kind;
        matches!(self.kind, Kind::User | Kind::Agent | Kind::Group)
    }
}
