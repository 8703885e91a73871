-- Moments are milliseconds since 1970-01-01T00:00:00Z. Text that is ordered or compared is so by its bytes, as in SQLite.
--
-- Each transaction names its tenant in the setting gatewright.tenant, and sees and writes the rows of that one alone,
-- whatever its statements say. Without the setting nothing is seen. `*`, which no tenant is called, sees every tenant and
-- writes to none: for what concerns the whole installation.

CREATE TABLE sealed_records (
    tenant    TEXT   COLLATE "C" NOT NULL,
    -- shared, user:<issuer>|<id> or agent:<issuer>|<id>
    owner     TEXT   COLLATE "C" NOT NULL,
    server    TEXT   COLLATE "C" NOT NULL,
    version   BIGINT NOT NULL,
    stored_at BIGINT NOT NULL,
    envelope  BYTEA  NOT NULL,
    PRIMARY KEY (tenant, owner, server)
);
ALTER TABLE sealed_records ENABLE ROW LEVEL SECURITY;
ALTER TABLE sealed_records FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON sealed_records
    USING (tenant = current_setting('gatewright.tenant', true))
    WITH CHECK (tenant = current_setting('gatewright.tenant', true));
CREATE POLICY every_tenant ON sealed_records FOR SELECT
    USING (current_setting('gatewright.tenant', true) = '*');

-- The last version that was given out in a tenant. It outlives the records, so that no version comes back.
CREATE TABLE sealed_versions (
    tenant TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    last   BIGINT NOT NULL
);
ALTER TABLE sealed_versions ENABLE ROW LEVEL SECURITY;
ALTER TABLE sealed_versions FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON sealed_versions
    USING (tenant = current_setting('gatewright.tenant', true))
    WITH CHECK (tenant = current_setting('gatewright.tenant', true));
CREATE POLICY every_tenant ON sealed_versions FOR SELECT
    USING (current_setting('gatewright.tenant', true) = '*');

CREATE TABLE api_keys (
    tenant        TEXT   COLLATE "C" NOT NULL,
    id            TEXT   COLLATE "C" NOT NULL,
    name          TEXT   NOT NULL,
    holder        TEXT   NOT NULL CHECK (holder IN ('agent', 'user')),
    holder_issuer TEXT   NOT NULL,
    holder_id     TEXT   NOT NULL,
    -- a JSON array of patterns
    servers       TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    revoked_at    BIGINT,
    last_used_at  BIGINT,
    mac_key       TEXT   NOT NULL,
    mac           BYTEA  NOT NULL,
    PRIMARY KEY (tenant, id)
);
ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON api_keys
    USING (tenant = current_setting('gatewright.tenant', true))
    WITH CHECK (tenant = current_setting('gatewright.tenant', true));
CREATE POLICY every_tenant ON api_keys FOR SELECT
    USING (current_setting('gatewright.tenant', true) = '*');
