-- name: list_servers
-- Servers after the id :after, at most :count, ascending. Tags: all of them; status and search: NULL for any; search
-- finds its text anywhere in name or description, letter case aside. Visible: NULL for all.
SELECT id, name, description, tags, status, created_at, last_seen, agent_version, platform
FROM chatops.server_states
WHERE id > :after
  AND tags @> :tags::text[]
  AND (:status::text IS NULL OR status = :status)
  AND (:visible::integer[] IS NULL OR id = ANY(:visible))
  AND (:search::text IS NULL OR strpos(lower(name), lower(:search)) > 0 OR strpos(lower(description), lower(:search)) > 0)
ORDER BY id
LIMIT :count;

-- name: find_server^
-- One server by its id.
SELECT id, name, description, tags, status, created_at, last_seen, agent_version, platform
FROM chatops.server_states
WHERE id = :server_id::bigint;

-- name: create_server$
-- A new server's id; nothing when its name is taken.
INSERT INTO chatops.servers (name, description, tags, interval_s)
VALUES (:name, :description, :tags, :interval_s)
ON CONFLICT DO NOTHING
RETURNING id;

-- name: lock_server!
-- Holds one server, if there is one, until the transaction ends.
SELECT FROM chatops.servers WHERE id = :server_id::bigint FOR UPDATE;

-- name: update_server$
-- Changes what is not NULL of one server; raises unique_violation when the name is taken.
UPDATE chatops.servers
SET name = coalesce(:name, name), description = coalesce(:description, description), tags = coalesce(:tags, tags)
WHERE id = :server_id::bigint
RETURNING id;

-- name: delete_server$
-- Removes a server with its keys and marks. Its measurements stay until their retention ends.
DELETE FROM chatops.servers
WHERE id = :server_id::bigint
RETURNING id;

-- name: list_connections
-- Connection events of one server, newest first, before the moment :before (NULL: from the newest), at most :count.
-- Events of one moment are told apart by event and detail.
SELECT time, server_id, event, detail, address
FROM chatops.connection_events
WHERE server_id = :server_id::bigint
  AND (:before::timestamptz IS NULL OR (time <= :before AND (time, event, detail) < (:before, :event::text, :detail::text)))
ORDER BY time DESC, event DESC, detail DESC
LIMIT :count;

-- name: list_api_keys
-- Keys after the id :after, of one server or (NULL) of all, at most :count, ascending.
SELECT id, server_id, name, hint, active, created_at, expires_at, last_used_at
FROM chatops.api_keys
WHERE id > :after AND (:server_id::bigint IS NULL OR server_id = :server_id)
ORDER BY id
LIMIT :count;

-- name: create_api_key^
-- A new key; no row when there is no such server.
INSERT INTO chatops.api_keys (server_id, name, key_hash, hint, expires_at)
SELECT id, :name, :key_hash, :hint, :expires_at::timestamptz
FROM chatops.servers
WHERE id = :server_id::bigint
RETURNING id, server_id, name, hint, active, created_at, expires_at;

-- name: deactivate_api_key^
-- Ends a key for good; it stays listed.
UPDATE chatops.api_keys
SET active = false
WHERE id = :key_id::bigint
RETURNING id, server_id, name, hint, active, created_at, expires_at, last_used_at;

-- name: delete_api_key^
-- Removes a key.
DELETE FROM chatops.api_keys
WHERE id = :key_id::bigint
RETURNING id, server_id, name, hint, active, created_at, expires_at, last_used_at;

-- name: key_ids_of_server
-- The keys of one server.
SELECT id
FROM chatops.api_keys
WHERE server_id = :server_id::bigint;

-- name: identify_agent^
-- The server that a key's hash speaks for, if the key is good now; remembers that it was used.
UPDATE chatops.api_keys AS k
SET last_used_at = now()
FROM chatops.servers AS s
WHERE k.key_hash = :key_hash AND k.active AND (k.expires_at IS NULL OR k.expires_at > now()) AND s.id = k.server_id
RETURNING k.id AS key_id, s.id AS server_id, s.name AS server_name;

-- name: find_valid_keys
-- Which of some keys are good now.
SELECT id
FROM chatops.api_keys
WHERE id = ANY(:key_ids::integer[]) AND active AND (expires_at IS NULL OR expires_at > now());

-- name: find_server_by_name$
-- The id of the server with a name, letter case aside.
SELECT id FROM chatops.servers WHERE lower(name) = lower(:name);
