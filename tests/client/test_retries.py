"""What is sent again and what is not, in real time of an invented transport; and what can be caught."""

from collections.abc import Callable

import httpx
import pytest

from chatops_client import (
    ApiError,
    AsyncClient,
    BackendUnreachableError,
    Client,
    NotAllowedError,
    NotFoundError,
    NotLoggedInError,
    Tokens,
)
from chatops_client.retries import pause_before_retry
from chatops_client.session import Session
from chatops_client.wire import Call
from chatops_protocol.resources import Server

pytestmark = pytest.mark.anyio

CATALOG = {"metrics": []}
TOKENS = Tokens("access", "refresh", 1e12)
Answer = Callable[[], httpx.Response]


def lost() -> httpx.Response:
    raise httpx.RemoteProtocolError("the server closed the connection")


def slow() -> httpx.Response:
    raise httpx.ReadTimeout("no answer in time")


def busy(seconds: int = 0) -> Answer:
    return lambda: httpx.Response(503, headers={"retry-after": str(seconds)}, json={"title": "Busy"})


def good() -> httpx.Response:
    return httpx.Response(200, json=CATALOG)


def transport(*answers: Answer) -> tuple[httpx.MockTransport, list[httpx.Request]]:
    seen: list[httpx.Request] = []
    left = iter(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return next(left)()

    return httpx.MockTransport(handle), seen


def session(*answers: Answer, retries: int = 3) -> tuple[Session, list[httpx.Request], list[float]]:
    handler, seen = transport(*answers)
    slept: list[float] = []
    http = httpx.Client(base_url="http://backend", transport=handler)
    return Session("http://backend", tokens=TOKENS, http=http, retries=retries, sleep=slept.append), seen, slept


READ = Call("GET", "/metrics/catalog", dict[str, list[str]])
WRITE = Call("POST", "/servers", dict[str, list[str]])


def test_a_read_is_sent_again_when_the_connection_is_lost_or_the_backend_is_busy() -> None:
    client, seen, slept = session(lost, busy(), good)
    assert client.request(READ) == CATALOG
    assert len(seen) == 3
    assert [0.25 <= slept[0] < 0.5, 0.5 <= slept[1] < 1.0] == [True, True]


def test_what_changes_something_is_never_sent_again() -> None:
    client, seen, _ = session(lost)
    with pytest.raises(BackendUnreachableError):
        client.request(WRITE)
    assert len(seen) == 1


def test_an_answer_that_takes_too_long_is_not_asked_for_again() -> None:
    client, seen, _ = session(slow)
    with pytest.raises(BackendUnreachableError):
        client.request(READ)
    assert len(seen) == 1


def test_retries_have_an_end() -> None:
    client, seen, slept = session(*[lost] * 4)
    with pytest.raises(BackendUnreachableError):
        client.request(READ)
    assert (len(seen), len(slept)) == (4, 3)


def test_no_retries_are_none() -> None:
    client, seen, _ = session(busy(), retries=0)
    with pytest.raises(ApiError) as caught:
        client.request(READ)
    assert (caught.value.status, len(seen)) == (503, 1)


def test_the_backend_says_how_long_to_wait_and_too_long_is_given_up() -> None:
    client, _, slept = session(busy(2), good)
    client.request(READ)
    assert 2.0 <= slept[0] <= 3.0
    client, seen, _ = session(busy(3600))
    with pytest.raises(ApiError) as caught:
        client.request(READ)
    assert (caught.value.retry_after_s, len(seen)) == (3600.0, 1)


def test_a_refusal_that_will_stay_one_is_not_tried_again() -> None:
    assert pause_before_retry(READ, 1, 3, ApiError(400, "no such metric")) is None


async def test_the_asynchronous_client_does_the_same() -> None:
    handler, seen = transport(lost, good)
    async with httpx.AsyncClient(base_url="http://backend", transport=handler) as http:
        client = AsyncClient("http://backend", tokens=TOKENS, http=http)
        assert await client.request(READ) == CATALOG
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("status", "kind"), [(401, NotLoggedInError), (403, NotAllowedError), (404, NotFoundError), (409, ApiError)]
)
def test_a_refusal_is_caught_by_what_it_means(status: int, kind: type[ApiError]) -> None:
    body = {"title": "No", "status": status, "detail": "not so"}
    client, _, _ = session(*[lambda: httpx.Response(status, json=body)] * 2)
    client.tokens = Tokens.without_renewal("x")
    with pytest.raises(kind):
        client.request(Call("GET", "/servers/1", Server))


def test_a_lent_access_token_that_has_run_out_says_that_it_cannot_be_renewed() -> None:
    handler, seen = transport(lambda: httpx.Response(401, json={"title": "No", "status": 401, "detail": "expired"}))
    with httpx.Client(base_url="http://backend", transport=handler) as http:
        client = Client("http://backend", token="run out", http=http)
        with pytest.raises(NotLoggedInError, match="without a refresh token; log in again"):
            client.me()
    assert [request.headers["authorization"] for request in seen] == ["Bearer run out"]


def test_a_token_and_tokens_together_are_refused() -> None:
    with pytest.raises(ValueError, match="either"):
        Client("http://backend", token="a", tokens=TOKENS)
