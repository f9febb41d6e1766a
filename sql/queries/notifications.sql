-- name: list_channels
-- Channels after the id :after, or (not NULL) the one :channel_id, at most :count, with what waits and what was given up.
SELECT c.id, c.name, c.type, c.url, c.enabled, c.created_at, c.last_delivered_at, c.last_error,
       (SELECT count(*) FROM chatops.notifications AS n
         WHERE n.channel_id = c.id AND n.delivered_at IS NULL AND n.given_up_at IS NULL) AS waiting,
       (SELECT count(*) FROM chatops.notifications AS n
         WHERE n.channel_id = c.id AND n.given_up_at IS NOT NULL) AS given_up
  FROM chatops.channels AS c
 WHERE c.id > :after AND (:channel_id::bigint IS NULL OR c.id = :channel_id)
 ORDER BY c.id
 LIMIT :count;

-- name: list_plain_addresses
-- Channels whose address is not like :sealed, that is not encrypted.
SELECT id, url FROM chatops.channels WHERE url NOT LIKE :sealed ORDER BY id;

-- name: seal_address!
-- Encrypts a channel's address, unless it is another one by now.
UPDATE chatops.channels SET url = :sealed WHERE id = :channel_id::bigint AND url = :plain;

-- name: create_channel$
-- A new channel's id; nothing when its name is taken.
INSERT INTO chatops.channels (name, type, url, enabled) VALUES (:name, :type, :url, :enabled)
ON CONFLICT DO NOTHING
RETURNING id;

-- name: lock_channel!
-- Holds one channel, if there is one, until the transaction ends.
SELECT FROM chatops.channels WHERE id = :channel_id::bigint FOR UPDATE;

-- name: update_channel$
-- Changes what is not NULL; raises unique_violation when the name is taken. A new address starts without an error.
UPDATE chatops.channels
   SET name = coalesce(:name, name), url = coalesce(:url, url), enabled = coalesce(:enabled, enabled),
       last_error = CASE WHEN :url::text IS NULL THEN last_error END
 WHERE id = :channel_id::bigint
RETURNING id;

-- name: delete_channel$
-- Removes a channel with all that waits for it.
DELETE FROM chatops.channels WHERE id = :channel_id::bigint RETURNING id;

-- name: rules_using_channel
-- The rules that notify or escalate to a channel.
SELECT name FROM chatops.thresholds
 WHERE deleted_at IS NULL
   AND (definition -> 'channel_ids' @> to_jsonb(:channel_id::bigint)
        OR definition -> 'escalate_channel_ids' @> to_jsonb(:channel_id::bigint))
 ORDER BY id;

-- name: give_up_waiting!
-- What waits for a channel is not sent any more.
UPDATE chatops.notifications SET given_up_at = now(), last_error = 'the channel was disabled'
 WHERE channel_id = :channel_id::bigint AND delivered_at IS NULL AND given_up_at IS NULL;

-- name: note_test!
-- How the test of a channel went; :error is NULL when it went well, :now in Unix seconds.
UPDATE chatops.channels
   SET last_error = :error::text,
       last_delivered_at = CASE WHEN :error::text IS NULL THEN to_timestamp(:now::float8) ELSE last_delivered_at END
 WHERE id = :channel_id::bigint;

-- name: list_all_silences
-- Every silence there is.
SELECT definition::text AS definition FROM chatops.silences;

-- name: list_silences
-- Silences after the id :after, at most :count, ascending. :visible: NULL, or the servers that one may name; those that
-- name none hold for them too.
SELECT id, definition::text AS definition, created_by, created_at
  FROM chatops.silences
 WHERE id > :after
   AND (:visible::integer[] IS NULL OR definition->>'server_id' IS NULL
        OR (definition->>'server_id')::bigint = ANY(:visible))
 ORDER BY id
 LIMIT :count;

-- name: create_silence^
-- A new silence.
INSERT INTO chatops.silences (definition, created_by) VALUES (:definition::jsonb, :created_by)
RETURNING id, definition::text AS definition, created_by, created_at;

-- name: update_silence^
-- Replaces what a silence covers; who made it and when stays.
UPDATE chatops.silences SET definition = :definition::jsonb
 WHERE id = :silence_id::bigint
RETURNING id, definition::text AS definition, created_by, created_at;

-- name: lock_silence$
-- The definition of one silence, which nobody else changes until the transaction ends.
SELECT definition::text FROM chatops.silences WHERE id = :silence_id::bigint FOR UPDATE;

-- name: delete_silence$
-- Ends a silence.
DELETE FROM chatops.silences WHERE id = :silence_id::bigint RETURNING id;

