"""What a notification says in one line."""

import msgspec
import pytest

from chatops_backend.alerts.message import Notice, ToldChange, summary

FIRED = ToldChange(
    alert_id=1,
    threshold_id=1,
    rule="disk full",
    kind="threshold",
    metric="filesystem.used_percent",
    aggregate="avg",
    comparison="gt",
    labels={"mountpoint": "/"},
    transition="fired",
    level="critical",
    value=93.14159,
    bound=90.0,
    window_s=300,
    started_at=0.0,
    at=0.0,
    runbook_url="",
)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "web-1 {mountpoint=/}: disk full, filesystem.used_percent 93.14 > 90 (avg of 5 min)"),
        (
            {"transition": "resolved", "value": 40.0, "window_s": 7_200},
            "web-1 {mountpoint=/}: over: disk full, filesystem.used_percent 40 (avg of 2 h)",
        ),
        (
            {"transition": "resolved", "value": None},
            "web-1 {mountpoint=/}: over: disk full, filesystem.used_percent has no data",
        ),
        ({"labels": {}, "value": None}, "web-1: disk full, filesystem.used_percent has no data"),
        ({"labels": {}, "value": None, "transition": "resolved"}, "web-1: over: disk full"),
        (
            {"labels": {}, "metric": "host.cpu_percent", "value": 3.0, "comparison": "outside", "bound": (5.0, 9.0)},
            "web-1: disk full, host.cpu_percent 3 outside 5 … 9 (avg of 5 min)",
        ),
        ({"labels": {}, "metric": None, "kind": "offline", "value": 90.0}, "web-1: disk full"),
    ],
)
def test_a_summary_says_where_what_and_by_how_much(changes: dict[str, object], line: str) -> None:
    told = msgspec.structs.replace(FIRED, **changes)
    assert summary(Notice(server_id=1, server_name="web-1", changes=[told]), told) == line
