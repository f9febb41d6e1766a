"""Guessing passwords: limited, bounded in cost, and no way to learn which accounts exist."""

import asyncio
import statistics
import time
from dataclasses import dataclass

import pytest
from argon2 import PasswordHasher

from chatops_backend.accounts.login_limits import LoginLimits, TooManyAttemptsError
from chatops_backend.accounts.passwords import HashingBusyError, Passwords
from chatops_protocol.dashboard_headers import BROWSER_ADDRESS_HEADER, DASHBOARD_SECRET_HEADER
from tests.conftest import DASHBOARD_SECRET

pytestmark = pytest.mark.anyio


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def fail(limits: LoginLimits, times: int, username: str, address: str | None) -> int:
    """How many of the attempts were let through; all of them fail."""
    allowed = 0
    for _ in range(times):
        try:
            limits.begin(username, address)
        except TooManyAttemptsError:
            continue
        allowed += 1
    return allowed


def test_an_account_can_be_tried_five_times_from_an_address_in_five_minutes() -> None:
    clock = Clock()
    limits = LoginLimits(clock)
    assert fail(limits, 10, "Ann", "192.0.2.1") == 5
    with pytest.raises(TooManyAttemptsError) as refused:
        limits.begin("ann", "192.0.2.1")
    assert refused.value.retry_after_s == 300
    clock.now += 300
    assert fail(limits, 10, "ann", "192.0.2.1") == 5


def test_an_address_can_try_twenty_times_whatever_the_accounts() -> None:
    limits = LoginLimits(Clock())
    assert sum(fail(limits, 1, f"name{number}", "192.0.2.1") for number in range(100)) == 20
    assert fail(limits, 1, "somebody", "192.0.2.2") == 1


def test_a_subscribers_ipv6_addresses_count_as_one_and_a_mapped_one_as_ipv4() -> None:
    limits = LoginLimits(Clock())
    assert sum(fail(limits, 1, f"name{number}", f"2001:db8::{number:x}") for number in range(100)) == 20
    assert sum(fail(limits, 1, f"name{number}", "192.0.2.1") for number in range(100)) == 20
    assert fail(limits, 1, "somebody", "::ffff:192.0.2.1") == 0


def test_strangers_do_not_lock_out_a_person_who_logged_in_from_here_before() -> None:
    limits = LoginLimits(Clock())
    limits.begin("ann", "192.0.2.1").succeeded()
    assert sum(fail(limits, 5, "ann", f"198.51.100.{number}") for number in range(100)) == 100
    assert fail(limits, 1, "ann", "203.0.113.1") == 0
    assert fail(limits, 30, "other", "192.0.2.1") == 5
    assert sum(fail(limits, 1, f"other{number}", "192.0.2.1") for number in range(30)) == 15
    assert fail(limits, 10, "ann", "192.0.2.1") == 5


def test_a_success_forgets_the_failures_and_an_attempt_not_tried_does_not_count() -> None:
    limits = LoginLimits(Clock())
    for _ in range(50):
        assert fail(limits, 4, "ann", "192.0.2.1") == 4
        limits.begin("ann", "192.0.2.1").succeeded()
    for _ in range(50):
        limits.begin("bob", "192.0.2.3").does_not_count()


def test_an_account_of_ones_own_does_not_buy_further_guesses_at_others() -> None:
    limits = LoginLimits(Clock())
    limits.begin("mallory", "192.0.2.1").succeeded()
    tried = 0
    for number in range(100):
        tried += fail(limits, 1, f"other{number}", "192.0.2.1")
        limits.begin("mallory", "192.0.2.1").succeeded()
    assert tried == 20


def test_what_is_remembered_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr("chatops_backend.accounts.login_limits.REMEMBERED", 100)
    limits = LoginLimits(Clock())
    for number in range(1000):
        limits.begin(f"name{number}", f"192.0.{number // 250}.{number % 250}").succeeded()
        limits.begin(f"name{number}", f"192.1.{number // 250}.{number % 250}")
    sizes = [len(part._times) for part in (limits._pairs, limits._addresses, limits._accounts)]
    assert max(sizes) <= 100
    assert len(limits._known) == 100


async def test_a_login_over_the_limit_is_told_when_to_come_back(
    build_app, database, settings, viewer, client_of
) -> None:
    app = build_app(database, settings, limits=LoginLimits(Clock()))
    async with client_of(app, address="192.0.2.9") as client:
        for username in (viewer.username, "nobody-of-that-name"):
            login = {"username": username, "password": "a wrong password"}
            answers = [await client.post("/auth/login", json=login) for _ in range(6)]
            assert [answer.status_code for answer in answers] == [401] * 5 + [429]
            assert answers[-1].headers["retry-after"] == "300"
            assert "try again in 300 s" in answers[-1].json()["detail"]
        # Not even with the right password, and not with somebody else's address written into a header.
        right = {"username": viewer.username, "password": viewer.password}
        forged = {"X-Forwarded-For": "198.51.100.1", "X-Real-IP": "198.51.100.1", "Forwarded": "for=198.51.100.1"}
        assert (await client.post("/auth/login", json=right, headers=forged)).status_code == 429
    async with client_of(app, address="192.0.2.10") as client:
        assert (await client.post("/auth/login", json=right)).status_code == 200


