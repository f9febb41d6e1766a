-- name: list_thresholds
-- Rules after the id :after, or (NULL: any) the one with :threshold_id, at most :count, ascending; `definition` is a
-- `Threshold` in JSON. :visible: NULL, or the servers of which a rule must watch one.
SELECT id, name, definition::text AS definition, created_at, updated_at, broken
  FROM chatops.thresholds AS rule
 WHERE id > :after AND deleted_at IS NULL
   AND (:threshold_id::bigint IS NULL OR id = :threshold_id)
   AND (:visible::integer[] IS NULL
        OR (definition->>'all_servers')::boolean
        OR EXISTS (SELECT FROM chatops.servers AS server
                    WHERE server.id = ANY(:visible)
                      AND (rule.definition->'server_ids' @> to_jsonb(server.id)
                           OR server.tags @> ARRAY[rule.definition->>'tag'])))
 ORDER BY id
 LIMIT :count;

-- name: lock_threshold$
-- The definition of one rule, which nobody else changes until the transaction ends.
SELECT definition::text FROM chatops.thresholds
 WHERE id = :threshold_id::bigint AND deleted_at IS NULL
   FOR UPDATE;

-- name: create_threshold^
-- A new rule; no row when its name is taken.
INSERT INTO chatops.thresholds (name, definition, enabled)
VALUES (:name, :definition::jsonb, :enabled)
ON CONFLICT DO NOTHING
RETURNING id, definition::text AS definition, created_at, updated_at, broken;

-- name: update_threshold^
-- Replaces a rule; raises unique_violation when the name is taken. What was broken about the old one is forgotten.
UPDATE chatops.thresholds
   SET name = :name, definition = :definition::jsonb, enabled = :enabled, broken = NULL, updated_at = clock_timestamp()
 WHERE id = :threshold_id::bigint
RETURNING id, definition::text AS definition, created_at, updated_at, broken;

-- name: delete_threshold!
-- Nobody sees a rule any more, and its name is free; its alerts stay.
UPDATE chatops.thresholds
   SET deleted_at = clock_timestamp(), updated_at = clock_timestamp(), enabled = false, broken = NULL
 WHERE id = :threshold_id::bigint;

-- name: create_starting_threshold!
-- Makes a rule of the starting set, the first time that :key is seen.
WITH first_time AS (
    INSERT INTO chatops.starting_thresholds (key) VALUES (:key) ON CONFLICT DO NOTHING RETURNING key)
INSERT INTO chatops.thresholds (name, definition)
SELECT :name, :definition::jsonb FROM first_time
ON CONFLICT DO NOTHING;

-- name: unknown_servers$
-- Those of some server ids that no server has.
SELECT coalesce(array_agg(wanted ORDER BY wanted), '{}')
  FROM unnest(:server_ids::bigint[]) AS wanted
 WHERE NOT EXISTS (SELECT FROM chatops.servers WHERE id = wanted);

-- name: unknown_channels$
-- Those of some channel ids that no channel has.
SELECT coalesce(array_agg(wanted ORDER BY wanted), '{}')
  FROM unnest(:channel_ids::bigint[]) AS wanted
 WHERE NOT EXISTS (SELECT FROM chatops.channels WHERE id = wanted);

-- name: canonical_json$
-- A JSON text as the database writes it, so that equal labels are equal texts.
SELECT (:text::jsonb)::text;

-- name: find_watched_servers
-- The servers that a rule watches: all, those with a tag, or those named; none of the three is none.
SELECT id, interval_s
  FROM chatops.servers
 WHERE :all_servers::boolean OR id = ANY(:server_ids::bigint[]) OR tags @> ARRAY[:tag::text]
 ORDER BY id;

-- name: last_hour_before$
-- The end of the newest hour of one server's readings that ended by :before (Unix seconds).
SELECT extract(epoch FROM max(time) + INTERVAL '1 hour')::float8
  FROM metrics.host_1h
 WHERE server_id = :server_id AND time <= to_timestamp(:before::float8) - INTERVAL '1 hour';

