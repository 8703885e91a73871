-- Tells whoever listens which credentials and API keys have changed, when the commit is done. What is told is bounded by the
-- server, so that where a place is too long for it, only its tenant is told.

CREATE FUNCTION announce_sealed_record() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    at sealed_records;
    told TEXT;
BEGIN
    IF TG_OP = 'DELETE' THEN at := OLD; ELSE at := NEW; END IF;
    told := 'credential ' || at.tenant || ' ' || at.server || ' ' || at.owner;
    IF octet_length(told) > 4000 THEN
        told := 'credentials ' || at.tenant;
    END IF;
    PERFORM pg_notify('gatewright_keys', told);
    RETURN NULL;
END
$$;
CREATE TRIGGER announce_sealed_record AFTER INSERT OR UPDATE OR DELETE ON sealed_records
    FOR EACH ROW EXECUTE FUNCTION announce_sealed_record();

CREATE FUNCTION announce_api_key() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    at api_keys;
BEGIN
    IF TG_OP = 'DELETE' THEN at := OLD; ELSE at := NEW; END IF;
    PERFORM pg_notify('gatewright_keys', 'api-key ' || at.tenant || ' ' || at.id);
    RETURN NULL;
END
$$;
-- When it was last used changes often, and nobody waits for it.
CREATE TRIGGER announce_api_key AFTER INSERT OR DELETE OR UPDATE OF revoked_at, expires_at, holder_issuer, holder_id, servers, mac_key, mac
    ON api_keys FOR EACH ROW EXECUTE FUNCTION announce_api_key();