FROM_ITS_BROWSER = {BROWSER_ADDRESS_HEADER: "198.51.100.1", DASHBOARD_SECRET_HEADER: DASHBOARD_SECRET}


async def test_people_behind_the_dashboard_are_limited_by_their_own_address(
    build_app, database, settings, viewer, client_of
) -> None:
    app = build_app(database, settings, limits=LoginLimits(Clock()))
    right = {"username": viewer.username, "password": viewer.password}
    async with client_of(app) as dashboard:
        for _ in range(6):
            wrong = right | {"password": "a wrong password"}
            answer = await dashboard.post("/auth/login", json=wrong, headers=FROM_ITS_BROWSER)
        assert answer.status_code == 429
        assert (await dashboard.post("/auth/login", json=right, headers=FROM_ITS_BROWSER)).status_code == 429
        other = FROM_ITS_BROWSER | {BROWSER_ADDRESS_HEADER: "2001:db8::7"}
        assert (await dashboard.post("/auth/login", json=right, headers=other)).status_code == 200


@pytest.mark.parametrize(
    ("shared", "changes"),
    [
        (DASHBOARD_SECRET, {DASHBOARD_SECRET_HEADER: None}),
        (DASHBOARD_SECRET, {DASHBOARD_SECRET_HEADER: ""}),
        (DASHBOARD_SECRET, {DASHBOARD_SECRET_HEADER: DASHBOARD_SECRET[:-1]}),
        (DASHBOARD_SECRET, {DASHBOARD_SECRET_HEADER: b"\xff\xfe"}),
        (DASHBOARD_SECRET, {BROWSER_ADDRESS_HEADER: "somewhere"}),
        (DASHBOARD_SECRET, {BROWSER_ADDRESS_HEADER: ""}),
        (DASHBOARD_SECRET, {BROWSER_ADDRESS_HEADER: None}),
        (None, {}),
        (None, {DASHBOARD_SECRET_HEADER: ""}),
        ("", {DASHBOARD_SECRET_HEADER: ""}),
    ],
)
async def test_an_address_that_somebody_else_names_is_not_believed(
    build_app, database, with_settings, viewer, client_of, shared, changes
) -> None:
    app = build_app(database, with_settings(dashboard_secret=shared), limits=LoginLimits(Clock()))
    named = {name: value for name, value in (FROM_ITS_BROWSER | changes).items() if value is not None}
    login = {"username": viewer.username, "password": "a wrong password"}
    async with client_of(app, address="192.0.2.9") as client:
        for _ in range(5):
            assert (await client.post("/auth/login", json=login, headers=named)).status_code == 401
        right = login | {"password": viewer.password}
        assert (await client.post("/auth/login", json=right)).status_code == 429


async def test_many_guesses_at_once_are_not_more_than_many_in_turn(
    build_app, database, settings, viewer, client_of
) -> None:
    app = build_app(database, settings, limits=LoginLimits(Clock()))
    login = {"username": viewer.username, "password": "a wrong password"}
    async with client_of(app, address="192.0.2.9") as client:
        answers = await asyncio.gather(*(client.post("/auth/login", json=login) for _ in range(30)))
    assert sorted(answer.status_code for answer in answers) == [401] * 5 + [429] * 25


