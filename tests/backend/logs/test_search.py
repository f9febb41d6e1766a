"""What people type into a search, as a tsquery that no input can break."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatops_backend.logs.search import MOST_TERMS, to_tsquery

STORED = "to_tsvector('simple', translate($1, '!\"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~', repeat(' ', 32)))"


@pytest.mark.parametrize(
    ("search", "query"),
    [
        ("disk full", "'disk' & 'full'"),
        ('"disk full"', "('disk' <-> 'full')"),
        ("disk -full", "'disk' & !'full'"),
        ('disk -"on fire"', "'disk' & !('on' <-> 'fire')"),
        ("conn*", "'conn':*"),
        ("/var/log/sys*", "('var' <-> 'log' <-> 'sys':*)"),
        ("10.0.0.1", "('10' <-> '0' <-> '0' <-> '1')"),
        ("disk or memory full", "'disk' | 'memory' & 'full'"),
        ("or disk or", "'or' & 'disk'"),
        ('"no end', "('no' <-> 'end')"),
        ("it's", "('it' <-> 's')"),
        ("a\tb\nc", "'a' & 'b' & 'c'"),
        ("-", None),
        ('" "', None),
        ("' & | ! <-> :* ( )", None),
        ("", None),
    ],
)
def test_words_phrases_beginnings_and_alternatives(search: str, query: str | None) -> None:
    assert to_tsquery(search) == query


def test_a_search_has_so_many_terms_and_no_more() -> None:
    query = to_tsquery("word " * 200)
    assert query is not None
    assert query.count("'word'") == MOST_TERMS


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("message", "search", "found"),
    [
        ("sshd[7]: Failed password for root from 10.0.0.1 port 22", "10.0.0.1", True),
        ("sshd[7]: Failed password for root from 10.0.0.1 port 22", "10.0.1.0", False),
        ("cannot open /var/lib/app/data.db", "data.db", True),
        ("cannot open /var/lib/app/data.db", "lib", True),
        ("cannot open /var/lib/app/data.db", "ap", False),
        ("cannot open /var/lib/app/data.db", "ap*", True),
        ("user ann@example.org logged in", "ann", True),
        ("user ann@example.org logged in", "EXAMPLE", True),
        ("request took 3.14e5 ms", "3.14", False),
        ("request took 3.14 ms", "3.14", True),
        ("the disk is full", '"disk full"', False),
        ("the disk is full", '"disk is"', True),
        ("the disk is full", "full disk", True),
        ("the disk is full", "disk -full", False),
        ("the disk is empty", "disk -full", True),
        ("the disk is empty", "memory or disk", True),
        ("naïve café 東京 работа", "café", True),
        ("naïve café 東京 работа", "работа", True),
        ("key=value&x=1", "value", True),
        ("a_b-c", "b", True),
        ("\x1b[31mred\x1b[0m", "red*", False),
    ],
)
async def test_the_database_finds_what_is_meant(database, message: str, search: str, found: bool) -> None:
    query = to_tsquery(search)
    assert await database.fetchval(f"SELECT {STORED} @@ to_tsquery('simple', $2)", message, query) is found


@pytest.mark.anyio
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=80)
    | st.text("ab'\"\\|&!<->:*() -or%_;\t\n\u200b\xa0", max_size=60)
)
async def test_no_search_is_an_error_to_the_database(database, search: str) -> None:
    query = to_tsquery(search)
    if query is not None:
        await database.fetchval("SELECT 'a'::tsvector @@ to_tsquery('simple', $1)", query)
