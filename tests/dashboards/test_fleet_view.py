"""What the first page says about a fleet."""

from datetime import UTC, datetime, timedelta
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from chatops_dashboards.alert_hub import AlertHub
from chatops_dashboards.components.fleet_table import fleet_table
from chatops_dashboards.components.fleet_view import card, card_body, cards, summary, table_row
from chatops_dashboards.fleet_alerts import Fired, fired_now
from chatops_dashboards.fleet_state import high_since, problems_of, select
from chatops_protocol.alert_resources import Alert
from chatops_protocol.live_messages import FleetEntry

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
AT = NOW.timestamp()
QUIET = Fired(current=True, rules_on=3)


def entry(server_id: int, **changes: Any) -> FleetEntry:
    known: dict[str, Any] = {
        "name": f"server {server_id}",
        "status": "online",
        "tags": [],
        "last_seen": AT,
        "cpu_percent": 10.0,
        "memory_used_percent": 20.0,
        "fullest_mountpoint": "/",
        "fullest_used_percent": 30.0,
    }
    return FleetEntry(server_id, **(known | changes))


def text_of(component: Any) -> str:
    """All text of a tree, in order."""
    if component is None:
        return ""
    if isinstance(component, str | int | float):
        return str(component)
    if isinstance(component, list | tuple):
        return "".join(text_of(child) for child in component)
    return text_of(getattr(component, "children", None))


def test_offline_comes_before_full_and_each_says_where() -> None:
    found = problems_of([entry(1, fullest_used_percent=99.0), entry(2, status="offline", last_seen=AT - 60)], {}, AT)
    assert [(p.entry.server_id, p.level) for p in found] == [(2, "critical"), (1, "critical")]
    assert found[1].text == "disk / 99 %"
    assert found[0].since == AT - 60


def test_a_busy_processor_counts_only_when_it_lasts() -> None:
    short = [(AT - 30.0 + n * 10, 99.0) for n in range(4)]
    long = [(AT - 300.0 + n * 10, 99.0) for n in range(31)]
    busy = [entry(1, cpu_percent=99.0)]
    assert problems_of(busy, {1: short}, AT) == []  # type: ignore[dict-item]
    assert problems_of(busy, {1: long}, AT)[0].since == AT - 300  # type: ignore[dict-item]
    assert high_since([*long, (AT, 10.0)]) is None


def test_the_summary_counts_and_tells_since_when() -> None:
    text = text_of(
        summary(
            [entry(1), entry(2, status="offline", last_seen=AT - 3600), entry(3, status="never")], {}, NOW, UTC, None
        )
    )
    assert "1 online" in text
    assert "1 offline" in text
    assert "server 2 offline since 11:00 (1 h ago)" in text


def fired(*alerts: Alert, rules_on: int = 3) -> Fired:
    hub = AlertHub(None)  # type: ignore[arg-type]
    hub.open, hub.heard = {one.id: one for one in alerts}, True
    return fired_now(hub, rules_on)


def alert(number: int, **changes: Any) -> Alert:
    known: dict[str, Any] = {
        "threshold_id": 1,
        "threshold_name": "CPU is high",
        "server_id": 1,
        "server_name": "server 1",
        "labels": {},
        "metric": "host.cpu_percent",
        "state": "firing",
        "level": "critical",
        "value": 96.0,
        "bound": 90.0,
        "window_s": 300,
        "pending_at": NOW,
        "started_at": NOW - timedelta(hours=1),
    }
    return Alert(id=number, **(known | changes))


def test_all_well_is_said_only_when_it_is() -> None:
    def told(*entries: FleetEntry, down: float | None = None, alerts: Fired = QUIET) -> str:
        return text_of(summary(entries, {}, NOW, UTC, down, alerts))

    well = "No alert fires, no host is over a mark"
    assert well in told(entry(1))
    assert well not in told()
    assert well not in told(entry(1, status="offline"))
    assert well not in told(entry(1), down=AT - 60)
    assert well not in told(entry(1), alerts=fired(alert(1)))
    assert well not in told(entry(1), alerts=fired(alert(1, state="acknowledged")))
    assert "No rule is switched on" in told(entry(1), alerts=fired(rules_on=0))


def test_alerts_that_are_not_known_are_not_said_to_be_none() -> None:
    text = text_of(summary([entry(1)], {}, NOW, UTC, None, Fired(rules_on=3)))
    assert "Alerts: not known now" in text
    assert "No alert fires" not in text


