"""What a call can raise besides programming errors. Messages are for people and never carry a token."""


class ApiError(Exception):
    """The backend refused: `status` is the HTTP status, `detail` says what to do."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail


class BackendUnreachableError(Exception):
    """No answer came: the address is wrong, the backend is down, or the network is."""
