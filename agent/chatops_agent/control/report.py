"""What the backend has to hear of an order, until it has stored it. Used by `orders`; sends nothing itself."""

import time

from chatops_agent.control.output import Output
from chatops_protocol.control_messages import OrderFinished, OrderOutput, OrderStarted

News = OrderStarted | OrderOutput | OrderFinished


class Report:
    """What the backend has to hear of one order, in this order: that it began, what it wrote, how it ended."""

    def __init__(self, number: int, nonce: str) -> None:
        self.id, self.nonce = number, nonce
        self.started_at: float | None = None
        self.output = Output(time.monotonic)
        self.outcome: OrderFinished | None = None
        self.rewind()

    def rewind(self) -> None:
        self._said_start = self._said_outcome = False
        self.output.rewind()

    def take(self) -> tuple[News | None, float | None]:
        """The next message; or None, and after how many seconds to ask again."""
        if self.started_at is not None and not self._said_start:
            self._said_start = True
            return OrderStarted(self.id, self.nonce, self.started_at), None
        piece, wait_s = self.output.take()
        if piece is not None:
            data = bytes(piece.data)
            return OrderOutput(self.id, self.nonce, piece.sequence, piece.stream, piece.offset, data), None
        if self.outcome is not None and self.output.is_sent and not self._said_outcome:
            self._said_outcome = True
            return self.outcome, None
        return None, wait_s
