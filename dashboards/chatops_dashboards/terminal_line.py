"""The line that a program is writing, as a terminal shows it: written over after a return, erased, gone on with. Pure.

What has been told of a line and is not so any more is told anew, after a return character: whoever draws takes away
what they have of the line.
"""

from typing import NamedTuple

# A longer one is not written over: a return begins another line.
LONGEST_LINE = 4096


class Piece(NamedTuple):
    """Text and the classes it wears, like ``ansi-bold ansi-fg-1``."""

    classes: str
    text: str


class TerminalLine:
    """`wrote_over`: whether anything was, ever."""

    def __init__(self) -> None:
        self.wrote_over = False
        self._begin()

    def _begin(self) -> None:
        self._pieces: list[Piece] = []
        self._length = self._column = self._told = self._dropped = 0
        self._anew = False

    def write(self, out: list[Piece], classes: str, text: str) -> None:
        """Text without newlines, at the cursor. `out` gets what is ready to be shown."""
        if not text:
            return
        if self._column < self._length and self._length > LONGEST_LINE:
            self.end(out, "")
        if self._column > self._length:
            self._append("", " " * (self._column - self._length))
        if self._column == self._length:
            self._append(classes, text)
        else:
            self._touch(self._column)
            before, after = self._cut(0, self._column), self._cut(self._column + len(text), self._length)
            self._replace([*before, Piece(classes, text), *after])
        self._column += len(text)

    def turn_to(self, column: int) -> None:
        """Move the cursor: 0 is the beginning."""
        self._column = min(max(0, column), LONGEST_LINE)

    def erase(self, how: str) -> None:
        """`how` as in ``ESC [ how K``: to the end, from the beginning, all."""
        if self._length > LONGEST_LINE or (how in ("", "0") and self._column >= self._length):
            return
        if how in ("", "0"):
            self._touch(self._column)
            self._replace(self._cut(0, self._column))
        elif how == "1":
            self._touch(0)
            blank = Piece("", " " * min(self._column + 1, self._length))
            self._replace([blank, *self._cut(self._column + 1, self._length)])
        elif how == "2":
            self._touch(0)
            self._replace([])

    def end(self, out: list[Piece], classes: str, more: str = "") -> None:
        """A newline, and then `more` whole lines."""
        self.tell(out)
        add(out, classes, "\n" + more)
        self._begin()

    def tell(self, out: list[Piece]) -> None:
        """Add what has not been told, or the whole line after a return."""
        if self._anew and self._told:
            add(out, "", "\r")
            self._told = 0
        for piece in self._cut(self._told, self._length):
            add(out, *piece)
        self._told, self._anew = self._length, False
        if self._length > LONGEST_LINE:
            # It is not told anew, so nobody needs its beginning.
            self._pieces, self._dropped = [], self._length

    def _touch(self, column: int) -> None:
        self._anew = self._anew or column < self._told

    def _append(self, classes: str, text: str) -> None:
        add(self._pieces, classes, text)
        self._length += len(text)

    def _replace(self, pieces: list[Piece]) -> None:
        self.wrote_over = True
        self._pieces = []
        for piece in pieces:
            add(self._pieces, *piece)
        self._length = sum(len(piece.text) for piece in self._pieces)

    def _cut(self, start: int, end: int) -> list[Piece]:
        found: list[Piece] = []
        at = self._dropped
        for classes, text in self._pieces:
            part = text[max(0, start - at) : max(0, end - at)]
            if part:
                found.append(Piece(classes, part))
            at += len(text)
        return found


def add(pieces: list[Piece], classes: str, text: str) -> None:
    """Put text behind pieces, into the last one where it wears the same."""
    if not text:
        return
    if pieces and pieces[-1].classes == classes:
        text = pieces.pop().text + text
    pieces.append(Piece(classes, text))
