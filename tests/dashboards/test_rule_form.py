"""A rule survives its form, whatever its kind; what cannot be read is told at its field."""

import pytest
from msgspec.structs import replace

from chatops_dashboards.alert_words import rule_words
from chatops_dashboards.components.rule_fields import parts_shown, rule_fields
from chatops_dashboards.pages.alerts.rule_form import DEFAULT, PLACES, form_of, place_problems, rule_of
from chatops_protocol.alert_resources import Threshold

RULES = [
    replace(DEFAULT, name="CPU busy", warning=80.0, clear=70.0, clear_for_s=120, channel_ids=[3, 4], repeat_s=14400),
    Threshold(name="Memory", metric="host.memory_available_bytes", tag="prod", comparison="lt", critical=2.0**30),
    Threshold(
        name="Room",
        metric="host.temperature_celsius",
        server_ids=[1, 2],
        comparison="outside",
        warning=(15.0, 30.0),
        critical=(5.0, 40.0),
        clear=(16.0, 29.0),
        no_data="fire",
    ),
    Threshold(
        name="Jump",
        kind="change",
        metric="host.network_receive_bytes_per_second",
        all_servers=True,
        against_s=604800,
        warning=20e6,
    ),
    Threshold(
        name="Full soon",
        kind="forecast",
        metric="filesystem.used_percent",
        labels={"mountpoint": "/srv/<b>"},
        all_servers=True,
        window_s=21600,
        within_s=86400,
        critical=95.0,
        escalate_after_s=900,
        escalate_channel_ids=[1],
        runbook_url="https://example.org/full",
    ),
    Threshold(name="Down", kind="offline", all_servers=True, window_s=60, enabled=False),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_comes_back_from_its_form_unchanged(rule: Threshold) -> None:
    assert rule_of(form_of(rule)) == (rule, {})


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_form_has_a_field_for_every_part_of_a_rule(rule: Threshold) -> None:
    fields = rule_fields(form_of(rule), {1: "a", 2: "b"}, ["prod"], {1: "x", 3: "y", 4: "z"}, locked=False)
    names = {
        component.id["name"]
        for component in fields._traverse()
        if isinstance(getattr(component, "id", None), dict) and component.id["type"] == "rule-field"
    }
    own = {"kind", "enabled", "labels"}
    assert {PLACES.get(name, name) for name in Threshold.__struct_fields__} - own <= names


def test_a_field_that_cannot_be_read_is_named_and_the_others_are_kept() -> None:
    form = form_of(DEFAULT) | {"critical": "lots", "for": "a while", "window": "10 min"}
    rule, problems = rule_of(form)
    assert set(problems) == {"critical", "for"}
    assert (rule.critical, rule.for_s, rule.window_s) == (None, 0.0, 600)


def test_half_a_range_is_a_problem_of_its_missing_end() -> None:
    _, problems = rule_of(form_of(RULES[2]) | {"warning_high": ""})
    assert problems == {"warning_high": "Give both ends of the range."}


def test_labels_of_another_metric_do_not_stay_behind() -> None:
    rule, _ = rule_of(form_of(RULES[4]) | {"metric": "host.cpu_percent"})
    assert rule.labels == {}


def test_what_the_api_says_lands_at_the_field_of_the_form() -> None:
    extra = (
        {"key": "window_s", "message": "give whole minutes"},
        {"key": "threshold.name", "message": "too long"},
        {"key": "server_ids", "message": "name a server"},
        {"key": "something", "message": "else"},
    )
    placed, rest = place_problems(extra, {"window", "name", "scope"})
    assert placed == {"window": "Give whole minutes", "name": "Too long", "scope": "Name a server"}
    assert rest == ["something: else"]


def test_only_what_the_kind_needs_is_shown() -> None:
    offline = parts_shown("offline", "all", "outside")
    assert not any(offline.values())
    change = parts_shown("change", "ids", "outside")
    assert [name for name, shown in change.items() if shown] == [
        "metric",
        "aggregate",
        "levels",
        "no_data",
        "against",
        "server_ids",
        "highs",
    ]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (DEFAULT, "host.cpu_percent: average over 5 min above 90 % for 10 min, all servers"),
        (
            RULES[0],
            (
                "host.cpu_percent: average over 5 min above 80 % (warning) or 90 % (critical) for 10 min, "
                "clears at 70 % for 2 min, all servers"
            ),
        ),
        (RULES[1], "host.memory_available_bytes: average over 5 min below 1 GiB, servers tagged prod"),
        (
            RULES[2],
            (
                "host.temperature_celsius: average over 5 min outside 15 °C to 30 °C (warning) or 5 °C to 40 °C "
                "(critical), clears inside 16 °C to 29 °C, on a, server 2"
            ),
        ),
        (RULES[5], "nothing received for 1 min, all servers"),
    ],
)
def test_a_rule_reads_as_a_sentence(rule: Threshold, words: str) -> None:
    assert rule_words(rule, {1: "a"}) == words
