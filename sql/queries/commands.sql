-- name: reserve_ids
-- Numbers for so many new commands.
SELECT nextval(pg_get_serial_sequence('chatops.commands', 'id')) AS id FROM generate_series(1, :count::integer);

-- name: create_group$
-- A group of commands that are given at once.
INSERT INTO chatops.command_groups (at_a_time, stop_after_failures)
VALUES (:at_a_time::integer, :stop_after_failures::integer)
RETURNING id;

-- name: create_commands!
-- Commands, signed already: what differs between them as parallel columns. Released ones may go out at once.
INSERT INTO chatops.commands (id, group_id, server_id, kind, action, title, act, timeout_s, user_id, username, session_id,
                              audit_id, nonce, envelope, signature, expires_at, wait_s, released_at)
SELECT line.id, :group_id::bigint, line.server_id, :kind, :action, :title, :act, :timeout_s, :user_id, :username,
       :session_id, line.audit_id, line.nonce, line.envelope, line.signature, line.expires_at, :wait_s,
       CASE WHEN line.released THEN now() END
  FROM unnest(:ids::bigint[], :server_ids::integer[], :audit_ids::bigint[], :nonces::text[], :envelopes::bytea[],
              :signatures::bytea[], :expire_at::timestamptz[], :released::boolean[])
    AS line (id, server_id, audit_id, nonce, envelope, signature, expires_at, released);

-- name: list_commands
-- Commands before the id :before, newest first, at most :count; the other filters: NULL for any. Those between :start
-- and :end were given before the one and were not over before the other.
SELECT c.id, c.group_id, c.server_id, s.name AS server_name, c.kind, c.title, c.act, c.timeout_s, c.username, c.state,
       c.detail, c.exit_code, c.duration_s, c.stdout_bytes, c.stderr_bytes, c.created_at, c.expires_at, c.sent_at,
       c.started_at, c.finished_at
  FROM chatops.commands AS c
  JOIN chatops.servers AS s ON s.id = c.server_id
 WHERE (:before::bigint IS NULL OR c.id < :before)
   AND (:command_id::bigint IS NULL OR c.id = :command_id)
   AND (:visible::integer[] IS NULL OR c.server_id = ANY(:visible))
   AND (:server_id::bigint IS NULL OR c.server_id = :server_id)
   AND (:group_id::bigint IS NULL OR c.group_id = :group_id)
   AND (:states::text[] IS NULL OR c.state = ANY(:states))
   AND (:kind::text IS NULL OR c.kind = :kind)
   AND (:username::text IS NULL OR lower(c.username) = lower(:username))
   AND (:search::text IS NULL OR strpos(lower(c.title), lower(:search)) > 0)
   AND (:end::timestamptz IS NULL OR c.created_at < :end)
   -- None waits longer than a day, nor runs longer than another: so the range is one of the index too.
   AND (:start::timestamptz IS NULL OR c.created_at > :start - INTERVAL '3 days')
   AND (:start::timestamptz IS NULL OR c.finished_at IS NULL OR c.finished_at >= :start)
 ORDER BY c.id DESC
 LIMIT :count;

-- name: read_state$
-- The state of one command.
SELECT state FROM chatops.commands WHERE id = :command_id::bigint;

-- name: read_output
-- What a command wrote after the sequence :after, in order, at most :count pieces. :since is when it was given: older
-- chunks need not be looked into.
SELECT sequence, stream, start, data
  FROM chatops.command_output
 WHERE command_id = :command_id AND sequence > :after AND time >= :since::timestamptz
 ORDER BY sequence
 LIMIT :count;

-- name: request_cancel^
-- Asks for the end of one command that has not ended; no row when there is none such.
UPDATE chatops.commands
   SET cancel_requested_at = coalesce(cancel_requested_at, now()),
       cancel_reason = CASE WHEN cancel_requested_at IS NULL THEN :reason ELSE cancel_reason END
 WHERE id = :command_id::bigint AND state IN ('queued', 'sent', 'running')
RETURNING id, server_id, kind, title;

-- name: request_group_cancel
-- The same for all of a group, of visible servers (NULL: all).
UPDATE chatops.commands
   SET cancel_requested_at = coalesce(cancel_requested_at, now()),
       cancel_reason = CASE WHEN cancel_requested_at IS NULL THEN :reason ELSE cancel_reason END
 WHERE group_id = :group_id::bigint AND state IN ('queued', 'sent', 'running')
   AND (:visible::integer[] IS NULL OR server_id = ANY(:visible))
