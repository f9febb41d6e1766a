"""The whole history of a demo fleet, as tables ready to be stored. Pure: the moment it ends is passed in."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
import polars as pl

from chatops_cli.demo.effects import host_activity
from chatops_cli.demo.fleet import Host
from chatops_cli.demo.incidents import Incident, plan_incidents
from chatops_cli.demo.readings import readings_of

# As far apart as windows of the rules are long: none of them is ever empty. Closer than that, the fleet's history does
# not fit into two minutes.
INTERVAL_S = 300.0
Tables = dict[str, pl.DataFrame]
# The name of the custom value that is 1 while an incident lasts.
INCIDENT_VALUE = "incident"


class History:
    """From `start` up to `end`, a reading each `interval_s`; `incidents` is the truth about it."""

    def __init__(
        self, hosts: Sequence[Host], end: datetime, days: float, seed: int, interval_s: float = INTERVAL_S
    ) -> None:
        self.hosts = hosts
        self.end = end.replace(second=0, microsecond=0)
        self.start = self.end - timedelta(days=days)
        self.incidents: list[Incident] = plan_incidents(hosts, self.start, self.end)
        self.interval_s = interval_s
        self._seed = seed

    def of_host(self, host: Host) -> Tables:
        """Columns time, labels and fields, by measurement; `custom` tells when incidents lasted."""
        activity = host_activity(host, self.incidents, self._seed, self.start, self.end, self.interval_s)
        return {**readings_of(activity), "custom": self._marks(host)}

    def _marks(self, host: Host) -> pl.DataFrame:
        marks = [
            pl.DataFrame(
                {
                    "time": pl.datetime_range(
                        incident.starts_at,
                        min(incident.ends_at or self.end, self.end),
                        timedelta(seconds=self.interval_s),
                        time_unit="us",
                        closed="left",
                        eager=True,
                    )
                }
            ).with_columns(
                name=pl.lit(INCIDENT_VALUE),
                labels=pl.lit(msgspec.json.encode(labels_of(incident), order="sorted").decode()),
                value=1.0,
            )
            for incident in self.incidents
            if incident.server == host.name
        ]
        empty = pl.DataFrame(schema={"time": pl.Datetime("us", "UTC"), "name": pl.String, "labels": pl.String})
        return pl.concat(marks).sort("time") if marks else empty.with_columns(value=pl.lit(None, pl.Float64))

    def tables(self, server_ids: Mapping[str, int], advance: Callable[[int], None] | None = None) -> Tables:
        """All hosts together, oldest rows first, each with its ``server_id``. `advance` is told of each host."""
        parts: dict[str, list[pl.DataFrame]] = {}
        for host in self.hosts:
            for measurement, frame in self.of_host(host).items():
                numbered = frame.with_columns(server_id=pl.lit(server_ids[host.name], dtype=pl.Int32))
                parts.setdefault(measurement, []).append(numbered)
            if advance is not None:
                advance(1)
        return {
            measurement: pl.concat(frames, how="diagonal").sort("time", maintain_order=True)
            for measurement, frames in parts.items()
        }


def labels_of(incident: Incident) -> dict[str, str]:
    return {"kind": incident.kind, "metric": incident.metric, "program": incident.program or ""}


def batches(frame: pl.DataFrame, values: int) -> Iterator[pl.DataFrame]:
    """Pieces of about so many values, in order of time."""
    yield from frame.iter_slices(max(1, values // frame.width))
