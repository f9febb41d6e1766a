"""What the questions of one evaluation are answered: each is asked once, those of one measurement and like windows
together.

Rows are found and grouped once for all of them, so that ten metrics cost little more than one. Used by one evaluation
of the rules and forgotten with it.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

import asyncpg
import polars as pl

from chatops_backend.alerts.series_labels import named_labels
from chatops_backend.alerts.series_values import Question, measurement_and_field, read_values
from chatops_backend.alerts.store import labels_key
from chatops_backend.alerts.windows import tier_of
from chatops_backend.database.interface import Database
from chatops_protocol.catalog import find_metric
from chatops_protocol.resources import Tier

# Windows up to four times as long as each other share a statement: a short one then reads little in vain.
_LIKE = 4

_Rows = tuple[str, Tier, int, int]  # measurement, roll-up, power of `_LIKE` of the window, offset


class Answers:
    def __init__(self, database: Database, questions: Iterable[Question], at: float) -> None:
        self._database = database
        self._at = at
        self._asked: dict[_Rows, list[Question]] = defaultdict(list)
        for question in dict.fromkeys(questions):
            if find_metric(question.metric) is not None:
                self._asked[_rows_of(question)].append(question)
        self._found: dict[Question, pl.DataFrame] = {}

    async def of(self, question: Question) -> pl.DataFrame:
        """One row per series that has a value: ``server_id``, the measurement's labels, ``series`` (all of them in
        JSON), ``value``.

        Raises `UnknownMetricError`, or what the database says of this question, whatever it says of others.
        """
        if question not in self._found:
            try:
                await self._ask(self._asked.pop(_rows_of(question), [question]))
            except asyncpg.PostgresError:
                # Perhaps for one metric among many; each is asked alone now.
                await self._ask([question])
        return self._found[question]

    async def _ask(self, questions: Sequence[Question]) -> None:
        measurement, _ = measurement_and_field(questions[0].metric)
        values = await read_values(self._database, questions, self._at)
        names = measurement.label_names
        if names:
            keys = [labels_key(named_labels(measurement, row)) for row in values.select(names).iter_rows()]
            values = values.with_columns(series=pl.Series(keys, dtype=pl.String))
        else:
            values = values.with_columns(series=pl.lit("{}"))
        for number, question in enumerate(questions):
            answer = values.select("server_id", *names, "series", value=pl.col(f"value_{number}"))
            self._found[question] = answer.filter(pl.col("value").is_not_null())


def _rows_of(question: Question) -> _Rows:
    likeness = int(math.log(question.window_s / 60, _LIKE) + 1e-9)
    return question.metric.partition(".")[0], tier_of(question.window_s), likeness, question.offset_s
