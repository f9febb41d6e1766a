-- The eight measurements of the catalogue, their roll-ups and their policies.

-- Makes one measurement a hypertable, and its roll-ups 1m, 1h, 1d from the table's own columns: double precision is a
-- field, everything else but `time` and `server_id` a label. Each roll-up reads the one below it; averages above the
-- first are weighted by `samples`. A new measurement is one CREATE TABLE and one call.
CREATE FUNCTION metrics.create_measurement(measurement text) RETURNS void LANGUAGE plpgsql AS $function$
DECLARE
    base regclass := format('metrics.%I', measurement)::regclass;
    labels text;
    raw_fields text;
    rolled_fields text;
    source text := measurement;
    rollup record;
BEGIN
    PERFORM create_hypertable(base, by_range('time', INTERVAL '1 day'));
    EXECUTE format('CREATE INDEX %I ON %s (server_id, time DESC)', measurement || '_server_time', base);

    SELECT coalesce(string_agg(format(', %I', attname), '' ORDER BY attnum)
                        FILTER (WHERE atttypid <> 'double precision'::regtype), ''),
           string_agg(format(', avg(%1$I) AS %2$I, min(%1$I) AS %3$I, max(%1$I) AS %4$I',
                             attname, attname || '_avg', attname || '_min', attname || '_max'), '' ORDER BY attnum)
                        FILTER (WHERE atttypid = 'double precision'::regtype),
           string_agg(format(', sum(%2$I * samples) / sum(samples) FILTER (WHERE %2$I IS NOT NULL) AS %2$I,'
                             ' min(%3$I) AS %3$I, max(%4$I) AS %4$I',
                             attname, attname || '_avg', attname || '_min', attname || '_max'), '' ORDER BY attnum)
                        FILTER (WHERE atttypid = 'double precision'::regtype)
      INTO labels, raw_fields, rolled_fields
      FROM pg_attribute
     WHERE attrelid = base AND attnum > 0 AND NOT attisdropped AND attname NOT IN ('time', 'server_id');

    FOR rollup IN SELECT * FROM (VALUES ('1m', INTERVAL '1 minute'), ('1h', INTERVAL '1 hour'), ('1d', INTERVAL '1 day'))
                         AS tiers (tier, width)
    LOOP
        EXECUTE format(
            'CREATE MATERIALIZED VIEW metrics.%I WITH (timescaledb.continuous, timescaledb.materialized_only = false,'
            ' timescaledb.create_group_indexes = false) AS'
            ' SELECT time_bucket(%L::interval, time) AS time, server_id%s%s, %s AS samples'
            ' FROM metrics.%I GROUP BY 1, server_id%s WITH NO DATA',
            measurement || '_' || rollup.tier, rollup.width, labels,
            CASE WHEN source = measurement THEN raw_fields ELSE rolled_fields END,
            CASE WHEN source = measurement THEN 'count(*)' ELSE 'sum(samples)::bigint' END,
            source, labels);
        EXECUTE format('CREATE INDEX %I ON metrics.%I (server_id, time DESC)',
                       measurement || '_' || rollup.tier || '_server_time', measurement || '_' || rollup.tier);
        source := measurement || '_' || rollup.tier;
    END LOOP;
END
$function$;

-- Sets refresh, columnstore and retention of one measurement. Refresh windows end inside the retention of what they
-- read: refreshing a stretch whose source is dropped would empty the roll-up.
CREATE FUNCTION metrics.set_policies(
    measurement text,
    raw_for interval DEFAULT '7 days', minutes_for interval DEFAULT '90 days', hours_for interval DEFAULT '2 years',
    compress_after interval DEFAULT '1 day'
) RETURNS void LANGUAGE plpgsql AS $function$
DECLARE
    raw regclass := format('metrics.%I', measurement)::regclass;
    minutes regclass := format('metrics.%I', measurement || '_1m')::regclass;
    hours regclass := format('metrics.%I', measurement || '_1h')::regclass;
    days regclass := format('metrics.%I', measurement || '_1d')::regclass;
BEGIN
    EXECUTE format('ALTER TABLE %s SET (timescaledb.compress, timescaledb.compress_segmentby = ''server_id'','
                   ' timescaledb.compress_orderby = ''time DESC'')', raw);
    EXECUTE format('ALTER MATERIALIZED VIEW %s SET (timescaledb.compress,'
                   ' timescaledb.compress_segmentby = ''server_id'', timescaledb.compress_orderby = ''time DESC'')',
                   minutes);

    PERFORM remove_compression_policy(raw, if_exists => true), remove_retention_policy(raw, if_exists => true),
            remove_compression_policy(minutes, if_exists => true), remove_retention_policy(minutes, if_exists => true),
            remove_retention_policy(hours, if_exists => true),
            remove_continuous_aggregate_policy(minutes, if_exists => true),
            remove_continuous_aggregate_policy(hours, if_exists => true),
            remove_continuous_aggregate_policy(days, if_exists => true);

    -- Batches of one bucket, the default of some versions, made the refresh after an empty day take minutes on the
    -- embedded database, all of them on its one connection: hence whole hours and days, and few in one run. The newest
    -- come first; what is left waits for the next run.
    PERFORM add_continuous_aggregate_policy(minutes, raw_for - INTERVAL '1 day', INTERVAL '1 minute', INTERVAL '1 minute',
                                            buckets_per_batch => 60, max_batches_per_execution => 6),
            add_continuous_aggregate_policy(hours, minutes_for - INTERVAL '1 day', INTERVAL '1 hour', INTERVAL '30 minutes',
                                            buckets_per_batch => 24, max_batches_per_execution => 10),
            add_continuous_aggregate_policy(days, hours_for - INTERVAL '2 days', INTERVAL '1 day', INTERVAL '6 hours',
                                            buckets_per_batch => 30, max_batches_per_execution => 0);
    PERFORM add_compression_policy(raw, compress_after), add_compression_policy(minutes, raw_for);
    PERFORM add_retention_policy(raw, raw_for), add_retention_policy(minutes, minutes_for),
            add_retention_policy(hours, hours_for);
