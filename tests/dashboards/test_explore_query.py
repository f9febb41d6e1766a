"""The address of Explore restores its view, and so do its controls; whatever somebody typed into it."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from chatops_dashboards.pages.explore.drawing import query_of
from chatops_dashboards.pages.explore.query import (
    AGGREGATE_WORDS,
    MOST_GROUPS,
    MOST_METRICS,
    TOP_BY,
    TOPS,
    VIEWS,
    ExploreQuery,
    SeriesChoice,
    group_choices,
)
from chatops_dashboards.pages.explore.saved import SET, settings_of
from chatops_dashboards.pages.server.history_query import PRESETS
from chatops_protocol.catalog import MEASUREMENTS
from chatops_protocol.resources import AGGREGATES
from chatops_protocol.view_resources import WriteViewRequest

NOW = datetime(2026, 6, 2, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
METRICS = [f"{m.name}.{f.name}" for m in MEASUREMENTS for f in m.fields]
# No surrogates: no address has them.
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
seconds = st.integers(1_577_836_800, 1_798_761_600).map(lambda moment: datetime.fromtimestamp(moment, UTC))


@st.composite
def queries(draw: Any) -> ExploreQuery:
    metrics = tuple(draw(st.lists(st.sampled_from(METRICS), unique=True, max_size=MOST_METRICS)))
    aggregate = draw(st.none() | st.sampled_from(AGGREGATES))
    # Of an hour that clocks show twice, a control knows one only.
    start = draw(st.none() | seconds.filter(lambda moment: moment.month not in (3, 10)))
    known = st.sampled_from(group_choices(metrics))
    labels = st.dictionaries(TEXT, TEXT, max_size=3).map(lambda found: tuple(found.items()))
    return ExploreQuery(
        metrics=metrics,
        servers=tuple(draw(st.lists(st.integers(1, 2**31 - 1), unique=True, max_size=5))),
        tag=draw(st.sampled_from(["", "prod", "a:b=c/d.e_f-g"])),
        preset=draw(st.sampled_from(list(PRESETS))) if start is None else "6h",
        start=start,
        end=start + timedelta(minutes=draw(st.integers(1, 10_000))) if start is not None else None,
        aggregate=aggregate,
        group_by=tuple(draw(st.lists(known, unique=True, max_size=MOST_GROUPS))) if aggregate else (),
        top=draw(st.sampled_from(TOPS)),
        top_by=draw(st.sampled_from(list(TOP_BY))),
        view=draw(st.sampled_from(list(VIEWS))),
        events=draw(st.booleans()),
        series=draw(
            st.none() | st.builds(SeriesChoice, st.sampled_from(METRICS), st.none() | st.integers(1, 9), labels)
        ),
        forecast=draw(st.booleans()),
    )


@given(queries())
def test_a_view_survives_the_address(asked: ExploreQuery) -> None:
    assert ExploreQuery.from_query(asked.to_query()) == asked


@given(queries())
def test_a_view_fits_into_a_saved_one(asked: ExploreQuery) -> None:
    body = WriteViewRequest("mine", asked.to_query())
    assert msgspec.json.decode(msgspec.json.encode(body), type=WriteViewRequest) == body


@given(queries(), st.sampled_from([UTC, BERLIN, timezone(timedelta(hours=-7))]))
def test_a_view_survives_the_controls(asked: ExploreQuery, zone: Any) -> None:
    if asked.end is not None and asked.end.month in (3, 10):
        return
    places = [f"{name}.{prop}" for name, prop in SET]
    set_to = dict(zip(places, settings_of(asked, NOW, zone), strict=True))
    values = {
        name: set_to[f"explore-{name}.{'checked' if name in ('events', 'forecast') else 'value'}"]
        for name in (
            *("metrics", "servers", "tag", "preset", "start", "end", "aggregate", "group", "top", "by", "events"),
            *("view", "series", "forecast"),
        )
    }
    assert query_of(values, zone) == asked


NAMES = ["metric", "server", "tag", "range", "start", "end", "aggregate", "group", "top", "view", "events", "series"]
TYPED = ["host.cpu_percent,<script>", "1,2,x,-3,99999999999", "[[[[", '["host.cpu_percent",1,{}]', "p95", "²"]


@given(st.dictionaries(st.sampled_from([*NAMES, "by", "forecast"]), TEXT | st.sampled_from(TYPED)))
def test_whatever_is_typed_makes_a_view_that_survives(query: dict[str, str]) -> None:
    asked = ExploreQuery.from_query(query)
    assert ExploreQuery.from_query(asked.to_query()) == asked
    start, end = asked.range(NOW)
    assert start < end


def test_a_short_link_for_the_usual_view() -> None:
    assert ExploreQuery(("host.cpu_percent",)).to_query() == {"metric": "host.cpu_percent", "range": "6h"}


def test_every_aggregate_has_a_word() -> None:
    assert tuple(AGGREGATE_WORDS) == AGGREGATES


def test_what_controls_cannot_be_is_left_out() -> None:
    values = {
        "metrics": ["nope", "host.load_1m"],
        "servers": ["1", "x"],
        "tag": "<b>",
        "preset": "custom",
        "start": "x",
        "end": None,
        "aggregate": "median",
        "group": ["core"],
        "top": "7",
        "by": "min",
        "view": "?",
        "series": 5,
    }
    assert query_of(values, UTC) == ExploreQuery(("host.load_1m",), (1,), events=False)


def test_series_can_be_grouped_by_what_all_metrics_have() -> None:
    assert group_choices(("filesystem.used_percent",)) == (
        "server_id",
        "tag",
        "mountpoint",
        "device",
        "filesystem_type",
    )
    assert group_choices(("filesystem.used_percent", "host.load_1m")) == ("server_id", "tag")