-- name: missing_of_silence$
-- Which of a silence's rule and server does not exist; NULL when both do, or are not named.
SELECT CASE
         WHEN :threshold_id::bigint IS NOT NULL
              AND NOT EXISTS (SELECT FROM chatops.thresholds WHERE id = :threshold_id AND deleted_at IS NULL) THEN 'threshold_id'
         WHEN :server_id::bigint IS NOT NULL
              AND NOT EXISTS (SELECT FROM chatops.servers WHERE id = :server_id) THEN 'server_id'
       END;

-- name: mark_silenced!
-- Alerts that nobody is told of because of a silence.
UPDATE chatops.alerts SET silenced = true WHERE id = ANY(:alert_ids::bigint[]) AND NOT silenced;

-- name: lock_told
-- What people were told of some alerts, locked until the transaction ends.
SELECT id, first_notified_at, escalated_at, told_level, told_channel_ids
  FROM chatops.alerts
 WHERE id = ANY(:alert_ids::bigint[])
 ORDER BY id
   FOR UPDATE;

-- name: lock_enabled_channels
-- Those of some channels that are enabled; they stay until the transaction ends.
SELECT id FROM chatops.channels WHERE id = ANY(:channel_ids::bigint[]) AND enabled ORDER BY id FOR SHARE;

-- name: mark_told!
-- Remembers that :channel_ids were told of a transition at :now (Unix seconds). An end forgets them.
UPDATE chatops.alerts
   SET first_notified_at = coalesce(first_notified_at, to_timestamp(:now::float8)),
       notified_at = CASE WHEN :transition::text = 'escalated' THEN notified_at ELSE to_timestamp(:now::float8) END,
       escalated_at = CASE WHEN :transition = 'escalated' THEN coalesce(escalated_at, to_timestamp(:now::float8))
                           ELSE escalated_at END,
       told_level = :level::text,
       silenced = silenced AND :transition = 'resolved',
       told_channel_ids = CASE WHEN :transition = 'resolved' THEN '{}'::integer[]
                               ELSE ARRAY(SELECT DISTINCT unnest(told_channel_ids || :channel_ids::integer[]) ORDER BY 1) END
 WHERE id = :alert_id::bigint;

-- name: lock_waiting
-- Notifications of the last ten seconds that nobody began to send, so that more of the same server can go into them.
SELECT id, channel_id, server_id, alert_ids, payload::text AS payload
  FROM chatops.notifications
 WHERE channel_id = ANY(:channel_ids::bigint[]) AND server_id = ANY(:server_ids::bigint[])
   AND delivered_at IS NULL AND given_up_at IS NULL AND attempts = 0
   AND created_at > to_timestamp(:now::float8 - 10)
 ORDER BY id
   FOR UPDATE;

-- name: extend_notification!
-- More changes in a notification that waits.
UPDATE chatops.notifications
   SET key = :key, alert_ids = :alert_ids::bigint[], payload = :payload::jsonb
 WHERE id = :notification_id::bigint;

-- name: insert_notification!
-- A notification, due :wait_s seconds after :now (Unix seconds); nothing when the same one is there.
INSERT INTO chatops.notifications (key, channel_id, server_id, alert_ids, payload, created_at, next_attempt_at)
VALUES (:key, :channel_id, :server_id, :alert_ids::bigint[], :payload::jsonb, to_timestamp(:now::float8),
        to_timestamp(:now::float8 + :wait_s::float8))
ON CONFLICT (key) DO NOTHING;

-- name: due_channels
-- Enabled channels that something is due for at :now (Unix seconds).
SELECT DISTINCT n.channel_id
  FROM chatops.notifications AS n
  JOIN chatops.channels AS c ON c.id = n.channel_id AND c.enabled
 WHERE n.delivered_at IS NULL AND n.given_up_at IS NULL AND n.next_attempt_at <= to_timestamp(:now::float8);

-- name: claim_notification^
-- The first due notification of a channel that no undelivered one of the same alert precedes, leased until
-- :leased_until (Unix seconds); one that another backend is claiming is passed over.
UPDATE chatops.notifications AS n
   SET next_attempt_at = to_timestamp(:leased_until::float8), attempts = n.attempts + 1
  FROM chatops.channels AS c
 WHERE c.id = n.channel_id AND n.id = (
       SELECT due.id
         FROM chatops.notifications AS due
        WHERE due.channel_id = :channel_id::bigint AND due.delivered_at IS NULL AND due.given_up_at IS NULL
          AND due.next_attempt_at <= to_timestamp(:now::float8)
          AND NOT EXISTS (SELECT FROM chatops.notifications AS earlier
                           WHERE earlier.channel_id = due.channel_id AND earlier.id < due.id
                             AND earlier.delivered_at IS NULL AND earlier.given_up_at IS NULL
                             AND earlier.alert_ids && due.alert_ids)
        ORDER BY due.id
        LIMIT 1
          FOR UPDATE SKIP LOCKED)
