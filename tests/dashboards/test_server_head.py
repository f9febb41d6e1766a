"""What the head of a server's page says of readings that arrive at a wrong time."""

from datetime import UTC, datetime

import pytest

from chatops_dashboards.pages.server.head import clock_words, head_notice
from tests.dashboards.test_fleet_view import text_of

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize("age_s", [None, 0.2, 100.0, -4.0, -30.0])
def test_nothing_is_said_of_readings_that_arrive_as_they_should(age_s: float | None) -> None:
    assert clock_words(age_s) is None
    assert head_notice(None, None, clock_words(age_s), NOW, UTC) is None


@pytest.mark.parametrize(
    ("age_s", "said"),
    [
        (422.0, "7 min old when they arrive: a backlog, or its clock is behind. Rules judge such readings late"),
        (90_000.0, "1 d 1 h old when they arrive"),
        (-71.0, "1 min 10 s ahead of the backend's clock"),
    ],
)
def test_readings_that_arrive_late_or_from_the_future_are_spoken_of(age_s: float, said: str) -> None:
    assert said in text_of(head_notice(None, None, clock_words(age_s), NOW, UTC))


def test_the_words_stay_while_the_age_only_trembles() -> None:
    assert clock_words(418.0) == clock_words(423.5)
    assert clock_words(-68.0) == clock_words(-71.5)


def test_a_server_that_is_silent_or_a_lost_backend_comes_first() -> None:
    assert "No new data" in text_of(head_notice(None, NOW.timestamp(), clock_words(422.0), NOW, UTC))
    assert "Reconnecting" in text_of(head_notice(NOW.timestamp(), None, clock_words(422.0), NOW, UTC))
