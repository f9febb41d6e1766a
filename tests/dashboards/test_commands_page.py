"""A command on several hosts, in words: whom it is for, what will happen, how it is doing."""

from datetime import UTC, datetime
from typing import Any

import pytest

from chatops_dashboards.pages.commands.choice import choose, chosen_words, consequence, read_request
from chatops_dashboards.pages.commands.group import group_words
from chatops_protocol.resources import Server
from tests.dashboards.test_commands import command

OPTIONS = {"timeout": 60, "folder": "", "at_a_time": "", "stop_after": None}


def server(number: int, *tags: str) -> Server:
    return Server(number, f"web-{number:02}", "", list(tags), "online", datetime(2026, 11, 24, tzinfo=UTC))


SERVERS = [server(1, "prod"), server(2), server(3, "prod")]


def test_names_and_a_tag_choose_together_and_each_server_once() -> None:
    assert [one.id for one in choose(SERVERS, ["1", "2"], "prod")] == [1, 2, 3]
    assert choose(SERVERS, [], None) == []
    assert choose(SERVERS, None, "nobody has it") == []


@pytest.mark.parametrize(
    ("text", "chosen", "options", "words"),
    [
        ("", SERVERS, {}, "Type a command"),
        ("ls", [], {}, "No server is chosen"),
        ("ls", SERVERS, {"timeout": -1}, "at most"),
        ("ls", SERVERS, {"folder": "tmp"}, "from the root"),
    ],
)
def test_what_cannot_be_run_is_said_and_nothing_is_asked(text: str, chosen: Any, options: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_request(text, chosen, {**OPTIONS, **options})


def test_the_request_is_for_those_that_were_confirmed() -> None:
    asked = read_request(" ls ", SERVERS[:2], {**OPTIONS, "at_a_time": 1, "stop_after": 2})
    assert asked["command"] == "ls"
    assert asked["server_ids"] == [1, 2]
    assert (asked["at_a_time"], asked["stop_after_failures"]) == (1, 2)
    assert "tag" not in asked


def test_the_question_says_what_on_whom_and_who_will_not() -> None:
    asked = read_request("rm <b>", SERVERS, {**OPTIONS, "stop_after": 1})
    words = str(consequence(asked, SERVERS, {1: "off", 2: "shell"}))
    for part in ("3 hosts", "rm <b>", "Takes no commands: web-01", "Not connected", "web-03", "One at a time"):
        assert part in words


def test_many_are_counted_and_the_first_named() -> None:
    many = [server(number) for number in range(1, 31)]
    words = chosen_words(many, dict.fromkeys(range(1, 31), "shell"))
    assert words.startswith("30 servers: web-01, ")
    assert "and 18 more" in words


def test_a_group_says_how_many_are_in_which_state() -> None:
    words = str(group_words([command(state=state) for state in ("ok", "ok", "failed", "queued")]))
    assert "3 of 4" in words
    assert "' waiting'" in words
