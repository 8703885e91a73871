//! What rows of either database say, in the words of the crates that stored it.

use gatewright_core::{ServerName, Subject, TenantId, Timestamp, access::Pattern};
use gatewright_directory::records::{
    Changed, Kind, Position, Record, RecordsError as DirectoryError, Revision,
};
use gatewright_identity::{ApiKeyId, ApiKeyRecord, ApiKeysError, KeyHolder, KeyMac};
use gatewright_vault::{RecordKey, RecordsError, SealedRecord};

/// A row that none of our versions can have written.
#[derive(Debug, thiserror::Error)]
#[error("a row of `{table}` holds what this version cannot read: {what}")]
pub(crate) struct UnreadableRow {
    pub(crate) table: &'static str,
    pub(crate) what: &'static str,
}

/// `version, stored_at, envelope`
pub(crate) type SealedRow = (i64, i64, Vec<u8>);

/// `owner, server`, and the columns of a [`SealedRow`]
pub(crate) type PlacedRow = (String, String, i64, i64, Vec<u8>);

/// `id, name, holder, holder_issuer, holder_id, servers, created_at, expires_at, revoked_at, last_used_at, mac_key, mac`
pub(crate) type ApiKeyRow = (
    String,
    String,
    String,
    String,
    String,
    String,
    i64,
    i64,
    Option<i64>,
    Option<i64>,
    String,
    Vec<u8>,
);

pub(crate) fn sealed(
    (version, stored_at, envelope): SealedRow,
) -> Result<SealedRecord, RecordsError> {
    Ok(SealedRecord {
        version: sealed_version(version)?,
        stored_at: Timestamp::from_millis(stored_at),
        envelope,
    })
}

pub(crate) fn placed(
    (owner, server, version, stored_at, envelope): PlacedRow,
) -> Result<(RecordKey, SealedRecord), RecordsError> {
    let key = RecordKey {
        owner: owner.parse().map_err(|_none| no_sealed("an owner"))?,
        server: ServerName::new(&server).map_err(|_none| no_sealed("a server"))?,
    };
    Ok((key, sealed((version, stored_at, envelope))?))
}

/// The column `server` of somebody's records.
pub(crate) fn servers_of(names: Vec<String>) -> Result<Vec<ServerName>, RecordsError> {
    let servers = names.iter().map(|name| ServerName::new(name));
    servers
        .collect::<Result<_, _>>()
        .map_err(|_none| no_sealed("a server"))
}

pub(crate) fn sealed_version(signed: i64) -> Result<u64, RecordsError> {
    u64::try_from(signed).map_err(|_negative| no_sealed("a version"))
}

/// Neither database has numbers without a sign.
pub(crate) fn signed(version: u64) -> Result<i64, RecordsError> {
    i64::try_from(version).map_err(|_too_large| no_sealed("a version"))
}

fn no_sealed(what: &'static str) -> RecordsError {
    RecordsError::new(UnreadableRow {
        table: "sealed_records",
        what,
    })
}

pub(crate) fn api_key(row: ApiKeyRow) -> Result<ApiKeyRecord, ApiKeysError> {
    let (id, name, holder, issuer, subject, servers, created, expires, revoked, used, key, tag) =
        row;
    let subject = Subject::new(&issuer, &subject);
    let servers: Vec<Pattern> =
        serde_json::from_str(&servers).map_err(|_form| no_api_key("servers"))?;
    Ok(ApiKeyRecord {
        id: api_key_id(&id)?,
        name,
        holder: match holder.as_str() {
            "agent" => KeyHolder::Agent(subject),
            "user" => KeyHolder::User(subject),
            _ => return Err(no_api_key("a holder")),
        },
        servers,
        created_at: Timestamp::from_millis(created),
        expires_at: Timestamp::from_millis(expires),
        revoked_at: revoked.map(Timestamp::from_millis),
        last_used_at: used.map(Timestamp::from_millis),
        mac: KeyMac { key, tag },
    })
}

