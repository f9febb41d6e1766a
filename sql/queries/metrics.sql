-- name: server_exists$
-- True for a server that exists.
SELECT true FROM chatops.servers WHERE id = :server_id;

-- name: find_intervals
-- The collection intervals of those servers that exist.
SELECT id, interval_s FROM chatops.servers WHERE id = ANY(:server_ids::integer[]);

-- name: find_tagged$
-- The ids of the servers with a tag.
SELECT coalesce(array_agg(id ORDER BY id), '{}') FROM chatops.servers WHERE tags @> ARRAY[:tag]::text[];

-- name: read_metric_tiers
-- For how many days each tier is kept, and since when it may be asked.
SELECT tier, days, whole_since FROM chatops.metric_tiers;

-- name: set_metric_tiers!
-- Keeps the tiers for so many days.
SELECT chatops.set_metric_tiers(:raw_days::integer, :minutes_days::integer, :hours_days::integer);
