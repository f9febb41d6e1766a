"""What a call can raise besides programming errors. Messages are for people and never carry a token."""

from collections.abc import Sequence
from typing import Any

from chatops_protocol.command_resources import CommandResult


class ApiError(Exception):
    """The backend refused: `status` is the HTTP status, `detail` says what to do, `extra` names fields at fault:
    ``{"key": …, "message": …}``. `retry_after_s`: how long to wait before asking again, where the backend said so."""

    def __init__(
        self, status: int, detail: str, extra: Sequence[dict[str, Any]] = (), retry_after_s: float | None = None
    ) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail
        self.extra = tuple(extra)
        self.retry_after_s = retry_after_s


class NotLoggedInError(ApiError):
    """401: a wrong password, a missing second factor (`extra` names it), or a session or token that is over."""


class NotAllowedError(ApiError):
    """403: this account may not do it."""


class NotFoundError(ApiError):
    """404: it does not exist, or this account may not see it."""


class BackendUnreachableError(Exception):
    """No answer came: the address is wrong, the backend is down, or the network is. `lost`: the connection was lost, or
    there was none; otherwise the answer took too long."""

    def __init__(self, message: str, *, lost: bool = True) -> None:
        super().__init__(message)
        self.lost = lost


class CommandRefusedError(Exception):
    """A command was not run: the host's policy refused it, it could not be started, or its agent was not there in time.
    The message says why; `result` is all that is known."""

    def __init__(self, result: CommandResult) -> None:
        super().__init__(f"{result.server_name} did not run `{result.title}`: {result.detail or result.state}")
        self.result = result


_BY_STATUS: dict[int, type[ApiError]] = {401: NotLoggedInError, 403: NotAllowedError, 404: NotFoundError}


def refusal(
    status: int, detail: str, extra: Sequence[dict[str, Any]] = (), retry_after_s: float | None = None
) -> ApiError:
    """The error that fits the status."""
    return _BY_STATUS.get(status, ApiError)(status, detail, extra, retry_after_s)
