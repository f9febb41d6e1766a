-- name: find_user_for_login^
-- The account behind a username, letter case aside, with its password's hash.
SELECT id, username, password_hash, role, display_name, active, created_at, all_servers, server_ids, server_tags,
       EXISTS (SELECT FROM chatops.second_factors AS f WHERE f.user_id = users.id AND f.confirmed_at IS NOT NULL)
           AS second_factor
FROM chatops.users
WHERE lower(username) = lower(:username);

-- name: find_user^
-- One account by its id.
SELECT id, username, role, display_name, active, created_at, all_servers, server_ids, server_tags,
       EXISTS (SELECT FROM chatops.second_factors AS f WHERE f.user_id = users.id AND f.confirmed_at IS NOT NULL)
           AS second_factor
FROM chatops.users
WHERE id = :user_id::bigint;

-- name: find_password_hash$
-- The hash of one active account's password.
SELECT password_hash
FROM chatops.users
WHERE id = :user_id::bigint AND active;

-- name: list_users
-- Accounts after the id :after, at most :count, ascending.
SELECT id, username, role, display_name, active, created_at, all_servers, server_ids, server_tags,
       EXISTS (SELECT FROM chatops.second_factors AS f WHERE f.user_id = users.id AND f.confirmed_at IS NOT NULL)
           AS second_factor
FROM chatops.users
WHERE id > :after
ORDER BY id
LIMIT :count;

-- name: create_user^
-- A new account; no row when its name is taken.
INSERT INTO chatops.users (username, password_hash, role, display_name, all_servers, server_ids, server_tags)
VALUES (:username, :password_hash, :role, :display_name, :all_servers, :server_ids::bigint[], :server_tags)
ON CONFLICT DO NOTHING
RETURNING id, username, role, display_name, active, created_at, all_servers, server_ids, server_tags,
       EXISTS (SELECT FROM chatops.second_factors AS f WHERE f.user_id = users.id AND f.confirmed_at IS NOT NULL)
           AS second_factor;

-- name: update_user^
-- Changes what is not NULL of one account.
UPDATE chatops.users
SET role = coalesce(:role, role),
    display_name = coalesce(:display_name, display_name),
    active = coalesce(:active, active),
    all_servers = coalesce(:all_servers, all_servers),
    server_ids = coalesce(:server_ids::bigint[], server_ids),
    server_tags = coalesce(:server_tags, server_tags)
WHERE id = :user_id::bigint
RETURNING id, username, role, display_name, active, created_at, all_servers, server_ids, server_tags,
       EXISTS (SELECT FROM chatops.second_factors AS f WHERE f.user_id = users.id AND f.confirmed_at IS NOT NULL)
           AS second_factor;

-- name: set_password!
-- Gives one account another password.
UPDATE chatops.users
SET password_hash = :password_hash
WHERE id = :user_id::bigint;

-- name: delete_user^
-- Removes one account, and with it its sessions.
DELETE FROM chatops.users
WHERE id = :user_id::bigint
RETURNING id;

-- name: lock_user^
-- Holds one account until the transaction ends.
SELECT id, username, role, display_name, active, created_at, all_servers, server_ids, server_tags,
       EXISTS (SELECT FROM chatops.second_factors AS f WHERE f.user_id = users.id AND f.confirmed_at IS NOT NULL)
           AS second_factor
FROM chatops.users
WHERE id = :user_id::bigint
FOR UPDATE;

-- name: lock_administrators
-- Holds every account that can administer until the transaction ends: two of them cannot demote each other.
SELECT id
FROM chatops.users
WHERE role = 'admin' AND active
ORDER BY id
FOR UPDATE;

-- name: lock_first_run!
-- One process at a time looks for the first administrator.
SELECT pg_advisory_xact_lock(:lock);

-- name: has_users$
-- Whether anybody has an account.
SELECT EXISTS (SELECT FROM chatops.users);

-- name: open_session^
-- A new log-in, that ends when it is not refreshed for :idle_s seconds. No row when the account was disabled meanwhile,
-- or its password changed.
INSERT INTO chatops.sessions (user_id, expires_at, address, client)
SELECT id, now() + make_interval(secs => :idle_s), :address, :client
FROM chatops.users
WHERE id = :user_id::bigint AND active AND password_hash = :password_hash
RETURNING id;

-- name: delete_old_sessions!
-- Forgets the log-ins of one account that ended over a week ago.
DELETE FROM chatops.sessions
WHERE user_id = :user_id AND expires_at < now() - INTERVAL '7 days';

-- name: store_refresh_token!
-- The hash of the token that may refresh the session next.
INSERT INTO chatops.refresh_tokens (token_hash, session_id)
VALUES (:token_hash, :session_id);

-- name: use_refresh_token$
-- Marks a token used; of several at once one gets the session's id, the others nothing.
UPDATE chatops.refresh_tokens
SET used_at = now()
WHERE token_hash = :token_hash AND used_at IS NULL
RETURNING session_id;

-- name: find_session_of_refresh_token$
-- The session that a token belongs to, used or not.
SELECT session_id
FROM chatops.refresh_tokens
WHERE token_hash = :token_hash;

-- name: extend_session^
-- Moves the end of a living session: :idle_s seconds from now, but at most :longest_s after its log-in.
UPDATE chatops.sessions AS s
SET expires_at = least(now() + make_interval(secs => :idle_s), s.created_at + make_interval(secs => :longest_s)),
    refreshed_at = now(), address = coalesce(:address, s.address)
