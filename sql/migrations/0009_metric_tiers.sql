-- How long readings and roll-ups are kept can be changed; the policies follow.

-- The tiers that are dropped after a time; days are kept for ever. Readers go by this table, not by the policies: after a
-- tier is kept for longer, what is gone already does not come back, and its older stretches must not be asked for.
CREATE TABLE chatops.metric_tiers (
    tier text PRIMARY KEY CHECK (tier IN ('raw', '1m', '1h')),
    days integer NOT NULL CHECK (days BETWEEN 7 AND 36500),
    whole_since timestamptz NOT NULL DEFAULT '2000-01-01 00:00:00Z'
);
INSERT INTO chatops.metric_tiers (tier, days) VALUES ('raw', 7), ('1m', 90), ('1h', 730);

-- Sets all three, and the policies of every measurement. Refreshes of a roll-up end a day or two inside what is left of
-- the roll-up that they read, and never reach further back than before: the source of older buckets is dropped, and a
-- refresh over them would empty them. The refresh of the minutes ends 6 days back, within the least time of raw rows.
CREATE FUNCTION chatops.set_metric_tiers(raw_days integer, minutes_days integer, hours_days integer) RETURNS void
LANGUAGE plpgsql AS $function$
BEGIN
    UPDATE chatops.metric_tiers
       SET whole_since = greatest(whole_since, now() - make_interval(days => metric_tiers.days)), days = wanted.days
      FROM (VALUES ('raw', raw_days), ('1m', minutes_days), ('1h', hours_days)) AS wanted (tier, days)
     WHERE metric_tiers.tier = wanted.tier AND metric_tiers.days <> wanted.days;

    PERFORM alter_job(job.job_id, config => jsonb_set(job.config, '{drop_after}',
                                                      to_jsonb(make_interval(days => metric_tiers.days)::text)))
      FROM chatops.metric_tier_jobs AS job JOIN chatops.metric_tiers USING (tier)
     WHERE job.proc_name = 'policy_retention';

    PERFORM alter_job(job.job_id, config => jsonb_set(
                job.config, '{start_offset}',
                to_jsonb(least((job.config ->> 'start_offset')::interval, source.reach)::text)))
      FROM chatops.metric_tier_jobs AS job
      JOIN (VALUES ('1h', make_interval(days => minutes_days - 1)), ('1d', make_interval(days => hours_days - 2)))
           AS source (tier, reach) USING (tier)
     WHERE job.proc_name = 'policy_refresh_continuous_aggregate';
END
$function$;

-- The policies of the measurements with the tier of the table that each works on. A roll-up's policy is listed under its
-- view or under the table behind it, as the version has it.
CREATE VIEW chatops.metric_tier_jobs AS
SELECT job.job_id, job.proc_name, job.config,
       coalesce(substring(coalesce(rollup.view_name, job.hypertable_name) FROM '_(1[mhd])$'), 'raw') AS tier
  FROM timescaledb_information.jobs AS job
  LEFT JOIN timescaledb_information.continuous_aggregates AS rollup
         ON job.hypertable_name IN (rollup.view_name, rollup.materialization_hypertable_name)
 WHERE coalesce(rollup.view_schema, job.hypertable_schema) = 'metrics';
