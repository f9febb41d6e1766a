-- name: database_size$
-- All that this database takes on disk.
SELECT pg_database_size(current_database());

-- name: list_tiers
-- What each measurement takes in each tier, from chunk statistics: nothing of the readings is read. The function
-- hypertable_size answers the same for one table, in a tenth of a second each.
WITH tiers AS (
    SELECT hypertable_name::text AS measurement, 'raw' AS tier, hypertable_schema AS schema, hypertable_name AS name,
           hypertable_name AS shown_name
      FROM timescaledb_information.hypertables
     WHERE hypertable_schema = 'metrics'
     UNION ALL
    SELECT left(view_name, -3), right(view_name, 2), materialization_hypertable_schema, materialization_hypertable_name,
           view_name
      FROM timescaledb_information.continuous_aggregates
     WHERE view_schema = 'metrics'
), ranges AS (
    SELECT hypertable_schema AS schema, hypertable_name AS name, min(range_start) AS start, max(range_end) AS end
      FROM timescaledb_information.chunks
     GROUP BY 1, 2
), kept AS (
    -- Of a roll-up some versions name the view, others the table behind it.
    SELECT hypertable_schema AS schema, hypertable_name AS name,
           extract(epoch FROM (config ->> 'drop_after')::interval)::double precision / 86400 AS days
      FROM timescaledb_information.jobs
     WHERE proc_name = 'policy_retention'
), relations AS (
    SELECT id, to_regclass(format('%I.%I', schema_name, table_name)) AS relation FROM _timescaledb_catalog.chunk
), stored AS (
    -- Some versions keep the names of chunks that are dropped; those have no table.
    SELECT hypertable.schema_name AS schema, hypertable.table_name AS name, count(own.relation) AS chunks,
           count(size.chunk_id) AS compressed_chunks,
           sum(pg_total_relation_size(own.relation) + coalesce(pg_total_relation_size(columns.relation), 0)) AS bytes,
           sum(size.numrows_pre_compression) AS rows,
           sum(size.uncompressed_heap_size + size.uncompressed_toast_size + size.uncompressed_index_size) AS before_bytes,
           sum(size.compressed_heap_size + size.compressed_toast_size + size.compressed_index_size) AS after_bytes
      FROM _timescaledb_catalog.hypertable AS hypertable
      JOIN _timescaledb_catalog.chunk AS chunk ON chunk.hypertable_id = hypertable.id
      LEFT JOIN _timescaledb_catalog.compression_chunk_size AS size ON size.chunk_id = chunk.id
      LEFT JOIN relations AS own ON own.id = chunk.id
      LEFT JOIN relations AS columns ON columns.id = chunk.compressed_chunk_id
     GROUP BY 1, 2
)
SELECT tiers.measurement, tiers.tier, coalesce(stored.bytes, 0)::bigint AS size_bytes,
       coalesce(stored.chunks, 0) AS chunks, coalesce(stored.compressed_chunks, 0) AS compressed_chunks,
       coalesce(stored.rows, 0)::bigint AS compressed_rows, coalesce(stored.before_bytes, 0)::bigint AS before_bytes,
       coalesce(stored.after_bytes, 0)::bigint AS after_bytes, ranges.start, ranges.end, kept.days AS kept_days
  FROM tiers
  LEFT JOIN ranges USING (schema, name)
  LEFT JOIN stored USING (schema, name)
  LEFT JOIN kept ON kept.name IN (tiers.name, tiers.shown_name) AND kept.schema IN (tiers.schema, 'metrics')
 ORDER BY tiers.measurement, array_position(ARRAY['raw', '1m', '1h', '1d'], tiers.tier);