RETURNING id;

-- name: group_exists$
-- Whether there is such a group, with a command of a visible server (NULL: all).
SELECT true
  FROM chatops.command_groups AS g
 WHERE id = :group_id::bigint
   AND (:visible::integer[] IS NULL
        OR EXISTS (SELECT FROM chatops.commands WHERE group_id = g.id AND server_id = ANY(:visible)));

-- name: any_open$
-- Whether any command has not ended.
SELECT EXISTS (SELECT FROM chatops.commands WHERE state IN ('queued', 'sent', 'running'));

-- name: cancel_for_lost_rights!
-- Whoever may no longer give commands, and whoever's session was ended, runs none either.
UPDATE chatops.commands AS c
   SET cancel_requested_at = now(), cancel_reason = 'the session or the right of who gave it has ended'
 WHERE c.state IN ('queued', 'sent', 'running') AND c.cancel_requested_at IS NULL
   AND NOT EXISTS (
       SELECT FROM chatops.sessions AS s
         JOIN chatops.users AS u ON u.id = s.user_id
        WHERE s.id = c.session_id AND s.revoked_at IS NULL AND u.id = c.user_id AND u.active
          AND u.role IN ('operator', 'admin')
          AND (u.all_servers OR u.role = 'admin' OR c.server_id = ANY(u.server_ids) OR EXISTS (
              SELECT FROM chatops.servers WHERE id = c.server_id AND tags && u.server_tags)));

-- name: end_queued
-- Ends what waits and is cancelled or too late. Returns what ended.
UPDATE chatops.commands
   SET state = CASE WHEN cancel_requested_at IS NOT NULL THEN 'cancelled' ELSE 'expired' END,
       detail = CASE WHEN cancel_requested_at IS NOT NULL THEN cancel_reason
                     ELSE 'the agent was not connected in time, so it was never run' END,
       finished_at = now()
 WHERE state = 'queued'
   AND (cancel_requested_at IS NOT NULL OR expires_at < now() OR released_at + make_interval(secs => wait_s) < now())
RETURNING id, server_id, kind, action, title, username, user_id, audit_id, state, detail, exit_code;

-- name: end_silent
-- Ends what an agent was given and says nothing of: whether it ran is not known. Should it speak later, that counts.
UPDATE chatops.commands
   SET state = 'unknown', finished_at = now(),
       detail = CASE WHEN state = 'sent' THEN 'the agent did not say whether it began'
                     ELSE 'the agent did not say how it ended' END
 WHERE (state = 'sent' AND least(expires_at, cancel_requested_at) + make_interval(secs => :grace_s::float8) < now())
    OR (state = 'running' AND started_at + make_interval(secs => timeout_s + :grace_s::float8) < now())
RETURNING id, server_id, kind, action, title, username, user_id, audit_id, state, detail, exit_code;

-- name: waiting_groups
-- Groups with commands that wait for their turn.
SELECT DISTINCT group_id
  FROM chatops.commands
 WHERE state = 'queued' AND released_at IS NULL AND group_id IS NOT NULL;

-- name: lock_group^
-- One group, held until the transaction ends.
SELECT at_a_time, stop_after_failures FROM chatops.command_groups WHERE id = :group_id FOR UPDATE;

-- name: count_group^
-- How many of a group are under way, and how many did not end well. A statement of its own, after the lock, so that it
-- sees what others released meanwhile.
SELECT count(*) FILTER (WHERE state IN ('queued', 'sent', 'running') AND released_at IS NOT NULL) AS under_way,
       count(*) FILTER (WHERE state IN ('failed', 'timed_out', 'expired', 'unknown')) AS failures
  FROM chatops.commands
 WHERE group_id = :group_id;

-- name: release!
-- Let the next of a group go.
UPDATE chatops.commands
   SET released_at = now()
 WHERE id IN (SELECT id FROM chatops.commands
               WHERE group_id = :group_id AND state = 'queued' AND released_at IS NULL ORDER BY id LIMIT :count);

-- name: cancel_waiting!
-- None of a group that waits for its turn gets it.
UPDATE chatops.commands
   SET cancel_requested_at = now(), cancel_reason = :reason
 WHERE group_id = :group_id AND state = 'queued' AND released_at IS NULL;

