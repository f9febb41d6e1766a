"""Resources of the REST API, as JSON on the wire. Times are RFC 3339 in UTC; durations in seconds end in `_s`."""

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from msgspec import Meta, Struct

Role = Literal["viewer", "operator", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "operator", "admin")
ServerStatus = Literal["online", "offline", "never"]
Tier = Literal["raw", "1m", "1h", "1d"]
# How a query makes one value of a group's readings in a bucket.
Aggregate = Literal["avg", "min", "max", "sum", "count", "last", "p50", "p90", "p95", "p99"]
AGGREGATES: tuple[Aggregate, ...] = ("avg", "min", "max", "sum", "count", "last", "p50", "p90", "p95", "p99")
TopBy = Literal["avg", "max"]

# `(?!\n)`: a `$` alone would let a trailing newline through. PostgreSQL stores no NUL.
Text = Annotated[str, Meta(max_length=2000, pattern=r"^[^\x00]*$")]
Label = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$(?!\n)")]
Name = Annotated[
    str, Meta(min_length=1, max_length=200, pattern=r"^[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$(?!\n)")
]
Username = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._@-]+$(?!\n)")]
Password = Annotated[str, Meta(min_length=12, max_length=256)]
TAG_PATTERN = r"^[A-Za-z0-9._:=/-]+$(?!\n)"
Tag = Annotated[str, Meta(min_length=1, max_length=64, pattern=TAG_PATTERN)]
Tags = Annotated[list[Tag], Meta(max_length=32)]
Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]
TotpCode = Annotated[str, Meta(min_length=1, max_length=64)]
ServerIds = Annotated[list[Id], Meta(max_length=2000)]
Moment = Annotated[datetime, Meta(tz=True)]

T = TypeVar("T")


class Page(Struct, Generic[T], frozen=True):
    """One page of a list. `next_cursor` asks for the following one; None: this was the last."""

    items: list[T]
    next_cursor: str | None


class Problem(Struct, omit_defaults=True):
    """RFC 9457 problem document; `detail` says what to do. `extra` names the fields at fault."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    extra: list[dict[str, Any]] | None = None


# -- people ------------------------------------------------------------------------------------------------------


class LoginRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Whoever has a second factor sends `totp_code` too: the app's six digits, or a recovery code."""

    username: Annotated[str, Meta(max_length=256)]
    password: Annotated[str, Meta(max_length=1024)]
    totp_code: TotpCode | None = None


class RefreshRequest(Struct, frozen=True, forbid_unknown_fields=True):
    refresh_token: Annotated[str, Meta(max_length=1024)]


class LogoutRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Without a refresh token the session of the access token ends."""

    refresh_token: Annotated[str, Meta(max_length=1024)] | None = None


class ChangePasswordRequest(Struct, frozen=True, forbid_unknown_fields=True):
    current_password: Annotated[str, Meta(max_length=1024)]
    new_password: Password


class User(Struct, frozen=True):
    """Without `all_servers` a person sees and acts on those in `server_ids` and those with one of `server_tags` only.
    Administrators see all, whatever stands here."""

    id: int
    username: str
    role: Role
    display_name: str
    active: bool
    created_at: datetime
    all_servers: bool = True
    server_ids: list[int] = []
    server_tags: list[str] = []
    second_factor: bool = False


class PasswordRequest(Struct, frozen=True, forbid_unknown_fields=True):
    current_password: Annotated[str, Meta(max_length=1024)]


class SecondFactorRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The app's six digits, or a recovery code."""

    totp_code: TotpCode


class SecondFactorState(Struct, frozen=True):
    """`needed_for_shell`: a code of the last five minutes is wanted before a shell command."""

    enabled: bool
    confirmed_at: datetime | None
    recovery_codes_left: int
    needed_for_shell: bool


class SecondFactorEnrolment(Struct, frozen=True):
    """Shown once. `otpauth_uri` is what an app reads from a picture of it; `secret` is for typing it in."""

    secret: str
    otpauth_uri: str


