-- Rules, the state of each on each series, alerts with their history, silences, channels and the outbox.

-- `definition` is a `Threshold` of the protocol.
CREATE TABLE chatops.thresholds (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    definition jsonb NOT NULL,
    enabled boolean NOT NULL DEFAULT true,
    broken text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX thresholds_name ON chatops.thresholds (lower(name));

-- Which rules of the starting set were made: once, so that who deletes or changes one is left alone.
CREATE TABLE chatops.starting_thresholds (
    key text PRIMARY KEY,
    made_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE chatops.alerts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    threshold_id integer NOT NULL REFERENCES chatops.thresholds ON DELETE CASCADE,
    server_id integer NOT NULL REFERENCES chatops.servers ON DELETE CASCADE,
    labels jsonb NOT NULL DEFAULT '{}',
    state text NOT NULL CHECK (state IN ('pending', 'firing', 'acknowledged', 'resolved')),
    level text NOT NULL CHECK (level IN ('warning', 'critical')),
    value double precision,
    bound jsonb,
    window_s integer NOT NULL,
    pending_at timestamptz,
    started_at timestamptz,
    learned_at timestamptz,
    acknowledged_at timestamptz,
    acknowledged_by text,
    comment text NOT NULL DEFAULT '',
    resolved_at timestamptz,
    silenced boolean NOT NULL DEFAULT false,
    held_back_by bigint REFERENCES chatops.alerts ON DELETE SET NULL,
    -- Who was told of it: when first and last, up to which level, on which channels. Kept by the outbox.
    first_notified_at timestamptz,
    notified_at timestamptz,
    escalated_at timestamptz,
    told_level text,
    told_channel_ids integer[] NOT NULL DEFAULT '{}'
);
CREATE INDEX alerts_open ON chatops.alerts (server_id) WHERE state <> 'resolved';
CREATE INDEX alerts_threshold ON chatops.alerts (threshold_id, id DESC);
-- One open alert for each rule and series, whoever evaluates.
CREATE UNIQUE INDEX alerts_one_open ON chatops.alerts (threshold_id, server_id, labels) WHERE state <> 'resolved';

-- Where the state machine stands; only series that are not ok have a row. `version` is for compare-and-set.
CREATE TABLE chatops.alert_states (
    threshold_id integer NOT NULL REFERENCES chatops.thresholds ON DELETE CASCADE,
    server_id integer NOT NULL REFERENCES chatops.servers ON DELETE CASCADE,
    labels jsonb NOT NULL DEFAULT '{}',
    status text NOT NULL CHECK (status IN ('pending', 'firing')),
    level text NOT NULL CHECK (level IN ('warning', 'critical')),
    since timestamptz NOT NULL,
    good_since timestamptz,
    alert_id bigint NOT NULL REFERENCES chatops.alerts ON DELETE CASCADE,
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (threshold_id, server_id, labels)
);

CREATE TABLE chatops.alert_events (
    time timestamptz NOT NULL,
    alert_id bigint NOT NULL,
    threshold_id integer NOT NULL,
    server_id integer NOT NULL,
    transition text NOT NULL,
    level text NOT NULL,
    value double precision,
    bound jsonb,
    window_s integer NOT NULL,
    actor text,
    comment text NOT NULL DEFAULT ''
);
SELECT create_hypertable('chatops.alert_events', by_range('time', INTERVAL '30 days'));
CREATE INDEX alert_events_alert ON chatops.alert_events (alert_id, time);
SELECT add_retention_policy('chatops.alert_events', INTERVAL '2 years');

CREATE TABLE chatops.silences (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    definition jsonb NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE chatops.channels (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    type text NOT NULL CHECK (type IN ('webhook', 'apprise')),
    url text NOT NULL,
    enabled boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_delivered_at timestamptz,
    last_error text
);
CREATE UNIQUE INDEX channels_name ON chatops.channels (lower(name));

-- Written in the transaction of the transition it tells of; `key` stays the same over all attempts.
CREATE TABLE chatops.notifications (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text NOT NULL UNIQUE,
    channel_id integer NOT NULL REFERENCES chatops.channels ON DELETE CASCADE,
    server_id integer NOT NULL,
    alert_ids bigint[] NOT NULL,
    payload jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    attempts integer NOT NULL DEFAULT 0,
    delivered_at timestamptz,
    given_up_at timestamptz,
    last_error text
);
CREATE INDEX notifications_due ON chatops.notifications (channel_id, id)
    WHERE delivered_at IS NULL AND given_up_at IS NULL;
CREATE INDEX notifications_ended ON chatops.notifications ((coalesce(delivered_at, given_up_at)));

-- Work that one backend at a time does. Whoever moves `until` ahead in time holds it; another takes over when it is past.
CREATE TABLE chatops.leases (
    name text PRIMARY KEY,
    holder uuid NOT NULL,
    until timestamptz NOT NULL
);

-- Readings that came long after they were taken: rules are replayed over such a stretch, for the record only.
CREATE TABLE chatops.late_readings (
    server_id integer PRIMARY KEY REFERENCES chatops.servers ON DELETE CASCADE,
    oldest timestamptz NOT NULL,
    newest timestamptz NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now()
);
