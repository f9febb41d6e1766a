"""What is asked of stored metrics, and the refusals that name what is wrong with it. Reads nothing."""

import difflib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import Struct

from chatops_backend.metrics.planner import MAX_POINTS
from chatops_backend.metrics.statements import TAG, label_named
from chatops_backend.problems import ProblemError
from chatops_protocol.catalog import Field, Measurement, find_metric, metric_names
from chatops_protocol.resources import Aggregate, TopBy

MAX_METRICS = 20
MAX_TOP = 1_000
FIRST_YEAR = 2000


class Question(Struct, frozen=True, kw_only=True):
    """Of each metric the series of these servers from `start` to `end` (None is now), see `docs/api.md`."""

    metrics: Sequence[str]
    server_ids: Sequence[int]
    start: datetime
    end: datetime | None
    points: int
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    aggregate: Aggregate | None = None
    group_by: Sequence[str] = ()
    rate: bool = False
    against_s: int = 0
    top: int | None = None
    top_by: TopBy = "avg"

    @property
    def label_columns(self) -> list[str]:
        """The labels that its series have, whether or not there are any: those of all metrics, in their order."""
        if self.aggregate is not None:
            return [name for name in dict.fromkeys(self.group_by) if name != "server_id"]
        found = [find_metric(name) for name in self.metrics]
        return list(dict.fromkeys(name for pair in found if pair for name in pair[0].label_names))


def require_metrics(question: Question) -> list[tuple[Measurement, Field]]:
    """What is asked for, with everything checked that belongs to the metrics: labels to filter and to group by."""
    names = question.metrics
    if not 1 <= len(names) <= MAX_METRICS:
        raise ProblemError(400, "Metrics not usable", f"Name 1 to {MAX_METRICS} metrics; you named {len(names)}.")
    found = [_metric(name) for name in names]
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise ProblemError(400, "Metrics not usable", f"`metric` names {twice} twice; name each once.")
    if question.group_by and question.aggregate is None:
        raise ProblemError(400, "Aggregate missing", "`group_by` needs `aggregate`: avg, min, max, sum, p95, ….")
    for measurement, _ in found:
        _check_labels(measurement, question.labels, question.group_by)
    return found


def require_range(question: Question, now: datetime) -> tuple[datetime, datetime]:
    """Start and end, with zones."""
    start, end = question.start, question.end
    start = start if start.tzinfo else start.replace(tzinfo=UTC)
    end = now if end is None else end if end.tzinfo else end.replace(tzinfo=UTC)
    if start >= end:
        raise ProblemError(
            400,
            "Reversed range",
            f"`start` ({start.isoformat()}) is not before `end` ({end.isoformat()}); exchange them.",
        )
    if start.year < FIRST_YEAR or end > now + timedelta(days=366):
        raise ProblemError(400, "Range out of bounds", "`start` must not be before 2000, `end` not over a year ahead.")
    if question.against_s < 0 or question.against_s > (start - datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)).total_seconds():
        raise ProblemError(
            400, "Range out of bounds", "`against_s` is a number of seconds that does not lead before 2000."
        )
    return start, end


def check_bounds(question: Question, most_points: int) -> None:
    """How much is asked for, as far as that can be known before reading."""
    points, servers, metrics = question.points, len(question.server_ids), len(question.metrics)
    if not 1 <= points <= MAX_POINTS:
        title = "Too many points" if points > 1 else "Too few points"
        raise ProblemError(400, title, f"`points` is {points}; ask for 1 to {MAX_POINTS}, or for a shorter range.")
    if points * servers * metrics > most_points:
        several = f" and {metrics} metrics" if metrics > 1 else ""
        raise ProblemError(
            400,
            "Too many points",
            f"{points} points of {servers} servers{several} are more than {most_points} together; ask for fewer.",
        )
    if question.top is not None and not 1 <= question.top <= MAX_TOP:
        raise ProblemError(400, "Too many series", f"`top` is {question.top}; ask for 1 to {MAX_TOP} series.")


def too_many_points(question: Question, measurement: Measurement, most_points: int) -> ProblemError:
    return ProblemError(
        400,
        "Too many points",
        f"The answer has more than {most_points} points, all series together; ask for "
        f"{_narrower(question, measurement, ['fewer `points`', 'a shorter range'])}.",
    )


def too_many_readings(question: Question, measurement: Measurement, most_readings: int) -> ProblemError:
    return ProblemError(
        400,
        "Too many readings",
        f"`aggregate` {question.aggregate} looks at every reading, and here those are more than {most_readings}; ask "
        f"for {_narrower(question, measurement, ['a shorter range'])}.",
    )


def _narrower(question: Question, measurement: Measurement, advice: list[str]) -> str:
    advice.append("fewer servers")
    if open_labels := [name for name in measurement.label_names if name not in question.labels]:
        advice.append(f"one value of a label ({', '.join(open_labels)})")
    advice.append("`aggregate`" if question.aggregate is None else "fewer names in `group_by`")
    return f"{', '.join(advice[:-1])} or {advice[-1]}"


def _metric(metric: str) -> tuple[Measurement, Field]:
    found = find_metric(metric)
    if found is None:
        names = metric_names()
        near = difflib.get_close_matches(metric[:100], names, n=5, cutoff=0.4)
        near = near or [name for name in names if metric and name.startswith(metric)][:5]
        advice = f"Near it are: {', '.join(near)}." if near else "`GET /api/v1/metrics/catalog` lists all."
        raise ProblemError(404, "Unknown metric", f"There is no metric {metric[:100]!r}. {advice}")
    return found


def _check_labels(measurement: Measurement, labels: Mapping[str, str], group_by: Sequence[str]) -> None:
    known = ", ".join(measurement.label_names) or "none"
    for name, value in labels.items():
        label = label_named(measurement, name)
        if label is None:
            raise ProblemError(
                400, "Unknown label", f"{measurement.name} has no label {name[:100]!r}; its labels are: {known}."
            )
        if label.type == "jsonb":
            _check_object(name, value)
    for name in group_by:
        if name not in ("server_id", TAG) and label_named(measurement, name) is None:
            raise ProblemError(
                400,
                "Unknown label",
                f"`group_by` names {name[:100]!r}; {measurement.name} can be grouped by server_id, tag and its labels: "
                f"{known}.",
            )


def _check_object(name: str, value: str) -> None:
    try:
        decoded = msgspec.json.decode(value, type=dict[str, str])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ProblemError(
            400, "Labels not readable", f"The label {name!r} takes the text of a JSON object of strings: {error}"
        ) from None
    # PostgreSQL's jsonb holds no U+0000.
    if any("\0" in text for pair in decoded.items() for text in pair):
        raise ProblemError(400, "Labels not readable", f"The label {name!r} has a NUL character; remove it.")
