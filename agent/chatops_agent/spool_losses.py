"""Counts the frames that the spool had to give up, exactly, and says so once per gap. Used by `spool.py`."""

import logging
import time
from typing import NamedTuple

from msgspec import DecodeError, Struct, msgpack

from chatops_agent.counters import Counters

log = logging.getLogger("chatops_agent")


class Dropped(NamedTuple):
    sequence: int
    size: int
    collected_at: float


class _Time(Struct):
    time: float


_decode_time = msgpack.Decoder(_Time).decode


def collected_at(frame: bytes) -> float:
    """When an encoded frame was collected; 0 when it does not say."""
    try:
        return _decode_time(frame).time
    except DecodeError:
        return 0.0


class Losses:
    """`doubtful`: dropped after they had been sent, and before the backend said whether it has them."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._doubtful: list[int] = []
        self._gap: tuple[int, float, float] | None = None

    def spool_was_full(self, dropped: list[Dropped], sent: int) -> None:
        """These had to make room; `sent` is the highest sequence that has been sent."""
        if not dropped:
            self.gap_ended()
            return
        self._counters.dropped_frames += len(dropped)
        self._doubtful += [frame.sequence for frame in dropped if frame.sequence <= sent]
        if self._gap is None:
            log.warning("the spool is full: the oldest frames are dropped and counted")
            self._gap = (0, dropped[0].collected_at, 0.0)
        self._gap = (self._gap[0] + len(dropped), self._gap[1], dropped[-1].collected_at)

    def gap_ended(self) -> None:
        if self._gap is not None:
            frames, start, end = self._gap
            log.warning("gap: %d frames collected from %s to %s were dropped", frames, _utc(start), _utc(end))
            self._gap = None

    def backend_has(self, last_sequence: int) -> None:
        """A connection began: what is doubtful was delivered or not, and no longer in doubt."""
        self._counters.dropped_frames -= sum(1 for sequence in self._doubtful if sequence <= last_sequence)
        self._doubtful = []


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
