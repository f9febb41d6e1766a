"""The form of the rule editor: what a rule needs, by kind; the rest behind “More”. Data in, components out."""

from collections.abc import Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import html

from chatops_dashboards.alert_words import AGGREGATE_WORDS, COMPARISON_WORDS
from chatops_dashboards.components.attributes import dashed
from chatops_protocol.catalog import MEASUREMENTS, find_metric

KINDS = {"threshold": "Level", "change": "Change", "forecast": "Forecast", "offline": "Silence of a host"}
KIND_WORDS = {
    "threshold": "Compares the metric itself.",
    "change": "Compares the difference to the same window earlier.",
    "forecast": "Compares the value that the trend reaches. Says nothing while there is no clear trend.",
    "offline": "Fires when a server sends nothing.",
}
NO_DATA = {"ignore": "are good", "keep": "as before", "fire": "fire"}
AGAINST = {"3600": "an hour earlier", "86400": "a day earlier", "604800": "a week earlier"}
WINDOWS = ("1 min", "5 min", "10 min", "15 min", "30 min", "1 h", "6 h", "1 d", "7 d")
WAITS = ("0 s", "1 min", "5 min", "10 min", "30 min", "1 h")
HIDDEN = {"display": "none"}
# Kinds that show a part; what is not listed is always shown.
PART_KINDS = {
    "metric": ("threshold", "change", "forecast"),
    "aggregate": ("threshold", "change"),
    "levels": ("threshold", "change", "forecast"),
    "no_data": ("threshold", "change", "forecast"),
    "against": ("change",),
    "within": ("forecast",),
}


def parts_shown(kind: str, scope: str, comparison: str) -> dict[str, bool]:
    """Which parts of the form are to be seen."""
    shown = {name: kind in kinds for name, kinds in PART_KINDS.items()}
    return shown | {
        "tag": scope == "tag",
        "server_ids": scope == "ids",
        "highs": comparison == "outside" and kind != "offline",
    }


def field_id(name: str) -> dict[str, str]:
    return {"type": "rule-field", "name": name}