END
$function$;

CREATE TABLE metrics.host (
    time timestamptz NOT NULL,
    server_id integer NOT NULL,
    cpu_percent double precision,
    cpu_user_percent double precision,
    cpu_system_percent double precision,
    cpu_iowait_percent double precision,
    cpu_steal_percent double precision,
    load_1m double precision,
    load_5m double precision,
    load_15m double precision,
    memory_total_bytes double precision,
    memory_used_bytes double precision,
    memory_available_bytes double precision,
    memory_cached_bytes double precision,
    memory_used_percent double precision,
    swap_total_bytes double precision,
    swap_used_bytes double precision,
    swap_used_percent double precision,
    disk_read_bytes_per_second double precision,
    disk_write_bytes_per_second double precision,
    network_receive_bytes_per_second double precision,
    network_transmit_bytes_per_second double precision,
    pressure_cpu_some_percent double precision,
    pressure_memory_some_percent double precision,
    pressure_memory_full_percent double precision,
    pressure_io_some_percent double precision,
    pressure_io_full_percent double precision,
    temperature_celsius double precision,
    uptime_seconds double precision,
    process_count double precision,
    agent_cpu_percent double precision,
    agent_memory_bytes double precision,
    agent_spool_frames double precision,
    agent_spool_bytes double precision,
    agent_dropped_frames double precision,
    agent_collector_errors double precision,
    agent_reconnects double precision
);

CREATE TABLE metrics.cpu (
    time timestamptz NOT NULL,
    server_id integer NOT NULL,
    core text NOT NULL,
    cpu_percent double precision,
    user_percent double precision,
    system_percent double precision,
    iowait_percent double precision
);

CREATE TABLE metrics.filesystem (
    time timestamptz NOT NULL,
    server_id integer NOT NULL,
    mountpoint text NOT NULL,
    device text NOT NULL,
    filesystem_type text NOT NULL,
    total_bytes double precision,
    used_bytes double precision,
    free_bytes double precision,
    used_percent double precision,
    inodes_total double precision,
    inodes_used_percent double precision
);

CREATE TABLE metrics.disk (
    time timestamptz NOT NULL,
    server_id integer NOT NULL,
    device text NOT NULL,
    read_bytes_per_second double precision,
    write_bytes_per_second double precision,
    reads_per_second double precision,
    writes_per_second double precision,
    busy_percent double precision
);

CREATE TABLE metrics.network (
    time timestamptz NOT NULL,
    server_id integer NOT NULL,
    interface text NOT NULL,
    receive_bytes_per_second double precision,
    transmit_bytes_per_second double precision,
    receive_packets_per_second double precision,
    transmit_packets_per_second double precision,
    receive_errors_per_second double precision,
    transmit_errors_per_second double precision,
    receive_drops_per_second double precision,
    transmit_drops_per_second double precision
);

CREATE TABLE metrics.container (
    time timestamptz NOT NULL,
    server_id integer NOT NULL,
    container_id text NOT NULL,
    name text NOT NULL,
    image text NOT NULL,
    cpu_percent double precision,
    memory_used_bytes double precision,
    memory_limit_bytes double precision,
    memory_used_percent double precision,
    network_receive_bytes_per_second double precision,
    network_transmit_bytes_per_second double precision,
    disk_read_bytes_per_second double precision,
    disk_write_bytes_per_second double precision,
    process_count double precision,
    restart_count double precision
);

CREATE TABLE metrics.process (
    time timestamptz NOT NULL,
    server_id integer NOT NULL,
    name text NOT NULL,
    "user" text NOT NULL,
    cpu_percent double precision,
    memory_resident_bytes double precision,
    memory_percent double precision,
    process_count double precision,
    thread_count double precision
);

CREATE TABLE metrics.custom (
    time timestamptz NOT NULL,
    server_id integer NOT NULL,
    name text NOT NULL,
    labels jsonb NOT NULL,
    value double precision
);

SELECT metrics.create_measurement(name), metrics.set_policies(name)
  FROM unnest(ARRAY['host', 'cpu', 'filesystem', 'disk', 'network', 'container', 'process', 'custom']) AS name;
