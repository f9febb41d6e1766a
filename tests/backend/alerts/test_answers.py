"""Questions of the same rows go in one statement, are answered as if asked alone, and fail alone."""

from typing import Any

import asyncpg
import polars as pl
import pytest

from chatops_backend.alerts.answers import Answers
from chatops_backend.alerts.series_values import Question, UnknownMetricError
from tests.backend.alerts.fleet import Fleet

pytestmark = pytest.mark.anyio

HOST = [
    Question("host.cpu_percent", "avg", 300),
    Question("host.cpu_percent", "max", 300),
    Question("host.load_1m", "last", 300),
]
SHORTER = [Question("host.cpu_percent", aggregate, 240) for aggregate in ("avg", "min", "max", "last")]
OTHERS = [
    *SHORTER,
    Question("host.cpu_percent", "avg", 960),
    Question("host.cpu_percent", "avg", 300, offset_s=3600),
    Question("host.cpu_percent", "max", 43_200),
    Question("filesystem.used_percent", "avg", 300),
]


class Watched:
    """The database, which keeps what is asked of it and refuses statements with a `forbidden` column."""

    def __init__(self, database: Any) -> None:
        self._database = database
        self.asked: list[str] = []
        self.forbidden: str | None = None

    async def fetch(self, query: str, *args: Any) -> Any:
        self.asked.append(query)
        if self.forbidden is not None and self.forbidden in query:
            raise asyncpg.NumericValueOutOfRangeError("too large")
        return await self._database.fetch(query, *args)


async def filled(fleet: Fleet) -> Watched:
    for value in (20.0, 70.0):
        server_id = await fleet.server()
        await fleet.cpu(server_id, value, minutes_ago=4, minutes=3)
        await fleet.cpu(server_id, 99.0, minutes_ago=5)
    await fleet.cpu(await fleet.server(), 50.0, minutes_ago=5)
    await fleet.database.execute(
        "INSERT INTO metrics.filesystem (time, server_id, mountpoint, device, filesystem_type, used_percent) "
        "VALUES ($1, 1, '/', 'disk', 'ext4', 40)",
        fleet.now,
    )
    return Watched(fleet.database)


async def test_questions_of_the_same_rows_are_one_statement_with_the_answers_of_each(fleet: Fleet) -> None:
    database = await filled(fleet)
    at = fleet.now.timestamp() + 5
    answers = Answers(database, [*HOST, *OTHERS, HOST[0]], at)  # type: ignore[arg-type]
    together = [await answers.of(question) for question in [*HOST, *OTHERS, HOST[0]]]
    assert len(database.asked) == 5
    for question, found in zip([*HOST, *OTHERS, HOST[0]], together, strict=True):
        alone = await Answers(fleet.database, [question], at).of(question)
        assert found.sort(pl.all()).equals(alone.sort(pl.all()))
    assert together[1]["value"].sort().to_list() == [50.0, 99.0, 99.0]
    assert len(together[2]) == 0
    # What is in the longer window alone is not in the shorter one.
    for place in range(3, 7):
        assert together[place]["value"].sort().to_list() == [20.0, 70.0]
    assert together[-2]["series"].to_list() == ['{"device":"disk","filesystem_type":"ext4","mountpoint":"/"}']


async def test_a_question_that_is_refused_or_unknown_leaves_the_others_alone(fleet: Fleet) -> None:
    database = await filled(fleet)
    unknown = Question("host.nonsense", "avg", 300)
    answers = Answers(database, [unknown, *HOST], fleet.now.timestamp() + 5)  # type: ignore[arg-type]
    database.forbidden = "load_1m_avg"
    assert len(await answers.of(HOST[0])) == len(await answers.of(HOST[1])) == 3
    with pytest.raises(asyncpg.NumericValueOutOfRangeError):
        await answers.of(HOST[2])
    with pytest.raises(UnknownMetricError, match="nonsense"):
        await answers.of(unknown)
