"""Labels that the database holds as JSON are labels like others: in alerts, in what is told, and in backtests."""

from datetime import timedelta

import msgspec
import pytest

from chatops_backend.alerts.backtest import backtest
from chatops_backend.alerts.series_labels import flat_labels
from chatops_protocol.alert_resources import Threshold
from tests.backend.alerts.fleet import Fleet

pytestmark = pytest.mark.anyio

LABELS = {"name": "jobs_waiting", "labels": {"queue": "mail", "zone": "a"}}


async def push(fleet: Fleet, server_id: int, value: float, minutes_ago: float) -> None:
    await fleet.database.execute(
        "INSERT INTO metrics.custom (time, server_id, name, labels, value) VALUES ($1, $2, 'jobs_waiting', $3, $4)",
        fleet.now - timedelta(minutes=minutes_ago),
        server_id,
        '{"zone": "a", "queue": "mail"}',
        value,
    )


async def test_an_alert_of_a_pushed_value_has_its_labels_and_keeps_to_its_series(fleet: Fleet) -> None:
    server_id = await fleet.server()
    await fleet.rule(server_ids=[server_id], metric="custom.value", warning=80.0, window_s=60)
    await push(fleet, server_id, 99.0, 1)
    assert await fleet.evaluate() == 1
    assert await fleet.evaluate() == 0
    [alert] = await fleet.alerts(server_id)
    assert msgspec.json.decode(alert["labels"]) == LABELS
    assert fleet.told.changes[0].labels == LABELS
    await push(fleet, server_id, 1.0, 0)
    assert await fleet.evaluate(after_minutes=1) == 1
    assert fleet.told.kinds() == ["fired", "resolved"]


async def test_a_backtest_names_the_series_as_the_alert_does(fleet: Fleet) -> None:
    server_id = await fleet.server()
    rule = Threshold(name="x", server_ids=[server_id], metric="custom.value", warning=80.0, window_s=60)
    await push(fleet, server_id, 99.0, 30)
    found = await backtest(
        fleet.database, rule, fleet.now - timedelta(hours=1), fleet.now, (fleet.now + timedelta(hours=1)).timestamp()
    )
    assert [firing.labels for firing in found.firings] == [LABELS]


def test_receivers_get_single_texts_and_lose_none() -> None:
    assert flat_labels(LABELS) == {"name": "jobs_waiting", "queue": "mail", "zone": "a"}
    assert flat_labels({"name": "x", "labels": {"name": "y"}}) == {"name": "x", "labels_name": "y"}
    assert flat_labels({"mountpoint": "/"}) == {"mountpoint": "/"}