FROM chatops.users AS u
WHERE s.id = :session_id AND s.revoked_at IS NULL AND s.expires_at > now() AND u.id = s.user_id AND u.active
RETURNING s.id AS session_id, u.id, u.username, u.role, u.display_name, u.active, u.created_at, u.all_servers,
          u.server_ids, u.server_tags,
       EXISTS (SELECT FROM chatops.second_factors AS f WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL)
           AS second_factor;

-- name: find_principal^
-- Who a living session speaks for, with the role of this moment, and the servers they may see (NULL: all, as
-- administrators always do); no row for a dead session.
SELECT u.id AS user_id, u.username, u.role,
       CASE WHEN NOT u.all_servers AND u.role <> 'admin' THEN ARRAY(
           SELECT id FROM chatops.servers WHERE id = ANY(u.server_ids) OR tags && u.server_tags) END AS servers
FROM chatops.sessions AS s
JOIN chatops.users AS u ON u.id = s.user_id
WHERE s.id = :session_id AND s.revoked_at IS NULL AND s.expires_at > now() AND u.active;

-- name: list_sessions
-- Living sessions of one account, newest first, before the one of :created_at and :id (NULL: from the newest), at most
-- :count.
SELECT id, created_at, refreshed_at, expires_at, address, client
FROM chatops.sessions
WHERE user_id = :user_id::bigint AND revoked_at IS NULL AND expires_at > now()
  AND (:created_at::timestamptz IS NULL OR (created_at, id) < (:created_at, :id::uuid))
ORDER BY created_at DESC, id DESC
LIMIT :count;

-- name: revoke_living_session^
-- Ends a session of one account; its name, or no row when there is none such that lives.
UPDATE chatops.sessions AS s
SET revoked_at = now(), revoked_because = :because
FROM chatops.users AS u
WHERE s.id = :session_id AND s.user_id = :user_id::bigint AND s.revoked_at IS NULL AND s.expires_at > now()
  AND u.id = s.user_id
RETURNING u.username;

-- name: revoke_session^
-- Ends one session and says whose it was; no row when it had ended already.
UPDATE chatops.sessions AS s
SET revoked_at = now(), revoked_because = :because
FROM chatops.users AS u
WHERE s.id = :session_id AND s.revoked_at IS NULL AND u.id = s.user_id
RETURNING u.id AS user_id, u.username, u.role;

-- name: revoke_sessions_of_user!
-- Ends all sessions of an account but :except_session (NULL: all).
UPDATE chatops.sessions
SET revoked_at = now(), revoked_because = :because
WHERE user_id = :user_id AND revoked_at IS NULL AND id IS DISTINCT FROM :except_session;

-- name: find_second_factor^
-- An account's second factor, confirmed or not.
SELECT user_id, salt, confirmed_at, last_step,
       (SELECT count(*) FROM chatops.recovery_codes AS code
         WHERE code.user_id = factor.user_id AND used_at IS NULL) AS recovery_codes_left
FROM chatops.second_factors AS factor
WHERE user_id = :user_id::bigint;

-- name: begin_second_factor^
-- A second factor that waits for its first code, in place of one that did; no row when one is switched on.
INSERT INTO chatops.second_factors AS factor (user_id, salt)
VALUES (:user_id, :salt)
ON CONFLICT (user_id) DO UPDATE SET salt = excluded.salt, created_at = now(), last_step = 0
WHERE factor.confirmed_at IS NULL
RETURNING user_id;

-- name: confirm_second_factor!
-- From now on it is asked for.
UPDATE chatops.second_factors SET confirmed_at = now() WHERE user_id = :user_id;

-- name: use_step^
-- Uses up a period and all before it; of several at once one gets a row.
UPDATE chatops.second_factors
SET last_step = :step
WHERE user_id = :user_id AND last_step < :step
RETURNING user_id;

-- name: use_recovery_code^
-- Uses up one recovery code of a second factor that is switched on; no row when it is none, or used.
UPDATE chatops.recovery_codes AS code
SET used_at = now()
FROM chatops.second_factors AS factor
WHERE code.user_id = :user_id AND code.code_hash = :code_hash AND code.used_at IS NULL
  AND factor.user_id = code.user_id AND factor.confirmed_at IS NOT NULL
RETURNING code.user_id;

-- name: replace_recovery_codes!
-- Other recovery codes for an account.
WITH former AS (DELETE FROM chatops.recovery_codes WHERE user_id = :user_id)
INSERT INTO chatops.recovery_codes (user_id, code_hash)
SELECT :user_id, unnest(:code_hashes::bytea[]);

-- name: delete_second_factor^
-- An account's second factor is gone, with its recovery codes; no row when there is none.
DELETE FROM chatops.second_factors WHERE user_id = :user_id::bigint RETURNING user_id;

-- name: note_proof!
-- A code was shown in this session now.
UPDATE chatops.sessions SET proved_at = now() WHERE id = :session_id;

-- name: find_proof^
-- How long ago a code was shown in a session, and since when its person has a second factor (NULL: has none).
SELECT extract(epoch FROM now() - session.proved_at)::float8 AS proved_s_ago, factor.confirmed_at
FROM chatops.sessions AS session
LEFT JOIN chatops.second_factors AS factor ON factor.user_id = session.user_id
WHERE session.id = :session_id;

-- name: replace_password_hash!
-- The same password, hashed with today's parameters, unless it changed meanwhile.
UPDATE chatops.users
SET password_hash = :new
WHERE id = :user_id AND password_hash = :old;
