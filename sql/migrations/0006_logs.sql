-- Log lines of hosts, and what the platform has to tell of a server, in one stream.

-- From the least to the worst, so that `level >= 'warning'` is "warning and worse".
CREATE TYPE chatops.log_level AS ENUM ('debug', 'info', 'notice', 'warning', 'error', 'critical');

-- `level` is NULL when the line does not say. `id` orders lines of one time, and by it live readers find what is new.
-- `words` is what a search looks at: the message with all punctuation as space, since the parser would else take
-- addresses, paths and names with dots for one word each.
CREATE TABLE chatops.logs (
    time timestamptz NOT NULL,
    server_id integer NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    source text NOT NULL,
    level chatops.log_level,
    message text NOT NULL,
    words tsvector GENERATED ALWAYS AS (to_tsvector('simple'::regconfig,
        translate(message, '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~', '                                '))) STORED
);
-- How common a word is decides whether its index is used.
ALTER TABLE chatops.logs ALTER COLUMN words SET STATISTICS 500;
SELECT create_hypertable('chatops.logs', by_range('time', INTERVAL '1 day'), create_default_indexes => false);
CREATE INDEX logs_server_time ON chatops.logs (server_id, time DESC, id DESC);
CREATE INDEX logs_server_id ON chatops.logs (server_id, id);
-- "Warning and worse" is what is asked for most, and few lines are.
CREATE INDEX logs_worse ON chatops.logs (server_id, time DESC, id DESC) WHERE level >= 'warning';
-- A short list of what is not in the index yet: every search reads it to its end.
CREATE INDEX logs_words ON chatops.logs USING gin (words) WITH (gin_pending_list_limit = 1024);
ALTER TABLE chatops.logs SET (timescaledb.compress, timescaledb.compress_segmentby = 'server_id',
                              timescaledb.compress_orderby = 'time DESC, id DESC');

-- How long lines are kept, and when they go into the columnstore, where a search reads every line of its range.
CREATE FUNCTION chatops.set_log_policies(keep_for interval DEFAULT '30 days', compress_after interval DEFAULT '7 days')
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM remove_compression_policy('chatops.logs', if_exists => true),
            remove_retention_policy('chatops.logs', if_exists => true);
    PERFORM add_compression_policy('chatops.logs', compress_after), add_retention_policy('chatops.logs', keep_for);
END $$;
SELECT chatops.set_log_policies();

-- What the platform has to tell is written as lines, in the transaction of what it tells of: so one index, one cursor,
-- one search and one retention serve hosts' lines and events alike, and whoever writes events need not know of logs.
CREATE FUNCTION chatops.tell(at timestamptz, of_server integer, how_bad chatops.log_level, words text)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO chatops.logs (time, server_id, source, level, message)
    VALUES (at, of_server, 'chatops', how_bad, left(words, 16384));
$$;

CREATE FUNCTION chatops.tell_connection() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM chatops.tell(NEW.time, NEW.server_id,
        CASE NEW.event WHEN 'connected' THEN 'info' ELSE 'warning' END::chatops.log_level,
        concat('agent ', NEW.event, ': ' || nullif(NEW.detail, ''), ' (' || NEW.address || ')'));
    RETURN NULL;
END $$;
CREATE TRIGGER tell_connection AFTER INSERT ON chatops.connection_events
    FOR EACH ROW EXECUTE FUNCTION chatops.tell_connection();

-- Alerts: not those that are only pending, which is no news.
CREATE FUNCTION chatops.tell_alert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM chatops.tell(NEW.time, NEW.server_id,
        CASE WHEN NEW.transition NOT IN ('fired', 'raised') THEN 'notice' WHEN NEW.level = 'critical' THEN 'critical'
             ELSE 'warning' END::chatops.log_level,
        concat('alert ', NEW.transition, ': ',
               coalesce((SELECT name FROM chatops.thresholds WHERE id = NEW.threshold_id), 'a deleted rule'),
               ' (' || NEW.level || ')', ' at ' || NEW.value,
               ' ' || (SELECT nullif(labels, '{}')::text FROM chatops.alerts WHERE id = NEW.alert_id),
               ' by ' || NEW.actor, ': ' || nullif(NEW.comment, '')));
    RETURN NULL;
END $$;
CREATE TRIGGER tell_alert AFTER INSERT ON chatops.alert_events
    FOR EACH ROW WHEN (NEW.transition NOT IN ('pending', 'cancelled')) EXECUTE FUNCTION chatops.tell_alert();

CREATE FUNCTION chatops.tell_command() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM chatops.tell(NEW.time, NEW.server_id,
        CASE WHEN NEW.state IN ('failed', 'timed_out', 'unknown') THEN 'warning' ELSE 'notice' END::chatops.log_level,
        concat('command ', NEW.command_id, ' ', replace(NEW.state, '_', ' '), ': ' || nullif(NEW.detail, '')));
    RETURN NULL;
END $$;
CREATE TRIGGER tell_command AFTER INSERT ON chatops.command_events
    FOR EACH ROW WHEN (NEW.state NOT IN ('queued', 'sent')) EXECUTE FUNCTION chatops.tell_command();
