-- Moments are milliseconds since 1970-01-01T00:00:00Z.

CREATE TABLE sealed_records (
    tenant    TEXT    NOT NULL,
    -- shared, user:<issuer>|<id> or agent:<issuer>|<id>
    owner     TEXT    NOT NULL,
    server    TEXT    NOT NULL,
    version   INTEGER NOT NULL,
    stored_at INTEGER NOT NULL,
    envelope  BLOB    NOT NULL,
    PRIMARY KEY (tenant, owner, server)
) STRICT, WITHOUT ROWID;

-- The last version that was given out in a tenant. It outlives the records, so that no version comes back.
CREATE TABLE sealed_versions (
    tenant TEXT    NOT NULL PRIMARY KEY,
    last   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
    tenant        TEXT    NOT NULL,
    id            TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    holder        TEXT    NOT NULL CHECK (holder IN ('agent', 'user')),
    holder_issuer TEXT    NOT NULL,
    holder_id     TEXT    NOT NULL,
    -- a JSON array of patterns
    servers       TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    revoked_at    INTEGER,
    last_used_at  INTEGER,
    mac_key       TEXT    NOT NULL,
    mac           BLOB    NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
