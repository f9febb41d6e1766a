-- A deleted rule stays, unseen, for the alerts that it fired: they are told by its name and metric.
ALTER TABLE chatops.thresholds ADD COLUMN deleted_at timestamptz;

-- Its name is free again.
DROP INDEX chatops.thresholds_name;
CREATE UNIQUE INDEX thresholds_name ON chatops.thresholds (lower(name)) WHERE deleted_at IS NULL;