RETURNING n.id, n.key, n.channel_id, n.payload::text AS payload, n.attempts,
          extract(epoch FROM n.created_at)::float8 AS created_at, c.type, c.url, c.name AS channel;

-- name: mark_delivered!
-- A receiver took a notification at :now (Unix seconds).
WITH told AS (
    UPDATE chatops.notifications SET delivered_at = to_timestamp(:now::float8), last_error = NULL
     WHERE id = :notification_id::bigint
    RETURNING channel_id)
UPDATE chatops.channels AS c SET last_delivered_at = to_timestamp(:now::float8), last_error = NULL
  FROM told WHERE c.id = told.channel_id;

-- name: mark_failed!
-- An attempt failed at :now; the next one is at :next_at (Unix seconds), or never when it is given up.
WITH failed AS (
    UPDATE chatops.notifications
       SET last_error = :error, next_attempt_at = to_timestamp(:next_at::float8),
           given_up_at = CASE WHEN :given_up::boolean THEN to_timestamp(:now::float8) END
     WHERE id = :notification_id::bigint AND delivered_at IS NULL
    RETURNING channel_id)
UPDATE chatops.channels AS c SET last_error = :error FROM failed WHERE c.id = failed.channel_id;

-- name: count_waiting$
-- How many notifications are not delivered yet.
SELECT count(*) FROM chatops.notifications WHERE delivered_at IS NULL AND given_up_at IS NULL;

-- name: delete_old_notifications!
-- Forgets what was delivered or given up more than :kept_days before :now (Unix seconds).
DELETE FROM chatops.notifications
 WHERE coalesce(delivered_at, given_up_at) < to_timestamp(:now::float8 - :kept_days::float8 * 86400);

-- name: lock_due
-- Firing alerts that people must hear of at :now (Unix seconds) though nothing changed, locked; rows that another
-- backend holds are left to it. `due`: never told for :grace_s seconds although nothing explains it any more, or (after
-- a silence) told at a lower level; not acknowledged in time; to be repeated.
WITH open AS (
    SELECT a.id, t.definition, s.name AS server_name, s.tags, a.silenced,
           CASE
             WHEN a.first_notified_at IS NULL
                  AND (a.silenced OR a.started_at <= to_timestamp(:now::float8 - :grace_s::float8))
                  AND (holder.id IS NULL OR holder.resolved_at <= to_timestamp(:now - :grace_s)) THEN 'fired'
             WHEN a.first_notified_at IS NULL THEN NULL
             WHEN a.silenced THEN 'raised'
             WHEN a.escalated_at IS NULL
                  AND a.first_notified_at + (t.definition ->> 'escalate_after_s')::float8 * INTERVAL '1 second'
                      <= to_timestamp(:now) THEN 'escalated'
             WHEN (t.definition ->> 'repeat_s')::float8 > 0
                  AND a.notified_at + greatest(60, (t.definition ->> 'repeat_s')::float8) * INTERVAL '1 second'
                      <= to_timestamp(:now) THEN 'repeat'
           END AS due
      FROM chatops.alerts AS a
      JOIN chatops.thresholds AS t ON t.id = a.threshold_id
      JOIN chatops.servers AS s ON s.id = a.server_id
      LEFT JOIN chatops.alerts AS holder ON holder.id = a.held_back_by
     WHERE a.state = 'firing')
SELECT a.id, a.threshold_id, open.definition::text AS definition, a.server_id, open.server_name, open.tags,
       a.labels::text AS labels, a.level, a.value, a.bound::text AS bound, a.window_s, a.silenced, open.due,
       extract(epoch FROM coalesce(a.pending_at, a.started_at))::float8 AS started_at
  FROM open
  JOIN chatops.alerts AS a ON a.id = open.id
 WHERE open.due IS NOT NULL AND a.state = 'firing'
 ORDER BY a.id
   FOR UPDATE OF a SKIP LOCKED;

-- name: forget_hindrance!
-- Nothing keeps people from hearing of an alert any more; a silence that still holds is noted again.
UPDATE chatops.alerts SET silenced = false, held_back_by = NULL
 WHERE id = :alert_id::bigint AND (silenced OR held_back_by IS NOT NULL);
