//! What the directory has of a tenant, ready to be served. It is read by the rules that a file is read by.

use std::{collections::BTreeMap, sync::Arc};

use gatewright_core::{
    Group, ServerName, TenantId, Timestamp,
    access::{Grant, Grantee, Scope},
};
use gatewright_directory::{
    TenantSettings,
    model::{self, Holder, Over},
};
use gatewright_policy_cedar::{CedarEngine, Grants};
use serde_json::{Value, json};

use super::{
    LoadConfigError, Problems, Settings, Table, Tenant, access::Given, parse, reader::Reader,
};

/// A tenant of the directory, and its engine over these grants.
///
/// # Errors
/// [`LoadConfigError`] names what cannot be served.
pub(crate) fn served(
    id: &TenantId,
    stored: &TenantSettings,
    grants: Grants,
    settings: &Settings,
) -> Result<(Tenant, CedarEngine), LoadConfigError> {
    let text = text_of(stored);
    let file = settings.data_dir.join(format!("tenant {id}"));
    let mut problems = Problems::new(&file, &text);
    let root = parse(&text, &mut problems);
    let mut reader = Reader::new(settings, &file, stored.revision.0, &mut problems);
    let read = reader.stored(id, stored, Table::root(&root), grants);
    problems.end(read)
}

impl<'t> Reader<'_, 't> {
    fn stored(
        &mut self,
        id: &TenantId,
        stored: &TenantSettings,
        mut table: Table<'_, 't>,
        grants: Grants,
    ) -> Option<(Tenant, CedarEngine)> {
        let issuers = self.issuers(&mut table);
        let servers = self.servers(&mut table);
        let roles = self.roles(&mut table, &servers);
        table.end(self.problems);
        let nothing = BTreeMap::new();
        let files = stored.policies.get(model::Policies::PUBLISHED);
        let files = files.map_or(&nothing, |policies| &policies.files);
        let engine = self.engine(id, &roles, Given::Directory(grants, files), None, &servers)?;
        let tenant = Tenant {
            id: id.clone(),
            people_keys: stored.tenant.api_keys_for_people,
            issuers,
            servers: servers
                .into_iter()
                .filter(|server| !server.disabled)
                .collect(),
            roles: roles.into_iter().map(|placed| placed.role).collect(),
            grants: Vec::new(),
        };
        Some((tenant, engine))
    }
}

/// The tenant as a file would have it.
fn text_of(stored: &TenantSettings) -> String {
    let servers = stored.servers.iter().map(|(name, server)| {
        let mut document = model::Document::Server(server.clone()).to_value();
        if let Value::Object(members) = &mut document {
            members.insert("name".to_owned(), json!(&**name));
        }
        document
    });
    let issuers = stored.issuers.values();
    let issuers = issuers.map(|issuer| model::Document::Issuer(issuer.clone()).to_value());
    let roles = stored.roles.values();
    let roles = roles.map(|role| model::Document::Role(role.clone()).to_value());
    let whole = json!({
        "issuers": issuers.collect::<Vec<_>>(),
        "servers": servers.collect::<Vec<_>>(),
        "roles": roles.collect::<Vec<_>>(),
    });
    // TOML has no null, and no number beyond 64 bits; what it cannot say, no document can say either.
    toml::to_string(&without_nulls(whole)).unwrap_or_else(|error| format!("# {error}\n!"))
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Array(all) => all
            .into_iter()
            .filter(|value| !value.is_null())
            .map(without_nulls)
            .collect(),
        Value::Object(all) => all
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect(),
        value => value,
    }
}

/// A grant of the directory, as engines know it. None where it is limited to what this version does not know: it gives nothing
/// rather than more than it should.
pub(crate) fn grant(grant: &model::Grant) -> Option<Grant> {
    let over = match &grant.over {
        None => None,
        Some(Over::Server(server)) => Some(Scope::Server(ServerName::new(server).ok()?)),
        Some(Over::Group(group)) => Some(Scope::Group(Group::new(Group::DIRECTORY, group))),
        Some(_) => return None,
    };
    Some(Grant {
        role: grant.role.clone(),
        to: grantee(&grant.to)?,
        expires: grant.expires.map(Timestamp::from_millis),
        reason: grant.reason.clone(),
        over,
    })
}

/// Who has a grant of the directory, as engines know them, if this version knows such.
pub(crate) fn grantee(holder: &Holder) -> Option<Grantee> {
    let account = |side: &str, id: &str| Grantee::Account(Arc::from(format!("{side}/{id}")));
    Some(match holder {
        Holder::User(id) => account("user", id),
        Holder::Agent(id) => account("agent", id),
        Holder::Group(id) => Grantee::Group(Group::new(Group::DIRECTORY, id)),
        Holder::ClaimedGroup { issuer, name } => Grantee::Group(Group::new(issuer, name)),
        _ => return None,
    })
}