def test_the_summary_leads_with_what_fires_and_the_way_to_it() -> None:
    alerts = fired(
        alert(1),
        alert(2, level="warning", server_id=2),
        alert(3, level="warning", server_id=2, state="acknowledged", acknowledged_by="ann"),
        alert(4, server_id=3, state="pending"),
    )
    shown = summary([entry(1), entry(2), entry(3)], {}, NOW, UTC, None, alerts)
    text = text_of(shown)
    assert text.startswith("2 alerts firing◆ 1 critical▲ 1 warning1 acknowledged3 online")
    assert "◆ server 1 CPU is high · 96.0 % · bound 90 % since 11:00" in text
    assert text.index("server 1") < text.index("server 2")
    assert "ago) · acknowledged by ann" in text, "since when it fires, not since when somebody looks after it"
    links = [component.href for component in shown._traverse() if isinstance(component, dcc.Link)]
    assert links[0] == "/alerts"
    assert "/alerts/1" in links


def test_a_figure_over_its_mark_is_not_told_twice_but_another_one_is() -> None:
    full = entry(1, fullest_used_percent=97.0, fullest_mountpoint="/var", memory_used_percent=90.0)
    of_disk = {"metric": "filesystem.used_percent", "labels": {"device": "/dev/vdb", "mountpoint": "/var"}}
    texts = [problem.text for problem in problems_of([full], {}, AT, fired(alert(1, **of_disk)))]
    assert texts == ["/var · 96.0 % · bound 90 %", "memory 90 %"]
    elsewhere = of_disk | {"labels": {"mountpoint": "/home"}}
    texts = [problem.text for problem in problems_of([full], {}, AT, fired(alert(1, **elsewhere)))]
    assert "disk /var 97 %" in texts


def test_what_another_alert_explains_makes_no_line_of_its_own() -> None:
    down = alert(1, metric=None, bound=None, value=90.0)
    found = problems_of([entry(1, status="offline")], {}, AT, fired(down, alert(2, held_back_by=1)))
    assert [problem.alert and problem.alert.id for problem in found] == [1]


def test_a_host_takes_the_colour_and_the_place_of_its_worst_alert() -> None:
    alerts = fired(
        alert(1, level="warning", server_id=3), alert(2, server_id=2), alert(3, level="warning", server_id=2)
    )
    assert card(entry(1), None, NOW, UTC, alerts).className == "card"
    shown = card(entry(2), None, NOW, UTC, alerts)
    assert shown.className == "card card-critical"
    assert "◆ CPU is high+1 more" in text_of(shown)
    entries = [entry(1), entry(2), entry(3), entry(4, memory_used_percent=86.0)]
    assert [e.server_id for e in select(entries, fired=alerts)] == [2, 3, 4, 1]
    assert [e.server_id for e in select(entries, status="attention", fired=alerts)] == [2, 3, 4]
    row = table_row(entry(2), None, AT, alerts)
    assert (row["critical"], row["warning"]) == (1, 1)


def test_a_lost_backend_is_said_above_everything() -> None:
    assert "No live data from the backend since 11:59" in text_of(summary([entry(1)], {}, NOW, UTC, AT - 60))


def test_search_tags_and_state_narrow_the_list() -> None:
    entries = [
        entry(1, name="web-01", tags=["prod"]),
        entry(2, name="db", tags=["prod"]),
        entry(3, name="web-02", status="offline"),
    ]
    assert [e.server_id for e in select(entries, "WEB")] == [3, 1]
    assert [e.server_id for e in select(entries, "prod web")] == [1]
    assert [e.server_id for e in select(entries, tags=["prod"], sort="name")] == [2, 1]
    assert [e.server_id for e in select(entries, status="offline")] == [3]


def test_unknown_values_sort_last_and_small_changes_move_no_card() -> None:
    entries = [entry(1, cpu_percent=None), entry(2, cpu_percent=5.0), entry(3, cpu_percent=90.0)]
    assert [e.server_id for e in select(entries, sort="cpu")] == [3, 2, 1]
    calm = [entry(1, memory_used_percent=50.0), entry(2, memory_used_percent=60.0)]
    assert [e.server_id for e in select(calm)] == [1, 2]


def test_an_unknown_reading_is_a_dash() -> None:
    assert "CPU–" in text_of(card_body(entry(1, cpu_percent=None), None, NOW, UTC))


def test_each_state_of_a_server_has_its_card() -> None:
    assert "No agent has reported yet" in text_of(card_body(entry(1, status="never"), None, NOW, UTC))
    offline = entry(1, status="offline", cpu_percent=None, memory_used_percent=None, fullest_used_percent=None)
    assert "Readings below" not in text_of(card_body(offline, None, NOW, UTC))


def test_names_from_outside_are_children_and_never_markup() -> None:
    hostile = entry(1, name="<img src=x onerror=alert(1)>", tags=["<b>"], fullest_mountpoint="</script>")
    tree = cards([hostile], {}, NOW, UTC)
    kinds = {type(c) for c in tree._traverse() if isinstance(c, Component)}
    assert dcc.Markdown not in kinds
    assert html.Iframe not in kinds
    grid = fleet_table([table_row(hostile, None, AT)])
    assert grid.dangerously_allow_code is False
    assert not any(column.get("cellRenderer") == "markdown" for column in grid.columnDefs)
