-- name: list_fleet
-- Every server with its state and the Unix time it was last heard of.
SELECT state.id, state.name, state.tags, server.interval_s, extract(epoch FROM state.last_seen)::float8 AS last_seen
  FROM chatops.server_states AS state
  JOIN chatops.servers AS server USING (id)
 ORDER BY state.id;

-- name: newest_hosts
-- The newest host row of each server heard of in the last 2 minutes.
SELECT DISTINCT ON (server_id) server_id, cpu_percent, memory_used_percent, network_receive_bytes_per_second,
       network_transmit_bytes_per_second
  FROM metrics.host
 WHERE time > now() - INTERVAL '2 minutes'
 ORDER BY server_id, time DESC;

-- name: newest_filesystems
-- The newest row of each file system heard of in the last 2 minutes.
SELECT DISTINCT ON (server_id, mountpoint) server_id, mountpoint, used_percent
  FROM metrics.filesystem
 WHERE time > now() - INTERVAL '2 minutes'
 ORDER BY server_id, mountpoint, time DESC;
