"""The API of accounts and servers on the real database, with people of every role logged in to it."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.di import Provide

from chatops_backend import problems
from chatops_backend.accounts import access, first_run, routes, service
from chatops_backend.accounts.login_limits import Limit, LoginLimits
from chatops_backend.accounts.passwords import Passwords
from chatops_backend.accounts.service import AccountService, create_account_service
from chatops_backend.accounts.visibility import provide_visible
from chatops_backend.audit.actor import SYSTEM, provide_actor
from chatops_backend.database.interface import Database
from chatops_backend.servers import agent_keys
from chatops_backend.servers import routes as server_routes
from chatops_backend.settings import Settings
from chatops_protocol.resources import CreateUserRequest, Role

PASSWORD = "a password that is long enough"
NO_LIMIT = Limit(1_000_000, 300)


@pytest.fixture(scope="session")
def passwords() -> Iterator[Passwords]:
    """Argon2 with the least work it takes, so that tests do not wait for it."""
    quick = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    yield quick
    quick.close()


BuildApp = Callable[..., Litestar]


@pytest.fixture(scope="session")
def build_app(passwords: Passwords) -> BuildApp:
    """A function that makes an application of the accounts and servers routes alone."""

    def build(database: Database, settings: Settings, *, handlers: tuple[Any, ...] = (), **injected: Any) -> Litestar:
        injected.setdefault("passwords", passwords)
        injected.setdefault("limits", LoginLimits(lambda: 0.0, NO_LIMIT, NO_LIMIT, NO_LIMIT))
        accounts = create_account_service(database, settings, **injected)
        app = Litestar(
            route_handlers=[
                Router("/api/v1", route_handlers=[*routes.route_handlers, *server_routes.route_handlers, *handlers])
            ],
            dependencies={
                "database": Provide(lambda: database, sync_to_thread=False),
                "settings": Provide(lambda: settings, sync_to_thread=False),
                "accounts": Provide(service.provide_accounts, sync_to_thread=False),
                "actor": Provide(provide_actor, sync_to_thread=False),
                "visible": Provide(provide_visible, sync_to_thread=False),
            },
            guards=[access.require_access],
            exception_handlers=problems.exception_handlers,
            state=State({service.STATE_KEY: accounts, agent_keys.STATE_KEY: agent_keys.KeyRevocations()}),
            openapi_config=None,
        )
        access.verify_routes(app)
        return app

    return build


@pytest.fixture(scope="session")
def app(build_app: BuildApp, database: Database, settings: Settings) -> Litestar:
    return build_app(database, settings)


@pytest.fixture
def accounts(app: Litestar) -> AccountService:
    return app.state[service.STATE_KEY]


def open_client(app: Litestar, access_token: str | None = None, address: str = "127.0.0.1") -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, client=(address, 40_000)),
        base_url="http://backend/api/v1",
        headers={"Authorization": f"Bearer {access_token}"} if access_token is not None else {},
    )


@pytest.fixture
def client_of() -> Callable[..., httpx.AsyncClient]:
    """A function that opens a client of an application, from an address of its own."""
    return open_client


@pytest.fixture
async def anonymous(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(app) as client:
        yield client


@dataclass
class Person:
    """Somebody with one session; `api` sends its access token."""

    id: int
    username: str
    password: str
    access_token: str
    refresh_token: str
    api: httpx.AsyncClient


NewPerson = Callable[..., Awaitable[Person]]


@pytest.fixture
async def new_person(app: Litestar, database: Database, passwords: Passwords) -> AsyncIterator[NewPerson]:
    """A function that creates an account of a role and logs it in, or logs an existing person in once more."""
    clients: list[httpx.AsyncClient] = []

    async def make(role: Role = "viewer", *, again: Person | None = None, into: Litestar | None = None) -> Person:
        target = into if into is not None else app
        username = again.username if again is not None else f"{role}-{secrets.token_hex(4)}"
        if again is None:
            await first_run.users.create_user(
                target.state[service.STATE_KEY].database,
                CreateUserRequest(username=username, password=PASSWORD, role=role),
                await passwords.hash(PASSWORD),
                SYSTEM,
            )
        async with open_client(target) as client:
            answer = await client.post("/auth/login", json={"username": username, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        tokens = answer.json()
        api = open_client(target, tokens["access_token"])
        clients.append(api)
        return Person(tokens["user"]["id"], username, PASSWORD, tokens["access_token"], tokens["refresh_token"], api)

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture
async def admin(new_person: NewPerson) -> Person:
    return await new_person("admin")


@pytest.fixture
async def viewer(new_person: NewPerson) -> Person:
    return await new_person("viewer")


@pytest.fixture
async def operator(new_person: NewPerson) -> Person:
    return await new_person("operator")
