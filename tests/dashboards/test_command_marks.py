"""Commands on a server's charts: those of the range, bounded in number, told apart by shape and word."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from chatops_client import ApiError
from chatops_dashboards.figures.bands import add_strip, alert_spans
from chatops_dashboards.figures.command_marks import MOST_MARKS, add_commands, within, words
from chatops_dashboards.pages.server import command_marks
from chatops_dashboards.pages.server.command_marks import commands_of, newest_states
from chatops_dashboards.session import Session
from chatops_protocol.command_resources import Command
from chatops_protocol.resources import Page
from tests.dashboards.test_alert_figures import alert
from tests.dashboards.test_commands import command

START = datetime(2026, 11, 24, 10, tzinfo=UTC)
END = START + timedelta(hours=1)


def ran(at: float, minutes: float | None = 1.0, **values: Any) -> Command:
    """A command that began `at` minutes after the range did."""
    began = START + timedelta(minutes=at)
    ended = None if minutes is None else began + timedelta(minutes=minutes)
    known = {"started_at": began, "finished_at": ended, "created_at": began, "state": "ok" if ended else "running"}
    return command(**{**known, "duration_s": None if minutes is None else minutes * 60, **values})


def test_only_what_ran_within_the_range_is_marked() -> None:
    outside = [ran(-5, 4), ran(61), command(state="expired", finished_at=START)]
    inside = [ran(-5, 6, id=2), ran(10, id=3), ran(-300, None, id=4)]
    assert [one.id for one in within([*outside, *inside], START, END)] == [2, 3, 4]


def test_a_chart_has_no_more_marks_than_it_can_show_and_the_newest_stay() -> None:
    many = [ran(n / 10, id=n) for n in range(MOST_MARKS + 50, 0, -1)]
    kept = within(many, START, END)
    assert (len(kept), kept[0].id, kept[-1].id) == (MOST_MARKS, 51, MOST_MARKS + 50)


def test_a_mark_stands_where_it_began_is_as_long_as_it_ran_and_ends_with_the_chart() -> None:
    figure: dict[str, Any] = {"data": [{"y": [1.0]}], "layout": {}}
    growing = add_strip(figure, alert_spans([alert()]), START - timedelta(days=365), END, UTC)
    assert add_commands(figure, [ran(10, 5), ran(50, None, id=2)], START, END, UTC)
    marks = figure["data"][-1]
    assert [moment[11:16] if moment else None for moment in marks["x"]] == [
        *("10:10", "10:15", None),
        *("10:50", "11:00", None),
    ]
    assert marks["marker"]["size"] == [9, 0, 0] * 2
    assert growing == [1]
    assert figure["layout"]["yaxis2"]["overlaying"] == "y"


def test_what_went_wrong_differs_by_shape_and_word_not_by_colour_alone() -> None:
    figure: dict[str, Any] = {"data": [], "layout": {}}
    add_commands(figure, [ran(10), ran(20, state="failed", exit_code=2)], START, END, UTC)
    good, bad = figure["data"]
    assert good["line"]["color"] != bad["line"]["color"]
    assert (good["marker"]["symbol"][0], bad["marker"]["symbol"][0]) == ("circle", "diamond")
    assert good["customdata"][0].startswith("✓ Done")
    assert bad["customdata"][0].startswith("◆ Failed, exit code 2")


def test_the_hover_says_what_who_and_when_and_nothing_in_it_is_markup() -> None:
    text = words(ran(10, 2, title="<b>echo</b> " + "x" * 80, username="<i>ada"), ZoneInfo("Europe/Berlin"))
    assert "&lt;b&gt;echo" in text
    assert "&lt;i&gt;ada, 11:10:00 to 11:12:00 (2 min)" in text
    assert "x" * 60 not in text
    assert text.count("<") == 1
    assert words(ran(10, None), UTC).endswith("10:10:00, still runs")


def test_a_chart_without_commands_is_left_as_it_was() -> None:
    figure: dict[str, Any] = {"data": [], "layout": {}}
    assert not add_commands(figure, [ran(-10)], START, END, UTC)
    assert figure == {"data": [], "layout": {}}


class Answers:
    """Pages of commands as a server would give them, or its refusal."""

    def __init__(self, *pages: Page[Command] | ApiError) -> None:
        self._pages = list(pages)
        self.client = self.commands = self
        self.asked = 0

    async def page(self, **asked: Any) -> Page[Command]:
        self.asked += 1
        self.last = asked
        found = self._pages[min(self.asked, len(self._pages)) - 1]
        if isinstance(found, ApiError):
            raise found
        return found


async def read(answers: Answers) -> list[Command]:
    return await commands_of(answers, 1, START, END)  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_one_question_for_the_range_is_asked_however_many_there_are() -> None:
    endless = Answers(Page([ran(5)], "more"))
    assert (len(await read(endless)), endless.asked) == (1, 1)
    assert (endless.last["start"], endless.last["end"]) == (START, END)


@pytest.mark.anyio
async def test_who_may_not_see_commands_sees_none_and_the_chart_stays() -> None:
    refused = Answers(ApiError(403, "not yours"))
    assert await read(refused) == []
    assert await newest_states(refused, 1) is None  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_of_an_unknown_server_nothing_is_marked(session: Session) -> None:
    assert await commands_of(session, 999_999, START) == []


@pytest.mark.anyio
async def test_marks_are_outdated_when_a_command_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_marks, "LOOK_EVERY_S", 0.01)
    answers: Any = Answers(Page([ran(5, None)], None), Page([ran(5, None)], None), Page([ran(5)], None))
    known = await newest_states(answers, 1)
    async with command_marks.until_changed(answers, 1, known) as changed:
        await changed
    assert answers.asked == 3
