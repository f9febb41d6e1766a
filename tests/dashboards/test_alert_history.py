"""The history of alerts: rows that say all in words, filters as the API takes them, addresses that lead there."""

from datetime import UTC, timedelta
from typing import Any

import pytest

from chatops_dashboards.pages.alerts.history import fetch, history_address, read_filters, row_of
from chatops_dashboards.session import Session
from tests.dashboards.test_alert_figures import START, alert


def test_a_row_says_what_where_how_bad_and_how_long_in_words() -> None:
    over = alert(state="resolved", resolved_at=START + timedelta(minutes=25), labels={"device": "sda"})
    row = row_of(over, UTC)
    assert (row["word"], row["shape"], row["state_word"]) == ("Critical", "◆", "Resolved")
    assert row["where"] == "web-01 · sda"
    assert (row["began"][11:], row["ended"][11:], row["lasted"]) == ("00:10:00", "00:25:00", "15 min")
    assert (row_of(alert(), UTC)["ended"], row_of(alert(), UTC)["lasted"]) == ("–", "–")


@pytest.mark.parametrize(
    ("asked", "filters"),
    [
        ({"state": "resolved", "level": "warning", "server": "7"}, {"states": ["resolved"], "level": "warning"}),
        ({"state": "asleep", "level": "<b>", "server": "-1"}, {}),
        ({"server": "9" * 30}, {}),
        ({}, {}),
    ],
)
def test_filters_of_an_address_become_those_of_the_api_and_nonsense_is_left_out(
    asked: dict[str, str], filters: dict[str, Any]
) -> None:
    found = read_filters(asked)
    assert found.pop("server_id", None) == (7 if asked.get("server") == "7" else None)
    assert found == filters


def test_an_address_holds_the_filters_that_are_set_and_nothing_else() -> None:
    assert history_address({"state": "resolved", "level": "", "x": "y"}) == "/alerts/history?state=resolved"
    assert history_address({}) == "/alerts/history"


@pytest.mark.anyio
async def test_a_server_without_alerts_has_an_empty_history(session: Session) -> None:
    assert await fetch(session, {"server": "999999"}, None, 50, UTC) == ([], None)
