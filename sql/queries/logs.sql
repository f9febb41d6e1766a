-- name: insert_log_lines!
-- Lines of many frames, in the order in which they stand: their ids follow it.
INSERT INTO chatops.logs (time, server_id, source, level, message)
SELECT time, server_id, source, level::chatops.log_level, message
  FROM unnest(:times::timestamptz[], :server_ids::integer[], :sources::text[], :levels::text[], :messages::text[])
       AS line (time, server_id, source, level, message);

-- name: list_log_lines
-- Lines of one server in a range, newest first, before (:before, :before_id) if given. NULL filters let all through;
-- `search` is a tsquery in the form of `search.py`.
SELECT id, time, source, level::text AS level, message
  FROM chatops.logs
 WHERE server_id = :server_id
   AND time >= :start::timestamptz AND time < :end::timestamptz
   AND (:before::timestamptz IS NULL OR (time <= :before AND (time, id) < (:before, :before_id::bigint)))
   AND (:level::chatops.log_level IS NULL OR level >= :level)
   AND (:source::text IS NULL OR source = :source)
   AND (:search::text IS NULL OR words @@ to_tsquery('simple'::regconfig, :search))
 ORDER BY time DESC, id DESC
 LIMIT :count;

-- name: newest_log_id$
-- The id of the line of one server stored last, 0 without any. Lines that were a day late when they came are not seen.
SELECT coalesce(max(id), 0) FROM chatops.logs WHERE server_id = :server_id AND time > now() - INTERVAL '1 day';

-- name: newest_log_lines
-- The newest lines of one server stored after the line :after, at most :count, newest first; filters as above.
SELECT id, time, source, level::text AS level, message
  FROM chatops.logs
 WHERE server_id = :server_id AND id > :after
   AND time > now() - INTERVAL '1 day'
   AND (:level::chatops.log_level IS NULL OR level >= :level)
   AND (:source::text IS NULL OR source = :source)
   AND (:search::text IS NULL OR words @@ to_tsquery('simple'::regconfig, :search))
 ORDER BY id DESC
 LIMIT :count;

-- name: list_log_sources
-- The sources of one server's newest 20000 lines since a moment, with how many lines, most first. More lines than that
-- would make it slow, and who wrote none of them is seldom looked for.
SELECT source, count(*) AS lines
  FROM (SELECT source
          FROM chatops.logs
         WHERE server_id = :server_id AND time >= :start::timestamptz
         ORDER BY time DESC, id DESC
         LIMIT 20000) AS newest
 GROUP BY source
 ORDER BY lines DESC, source
 LIMIT 500;

-- name: read_log_policies^
-- How long lines are kept, and after how long they go into the columnstore, in days.
SELECT max(extract(epoch FROM (config ->> 'drop_after')::interval) / 86400)::float8 AS keep_days,
       max(extract(epoch FROM (config ->> 'compress_after')::interval) / 86400)::float8 AS compress_after_days
  FROM timescaledb_information.jobs
 WHERE hypertable_schema = 'chatops' AND hypertable_name = 'logs';

-- name: set_log_policies!
-- Changes both.
SELECT chatops.set_log_policies(make_interval(days => :keep_days::integer),
                                make_interval(days => :compress_after_days::integer));
