-- Each tenant counts its commits. A record's revision is that of the commit that changed it last.
CREATE TABLE tenants (
    tenant   TEXT    NOT NULL PRIMARY KEY,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- With row numbers, so that counting and skipping go over the narrow index, and not over documents.
CREATE TABLE records (
    tenant      TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    revision    INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    modified_at INTEGER NOT NULL,
    -- a JSON object
    document    TEXT    NOT NULL,
    PRIMARY KEY (tenant, kind, id)
) STRICT;
CREATE INDEX records_by_revision ON records (tenant, revision, kind, id);

-- What was taken away and did not come back, for those who ask what changed since a revision.
CREATE TABLE removed_records (
    tenant   TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    id       TEXT    NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (tenant, kind, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX removed_records_by_revision ON removed_records (tenant, revision, kind, id);

-- What only one record of a tenant can be called.
CREATE TABLE record_names (
    tenant TEXT NOT NULL,
    space  TEXT NOT NULL,
    value  TEXT NOT NULL,
    kind   TEXT NOT NULL,
    id     TEXT NOT NULL,
    PRIMARY KEY (tenant, space, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX record_names_by_record ON record_names (tenant, kind, id);
