"""Calls of the REST API as data: what to send and what the answer is. Shared by both clients, does no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx
import msgspec
from msgspec import Struct

from chatops_client.errors import ApiError, refusal
from chatops_protocol.resources import Problem

PREFIX = "/api/v1"
JSON = "application/json"
ARROW = "application/vnd.apache.arrow.stream"
PAGE_SIZE = 200

T = TypeVar("T")


class Latest(Struct, frozen=True):
    """The newest readings of one server. `measurements` maps ``host`` to an object of fields and every other
    measurement to a list of objects of labels and fields; `time` is None when nothing ever arrived."""

    time: datetime | None
    measurements: dict[str, Any]


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request. `answer` is the type the body decodes to, bytes for the body as it is; `public` calls carry no
    token; `timeout_s` is that of the connection pool unless the answer takes longer than others. A `body` of bytes is
    an Arrow stream. `repeatable`: to be sent again when the connection is lost, as what changes nothing is."""

    method: str
    path: str
    answer: type[T] | None
    params: tuple[tuple[str, str], ...] = ()
    body: Struct | list[Any] | bytes | None = None
    public: bool = False
    timeout_s: float | None = None
    accept: str = JSON
    repeatable: bool = False

    def page(self, cursor: str | None, size: int | None = None) -> "Call[T]":
        """The same list, from `cursor` on."""
        extra = (("limit", str(size or PAGE_SIZE)), *((("cursor", cursor),) if cursor else ()))
        return Call(self.method, self.path, self.answer, self.params + extra, self.body, self.public)


def build_request(
    http: httpx.Client | httpx.AsyncClient,
    call: Call[Any],
    access_token: str | None,
    more_headers: Mapping[str, str] | None = None,
) -> httpx.Request:
    """Turn a call into a request of that connection pool."""
    headers = {"accept": call.accept, **(more_headers or {})}
    if access_token is not None:
        headers["authorization"] = f"Bearer {access_token}"
    content = None
    if isinstance(call.body, bytes):
        headers["content-type"], content = ARROW, call.body
    elif call.body is not None:
        headers["content-type"], content = JSON, msgspec.json.encode(call.body)
    return http.build_request(
        call.method,
        PREFIX + call.path,
        params=list(call.params),
        headers=headers,
        content=content,
        timeout=http.timeout if call.timeout_s is None else call.timeout_s,
    )


def read_answer(call: Call[T], response: httpx.Response) -> T:
    """Decode the body, or raise `ApiError` with the backend's detail."""
    if response.is_error or response.is_redirect:
        raise _refusal(response)
    if call.answer is None:
        return None  # type: ignore[return-value]
    if call.answer is bytes:
        return response.content  # type: ignore[return-value]  # T is bytes here
    try:
        return msgspec.json.decode(response.content, type=call.answer)
    except msgspec.DecodeError as error:
        raise ApiError(response.status_code, f"the answer of {call.path} is not what was expected: {error}") from error


def read_latest(raw: dict[str, Any]) -> Latest:
    """Separate the time from the measurements of ``GET /metrics/{id}/latest``."""
    time = raw.get("time")
    moment = None if time is None else msgspec.convert(time, datetime)
    return Latest(moment, {name: value for name, value in raw.items() if name not in ("time", "server_id")})


def query_params(parameters: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Flatten to query pairs: None is left out, lists repeat the name, times are RFC 3339, mappings are JSON."""
    pairs: list[tuple[str, str]] = []
    for name, value in parameters.items():
        if isinstance(value, list | tuple):
            pairs += [(name, str(item)) for item in value]
        elif isinstance(value, datetime):
            pairs.append((name, value.isoformat()))
        elif isinstance(value, Mapping):
            pairs.append((name, msgspec.json.encode(value).decode()))
        elif value is not None:
            pairs.append((name, str(value)))
    return tuple(pairs)


def segment(value: int | str) -> str:
    """One path segment, safe whatever it holds."""
    return quote(str(value), safe="")


def _refusal(response: httpx.Response) -> ApiError:
    status, again = response.status_code, _seconds(response.headers.get("retry-after"))
    try:
        problem = msgspec.json.decode(response.content, type=Problem)
    except msgspec.DecodeError:
        return refusal(status, f"the backend answered {status} {response.reason_phrase}".strip(), (), again)
    return refusal(status, problem.detail or problem.title, problem.extra or (), again)


def _seconds(text: str | None) -> float | None:
    """Of ``Retry-After`` as ChatOps writes it, in seconds; a proxy's date counts as nothing said."""
    return float(text) if text is not None and text.isascii() and text.isdigit() else None
