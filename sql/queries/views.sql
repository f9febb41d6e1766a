-- name: list_views
-- The views of :user_id after the id :after, at most :count, ascending.
SELECT id, name, query::text AS query, created_at, updated_at
  FROM chatops.saved_views
 WHERE user_id = :user_id::integer AND id > :after
 ORDER BY id
 LIMIT :count;

-- name: find_view^
-- One view of :user_id; no row for another's.
SELECT id, name, query::text AS query, created_at, updated_at
  FROM chatops.saved_views
 WHERE id = :view_id::bigint AND user_id = :user_id::integer;

-- name: lock_view^
-- The same, which nobody else changes until the transaction ends.
SELECT id, name, query::text AS query, created_at, updated_at
  FROM chatops.saved_views
 WHERE id = :view_id::bigint AND user_id = :user_id::integer
   FOR UPDATE;

-- name: lock_owner$
-- Whether :user_id is there; whoever adds a view to it waits for the others who do, so that counting is safe.
SELECT id FROM chatops.users WHERE id = :user_id::integer FOR NO KEY UPDATE;

-- name: count_views$
-- How many views :user_id has.
SELECT count(*) FROM chatops.saved_views WHERE user_id = :user_id::integer;

-- name: create_view^
-- A new view; no row when its name is taken among the person's own.
INSERT INTO chatops.saved_views (user_id, name, query)
VALUES (:user_id::integer, :name, :query::jsonb)
ON CONFLICT DO NOTHING
RETURNING id, name, query::text AS query, created_at, updated_at;

-- name: update_view^
-- Replaces name and query; raises unique_violation when the name is taken among the person's own.
UPDATE chatops.saved_views
   SET name = :name, query = :query::jsonb, updated_at = clock_timestamp()
 WHERE id = :view_id::bigint
RETURNING id, name, query::text AS query, created_at, updated_at;

-- name: delete_view!
-- Removes one view.
DELETE FROM chatops.saved_views WHERE id = :view_id::bigint;