-- name: list_alerts
-- Alerts before the id :before (NULL: from the newest), at most :count, newest first; other filters: NULL for any. Those
-- between :start and :end fired (or were pending, if they have not) before the one and were not over before the other.
SELECT alert.id, alert.threshold_id, rule.definition::text AS definition, rule.deleted_at IS NOT NULL AS rule_deleted,
       alert.server_id, server.name AS server_name, alert.labels::text AS labels, alert.state, alert.level, alert.value,
       alert.bound::text AS bound, alert.window_s, alert.pending_at, alert.started_at, alert.learned_at, alert.acknowledged_at, alert.acknowledged_by,
       alert.comment, alert.resolved_at, alert.silenced, alert.held_back_by
  FROM chatops.alerts AS alert
  JOIN chatops.thresholds AS rule ON rule.id = alert.threshold_id
  JOIN chatops.servers AS server ON server.id = alert.server_id
 WHERE (:before::bigint IS NULL OR alert.id < :before)
   AND (:states::text[] IS NULL OR alert.state = ANY(:states))
   AND (:level::text IS NULL OR alert.level = :level)
   AND (:server_id::bigint IS NULL OR alert.server_id = :server_id)
   AND (:threshold_id::bigint IS NULL OR alert.threshold_id = :threshold_id)
   AND (:alert_id::bigint IS NULL OR alert.id = :alert_id)
   AND (:visible::integer[] IS NULL OR alert.server_id = ANY(:visible))
   AND (:end::timestamptz IS NULL OR coalesce(alert.started_at, alert.pending_at) < :end)
   AND (:start::timestamptz IS NULL OR alert.resolved_at IS NULL OR alert.resolved_at >= :start)
 ORDER BY alert.id DESC
 LIMIT :count;

-- name: list_events
-- What happened to an alert, oldest first, from :since on, which is before the first.
SELECT time, alert_id, transition, level, value, bound::text AS bound, window_s, actor, comment
  FROM chatops.alert_events
 WHERE alert_id = :alert_id::bigint AND time >= :since::timestamptz
 ORDER BY time, transition;

-- name: acknowledge_alert^
-- A firing alert is acknowledged; no row when it does not fire (any more), else its rule's name and its server.
UPDATE chatops.alerts AS alert
   SET state = 'acknowledged', acknowledged_at = now(), acknowledged_by = :actor, comment = :comment
  FROM chatops.thresholds AS rule
 WHERE alert.id = :alert_id::bigint AND alert.state = 'firing' AND rule.id = alert.threshold_id
RETURNING rule.name AS rule, alert.server_id;

-- name: lock_open_alerts
-- Open alerts, of one rule or the one :alert_id, locked, with what those who were told need to hear of their end.
SELECT alert.id, alert.state, alert.threshold_id, rule.definition::text AS definition, alert.server_id,
       server.name AS server_name, server.tags, alert.labels::text AS labels, alert.level, alert.value,
       alert.bound::text AS bound, alert.window_s,
       extract(epoch FROM coalesce(alert.started_at, alert.pending_at))::float8 AS started_at
  FROM chatops.alerts AS alert
  JOIN chatops.thresholds AS rule ON rule.id = alert.threshold_id
  JOIN chatops.servers AS server ON server.id = alert.server_id
 WHERE alert.state <> 'resolved'
   AND (alert.id = :alert_id::bigint OR alert.threshold_id = :threshold_id::bigint)
 ORDER BY alert.id
   FOR UPDATE OF alert;

-- name: close_alerts!
-- Alerts are over by somebody's hand: the state machine of their series starts from ok. One that never fired leaves
-- only its events.
WITH forgotten AS (DELETE FROM chatops.alert_states WHERE alert_id = ANY(:alert_ids::bigint[])),
     cancelled AS (DELETE FROM chatops.alerts WHERE id = ANY(:alert_ids::bigint[]) AND state = 'pending')
UPDATE chatops.alerts SET state = 'resolved', resolved_at = now()
 WHERE id = ANY(:alert_ids::bigint[]) AND state IN ('firing', 'acknowledged');

-- name: record_act!
-- What somebody did to an alert.
INSERT INTO chatops.alert_events (time, alert_id, threshold_id, server_id, transition, level, value, bound, window_s,
                                  actor, comment)
SELECT clock_timestamp(), id, threshold_id, server_id, :transition, level, value, bound, window_s, :actor, :comment
  FROM chatops.alerts
 WHERE id = :alert_id::bigint;
