"""What the questions of one evaluation are answered: each is asked once, those of one measurement and window together.

Rows are found and grouped once for all of them, so that ten metrics cost little more than one. Used by one evaluation
of the rules and forgotten with it.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import asyncpg
import polars as pl

from chatops_backend.alerts.series_labels import named_labels
from chatops_backend.alerts.series_values import Question, measurement_and_field, read_values
from chatops_backend.alerts.store import labels_key
from chatops_backend.database.interface import Database
from chatops_protocol.catalog import find_metric

_Rows = tuple[str, int, int]  # measurement, window, offset


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
        """One row per series: ``server_id``, the measurement's labels, all of them in JSON as ``series``, ``value``.

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
            self._found[question] = values.select("server_id", *names, "series", value=pl.col(f"value_{number}"))


def _rows_of(question: Question) -> _Rows:
    return question.metric.partition(".")[0], question.window_s, question.offset_s
