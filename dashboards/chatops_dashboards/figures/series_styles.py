"""A colour and a dash for each of the series of a chart, as far as can be the same in every chart. Pure."""

import zlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from chatops_dashboards.theme import SERIES_COLOURS

DASHES = ("solid", "dash", "dot", "dashdot")


class Style(NamedTuple):
    """`dash` tells series apart that share a colour, also for who cannot tell colours apart."""

    colour: str
    dash: str


def styles(keys: Iterable[str]) -> Mapping[str, Style]:
    """By each key's own checksum, so that a series keeps its style while others come and go; only where two want the
    same one, the later in the alphabet takes the next that is free. All solid until the colours are used up."""
    found: dict[str, Style] = {}
    taken: set[Style] = set()
    for key in sorted(set(keys)):
        first = zlib.crc32(key.encode())
        order = [
            Style(SERIES_COLOURS[(first + step) % len(SERIES_COLOURS)], dash)
            for dash in DASHES
            for step in range(len(SERIES_COLOURS))
        ]
        found[key] = next((style for style in order if style not in taken), order[first % len(order)])
        taken.add(found[key])
    return found
