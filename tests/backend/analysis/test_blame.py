"""A planted culprit, what is left unexplained, and processes that are not listed all the time."""

import polars as pl
import pytest

from chatops_backend.analysis.blame import HostRise, host_rise, rise_in_words, shares
from chatops_protocol.analysis_resources import BlameShares

BASELINE, WINDOW = (0.0, 3_600.0), (3_600.0, 7_200.0)
MINUTE_S = 60


def minutes(before: float | None, now: float | None, samples: tuple[int, int] = (2, 2)) -> pl.DataFrame:
    """Each minute of both hours; None: not listed."""
    rows = [
        {"time": minute * MINUTE_S, "value": value, "samples": count}
        for hour, (value, count) in enumerate(zip((before, now), samples, strict=True))
        for minute in range(hour * 60, hour * 60 + 60)
        if value is not None
    ]
    return pl.DataFrame(rows, schema={"time": pl.Int64, "value": pl.Float64, "samples": pl.Int64})


def blamed(members: dict[str, pl.DataFrame], host: HostRise, divisor: float = 1.0, limit: int = 10) -> BlameShares:
    named = [({"name": name}, frame) for name, frame in members.items()]
    return shares(named, divisor, host, WINDOW, BASELINE, "percent", limit)


HOST = host_rise(minutes(20.0, 60.0), WINDOW, BASELINE)


def test_a_rise_is_the_difference_of_means() -> None:
    assert (HOST.before, HOST.window, HOST.rise, HOST.rises) == (20, 60, 40, True)
    assert rise_in_words(HOST, "percent") == "It rose from 20 % to 60 % (+40 points)."


def test_a_planted_culprit_leads_and_the_rest_is_unexplained() -> None:
    """Of 40 points the backup has 30, in shares of one of four cores, the database 6, and nobody 4."""
    members = {
        "database": minutes(40.0, 64.0),
        "backup": minutes(4.0, 124.0),
        "shell": minutes(8.0, 8.0),
        "cache": minutes(10.0, 6.0),
    }
    found = blamed(members, HOST, divisor=4)
    assert [one.labels["name"] for one in found.culprits] == ["backup", "database", "shell", "cache"]
    first = found.culprits[0]
    assert (first.rise, first.share, first.before, first.window) == (30, 0.75, 1, 31)
    assert found.unexplained == pytest.approx(40 - 30 - 6 + 1)
    assert found.unexplained_share == pytest.approx(5 / 40)
    assert "backup rose by 30 points, 75 % of the rise; 12 % of it is unexplained" in found.explanation


def test_what_was_not_listed_before_rose_by_that_at_most() -> None:
    found = blamed({"backup": minutes(None, 30.0), "database": minutes(10.0, 10.0)}, HOST)
    first = found.culprits[0]
    assert (first.before, first.at_most, first.rise, first.listed_before) == (None, True, 30, 0)
    assert "at most 30 points" in found.explanation


def test_what_is_listed_now_and_then_counts_for_that_part() -> None:
    """Listed in one of two collections of each minute with 40: 20 on average."""
    found = blamed({"cron": minutes(None, 40.0, samples=(0, 1)), "database": minutes(10.0, 10.0)}, HOST)
    first = found.culprits[0]
    assert (first.window, first.listed) == (20, 0.5)


def test_what_ended_fell() -> None:
    found = blamed({"gone": minutes(15.0, None), "database": minutes(10.0, 10.0)}, HOST)
    last = found.culprits[-1]
    assert (last.labels["name"], last.rise, last.window, last.at_most) == ("gone", -15, 0, False)


def test_those_beyond_the_limit_explain_their_part_all_the_same() -> None:
    members = {f"worker {n}": minutes(0.5, 4.5) for n in range(10)}
    found = blamed(members, HOST, limit=3)
    assert len(found.culprits) == 3
    assert found.unexplained == pytest.approx(0)


def test_shared_memory_explains_more_than_there_is() -> None:
    found = blamed({f"worker {n}": minutes(10.0, 25.0) for n in range(4)}, HOST)
    assert found.unexplained == pytest.approx(-20)


def test_without_a_rise_there_are_changes_and_no_shares() -> None:
    host = host_rise(minutes(60.0, 20.0), WINDOW, BASELINE)
    assert not host.rises
    found = blamed({"database": minutes(40.0, 5.0)}, host)
    assert found.culprits[0].share is None
    assert found.unexplained_share is None
    assert "no rise" in found.explanation


def test_a_rise_within_the_usual_spread_is_none() -> None:
    frame = minutes(20.0, 21.0).with_columns(
        value=pl.col("value") + pl.when(pl.col("time") // MINUTE_S % 2 == 0).then(5).otherwise(-5)
    )
    host = host_rise(frame, WINDOW, BASELINE)
    assert not host.rises
    assert "did not rise beyond what is usual" in rise_in_words(host, "percent")


@pytest.mark.parametrize(
    ("before", "now", "when"), [(None, 5.0, "baseline"), (5.0, None, "window")], ids=["no baseline", "no window"]
)
def test_too_little_is_an_answer_with_its_reason(before: float | None, now: float | None, when: str) -> None:
    host = host_rise(minutes(before, now), WINDOW, BASELINE)
    assert host.rise is None
    assert when in rise_in_words(host, "percent")
    found = blamed({"database": minutes(before, now)}, HOST)
    assert (found.outcome, found.culprits, found.unexplained) == ("not_enough_data", [], None)
    assert when in found.explanation
    assert blamed({}, HOST).outcome == "not_enough_data"
