"""The account page and what it is made of."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from chatops_client import ApiError
from chatops_dashboards.components.client_words import client_words
from chatops_dashboards.components.prove import prove
from chatops_dashboards.components.session_table import session_named, session_table
from chatops_dashboards.components.states import explain
from chatops_dashboards.components.user_servers import servers_words
from chatops_dashboards.page import PageContext
from chatops_dashboards.pages import account
from chatops_dashboards.pages.account import second_factor, sessions
from chatops_dashboards.pending_logins import LASTS_S, MOST_CODES, MOST_WAITING, PendingLogins
from chatops_dashboards.session import Session
from chatops_dashboards.settings import DashboardSettings
from chatops_protocol.resources import SecondFactorEnrolment, SecondFactorState, User
from chatops_protocol.resources import Session as LogIn

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def log_in(number: int, *, current: bool = False, client: str = FIREFOX) -> LogIn:
    return LogIn(UUID(int=number), NOW, NOW, NOW + timedelta(days=7), "192.0.2.7", client, current)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0",
            "Edge on Windows",
        ),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) AppleWebKit/605 Version/18.0 Safari/604", "Safari on iPhone"),
        ("python-httpx/0.28.1", "Python client"),
        ("my own thing <b>", "my own thing <b>"),
        ("", "unknown"),
    ],
)
def test_a_program_is_named_in_few_words(said: str, words: str) -> None:
    assert client_words(said) == words


def test_the_session_that_asks_is_marked_and_has_no_button() -> None:
    shown = str(session_table([log_in(1, current=True), log_in(2)], NOW, UTC, "end"))
    assert "This one" in shown
    assert str(UUID(int=2)) in shown
    assert str(UUID(int=1)) not in shown


def test_the_question_names_what_ends_and_what_follows() -> None:
    opened = [log_in(1, current=True), log_in(2), log_in(3)]
    words = sessions.question(opened, str(UUID(int=2)))
    assert words is not None
    assert "Firefox on Linux at 192.0.2.7" in words
    assert "cancelled" in words
    assert "2 other sessions" in (sessions.question(opened, sessions.OTHERS) or "")
    assert sessions.question(opened[:1], sessions.OTHERS) is None
    assert sessions.question(opened, str(UUID(int=1))) is None
    assert session_named([], "x") == "this session"


def test_the_picture_is_made_here_and_dark_on_white() -> None:
    enrolled = SecondFactorEnrolment("SECRET", "otpauth://totp/ChatOps:ann?secret=SECRET&issuer=ChatOps")
    address = second_factor.picture(enrolled.otpauth_uri)
    assert address.startswith("data:image/svg+xml")
    assert "%23fff" in address
    shown = str(second_factor.enrolling(enrolled))
    assert "SECRET" in shown
    assert enrolled.otpauth_uri in shown


def test_a_second_factor_that_runs_out_of_recovery_codes_says_so() -> None:
    few, many = (str(second_factor.panel(SecondFactorState(True, NOW, left, True), NOW, UTC)) for left in (2, 9))
    assert "Hardly any" in few
    assert "Hardly any" not in many


def test_whoever_needs_one_for_shells_is_told() -> None:
    assert "Shell commands" in str(second_factor.panel(SecondFactorState(False, None, 0, True), NOW, UTC))
    assert "Shell commands" not in str(second_factor.panel(SecondFactorState(False, None, 0, False), NOW, UTC))


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({}, "all"),
        (
            {"all_servers": False, "server_ids": [1], "server_tags": ["prod", "db"]},
            "1 chosen one and those tagged prod, db",
        ),
        ({"all_servers": False}, "none"),
    ],
)
def test_people_see_which_servers_they_see(limits: dict[str, object], words: str) -> None:
    user = User(1, "ann", "viewer", "Ann", True, NOW, **limits)  # type: ignore[arg-type]
    assert servers_words(user) == words


async def test_everybody_has_the_page(session: Session) -> None:
    page = account.PAGE
    assert not page.admin_only
    context = PageContext(session, {}, {}, UTC, DashboardSettings(), "localhost")
    shown = str(await page.layout(context))
    assert "factor-enrol" in shown
    assert "own-session-end" in shown or "This one" in shown


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_password_that_waits_for_its_code_is_forgotten_in_time() -> None:
    clock = Clock()
    pending = PendingLogins(clock)
    pending.keep("token", "ann", "secret")
    assert "secret" not in repr(pending.next_try("token"))
    assert pending.next_try("another") is None
    clock.now += LASTS_S
    assert pending.next_try("token") is None
    assert len(pending) == 0


def test_only_some_codes_may_be_tried_for_one_password() -> None:
    pending = PendingLogins()
    pending.keep("token", "ann", "secret")
    tries = [pending.next_try("token") for _ in range(MOST_CODES + 1)]
    assert tries[-1] is None
    assert None not in tries[:-1]


def test_however_many_wait_the_memory_is_bounded() -> None:
    pending = PendingLogins()
    for number in range(MOST_WAITING + 10):
        pending.keep(str(number), "ann", "secret")
    assert len(pending) == MOST_WAITING
    assert pending.next_try("0") is None
    assert pending.next_try(str(MOST_WAITING + 9)) is not None


def test_an_act_that_wants_a_code_leads_to_the_dialogue_that_takes_it() -> None:
    refused = ApiError(403, "Show a code", [{"key": "totp_code", "message": "a code of now is needed"}])
    assert "prove-ask" in str(explain(refused))
    assert "prove-ask" not in str(explain(ApiError(403, "No")))
    assert "prove-ask" not in str(explain(ApiError(400, "No", [{"key": "totp_code", "message": "is too long"}])))


async def test_without_a_second_factor_no_code_is_good(session: Session) -> None:
    assert (await prove(session, ""))[0] is False
    good, words = await prove(session, "123456")
    assert not good
    assert "set it up first" in words