class RecoveryCodes(Struct, frozen=True):
    """Shown once; each is good once, in place of a code of the app."""

    recovery_codes: list[str]


class Session(Struct, frozen=True):
    """A log-in that is open. `last_used_at`: when it was last carried on, which happens every quarter of an hour of
    use. `client` is what the program that logged in said of itself. `current`: the one that asks."""

    id: UUID
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    address: str | None
    client: str
    current: bool


class UpdateMeRequest(Struct, frozen=True, forbid_unknown_fields=True):
    display_name: Label


class CreateUserRequest(Struct, frozen=True, forbid_unknown_fields=True):
    username: Username
    password: Password
    role: Role
    display_name: Label = ""
    all_servers: bool = True
    server_ids: ServerIds = []
    server_tags: Tags = []


class UpdateUserRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Only what is given changes."""

    role: Role | None = None
    display_name: Label | None = None
    active: bool | None = None
    password: Password | None = None
    all_servers: bool | None = None
    server_ids: ServerIds | None = None
    server_tags: Tags | None = None


class TokenPair(Struct, frozen=True):
    """`expires_in` is the access token's life in seconds."""

    access_token: str
    refresh_token: str
    token_type: str
    expires_in: int
    user: User


# -- servers and keys --------------------------------------------------------------------------------------------


class WriteServerRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`interval_s`: how far apart the readings are where they are imported; an agent says so itself."""

    name: Name
    description: Text = ""
    tags: Tags = []
    interval_s: Annotated[float, Meta(ge=0.1, le=3600)] = 5.0


class UpdateServerRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Only what is given changes."""

    name: Name | None = None
    description: Text | None = None
    tags: Tags | None = None


class Server(Struct, frozen=True):
    id: int
    name: str
    description: str
    tags: list[str]
    status: ServerStatus
    created_at: datetime
    last_seen: datetime | None = None
    agent_version: str | None = None
    platform: str | None = None


class ConnectionEvent(Struct, frozen=True):
    time: datetime
    server_id: int
    event: Literal["connected", "disconnected", "replaced", "refused"]
    detail: str
    address: str | None = None


class CreateApiKeyRequest(Struct, frozen=True, forbid_unknown_fields=True):
    server_id: Id
    name: Name
    expires_at: Moment | None = None


class ApiKey(Struct, frozen=True):
    """`hint` is the part of the key that may be shown again."""

    id: int
    server_id: int
    name: str
    hint: str
    active: bool
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None


class CreatedApiKey(Struct, frozen=True):
    """`key` is shown here and never again. `command_key` is what the agent takes as `CHATOPS_COMMAND_KEY`, so that it
    knows from the beginning by which key orders are signed; it is no secret."""

    id: int
    server_id: int
    name: str
    hint: str
    active: bool
    created_at: datetime
    key: str
    expires_at: datetime | None = None
    command_key: str | None = None


class AgentWheel(Struct, frozen=True):
    """What `pip install` takes on the host that shall be watched."""

    filename: str
    url: str
    sha256: str


# -- metrics -----------------------------------------------------------------------------------------------------


class CatalogMetric(Struct, frozen=True):
    metric: str
    measurement: str
    field: str
    unit: str
    description: str
    labels: list[str]


class Catalog(Struct, frozen=True):
    metrics: list[CatalogMetric]


class Series(Struct, frozen=True):
    """Parallel lists, one entry per bucket; None where there is no reading. `time` is the bucket's start."""

    server_id: int | None
    labels: dict[str, Any]
    time: list[datetime]
    avg: list[float | None]
    min: list[float | None]
    max: list[float | None]


class MetricSeries(Struct, frozen=True):
    """`tier` is the table that answered, `bucket_seconds` the width of each point."""

    metric: str
    unit: str
    tier: Tier
    bucket_seconds: float
    series: list[Series]


class MetricAnswers(Struct, frozen=True):
    """What a query for several metrics answers: one entry for each, in the order asked."""

    metrics: list[MetricSeries]
