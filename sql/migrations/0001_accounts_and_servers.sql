-- People, their sessions, the servers they watch, and the keys that agents use.

CREATE EXTENSION IF NOT EXISTS timescaledb;
CREATE SCHEMA IF NOT EXISTS chatops;
CREATE SCHEMA IF NOT EXISTS metrics;

CREATE TABLE chatops.users (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    username text NOT NULL,
    password_hash text NOT NULL,
    role text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    display_name text NOT NULL DEFAULT '',
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX users_username ON chatops.users (lower(username));

-- One log-in: the family of refresh tokens that follow from it. Access tokens carry its id and die with it.
CREATE TABLE chatops.sessions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id integer NOT NULL REFERENCES chatops.users ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    revoked_because text
);
CREATE INDEX sessions_user ON chatops.sessions (user_id);

CREATE TABLE chatops.refresh_tokens (
    token_hash bytea PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES chatops.sessions ON DELETE CASCADE,
    issued_at timestamptz NOT NULL DEFAULT now(),
    used_at timestamptz
);
CREATE INDEX refresh_tokens_session ON chatops.refresh_tokens (session_id);

CREATE TABLE chatops.servers (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    description text NOT NULL DEFAULT '',
    tags text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    agent_version text,
    platform text,
    interval_s double precision NOT NULL DEFAULT 5
);
CREATE UNIQUE INDEX servers_name ON chatops.servers (lower(name));
CREATE INDEX servers_tags ON chatops.servers USING gin (tags);

CREATE TABLE chatops.api_keys (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    server_id integer NOT NULL REFERENCES chatops.servers ON DELETE CASCADE,
    name text NOT NULL,
    key_hash bytea NOT NULL UNIQUE,
    hint text NOT NULL,
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    last_used_at timestamptz
);
CREATE INDEX api_keys_server ON chatops.api_keys (server_id);

-- The last committed sequence of each spool: what makes delivery exactly once. Updated with every batch, so half of
-- each page stays free for in-page updates, and no index covers what changes.
CREATE TABLE chatops.stream_marks (
    server_id integer NOT NULL REFERENCES chatops.servers ON DELETE CASCADE,
    stream text NOT NULL,
    last_sequence bigint NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (server_id, stream)
) WITH (fillfactor = 50);

CREATE TABLE chatops.connection_events (
    time timestamptz NOT NULL,
    server_id integer NOT NULL,
    event text NOT NULL CHECK (event IN ('connected', 'disconnected', 'replaced', 'refused')),
    detail text NOT NULL DEFAULT '',
    address text
);
SELECT create_hypertable('chatops.connection_events', by_range('time', INTERVAL '30 days'));
CREATE INDEX connection_events_server ON chatops.connection_events (server_id, time DESC);
SELECT add_retention_policy('chatops.connection_events', INTERVAL '1 year');

-- What a server is doing, said once: online while frames came within three of its intervals (15 s at least, an hour at
-- most), offline after that, never before the first.
CREATE VIEW chatops.server_states AS
SELECT s.id, s.name, s.description, s.tags, s.created_at, s.agent_version, s.platform, m.last_seen,
       CASE WHEN m.last_seen IS NULL THEN 'never'
            WHEN m.last_seen > now() - make_interval(secs => least(3600, greatest(15, 3 * s.interval_s))) THEN 'online'
            ELSE 'offline' END AS status
FROM chatops.servers s
LEFT JOIN LATERAL (SELECT max(received_at) AS last_seen FROM chatops.stream_marks WHERE server_id = s.id) m ON true;