def rule_fields(
    form: Mapping[str, Any],
    servers: Mapping[int, str],
    tags: Sequence[str],
    channels: Mapping[int, str],
    *,
    locked: bool,
) -> dmc.Stack:
    """All fields, filled. `locked`: the account may look only."""
    shown = parts_shown(form["kind"], form["scope"], form["comparison"])

    def part(name: str, *children: Any) -> html.Div:
        return html.Div(
            list(children),
            id={"type": "rule-part", "name": name},
            style={} if shown[name] else HIDDEN,
            className="rule-part",
        )

    def text(name: str, label: str, **options: Any) -> dmc.TextInput:
        return dmc.TextInput(id=field_id(name), label=label, value=form[name] or "", readOnly=locked, **options)

    def duration(name: str, label: str, choices: Sequence[str], **options: Any) -> dmc.Autocomplete:
        return dmc.Autocomplete(
            id=field_id(name),
            label=label,
            value=form[name] or "",
            data=list(choices),
            readOnly=locked,
            **options,
        )

    def choice(name: str, label: str, words: Mapping[Any, str], **options: Any) -> dmc.Select:
        return dmc.Select(
            id=field_id(name),
            label=label,
            value=form[name],
            data=[{"value": key, "label": word} for key, word in words.items()],
            allowDeselect=False,
            readOnly=locked,
            **options,
        )

    def several(name: str, label: str, names: Mapping[int, str], **options: Any) -> dmc.MultiSelect:
        return dmc.MultiSelect(
            id=field_id(name),
            label=label,
            value=form[name],
            data=[{"value": str(key), "label": word} for key, word in names.items()],
            searchable=True,
            hidePickedOptions=True,
            readOnly=locked,
            **options,
        )

    return dmc.Stack(
        [
            text("name", "Name", required=True),
            html.Div(
                [
                    dmc.SegmentedControl(
                        id="rule-kind",
                        value=form["kind"],
                        data=[{"value": key, "label": word} for key, word in KINDS.items()],
                        fullWidth=True,
                        size="xs",
                        readOnly=locked,
                        **dashed(aria_label="Kind of rule"),
                    ),
                    html.P(KIND_WORDS[form["kind"]], id="rule-kind-words", className="dim small tight"),
                ],
                className="stack tight",
            ),
            part(
                "metric",
                dmc.Select(
                    id=field_id("metric"),
                    label="Metric",
                    description=metric_description(form["metric"]),
                    value=form["metric"],
                    data=_metric_choices(),
                    searchable=True,
                    allowDeselect=False,
                    maxDropdownHeight=360,
                    readOnly=locked,
                ),
                html.Div(label_fields(form["metric"], form["labels"], locked=locked), id="rule-labels"),
            ),
            html.Div(
                [
                    part("aggregate", choice("aggregate", "Take the", AGGREGATE_WORDS)),
                    duration("window", "Over the last", WINDOWS),
                    part("against", choice("against", "Against the window", AGAINST)),
                    part("within", duration("within", "Reached within", ("6 h", "12 h", "1 d", "3 d", "7 d"))),
                ],
                className="field-row",
            ),
            part(
                "levels",
                choice("comparison", "Fires when it is", COMPARISON_WORDS),
                html.Div(
                    [
                        text("warning", "▲ Warning", placeholder="none"),
                        text("critical", "◆ Critical", placeholder="none"),
                        text("clear", "Clears at", placeholder="same level"),
                    ],
                    className="field-row",
                ),
                part(
                    "highs",
                    html.P("The lowest good value above, the highest below.", className="dim small tight"),
                    html.Div(
                        [
                            text("warning_high", "▲ up to", placeholder="none"),
                            text("critical_high", "◆ up to", placeholder="none"),
                            text("clear_high", "Clears up to", placeholder="same level"),
                        ],
                        className="field-row",
                    ),
                ),
            ),
            html.Div(
                [
                    duration("for", "For at least", WAITS),
                    duration("clear_for", "Clears after", WAITS),
                    part("no_data", choice("no_data", "Missing readings", NO_DATA)),
                ],
                className="field-row",
            ),
            choice("scope", "Watches", {"all": "All servers", "tag": "Servers with a tag", "ids": "These servers"}),
            part(
                "tag",
                dmc.Autocomplete(
                    id=field_id("tag"),
                    label="Tag",
                    value=form["tag"] or "",
                    data=list(tags),
                    readOnly=locked,
                ),
            ),
            part("server_ids", several("server_ids", "Servers", servers)),
            several(
                "channel_ids",
                "Tells",
                channels,
                placeholder="nobody" if not form["channel_ids"] else "",
            ),
            dmc.Accordion(
                dmc.AccordionItem(
                    [
                        dmc.AccordionControl("Reminders, escalation, runbook"),
                        dmc.AccordionPanel(
                            dmc.Stack(
                                [
                                    duration("repeat", "Tell again every", ("1 h", "4 h", "1 d"), placeholder="never"),
                                    duration(
                                        "escalate_after",
                                        "Escalate when nobody acknowledged for",
                                        ("15 min", "1 h"),
                                        placeholder="never",
                                    ),
                                    several("escalate_channel_ids", "Escalate to", channels),
                                    text("runbook_url", "Runbook", placeholder="https://…"),
                                ]
                            )
                        ),
                    ],
                    value="more",
                ),
                value="more" if form["repeat"] or form["escalate_after"] or form["runbook_url"] else None,
                chevronPosition="left",
            ),
            dmc.Switch(id="rule-on", label="Switched on", checked=form["enabled"], disabled=locked),
        ],
        gap="sm",
        className="looks-on" if locked else None,
    )


def metric_description(metric: str | None) -> str:
    found = find_metric(metric or "")
    return f"{found[1].description}. Unit: {found[1].unit.replace('_', ' ')}" if found else "Choose what to watch"


def label_fields(metric: str | None, values: Mapping[str, str], *, locked: bool = False) -> Any:
    """One field per label of the metric's measurement; left empty it means any."""
    found = find_metric(metric or "")
    names = [label.name for label in found[0].labels if label.type == "text"] if found else []
    return html.Div(
        [
            dmc.Autocomplete(
                id={"type": "rule-label", "name": name},
                label=name.replace("_", " "),
                value=values.get(name, ""),
                placeholder="any",
                data=[],
                readOnly=locked,
            )
            for name in names
        ],
        className="field-row",
    )


def _metric_choices() -> list[dict[str, Any]]:
    return [
        {
            "group": measurement.description,
            "items": [f"{measurement.name}.{field.name}" for field in measurement.fields],
        }
        for measurement in MEASUREMENTS
    ]
