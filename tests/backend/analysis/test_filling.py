"""Who fills a file system: a planted writer among a database that overwrites, and one that always wrote."""

import polars as pl
import pytest

from chatops_backend.analysis.blame import HostRise
from chatops_backend.analysis.filling import growth, growth_in_words, writers
from chatops_protocol.analysis_resources import BlameShares

HOUR_S, DAY_S, GIB = 3_600, 86_400, 2**30
BASELINE, WINDOW = (0.0, 10.0 * DAY_S), (10.0 * DAY_S, 20.0 * DAY_S)
A_DAY = GIB / DAY_S


def used(before: float, now: float) -> pl.DataFrame:
    """GiB a day gained in either range, by the hour."""
    hours = range(20 * 24)
    values = [100 + before * min(hour, 240) / 24 + now * max(0, hour - 240) / 24 for hour in hours]
    return pl.DataFrame({"time": [hour * HOUR_S for hour in hours], "value": [value * GIB for value in values]})


def written(before: float | None, now: float | None) -> pl.DataFrame:
    """GiB a day written; None: there was no such container."""
    rows = [
        {"time": hour * HOUR_S, "value": value * A_DAY, "samples": 60}
        for hour in range(20 * 24)
        if (value := before if hour < 240 else now) is not None
    ]
    return pl.DataFrame(rows, schema={"time": pl.Int64, "value": pl.Float64, "samples": pl.Int64})


def judged(members: dict[str, pl.DataFrame], gained: HostRise, limit: int = 10) -> BlameShares:
    return writers([({"name": name}, rows) for name, rows in members.items()], gained, WINDOW, BASELINE, limit)


FILLS = growth(used(0.5, 8.0), WINDOW, BASELINE)


def test_what_a_file_system_gains_is_told_per_day() -> None:
    assert FILLS.window == pytest.approx(8 * A_DAY)
    assert FILLS.before == pytest.approx(0.5 * A_DAY)
    assert FILLS.rises
    said = growth_in_words(FILLS, "/srv")
    assert said.startswith("/srv gains 8 GiB a day, and gains 512 MiB a day before.")
    assert "all disks of the host; which file system is not recorded" in said


def test_who_began_to_write_leads_before_who_overwrites_far_more() -> None:
    """The database's writing rose by thirteen times as much, yet by a third only: it always wrote."""
    members = {"database": written(300, 400), "audit-trail": written(0.9, 7.5), "shell": written(0.001, 0.1)}
    found = judged(members, FILLS)
    assert [one.labels["name"] for one in found.culprits] == ["audit-trail", "database", "shell"]
    first = found.culprits[0]
    assert (first.window, first.before) == (pytest.approx(7.5 * A_DAY), pytest.approx(0.9 * A_DAY))
    assert first.share == pytest.approx(6.6 / 7.5)
    assert found.explanation == "audit-trail writes 7.5 GiB a day, 8.33 times as much as before."
    assert (found.unexplained, found.unexplained_share) == (None, None)
    assert [one.labels["name"] for one in judged(members, FILLS, limit=1).culprits] == ["audit-trail"]


@pytest.mark.parametrize("before", [None, 0.0], ids=["was not there", "wrote nothing"])
def test_a_container_that_is_new_wrote_nothing_before(before: float | None) -> None:
    found = judged({"database": written(300, 400), "spool": written(before, 40)}, FILLS)
    assert found.culprits[0].labels["name"] == "spool"
    assert "spool writes 40 GiB a day, nothing before; that is more than the file system gains" in found.explanation


def test_nobody_is_named_where_all_write_about_as_before() -> None:
    found = judged({"database": written(300, 400), "quiet": written(1, 1)}, FILLS)
    assert found.explanation.startswith("No container began to write")
    assert judged({}, FILLS).outcome == "not_enough_data"


def test_a_disk_that_fills_as_before_asks_for_an_earlier_beginning() -> None:
    steady = growth(used(8.0, 8.0), WINDOW, BASELINE)
    assert not steady.rises
    assert "what fills it began earlier" in growth_in_words(steady, "/srv")
    found = judged({"database": written(300, 400), "audit-trail": written(7.5, 7.5)}, steady)
    assert found.explanation == (
        "No container began to write. audit-trail writes 7.5 GiB a day, about as much as the file system gains; "
        "it wrote 7.5 GiB a day before."
    )
    assert (found.culprits[0].share, found.culprits[0].window) == (None, pytest.approx(7.5 * A_DAY))


def test_without_a_time_before_who_writes_what_stays_is_named() -> None:
    """As where the history begins with the window."""
    gained = HostRise(8 * A_DAY, None, rises=False)
    members = {"database": written(None, 400), "audit-trail": written(None, 7.5), "shell": written(None, 0.1)}
    found = judged(members, gained)
    assert found.explanation == "audit-trail writes 7.5 GiB a day, about as much as the file system gains."
    first = found.culprits[0]
    assert (first.labels["name"], first.rise, first.before) == ("audit-trail", pytest.approx(7.5 * A_DAY), None)
    assert first.at_most
    assert [one.share for one in found.culprits] == [None] * 3
    said = growth_in_words(gained, "/srv")
    assert said.startswith("/srv gains 8 GiB a day. There are too few readings in the baseline")
    assert judged({"database": written(None, 400)}, gained).explanation.startswith("No container writes about as much")
    assert judged({}, gained).outcome == "not_enough_data"


def test_a_disk_that_is_emptied_does_not_fill() -> None:
    emptied = growth(used(8.0, -3.0), WINDOW, BASELINE)
    assert not emptied.rises
    assert growth_in_words(emptied, "/srv").startswith("/srv loses 3 GiB a day, and gains 8 GiB a day before.")


def test_one_reading_is_no_growth() -> None:
    frame = used(1.0, 1.0)
    gained = growth(frame.filter(pl.col("time") >= WINDOW[0]), WINDOW, BASELINE)
    assert (gained.before, gained.rise, gained.rises) == (None, None, False)
    assert "too few readings in the baseline" in growth_in_words(gained, "/srv")
    assert growth(frame.head(1), WINDOW, BASELINE).window is None
