-- name: lock_head^
-- The end of the chain, which nobody else moves until the transaction ends, and the time on the database's clock.
SELECT entries, hash, clock_timestamp() AS now
  FROM chatops.audit_head
   FOR UPDATE;

-- name: append_entries!
-- More rows at the end of the chain, in their order, as parallel columns; the head follows by itself.
INSERT INTO chatops.audit_log (id, time, actor_kind, user_id, username, role, session_id, address, action, target_type,
                               target_id, target_name, server_id, before, after, result, detail, intent_id,
                               previous_hash, hash)
SELECT id, time, actor_kind, user_id, username, role, session_id, address, action, target_type, target_id, target_name,
       server_id, before::json, after::json, result, detail, intent_id, previous_hash, hash
  FROM unnest(:id::bigint[], :time::timestamptz[], :actor_kind::text[], :user_id::integer[], :username::text[],
              :role::text[], :session_id::uuid[], :address::text[], :action::text[], :target_type::text[],
              :target_id::text[], :target_name::text[], :server_id::integer[], :before::text[], :after::text[],
              :result::text[], :detail::text[], :intent_id::bigint[], :previous_hash::bytea[], :hash::bytea[])
    AS line (id, time, actor_kind, user_id, username, role, session_id, address, action, target_type, target_id,
             target_name, server_id, before, after, result, detail, intent_id, previous_hash, hash);

-- name: read_chain
-- Rows after the id :after in the order of the chain, at most :count.
SELECT id, time, actor_kind, user_id, username, role, session_id, address, action, target_type, target_id, target_name,
       server_id, before, after, result, detail, intent_id, previous_hash, hash
  FROM chatops.audit_log
 WHERE id > :after
 ORDER BY id
 LIMIT :count;

-- name: find_head^
-- The head, and how far the rows go, of one moment.
SELECT entries, hash, (SELECT coalesce(max(id), 0) FROM chatops.audit_log) AS last_id
  FROM chatops.audit_head;

-- name: list_entries
-- Rows before the id :before (NULL: from the newest), at most :count, newest first; other filters: NULL for any.
-- Actor: a username, letter case aside. Action: itself, or what it starts with before a dot. Search: a text anywhere in
-- names, action, detail, address, before or after, letter case aside.
SELECT id, time, actor_kind, user_id, username, role, session_id, address, action, target_type, target_id, target_name,
       server_id, before, after, result, detail, intent_id, hash
  FROM chatops.audit_log
 WHERE (:before::bigint IS NULL OR id < :before)
   AND (:actor::text IS NULL OR lower(username) = lower(:actor))
   AND (:user_id::bigint IS NULL OR user_id = :user_id)
   AND (:action::text IS NULL OR action = :action OR starts_with(action, :action || '.'))
   AND (:target_type::text IS NULL OR target_type = :target_type)
   AND (:target_id::text IS NULL OR target_id = :target_id)
   AND (:server_id::bigint IS NULL OR server_id = :server_id)
   AND (:result::text IS NULL OR result = :result)
   AND (:start::timestamptz IS NULL OR time >= :start)
   AND (:end::timestamptz IS NULL OR time < :end)
   AND (:search::text IS NULL OR strpos(lower(concat_ws(E'\n', username, action, target_id, target_name, address, detail,
                                                        before::text, after::text)), lower(:search)) > 0)
 ORDER BY id DESC
 LIMIT :count;
