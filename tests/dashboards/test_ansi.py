"""Output of programs: colours become class names, and no control of a terminal or of a page gets through."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatops_dashboards.ansi import AnsiText, Piece


def read(*texts: str) -> list[Piece]:
    output = AnsiText()
    pieces = [piece for text in texts for piece in output.take(text)] + output.rest()
    joined: list[Piece] = []
    for piece in pieces:
        if joined and joined[-1].classes == piece.classes:
            joined[-1] = Piece(piece.classes, joined[-1].text + piece.text)
        else:
            joined.append(piece)
    return joined


def plain(*texts: str) -> str:
    return "".join(piece.text for piece in read(*texts))


def test_text_without_colours_is_one_piece() -> None:
    assert read("a\tb\nc") == [Piece("", "a\tb\nc")]


def test_colours_and_attributes_become_classes_and_end() -> None:
    assert read("a\x1b[1;31mb\x1b[0mc") == [Piece("", "a"), Piece("ansi-bold ansi-fg-1", "b"), Piece("", "c")]
    assert read("\x1b[4;7;44mx\x1b[24;27;49my") == [
        Piece("ansi-inverse ansi-underline ansi-bg-4", "x"),
        Piece("", "y"),
    ]
    assert read("\x1b[32ma\x1b[39mb\x1b[91mc\x1b[md") == [
        Piece("ansi-fg-2", "a"),
        Piece("", "b"),
        Piece("ansi-fg-9", "c"),
        Piece("", "d"),
    ]


@pytest.mark.parametrize(
    ("sequence", "classes"),
    [
        ("38;5;196", "ansi-fg-9"),
        ("38;5;3", "ansi-fg-3"),
        ("48;5;232", "ansi-bg-0"),
        ("38;2;250;10;10", "ansi-fg-9"),
        ("38:2:0:200:0", "ansi-fg-2"),
        ("38;5;196;1", "ansi-bold ansi-fg-9"),
        ("38;5", ""),
        ("38;2;1;2", ""),
        ("38;5;999", ""),
        ("38;9;1;4", "ansi-bold ansi-underline"),
        ("77", ""),
        ("99999999999999999999", ""),
    ],
)
def test_many_colours_become_the_nearest_of_sixteen(sequence: str, classes: str) -> None:
    assert read(f"\x1b[{sequence}mx") == [Piece(classes, "x")]


@pytest.mark.parametrize(
    "control",
    [
        "\x1b[2J",
        "\x1b[H",
        "\x1b[1A",
        "\x1b[?25l",
        "\x1b[6n",
        "\x1b]0;a title\x07",
        "\x1b]8;;javascript:alert(1)\x1b\\",
        "\x1b]52;c;cm0gLXJm\x07",
        "\x1bP1$r0m\x1b\\",
        "\x1b_private\x1b\\",
        "\x1bc",
        "\x1b(B",
        "\x9b",
        "\x07",
        "\x08",
        "\x00",
        "\u202e",
        "\u2066",
    ],
)
def test_every_other_control_leaves_no_trace(control: str) -> None:
    assert read(f"a{control}b") == [Piece("", "ab")]


def test_sequences_may_be_cut_anywhere() -> None:
    text = "a\x1b[1;31mb\x1b]0;title\x07c\x1b[0m\r\nd\x1b(Be"
    whole = read(text)
    for cut in range(len(text)):
        assert read(text[:cut], text[cut:]) == whole
    assert read(*text) == whole


def test_a_return_alone_begins_a_line() -> None:
    assert plain("10 %\r20 %\r\n") == "10 %\n20 %\n"
    assert plain("x\r", "\ny") == "x\ny"


def test_what_looks_like_a_sequence_and_never_ends_is_shown_in_the_end() -> None:
    assert plain("\x1b]0;" + "x" * 10_000).endswith("x" * 10_000)
    assert plain("\x1b[") == "["
    assert plain("a\x1b") == "a"


def test_markup_stays_text() -> None:
    assert plain("<script>alert(1)</script>") == "<script>alert(1)</script>"


@given(st.lists(st.text(st.sampled_from("\x1b[]mPX^_;:0123456789\\\x07\r\na <\x9c\u202e(B"), max_size=30), max_size=6))
def test_whatever_comes_only_text_and_known_classes_come_out(texts: list[str]) -> None:
    for piece in read(*texts):
        assert re.fullmatch(r"(ansi-[a-z]+(-[0-9]+)?( |$))*", piece.classes)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", piece.text)
    assert read(*texts) == read("".join(texts))
