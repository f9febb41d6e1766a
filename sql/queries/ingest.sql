-- name: open_stream^
-- The last committed sequence of a spool, which is 0 when it is new, and the names of those given up for it: of the
-- server's spools that are not `also_open`, all but the `kept` used last. An update rather than nothing on conflict,
-- since of two that open it at once the later would not see the row of the other.
WITH opened AS (
    INSERT INTO chatops.stream_marks (server_id, stream, last_sequence, received_at)
    VALUES (:server_id, :stream, 0, now())
    ON CONFLICT (server_id, stream) DO UPDATE SET received_at = now()
    RETURNING last_sequence
), retired AS (
    DELETE FROM chatops.stream_marks
     WHERE server_id = :server_id
       AND stream IN (SELECT stream FROM chatops.stream_marks
                       WHERE server_id = :server_id AND stream <> :stream AND stream <> ALL (:also_open::text[])
                       ORDER BY received_at DESC, stream DESC OFFSET :kept)
    RETURNING stream
)
SELECT last_sequence, ARRAY(SELECT stream FROM retired) AS retired FROM opened;

-- name: advance_marks$
-- Compare-and-set of many marks at once; returns how many still stood where expected.
WITH advanced AS (
    UPDATE chatops.stream_marks AS mark
       SET last_sequence = step.following, received_at = now()
      FROM unnest(:server_ids::integer[], :streams::text[], :expected::bigint[], :following::bigint[])
           AS step (server_id, stream, expected, following)
     WHERE mark.server_id = step.server_id AND mark.stream = step.stream AND mark.last_sequence = step.expected
    RETURNING 1
)
SELECT count(*) FROM advanced;

-- name: read_marks
-- The marks as they stand, for the streams asked for.
SELECT mark.server_id, mark.stream, mark.last_sequence
  FROM chatops.stream_marks AS mark
  JOIN unnest(:server_ids::integer[], :streams::text[]) AS wanted (server_id, stream) USING (server_id, stream);

-- name: record_connection_event!
-- One line of a server's connection history.
INSERT INTO chatops.connection_events (time, server_id, event, detail, address)
VALUES (now(), :server_id, :event, :detail, :address);

-- name: describe_agent!
-- What the agent says of itself when it connects.
UPDATE chatops.servers
   SET agent_version = :agent_version, platform = :platform, interval_s = :interval_s
 WHERE id = :server_id
   AND (agent_version, platform, interval_s) IS DISTINCT FROM (:agent_version, :platform, :interval_s);

-- name: note_late_readings!
-- Widen the stretches over which readings of some servers came late.
INSERT INTO chatops.late_readings (server_id, oldest, newest)
SELECT * FROM unnest(:server_ids::integer[], :oldest::timestamptz[], :newest::timestamptz[])
ON CONFLICT (server_id) DO UPDATE
   SET oldest = least(late_readings.oldest, excluded.oldest), newest = greatest(late_readings.newest, excluded.newest),
       noted_at = now();
