"""Output of programs made harmless: colours become names of CSS classes, a line is written over as on a terminal, every
other control leaves no trace. Pure.

What comes out is text with class names from a fixed set; it is put on the page as text nodes, never as markup. A return
character in it says that what was shown of the line is taken away: its new text follows.
"""

import re

from chatops_dashboards.terminal_line import Piece, TerminalLine

# A sequence that is longer than this is none: what follows its escape is text.
LONGEST_SEQUENCE = 4096
_CONTROL_SEQUENCE = re.compile(r"\x1b\[([0-?]*)([ -/]*)([@-~])")
# Operating system commands (titles, links, clipboards), device control, privacy, application: up to their terminator.
# They hold no escape, so that however many are left open, the text is read through once.
_STRING = re.compile(r"\x1b[\]PX^_][^\x1b\x07\x9c]*(?:\x1b\\|\x07|\x9c)")
_SHORT = re.compile(r"\x1b[ -/]*[0-~]")
_BROKEN_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*")
# C0 and C1 without tab and newline, DEL; what turns the direction of text around and so lets it read as something else.
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_ATTRIBUTES = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse", 9: "strike"}
_ENDS = {22: ("bold", "dim"), 23: ("italic",), 24: ("underline",), 27: ("inverse",), 29: ("strike",)}
# The sixteen colours that have a class, as they are on most terminals.
_PALETTE = (
    *((0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0), (0, 0, 238), (205, 0, 205), (0, 205, 205), (229, 229, 229)),
    *((127, 127, 127), (255, 0, 0), (0, 255, 0), (255, 255, 0), (92, 92, 255), (255, 0, 255), (0, 255, 255)),
    (255, 255, 255),
)
_CUBE = (0, 95, 135, 175, 215, 255)


class AnsiText:
    """The text of one stream as it comes: sequences may be cut anywhere, and colours last until they are changed."""

    def __init__(self) -> None:
        self._left = ""
        self._line = TerminalLine()
        self._attributes: set[str] = set()
        self._colours: dict[str, int] = {}

    def take(self, text: str) -> list[Piece]:
        """What can be shown now; the beginning of a sequence waits for its rest."""
        return self._read(self._left + text, final=False)

    def rest(self) -> list[Piece]:
        """The end: what comes after it is another line."""
        pieces = self._read(self._left, final=True)
        self._line.end([], "")
        return pieces

    @property
    def wrote_over(self) -> bool:
        """Whether a line is other than it was once told, or would have been."""
        return self._line.wrote_over

    def _read(self, text: str, *, final: bool) -> list[Piece]:
        pieces: list[Piece] = []
        at, self._left = 0, ""
        while (escape := text.find("\x1b", at)) >= 0:
            self._add(pieces, text[at:escape])
            match = _CONTROL_SEQUENCE.match(text, escape) or _STRING.match(text, escape)
            if match is None and text[escape + 1 : escape + 2] not in ("[", "]", "P", "X", "^", "_", ""):
                match = _SHORT.match(text, escape)
            if match is not None and match.end() - escape <= LONGEST_SEQUENCE:
                if match.re is _CONTROL_SEQUENCE and not match[2]:
                    self._obey(match[1], match[3])
                at = match.end()
            elif self._may_go_on(text, escape) and not final and len(text) - escape <= LONGEST_SEQUENCE:
                self._left = text[escape:]
                break
            else:
                at = escape + 1
        else:
            self._add(pieces, text[at:])
        self._line.tell(pieces)
        return pieces

    @staticmethod
    def _may_go_on(text: str, escape: int) -> bool:
        """Whether more text could complete the sequence that begins there."""
        kind = text[escape + 1 : escape + 2]
        if kind == "[":
            broken = _BROKEN_SEQUENCE.match(text, escape)
            return broken is not None and broken.end() == len(text)
        return kind in ("", "]", "P", "X", "^", "_") or not text[escape + 1 :].strip(" !\"#$%&'()*+,-./")

    def _obey(self, parameters: str, command: str) -> None:
        if command == "m":
            self._colour(parameters)
        elif command == "K":
            self._line.erase(parameters)
        elif command == "G":
            self._line.turn_to(int(parameters) - 1 if parameters.isdecimal() and len(parameters) <= 4 else 0)

    def _add(self, pieces: list[Piece], text: str) -> None:
        classes = self._classes()
        # Whole lines at once, as nearly all output is; a return before a newline changes nothing.
        written = text.replace("\r\n", "\n").split("\r")
        for number, part in enumerate(written):
            if number:
                self._line.turn_to(0)
            first, newline, more = _UNSEEN.sub("", part).partition("\n")
            self._line.write(pieces, classes, first)
            if newline:
                lines, _, last = ("\n" + more).rpartition("\n")
                self._line.end(pieces, classes, lines[1:] + "\n" if lines else "")
                self._line.write(pieces, classes, last)

    def _classes(self) -> str:
        names = [f"ansi-{name}" for name in sorted(self._attributes)]
        names += [f"ansi-{ground}-{number}" for ground, number in sorted(self._colours.items())]
        return " ".join(names)

    def _colour(self, parameters: str) -> None:
        """Select Graphic Rendition; what is unknown changes nothing."""
        numbers = [int(part) if part.isdecimal() and len(part) <= 3 else -1 for part in _split(parameters)]
        while numbers:
            number = numbers.pop(0)
            if number == 0:
                self._attributes.clear()
                self._colours.clear()
            elif number in _ATTRIBUTES:
                self._attributes.add(_ATTRIBUTES[number])
            elif number in _ENDS:
                self._attributes.difference_update(_ENDS[number])
            elif number in (39, 49):
                self._colours.pop("fg" if number == 39 else "bg", None)
            elif number in (38, 48):
                ground, colour = "fg" if number == 38 else "bg", _extended(numbers)
                if colour is not None:
                    self._colours[ground] = colour
            elif (place := _sixteen(number)) is not None:
                self._colours[place[0]] = place[1]


def _split(parameters: str) -> list[str]:
    return [part or "0" for part in parameters.replace(":", ";").split(";")]


def _sixteen(number: int) -> tuple[str, int] | None:
    for first, ground, offset in ((30, "fg", 0), (40, "bg", 0), (90, "fg", 8), (100, "bg", 8)):
        if first <= number < first + 8:
            return ground, number - first + offset
    return None


def _extended(numbers: list[int]) -> int | None:
    """Take ``5;n`` or ``2;r;g;b`` from the front: the nearest colour that has a class."""
    kind = numbers.pop(0) if numbers else -1
    taken = 1 if kind == 5 else 3 if kind == 2 else 0
    values, numbers[:] = numbers[:taken], numbers[taken:]
    if not taken or len(values) < taken or not all(0 <= value <= 255 for value in values):
        return None
    if kind == 2:
        return _nearest(values[0], values[1], values[2])
    number = values[0]
    if number < 16:
        return number
    if number >= 232:
        grey = 8 + 10 * (number - 232)
        return _nearest(grey, grey, grey)
    red, rest = divmod(number - 16, 36)
    return _nearest(_CUBE[red], _CUBE[rest // 6], _CUBE[rest % 6])


def _nearest(red: int, green: int, blue: int) -> int:
    def distance(number: int) -> int:
        known = _PALETTE[number]
        return (known[0] - red) ** 2 + (known[1] - green) ** 2 + (known[2] - blue) ** 2

    return min(range(16), key=distance)