-- name: claim
-- Takes what waits for one of the servers, to hand it to the agent with the key that stands beside it. Of two backends
-- that want the same command one gets it.
UPDATE chatops.commands AS c
   SET state = 'sent', sent_at = now(), key_id = line.key_id
  FROM unnest(:server_ids::integer[], :key_ids::integer[]) AS line (server_id, key_id)
 WHERE c.server_id = line.server_id AND c.state = 'queued' AND c.released_at IS NOT NULL
   AND c.cancel_requested_at IS NULL AND c.expires_at > now()
RETURNING c.id, c.server_id, c.nonce, c.envelope, c.signature, c.act ->> 'type' AS act_type;

-- name: read_sent
-- What was handed to an agent with this key and not confirmed: it is handed out again when that agent comes back, which
-- knows by the nonce whether it has had it. Not what is to end: an agent that never had it would begin it.
SELECT id, server_id, nonce, envelope, signature, act ->> 'type' AS act_type
  FROM chatops.commands
 WHERE server_id = :server_id AND key_id = :key_id AND state = 'sent' AND cancel_requested_at IS NULL
 ORDER BY id;

-- name: read_cancelled
-- Commands at these servers that are to end.
SELECT id, server_id, nonce, cancel_reason
  FROM chatops.commands
 WHERE server_id = ANY(:server_ids::integer[]) AND state IN ('sent', 'running') AND cancel_requested_at IS NOT NULL;

-- name: note_started$
-- The agent of the server has recorded the command and begun.
UPDATE chatops.commands
   SET state = 'running', started_at = now(), finished_at = NULL, detail = ''
 WHERE id = :command_id AND nonce = :nonce AND server_id = :server_id AND state IN ('sent', 'unknown')
RETURNING id;

-- name: note_finished^
-- How the agent of the server says the command ended. Only what has no certain end yet takes one.
UPDATE chatops.commands
   SET state = :state, exit_code = :exit_code::integer, detail = :detail, duration_s = :duration_s::float8,
       stdout_bytes = :stdout_bytes, stderr_bytes = :stderr_bytes, finished_at = now()
 WHERE id = :command_id AND nonce = :nonce AND server_id = :server_id AND state IN ('sent', 'running', 'unknown')
RETURNING id, server_id, kind, action, title, username, user_id, audit_id, state, detail, exit_code;

-- name: lock_output^
-- How far the output of a command of the server was received, held until the transaction ends.
SELECT output_sequence, output_bytes, created_at
  FROM chatops.commands
 WHERE id = :command_id AND nonce = :nonce AND server_id = :server_id
   FOR UPDATE;

-- name: store_output!
-- Pieces of one command's output.
INSERT INTO chatops.command_output (time, command_id, sequence, place, stream, start, data)
SELECT now(), :command_id, piece.* FROM unnest(:sequences::bigint[], :places::bigint[], :streams::text[], :starts::bigint[],
                                              :pieces::bytea[]) AS piece;

-- name: note_output!
-- How far it is received now.
UPDATE chatops.commands
   SET output_sequence = :sequence, output_bytes = :bytes,
       stdout_bytes = greatest(stdout_bytes, :stdout_bytes), stderr_bytes = greatest(stderr_bytes, :stderr_bytes)
 WHERE id = :command_id;

-- name: drop_middle!
-- Forgets what lies between the places :head and :tail.
DELETE FROM chatops.command_output
 WHERE command_id = :command_id AND time >= :since::timestamptz AND place >= :head AND place + length(data) <= :tail;

-- name: list_unconcluded
-- Commands that have ended, while the audit log does not say how: the log could not be written then.
SELECT id, server_id, kind, action, title, username, user_id, audit_id, state, detail, exit_code
  FROM chatops.commands AS c
 WHERE state NOT IN ('queued', 'sent', 'running') AND audit_id IS NOT NULL
   AND NOT EXISTS (SELECT FROM chatops.audit_log WHERE intent_id = c.audit_id)
 ORDER BY id
 LIMIT :count;

-- name: drop_old_commands!
-- Commands that nobody will ask for any more.
DELETE FROM chatops.commands
 WHERE created_at < now() - INTERVAL '1 year' AND state NOT IN ('queued', 'sent', 'running');

-- name: find_servers
-- Those of the servers that exist, or all with a tag.
SELECT id, name
  FROM chatops.servers
 WHERE (:server_ids::bigint[] IS NOT NULL AND id = ANY(:server_ids)) OR (:tag::text IS NOT NULL AND tags @> ARRAY[:tag])
 ORDER BY id;
