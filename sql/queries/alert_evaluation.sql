-- name: list_enabled_rules
-- Every enabled rule; `definition` is a `Threshold` in JSON.
SELECT id, definition::text AS definition, updated_at, broken FROM chatops.thresholds WHERE enabled ORDER BY id;

-- name: rules_version^
-- Changes with every rule that is added, changed or removed.
SELECT count(*) AS rules, max(updated_at) AS changed_at, max(id) AS newest FROM chatops.thresholds WHERE enabled;

-- name: list_watched_servers
-- Every server with what selects it, and how long it has been silent in seconds (NULL: never heard of).
SELECT state.id, state.name, state.tags, server.interval_s,
       extract(epoch FROM :now::timestamptz - state.last_seen)::float8 AS silent_s
  FROM chatops.server_states AS state
  JOIN chatops.servers AS server USING (id)
 ORDER BY state.id;

-- name: list_states
-- Where the state machine stands, for every series that is not ok; `untold`: nobody was notified of its alert.
SELECT state.threshold_id, state.server_id, state.labels::text AS labels, state.status, state.level,
       extract(epoch FROM state.since)::float8 AS since, extract(epoch FROM state.good_since)::float8 AS good_since,
       state.alert_id, state.version,
       alert.first_notified_at IS NULL AND (alert.held_back_by IS NOT NULL OR alert.silenced) AS untold
  FROM chatops.alert_states AS state
  JOIN chatops.alerts AS alert ON alert.id = state.alert_id;

-- name: insert_alert$
-- A new alert; nothing when another backend opened one for this rule and series already, or when the rule was switched off
-- or deleted since it was read. Its row is held against that until the transaction ends.
INSERT INTO chatops.alerts (threshold_id, server_id, labels, state, level, value, bound, window_s, pending_at,
                            started_at, held_back_by)
SELECT rule.id, :server_id, :labels::jsonb, :state, :level, :value, :bound::jsonb, :window_s,
       to_timestamp(:pending_at::float8), to_timestamp(:started_at::float8), :held_back_by::bigint
  FROM chatops.thresholds AS rule
 WHERE rule.id = :threshold_id AND rule.enabled
   FOR KEY SHARE
ON CONFLICT DO NOTHING
RETURNING id;

-- name: insert_state$
-- The state of a series that was ok; nothing when it is not ok any more.
INSERT INTO chatops.alert_states (threshold_id, server_id, labels, status, level, since, alert_id)
VALUES (:threshold_id, :server_id, :labels::jsonb, :status, :level, to_timestamp(:since::float8), :alert_id)
ON CONFLICT DO NOTHING
RETURNING true;

-- name: update_state$
-- Compare-and-set of a state by its version.
UPDATE chatops.alert_states
   SET status = :status, level = :level, since = to_timestamp(:since::float8),
       good_since = to_timestamp(:good_since::float8), version = version + 1
 WHERE threshold_id = :threshold_id AND server_id = :server_id AND labels = :labels::jsonb AND version = :version
RETURNING true;

-- name: delete_state$
-- The series is ok again; by compare-and-set as well.
DELETE FROM chatops.alert_states
 WHERE threshold_id = :threshold_id AND server_id = :server_id AND labels = :labels::jsonb AND version = :version
RETURNING true;

-- name: fire_alert!
-- A pending alert fires, or a firing one rises to a higher level; an acknowledged one stays acknowledged.
UPDATE chatops.alerts
   SET state = CASE state WHEN 'acknowledged' THEN state ELSE 'firing' END, level = :level, value = :value,
       bound = :bound::jsonb, started_at = coalesce(started_at, to_timestamp(:at::float8)),
       held_back_by = :held_back_by::bigint
 WHERE id = :alert_id;

-- name: resolve_alert!
-- An alert is over.
UPDATE chatops.alerts SET state = 'resolved', resolved_at = to_timestamp(:at::float8) WHERE id = :alert_id;

-- name: delete_pending_alert!
-- A pending alert that never fired leaves only its events.
DELETE FROM chatops.alerts WHERE id = :alert_id AND state = 'pending';

-- name: record_event!
-- One transition, with what decided it.
INSERT INTO chatops.alert_events (time, alert_id, threshold_id, server_id, transition, level, value, bound, window_s)
VALUES (to_timestamp(:at::float8), :alert_id, :threshold_id, :server_id, :transition, :level, :value, :bound::jsonb,
        :window_s);

-- name: mark_broken!
-- Why a rule could not be evaluated; NULL when it could.
UPDATE chatops.thresholds SET broken = :broken WHERE id = :threshold_id AND broken IS DISTINCT FROM :broken;

-- name: open_offline_alerts
-- Servers whose host-down rule fires now, with that alert.
SELECT alert.server_id, min(alert.id) AS alert_id
  FROM chatops.alerts AS alert
  JOIN chatops.thresholds AS rule ON rule.id = alert.threshold_id
 WHERE alert.state IN ('firing', 'acknowledged') AND rule.definition ->> 'kind' = 'offline'
 GROUP BY alert.server_id;

-- name: list_late_readings
-- Every server that has late readings; `ended`: they have all come, as far as can be told (none for :quiet_s seconds).
SELECT server_id, oldest, newest, noted_at, noted_at < now() - make_interval(secs => :quiet_s::float8) AS ended
  FROM chatops.late_readings
 ORDER BY noted_at;

-- name: forget_late_readings!
-- The stretch was replayed, unless more came meanwhile.
DELETE FROM chatops.late_readings WHERE server_id = :server_id AND noted_at = :noted_at;

-- name: shorten_late_readings!
-- The stretch was replayed up to here and goes on, unless older ones came meanwhile.
UPDATE chatops.late_readings SET oldest = greatest(oldest, :until::timestamptz)
 WHERE server_id = :server_id AND oldest = :oldest;

-- name: record_late_alert$
-- An alert that would have fired and is over: stored once, and not where an alert of that time exists.
INSERT INTO chatops.alerts (threshold_id, server_id, labels, state, level, value, bound, window_s, started_at,
                            resolved_at, learned_at)
SELECT :threshold_id, :server_id, :labels::jsonb, 'resolved', :level, :value, :bound::jsonb, :window_s,
       :started_at::timestamptz, :resolved_at::timestamptz, :learned_at::timestamptz
 WHERE NOT EXISTS (
       SELECT FROM chatops.alerts
        WHERE threshold_id = :threshold_id AND server_id = :server_id AND labels = :labels::jsonb
          AND started_at <= :resolved_at::timestamptz AND (resolved_at IS NULL OR resolved_at >= :started_at::timestamptz))
RETURNING id;
