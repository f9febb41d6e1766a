"""One entry of the audit log: as a row, and with what it changed. Everything is shown as text."""

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

from dash import html

from chatops_dashboards.components.tables import data_table
from chatops_dashboards.difference import Change, difference
from chatops_dashboards.moments import absolute
from chatops_protocol.audit_resources import AuditEntry, AuditResult

RESULT_WORDS: dict[AuditResult, str] = {"intended": "Intended", "ok": "Done", "refused": "Refused", "failed": "Failed"}
# The shapes and colours of what was run.
RESULT_STATES: dict[AuditResult, tuple[str, str]] = {
    "intended": ("queued", "○"),
    "ok": ("ok", "✓"),
    "refused": ("expired", "▲"),
    "failed": ("failed", "◆"),
}
ACTOR_WORDS = {"nobody": "nobody", "command_line": "command line", "system": "ChatOps itself"}
KIND_WORDS = {"added": "added", "removed": "removed", "changed": "changed", "same": "unchanged"}


def row_of(entry: AuditEntry, zone: tzinfo) -> dict[str, Any]:
    state, mark = RESULT_STATES[entry.result]
    return {
        "id": str(entry.id),
        "number": entry.id,
        "when": absolute(entry.time, zone)[:19],
        "who": who(entry),
        "action": entry.action,
        "target": target(entry),
        "state": state,
        "mark": mark,
        "word": RESULT_WORDS[entry.result],
        "detail": entry.detail,
        "address": entry.address or "",
        "role": entry.role or "",
        "time": entry.time.isoformat(),
        "before": entry.before,
        "after": entry.after,
        "intent": entry.intent_id,
        "hash": entry.hash,
    }


def who(entry: AuditEntry) -> str:
    kind = ACTOR_WORDS.get(entry.actor_kind)
    if kind is None:
        return entry.username
    return f"{entry.username} ({kind})" if entry.username else kind


def target(entry: AuditEntry) -> str:
    """What it was done to, like ``server web-01``."""
    name = entry.target_name or entry.target_id or ""
    return f"{entry.target_type.replace('_', ' ')} {name}".strip()


def entry_detail(row: Mapping[str, Any]) -> html.Div:
    """A chosen row in full."""
    facts = [
        ("When", row["when"]),
        ("Who", row["who"] + (f", {row['role']}" if row["role"] else "")),
        ("From", row["address"] or "–"),
        ("On", row["target"]),
        ("Result", row["word"]),
        ("Hash", str(row["hash"])[:16] + "…"),
    ]
    if row["intent"]:
        facts.append(("Outcome of", f"entry {row['intent']}"))
    changes = difference(row["before"], row["after"])
    return html.Div(
        [
            html.H2(f"Entry {row['number']}: {row['action']}"),
            html.Dl(
                [html.Div([html.Dt(name), html.Dd(str(value), className="breakable")]) for name, value in facts],
                className="facts",
            ),
            html.P(row["detail"], className="breakable") if row["detail"] else None,
            _changes(changes) if changes else html.P("It names no change.", className="dim small tight"),
        ],
        className="panel",
    )


def _changes(changes: list[Change]) -> html.Div:
    return html.Div(
        data_table(
            [("Field", False), ("", False), ("Before", False), ("After", False)],
            [
                [
                    html.Span(change.field or "value", className="breakable strong"),
                    html.Span(KIND_WORDS[change.kind], className=f"diff-{change.kind} small no-wrap"),
                    _side("−", change.before, "before", change) if change.kind != "added" else None,
                    _side("+", change.after, "after", change) if change.kind != "removed" else None,
                ]
                for change in changes
            ],
            caption="What it changed",
            stacked=True,
        ),
        className="flush",
    )


def _side(mark: str, text: str, side: str, change: Change) -> html.Span:
    shown = html.Span(text or "empty", className="diff-value" if text else "dim")
    if change.kind == "same":
        return html.Span(shown, className="diff-text dim")
    return html.Span([f"{mark} ", shown], className=f"diff-text diff-{side}")
