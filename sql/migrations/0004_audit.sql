-- The audit log: a chain that only grows. Also what it tells of people: which servers they may see, how their sessions
-- look, and their second factors.

-- A plain table, since it is kept for ever: a hypertable could not have an unbroken, unique number per row, and dropping
-- a chunk goes past every trigger. Numbers have no gaps; `hash` covers the row and `previous_hash`.
CREATE TABLE chatops.audit_log (
    id bigint PRIMARY KEY CHECK (id > 0),
    time timestamptz NOT NULL,
    actor_kind text NOT NULL CHECK (actor_kind IN ('person', 'nobody', 'command_line', 'system')),
    user_id integer,
    username text NOT NULL,
    role text,
    session_id uuid,
    address text,
    action text NOT NULL,
    target_type text NOT NULL,
    target_id text,
    target_name text,
    server_id integer,
    before json,
    after json,
    result text NOT NULL CHECK (result IN ('intended', 'ok', 'refused', 'failed')),
    detail text NOT NULL,
    intent_id bigint,
    previous_hash bytea NOT NULL UNIQUE,
    hash bytea NOT NULL UNIQUE
);
CREATE INDEX audit_log_time ON chatops.audit_log (time);
CREATE INDEX audit_log_user ON chatops.audit_log (lower(username), id DESC);
CREATE INDEX audit_log_action ON chatops.audit_log (action text_pattern_ops, id DESC);
CREATE INDEX audit_log_target ON chatops.audit_log (target_type, target_id, id DESC);
CREATE INDEX audit_log_server ON chatops.audit_log (server_id, id DESC) WHERE server_id IS NOT NULL;
CREATE INDEX audit_log_intent ON chatops.audit_log (intent_id) WHERE intent_id IS NOT NULL;

-- How long the chain is and how it ends: what is cut off at its end is missed here. Locked by whoever appends.
CREATE TABLE chatops.audit_head (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    entries bigint NOT NULL,
    hash bytea NOT NULL
) WITH (fillfactor = 10);
INSERT INTO chatops.audit_head (entries, hash) VALUES (0, decode(repeat('00', 32), 'hex'));

CREATE FUNCTION chatops.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only ever added to' USING ERRCODE = 'insufficient_privilege';
END $$;

-- A row is taken only where the chain ends; with it the head moves.
CREATE FUNCTION chatops.advance_audit_head() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE chatops.audit_head SET entries = NEW.id, hash = NEW.hash
     WHERE entries = NEW.id - 1 AND hash = NEW.previous_hash;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'this row does not continue the audit log' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION chatops.guard_audit_head() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Depth 2: called by the update in the function above.
    IF TG_OP <> 'UPDATE' OR pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION 'the head of the audit log moves with its rows only' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER only_insert BEFORE UPDATE OR DELETE OR TRUNCATE ON chatops.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION chatops.refuse_change();
CREATE TRIGGER advance_head AFTER INSERT ON chatops.audit_log
    FOR EACH ROW EXECUTE FUNCTION chatops.advance_audit_head();
CREATE TRIGGER only_with_rows BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON chatops.audit_head
    FOR EACH STATEMENT EXECUTE FUNCTION chatops.guard_audit_head();
-- ALWAYS: session_replication_role does not switch them off.
ALTER TABLE chatops.audit_log ENABLE ALWAYS TRIGGER only_insert, ENABLE ALWAYS TRIGGER advance_head;
ALTER TABLE chatops.audit_head ENABLE ALWAYS TRIGGER only_with_rows;

-- An owner's own rights too, which it would have to give itself again. A superuser has them whatever is revoked.
REVOKE UPDATE, DELETE, TRUNCATE ON chatops.audit_log FROM PUBLIC, CURRENT_USER;

-- Who may see which servers: all, or those named and those with one of the tags.
ALTER TABLE chatops.users
    ADD COLUMN all_servers boolean NOT NULL DEFAULT true,
    ADD COLUMN server_ids integer[] NOT NULL DEFAULT '{}',
    ADD COLUMN server_tags text[] NOT NULL DEFAULT '{}';

-- `refreshed_at` is when the session was last carried on; `proved_at` when its second factor was last shown.
ALTER TABLE chatops.sessions
    ADD COLUMN address text,
    ADD COLUMN client text NOT NULL DEFAULT '',
    ADD COLUMN refreshed_at timestamptz,
    ADD COLUMN proved_at timestamptz;

-- The secret of a second factor is made from the backend's secret key and `salt`, so that the database alone does not
-- give it away. `last_step` is the period whose code was used last: neither it nor one before it is taken again.
CREATE TABLE chatops.second_factors (
    user_id integer PRIMARY KEY REFERENCES chatops.users ON DELETE CASCADE,
    salt bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    confirmed_at timestamptz,
    last_step bigint NOT NULL DEFAULT 0
);

CREATE TABLE chatops.recovery_codes (
    user_id integer NOT NULL REFERENCES chatops.second_factors ON DELETE CASCADE,
    code_hash bytea NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (user_id, code_hash)
);
