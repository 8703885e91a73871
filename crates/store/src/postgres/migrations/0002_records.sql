-- Each tenant counts its commits. A record's revision is that of the commit that changed it last.
CREATE TABLE tenants (
    tenant   TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL
);
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON tenants
    USING (tenant = current_setting('gatewright.tenant', true))
    WITH CHECK (tenant = current_setting('gatewright.tenant', true));
CREATE POLICY every_tenant ON tenants FOR SELECT
    USING (current_setting('gatewright.tenant', true) = '*');

-- Tells whoever listens, when the commit is done.
CREATE FUNCTION announce_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('gatewright_commits', NEW.tenant || ' ' || NEW.revision);
    RETURN NULL;
END
$$;
CREATE TRIGGER announce_commit AFTER INSERT OR UPDATE ON tenants
    FOR EACH ROW EXECUTE FUNCTION announce_commit();

-- Nobody sees these of every tenant: with one policy alone, the planner takes it for what the statements say themselves.
CREATE TABLE records (
    tenant      TEXT   COLLATE "C" NOT NULL,
    kind        TEXT   COLLATE "C" NOT NULL,
    id          TEXT   COLLATE "C" NOT NULL,
    revision    BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    modified_at BIGINT NOT NULL,
    -- a JSON object
    document    TEXT   NOT NULL,
    PRIMARY KEY (tenant, kind, id)
);
CREATE INDEX records_by_revision ON records (tenant, revision, kind, id);
ALTER TABLE records ENABLE ROW LEVEL SECURITY;
ALTER TABLE records FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON records
    USING (tenant = current_setting('gatewright.tenant', true))
    WITH CHECK (tenant = current_setting('gatewright.tenant', true));

-- What was taken away and did not come back, for those who ask what changed since a revision.
CREATE TABLE removed_records (
    tenant   TEXT   COLLATE "C" NOT NULL,
    kind     TEXT   COLLATE "C" NOT NULL,
    id       TEXT   COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (tenant, kind, id)
);
CREATE INDEX removed_records_by_revision ON removed_records (tenant, revision, kind, id);
ALTER TABLE removed_records ENABLE ROW LEVEL SECURITY;
ALTER TABLE removed_records FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON removed_records
    USING (tenant = current_setting('gatewright.tenant', true))
    WITH CHECK (tenant = current_setting('gatewright.tenant', true));

-- What only one record of a tenant can be called.
CREATE TABLE record_names (
    tenant TEXT COLLATE "C" NOT NULL,
    space  TEXT COLLATE "C" NOT NULL,
    value  TEXT COLLATE "C" NOT NULL,
    kind   TEXT COLLATE "C" NOT NULL,
    id     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, space, value)
);
CREATE INDEX record_names_by_record ON record_names (tenant, kind, id);
ALTER TABLE record_names ENABLE ROW LEVEL SECURITY;
ALTER TABLE record_names FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON record_names
    USING (tenant = current_setting('gatewright.tenant', true))
    WITH CHECK (tenant = current_setting('gatewright.tenant', true));
