"""The first administrator, and what the command line does with accounts when no backend need run.

The backend calls `ensure_first_administrator` at every start; it acts once in a database's life.
"""

import secrets

from msgspec import ValidationError, convert

from chatops_backend.accounts import users
from chatops_backend.accounts.passwords import Passwords
from chatops_backend.audit.actor import SYSTEM, Actor
from chatops_backend.audit.trail import Target, record
from chatops_backend.database.interface import Database
from chatops_backend.database.queries import load_queries
from chatops_backend.settings import Settings, SettingsError
from chatops_protocol.resources import CreateUserRequest, Role, User

# Any number that no other advisory lock of ours uses.
_LOCK = 4_221_067


async def ensure_first_administrator(
    database: Database, settings: Settings, passwords: Passwords | None = None
) -> str | None:
    """Create the administrator when there is no user at all; return the generated password, to be shown once.

    None when there was a user, or the password is the settings' own. Raises `SettingsError` when their name or password
    will not do.
    """
    queries = load_queries("accounts")
    if await queries.has_users(database):
        return None
    generated = None if settings.admin_password else secrets.token_urlsafe(15)
    request = _request(settings.admin_username, settings.admin_password or generated or "")
    password_hash = await _hash(request.password, passwords)
    async with database.transaction() as transaction:
        await queries.lock_first_run(transaction, lock=_LOCK)
        if await queries.has_users(transaction):
            return None
        await users.add_user(transaction, request, password_hash, SYSTEM)
    return generated


async def create_user(database: Database, username: str, password: str, role: Role, actor: Actor) -> User:
    """Raises `ProblemError` when the name is taken, msgspec's `ValidationError` when name or password will not do."""
    request = convert({"username": username, "password": password, "role": role}, CreateUserRequest)
    return await users.create_user(database, request, await _hash(password, None), actor)


async def set_password(database: Database, username: str, password: str, actor: Actor) -> bool:
    """Give an account another password and end its sessions (a running backend notices within a second).

    False when there is no such account; raises msgspec's `ValidationError` when the password will not do.
    """
    convert({"username": username, "password": password, "role": "viewer"}, CreateUserRequest)
    queries = load_queries("accounts")
    found = await queries.find_user_for_login(database, username=username)
    if found is None:
        return False
    password_hash = await _hash(password, None)
    async with database.transaction() as transaction:
        await queries.set_password(transaction, user_id=found["id"], password_hash=password_hash)
        await queries.revoke_sessions_of_user(
            transaction, user_id=found["id"], because="the password was reset", except_session=None
        )
        await record(transaction, actor, "user.set_password", Target("user", found["id"], found["username"]))
    return True


async def list_users(database: Database) -> list[User]:
    return await users.list_users(database, after=0, count=10_000)


def _request(username: str, password: str) -> CreateUserRequest:
    try:
        return convert({"username": username, "password": password, "role": "admin"}, CreateUserRequest)
    except ValidationError as error:
        name = "CHATOPS_ADMIN_USERNAME" if "username" in str(error) else "CHATOPS_ADMIN_PASSWORD"
        raise SettingsError(f"{name} will not do: {error}") from None


async def _hash(password: str, passwords: Passwords | None) -> str:
    if passwords is not None:
        return await passwords.hash(password)
    own = Passwords(threads=1, queue=0)
    try:
        return await own.hash(password)
    finally:
        own.close()
