"""The moment of the past that a server's page shows: read and written, chosen by every control, found in readings."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dash import no_update

from chatops_dashboards.figures.cursor import add_cursor
from chatops_dashboards.pages.server.history_charts import value_at
from chatops_dashboards.pages.server.history_query import HistoryQuery
from chatops_dashboards.pages.server.past import bar
from chatops_dashboards.pages.server.past.absence import as_then, offline_words
from chatops_dashboards.pages.server.past.events import commands_table, firing_table, when_text
from chatops_dashboards.pages.server.past.moment import SPANS, around, kept_of, local, read, span_of, stretch, write
from chatops_dashboards.pages.server.past.reading import Reading, last_of
from chatops_dashboards.pages.server.past.tables import container_table_then, ended_before
from chatops_protocol.resources import ConnectionEvent, MetricSeries, Series
from tests.dashboards.test_alert_figures import alert
from tests.dashboards.test_command_marks import ran
from tests.dashboards.test_fleet_view import text_of

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
THEN = datetime(2026, 11, 24, 3, 12, tzinfo=UTC)


def test_the_address_holds_the_same_moment_in_every_zone() -> None:
    assert read(write(THEN), BERLIN, NOW) == THEN
    assert read(local(THEN, BERLIN), BERLIN, NOW) == THEN
    assert local(THEN, BERLIN) == "2026-11-24 04:12:00"


@pytest.mark.parametrize(
    "text",
    [None, 7, "", "yesterday", "2026-11-24T12:00:01Z", "1999-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9" * 40],
)
def test_what_is_no_moment_of_the_past_is_none(text: object) -> None:
    assert read(text, BERLIN, NOW) is None


def test_charts_show_as_much_around_a_moment_as_is_stored_of_its_age_and_nothing_to_come() -> None:
    start, end = around(NOW - timedelta(minutes=1), NOW)
    assert (end, end - start) == (NOW, timedelta(minutes=30))
    widths = [kept_of(NOW - timedelta(days=days), NOW).around for days in (1, 30, 300, 1000)]
    assert widths == sorted(set(widths))


def test_a_range_of_the_past_ends_now_or_has_its_moment_in_the_middle() -> None:
    assert stretch(timedelta(days=1), THEN, NOW) == (NOW - timedelta(days=1), NOW)
    long_ago = NOW - timedelta(days=40)
    assert stretch(timedelta(days=1), long_ago, NOW) == (
        long_ago - timedelta(hours=12),
        long_ago + timedelta(hours=12),
    )
    assert HistoryQuery(preset="1h").range(NOW, long_ago)[1] == long_ago + timedelta(minutes=30)
    assert [span_of(at, NOW) for at in (None, THEN, long_ago, NOW - timedelta(days=900))] == [
        "24h",
        "24h",
        "90d",
        "90d",
    ]


def drawn(moment: datetime | None = None, span: str = "24h") -> dict[str, Any]:
    """A slider as it was drawn."""
    start, end = stretch(SPANS[span].length, moment, NOW)
    return {
        "start": start.timestamp(),
        "at": round(((moment or end) - start).total_seconds()),
        "span": span,
        "live": True,
    }


def ask(trigger: str, moment: datetime | None = THEN, *, at: float | None = None, text: str | None = None) -> Any:
    return bar.chosen(trigger, at, drawn(moment), text, moment, "24h", NOW, BERLIN)


def test_every_control_moves_the_moment() -> None:
    assert ask("moment-at", at=drawn()["at"] - 3600) == NOW - timedelta(hours=1)
    assert ask("moment-field", text="2026-11-24 04:00:00") == datetime(2026, 11, 24, 3, tzinfo=UTC)
    assert ask("moment-back") == THEN - timedelta(minutes=5)
    assert ask("moment-forth") == ask("moment-tick") == THEN + timedelta(minutes=5)
    assert ask("moment-back", None) == NOW - timedelta(minutes=5)


def test_every_way_to_now_is_back_to_live() -> None:
    assert ask("moment-live") is None
    assert ask("moment-at", at=86_400) is None
    assert ask("moment-tick", NOW - timedelta(minutes=2)) is None
    assert ask("moment-forth", None) is None


def test_a_control_that_was_just_drawn_asks_for_nothing() -> None:
    assert ask("moment-at", None, at=drawn()["at"]) is None
    assert ask("moment-at", THEN, at=drawn(THEN)["at"]) == THEN
    assert ask("moment-at", THEN) == THEN
    assert ask("moment-field", None, text=local(NOW, BERLIN)) is None
    assert ask("moment-field", THEN, text="") == ask("moment-field", THEN, text="2030-01-01 00:00:00") == THEN


def test_a_slider_is_drawn_anew_for_another_length_or_when_its_moment_left_it() -> None:
    assert not bar.outgrown(drawn(THEN), "24h", THEN - timedelta(hours=1), NOW)
    assert bar.outgrown(drawn(THEN), "1h", THEN, NOW)
    assert bar.outgrown(drawn(THEN), "24h", NOW - timedelta(days=3), NOW)
    assert not bar.outgrown(drawn(), "24h", None, NOW + timedelta(minutes=1))
    assert bar.outgrown(drawn(), "24h", None, NOW + timedelta(hours=1))


def test_the_banner_says_when_in_which_zone_and_how_long_ago() -> None:
    words = text_of(bar.words(THEN, NOW, BERLIN))
    for part in ("You look at the past", "2026-11-24 04:12:00 CET", "8 h 48 min ago", "Europe/Berlin (UTC+01:00)"):
        assert part in words
    assert bar.words(None, NOW, BERLIN) == []
    assert [bar.frame_class(THEN), bar.frame_class(None), bar.frame_class(None, opened=True)] == [
        "server-frame in-past",
        "server-frame at-now",
        "server-frame choosing",
    ]


def test_going_back_to_live_turns_the_page_and_moves_every_control_but_the_one_that_asked() -> None:
    store, past, words, frame, field, place = bar.shown(THEN, None, drawn(THEN), "moment-live", NOW, BERLIN)
    assert (store, past, words, frame) == (None, False, [], "server-frame at-now")
    assert (field, place) == (local(NOW, BERLIN), 86_400)
    moved = bar.shown(THEN, THEN - timedelta(hours=1), drawn(THEN), "moment-back", NOW, BERLIN)
    assert moved[0] == "2026-11-24T02:12:00Z"
    # Only the turn redraws the tab; within the past what it shows is replaced.
    assert moved[1] is moved[3] is no_update
    assert moved[5] == drawn(THEN)["at"] - 3600
    slid = bar.shown(None, THEN, drawn(), "moment-at", NOW, BERLIN)
    assert (slid[1], slid[5]) == (True, no_update)


def series(field: str, **programs: list[float | None]) -> MetricSeries:
    times = [THEN + timedelta(seconds=offset) for offset in (-75, -45, -15, 15)]
    found = [
        Series(1, {"name": name, "user": "root"}, times[: len(values)], values, values, values)
        for name, values in programs.items()
    ]
    return MetricSeries(f"process.{field}", "percent", "raw", 30.0, found)


def reading(**programs: list[float | None]) -> dict[str, MetricSeries]:
    return {field: series(field, **programs) for field in ("cpu_percent", "thread_count")}


def test_the_reading_before_a_moment_is_taken_whole_and_nothing_of_another() -> None:
    found = last_of(reading(now=[1, 1, 5, 7], gone=[9, 9, None, None], later=[None, None, None, 3]), THEN)
    assert found is not None
    assert found.time == THEN - timedelta(seconds=15)
    assert found.rows == [{"name": "now", "user": "root", "cpu_percent": 5, "thread_count": 5}]


def test_without_a_reading_before_it_a_moment_is_not_known() -> None:
    assert last_of(reading(later=[None, None, None, 3]), THEN) is None
    assert last_of(reading(), THEN) is None


def test_what_is_shown_says_which_reading_it_is_and_how_coarse() -> None:
    assert text_of(as_then(Reading(THEN, 5.0, []), UTC)) == "The reading of 2026-11-24 03:12:00 UTC."
    assert "averages over a minute" in text_of(as_then(Reading(THEN, 60.0, []), UTC))
    assert "averages over an hour" in text_of(as_then(Reading(THEN, 3600.0, []), UTC))


def events(*told: tuple[str, float]) -> list[ConnectionEvent]:
    """Newest first, as the backend lists them; hours from the moment."""
    made = [ConnectionEvent(THEN + timedelta(hours=hours), 1, kind, "") for kind, hours in told]  # type: ignore[arg-type]
    return sorted(made, key=lambda event: event.time, reverse=True)


def test_a_gap_is_explained_by_the_agents_connection() -> None:
    words = offline_words(events(("connected", -5), ("disconnected", -1), ("connected", 2)), THEN, UTC)
    assert words == ("The agent was offline then, from 2026-11-24 02:12:00 UTC until 2026-11-24 05:12:00 UTC.")
    gone = offline_words(events(("connected", -5), ("disconnected", -1)), THEN, UTC)
    assert gone is not None
    assert gone.endswith("has not come back since.")
    early = offline_words(events(("refused", -1), ("connected", 2), ("connected", 3)), THEN, UTC)
    assert early is not None
    assert "2026-11-24 05:12:00" in early
    assert offline_words(events(("connected", -5), ("disconnected", 1)), THEN, UTC) is None
    assert offline_words([], THEN, UTC) is None


def test_a_command_is_told_by_how_it_stood_at_the_moment() -> None:
    start = datetime(2026, 11, 24, 10, tzinfo=UTC)
    moment = start + timedelta(minutes=10)
    assert when_text(ran(9, 2), moment) == when_text(ran(5, None), moment) == "▶ ran"
    assert when_text(ran(6, 2), moment) == "over, 2 min before"
    assert when_text(ran(12, 1), moment) == "2 min later"
    assert when_text(ran(9, None, started_at=None, state="queued"), moment) == "waited"
    words = text_of(commands_table([ran(9, 2, title="<b>echo</b>")], 1, moment, UTC))
    assert "<b>echo</b>" in words
    assert "No command ran" in text_of(commands_table([], 1, moment, UTC))


def test_a_container_that_had_ended_is_told_from_those_that_ran() -> None:
    def container(name: str, *values: float | None) -> Series:
        times = [THEN - timedelta(seconds=5 * n) for n in range(len(values), 0, -1)]
        read = list(values)
        return Series(1, {"container_id": name, "name": f"<i>{name}", "image": "busybox"}, times, read, read, read)

    lately = MetricSeries(
        "container.restart_count", "count", "raw", 5.0, [container("web", 0, 0), container("job", 0, None)]
    )
    running = [{"container_id": "web", "name": "<i>web", "memory_used_bytes": 1e6, "cpu_percent": 5.0}]
    (ended,) = ended_before(lately, running)
    assert (ended["container_id"], ended["last_at"]) == ("job", THEN - timedelta(seconds=10))
    words = text_of(container_table_then([*running, ended, {"container_id": "x", "restart_count": 9.0}], BERLIN))
    for part in ("<i>web", "running", "ended, last read 04:11:50", "restarting"):
        assert part in words


def test_what_fired_says_since_when_and_until_when() -> None:
    fired = alert()
    assert fired.started_at is not None
    words = text_of(firing_table([fired], fired.started_at + timedelta(minutes=1), UTC))
    assert fired.threshold_name in words
    assert "still fires" in words
    assert "No alert fired" in text_of(firing_table([], THEN, UTC))


def test_the_moment_is_a_line_through_the_chart_in_the_zone_of_who_looks() -> None:
    figure: dict[str, Any] = {"data": [], "layout": {}}
    add_cursor(figure, THEN, BERLIN)
    (line,) = figure["layout"]["shapes"]
    assert line["x0"] == line["x1"] == "2026-11-24T04:12:00.000"
    assert (line["yref"], line["y0"], line["y1"]) == ("paper", 0, 1)
    assert figure["data"] == []


def test_the_value_of_a_moment_is_that_of_the_point_that_holds_it() -> None:
    times = [THEN, THEN + timedelta(minutes=1)]
    assert value_at(times, [1.0, 2.0], THEN + timedelta(seconds=59), 60.0) == 1.0
    assert value_at(times, [1.0, None], times[1], 60.0) is None
    assert value_at(times, [1.0, 2.0], THEN - timedelta(seconds=1), 60.0) is None
    assert value_at(times, [1.0, 2.0], THEN + timedelta(hours=1), 60.0) is None