async def test_the_current_password_cannot_be_guessed_through_a_stolen_token(
    build_app, database, settings, new_person
) -> None:
    app = build_app(database, settings, limits=LoginLimits(Clock()))
    person = await new_person(into=app)
    change = {"current_password": "a wrong password", "new_password": "another long password"}
    answers = [await person.api.post("/auth/change-password", json=change) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [403] * 5 + [429]


async def test_unknown_disabled_and_wrong_look_alike(anonymous, admin, viewer, operator) -> None:
    await admin.api.patch(f"/users/{operator.id}", json={"active": False})
    attempts = {
        "unknown": {"username": "nobody-of-that-name", "password": viewer.password},
        "wrong": {"username": viewer.username, "password": "a wrong password"},
        "disabled": {"username": operator.username, "password": operator.password},
        "NUL": {"username": "nobody\0", "password": "a wrong password\0"},
        "SQL": {"username": "' OR '1'='1' --", "password": "' OR '1'='1' --"},
    }
    answers = {name: await anonymous.post("/auth/login", json=login) for name, login in attempts.items()}
    assert {(answer.status_code, answer.text) for answer in answers.values()} == {(401, answers["wrong"].text)}
    headers = [{name: value for name, value in a.headers.items() if name != "date"} for a in answers.values()]
    assert all(other == headers[0] for other in headers)


async def test_an_unknown_name_costs_a_hash_as_a_known_one_does() -> None:
    passwords = Passwords(PasswordHasher(time_cost=4, memory_cost=16_384, parallelism=1), threads=1)
    known = await passwords.hash("the password")
    await passwords.verify(None, "any")

    async def seconds(password_hash: str | None) -> float:
        took = []
        for _ in range(5):
            started = time.process_time()
            assert not await passwords.verify(password_hash, "a wrong password")
            took.append(time.process_time() - started)
        return min(took)

    try:
        assert 0.5 < await seconds(None) / await seconds(known) < 2
    finally:
        passwords.close()


async def test_a_flood_of_logins_is_bounded_and_leaves_the_rest_responsive(
    build_app, database, settings, viewer, client_of
) -> None:
    slow = Passwords(PasswordHasher(time_cost=3, memory_cost=32_768, parallelism=1), threads=2, queue=4)
    app = build_app(database, settings, passwords=slow)
    login = {"username": "nobody-of-that-name", "password": "a wrong password"}
    try:
        async with client_of(app, viewer.access_token) as client:
            flood = [asyncio.create_task(client.post("/auth/login", json=login)) for _ in range(100)]
            waited = []
            while not all(task.done() for task in flood):
                started = time.perf_counter()
                assert (await client.get("/auth/me")).status_code == 200
                waited.append(time.perf_counter() - started)
                await asyncio.sleep(0.01)
            answers = [task.result() for task in flood]
    finally:
        slow.close()
    assert sorted({answer.status_code for answer in answers}) == [401, 503]
    assert sum(answer.status_code == 401 for answer in answers) < 20
    busy = next(answer for answer in answers if answer.status_code == 503)
    assert busy.headers["retry-after"] == "1"
    # The median: one answer can be late on a busy machine; hashing in the event loop would delay them all.
    assert statistics.median(waited) < 1


async def test_the_queue_of_passwords_has_an_end() -> None:
    passwords = Passwords(PasswordHasher(time_cost=3, memory_cost=32_768, parallelism=1), threads=1, queue=2)
    try:
        results = await asyncio.gather(*(passwords.hash("x") for _ in range(10)), return_exceptions=True)
        assert sum(isinstance(result, HashingBusyError) for result in results) == 7
        assert await passwords.verify(await passwords.hash("x"), "x")
    finally:
        passwords.close()


async def test_a_hash_of_older_parameters_is_renewed_at_the_next_login(anonymous, viewer, database) -> None:
    older = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash(viewer.password)
    await database.execute("UPDATE chatops.users SET password_hash = $2 WHERE id = $1", viewer.id, older)
    login = {"username": viewer.username, "password": viewer.password}
    assert (await anonymous.post("/auth/login", json=login)).status_code == 200
    stored = await database.fetchval("SELECT password_hash FROM chatops.users WHERE id = $1", viewer.id)
    assert "m=8,t=1,p=1" in stored
    assert (await anonymous.post("/auth/login", json=login)).status_code == 200


async def test_a_login_succeeds_though_nobody_has_time_to_renew_its_hash(
    build_app, database, settings, viewer, client_of
) -> None:
    class BusyAfterwards(Passwords):
        async def hash(self, password: str) -> str:
            raise HashingBusyError

    older = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash(viewer.password)
    await database.execute("UPDATE chatops.users SET password_hash = $2 WHERE id = $1", viewer.id, older)
    busy = BusyAfterwards(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    try:
        async with client_of(build_app(database, settings, passwords=busy)) as client:
            login = {"username": viewer.username, "password": viewer.password}
            answer = await client.post("/auth/login", json=login)
    finally:
        busy.close()
    assert answer.status_code == 200, answer.text
    assert await database.fetchval("SELECT password_hash FROM chatops.users WHERE id = $1", viewer.id) == older


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 100_000,
        b"null",
        b'{"username": "x"}',
        b'{"username": 1, "password": null}',
        b'{"username": "x", "password": "y", "role": "admin"}',
        b'{"username": "' + b"x" * 300 + b'", "password": "y"}',
        b'{"username": "x", "password": "' + b"y" * 2000 + b'"}',
        b'{"username": "\xff\xfe", "password": "y"}',
        b'{"username": "\\ud800", "password": "y"}',
    ],
)
async def test_a_malformed_login_is_a_400_that_repeats_no_value(anonymous, body) -> None:
    answer = await anonymous.post("/auth/login", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert "xxx" not in answer.text
    assert "yyy" not in answer.text