pub(crate) fn api_key_id(text: &str) -> Result<ApiKeyId, ApiKeysError> {
    ApiKeyId::parse(text).map_err(|_form| no_api_key("an id"))
}

/// The columns `holder, holder_issuer, holder_id`.
pub(crate) fn holder(holder: &KeyHolder) -> (&'static str, &str, &str) {
    let (kind, subject) = match holder {
        KeyHolder::Agent(subject) => ("agent", subject),
        KeyHolder::User(subject) => ("user", subject),
    };
    (kind, subject.issuer(), subject.id())
}

/// The column `servers`.
pub(crate) fn servers(patterns: &[Pattern]) -> Result<String, ApiKeysError> {
    serde_json::to_string(patterns).map_err(|error| ApiKeysError::Unavailable(error.into()))
}

fn no_api_key(what: &'static str) -> ApiKeysError {
    ApiKeysError::Unavailable(Box::new(UnreadableRow {
        table: "api_keys",
        what,
    }))
}

/// `tenant, revision`
pub(crate) type HeadRow = (String, i64);

/// `id, revision, created_at, modified_at, document`
pub(crate) type RecordRow = (String, i64, i64, i64, String);

/// `kind`, and the columns of a [`RecordRow`]
pub(crate) type KindRow = (String, String, i64, i64, i64, String);

/// `kind, id, revision`, and `created_at, modified_at, document` of what was not taken away
pub(crate) type ChangeRow = (
    String,
    String,
    i64,
    Option<i64>,
    Option<i64>,
    Option<String>,
);

pub(crate) fn head((tenant, at): HeadRow) -> Result<(TenantId, Revision), DirectoryError> {
    let tenant = TenantId::new(&tenant).map_err(|_form| no_record("a tenant"))?;
    Ok((tenant, revision(at)?))
}

pub(crate) fn record(
    kind: Kind,
    (id, at, created_at, modified_at, document): RecordRow,
) -> Result<Record, DirectoryError> {
    Ok(Record {
        kind,
        id: id.into(),
        revision: revision(at)?,
        created_at: Timestamp::from_millis(created_at),
        modified_at: Timestamp::from_millis(modified_at),
        document: document.into(),
    })
}

pub(crate) fn record_of_kind(
    (kind, id, at, created, modified, document): KindRow,
) -> Result<Record, DirectoryError> {
    record(kind_named(&kind)?, (id, at, created, modified, document))
}

pub(crate) fn changed(row: ChangeRow) -> Result<Changed, DirectoryError> {
    let (kind, id, at, created_at, modified_at, document) = row;
    let kind = kind_named(&kind)?;
    let (Some(created), Some(modified), Some(document)) = (created_at, modified_at, document)
    else {
        return Ok(Changed::Removed {
            kind,
            id: id.into(),
            revision: revision(at)?,
        });
    };
    let row = (id, at, created, modified, document);
    Ok(Changed::Put(record(kind, row)?))
}

/// The revision, kind and id after which the changes are. No kind is called nothing, so that all of a revision is after it
/// and nothing.
pub(crate) fn position(after: &Position) -> (i64, &'static str, &str) {
    let number = i64::try_from(after.revision.0).unwrap_or(i64::MAX);
    match &after.record {
        Some((kind, id)) => (number, kind.name(), id),
        None => (number.saturating_add(1), "", ""),
    }
}

pub(crate) fn kind_named(name: &str) -> Result<Kind, DirectoryError> {
    Kind::named(name).ok_or_else(|| no_record("a kind"))
}

pub(crate) fn revision(signed: i64) -> Result<Revision, DirectoryError> {
    let number = u64::try_from(signed).map_err(|_negative| no_record("a revision"))?;
    Ok(Revision(number))
}

fn no_record(what: &'static str) -> DirectoryError {
    DirectoryError::new(UnreadableRow {
        table: "records",
        what,
    })
}
