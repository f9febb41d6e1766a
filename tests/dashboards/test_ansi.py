"""Output of programs: colours become class names, and no control of a terminal or of a page gets through."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatops_dashboards.ansi import AnsiText
from chatops_dashboards.terminal_line import LONGEST_LINE, Piece


def read(*texts: str) -> list[Piece]:
    """As it is drawn: after a return, what was drawn of the line is taken away."""
    output = AnsiText()
    pieces = [piece for text in texts for piece in output.take(text)] + output.rest()
    drawn: list[tuple[str, str]] = []
    for classes, text in pieces:
        for letter in text:
            if letter == "\r":
                while drawn and drawn[-1][1] != "\n":
                    drawn.pop()
            else:
                drawn.append((classes, letter))
    joined: list[Piece] = []
    for classes, letter in drawn:
        if joined and joined[-1].classes == classes:
            joined[-1] = Piece(classes, joined[-1].text + letter)
        else:
            joined.append(Piece(classes, letter))
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


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("10 %\r20 %\r\n", "20 %\n"),
        ("x\r\ny", "x\ny"),
        ("x\r\r\ny", "x\ny"),
        ("x\r", "x"),
        ("100 %\r5", "500 %"),
        ("100 %\r5\x1b[K\n", "5\n"),
        ("100 %\x1b[2K\r5 %", "5 %"),
        ("100 %\x1b[1K\r5", "5    "),
        ("abc\x1b[1Gx", "xbc"),
        ("abc\x1b[6Gx\n", "abc  x\n"),
        ("first\nab\rc\nlast", "first\ncb\nlast"),
        ("before\n" + "".join(f"\r{number:3} %" for number in range(101)) + "\nafter", "before\n100 %\nafter"),
    ],
)
def test_a_line_is_written_over_as_on_a_terminal(written: str, shown: str) -> None:
    assert plain(written) == shown
    assert plain(*written) == shown


def test_what_is_written_over_keeps_its_own_colours() -> None:
    assert read("\x1b[31mabc\x1b[0m\rx") == [Piece("", "x"), Piece("ansi-fg-1", "bc")]


@pytest.mark.parametrize(("text", "over"), [("a\r\nb\x1b[K\r\r\n", False), ("a\rb", True), ("a\x1b[2K", True)])
def test_it_says_whether_anything_was_written_over(text: str, over: bool) -> None:
    output = AnsiText()
    output.take(text)
    assert output.wrote_over is over


def test_a_bar_that_is_told_at_once_is_told_once() -> None:
    pieces = AnsiText().take("".join(f"\r{number} %" for number in range(100_000)))
    assert pieces == [Piece("", "99999 %")]


def test_a_return_on_an_endless_line_begins_another_and_costs_no_more() -> None:
    output = AnsiText()
    told = [piece for _ in range(50) for piece in output.take("x" * LONGEST_LINE)] + output.take("\rend\r")
    assert "".join(piece.text for piece in told) == "x" * 50 * LONGEST_LINE + "\nend"
    assert "".join(piece.text for piece in output.take("END")) == "\rEND"


def test_what_looks_like_a_sequence_and_never_ends_is_shown_in_the_end() -> None:
    assert plain("\x1b]0;" + "x" * 10_000).endswith("x" * 10_000)
    assert plain("\x1b[") == "["
    assert plain("a\x1b") == "a"


def test_markup_stays_text() -> None:
    assert plain("<script>alert(1)</script>") == "<script>alert(1)</script>"


@given(
    st.lists(st.text(st.sampled_from("\x1b[]mKGPX^_;:0123456789\\\x07\r\na <\x9c\u202e(B"), max_size=30), max_size=6)
)
def test_whatever_comes_only_text_and_known_classes_come_out(texts: list[str]) -> None:
    for piece in read(*texts):
        assert re.fullmatch(r"(ansi-[a-z]+(-[0-9]+)?( |$))*", piece.classes)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", piece.text)
    for piece in AnsiText().take("".join(texts)):
        assert "\r" not in piece.text
    assert read(*texts) == read("".join(texts))
