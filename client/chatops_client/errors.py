"""What a call can raise besides programming errors. Messages are for people and never carry a token."""

from collections.abc import Sequence
from typing import Any


class ApiError(Exception):
    """The backend refused: `status` is the HTTP status, `detail` says what to do, `extra` names fields at fault:
    ``{"key": …, "message": …}``."""

    def __init__(self, status: int, detail: str, extra: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail
        self.extra = tuple(extra)


class BackendUnreachableError(Exception):
    """No answer came: the address is wrong, the backend is down, or the network is."""
