"""Every call of the REST API the clients know, one function each: arguments in, `Call` out."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from chatops_client.wire import Call, query_params, segment
from chatops_protocol.resources import (
    AgentWheel,
    ApiKey,
    Catalog,
    ChangePasswordRequest,
    ConnectionEvent,
    CreateApiKeyRequest,
    CreatedApiKey,
    CreateUserRequest,
    LoginRequest,
    LogoutRequest,
    MetricSeries,
    Page,
    RefreshRequest,
    Role,
    Server,
    TokenPair,
    UpdateMeRequest,
    UpdateServerRequest,
    UpdateUserRequest,
    User,
    WriteServerRequest,
)
from chatops_protocol.storage_resources import Storage

# -- people ------------------------------------------------------------------------------------------------------


def login(username: str, password: str, totp_code: str | None) -> Call[TokenPair]:
    return Call("POST", "/auth/login", TokenPair, body=LoginRequest(username, password, totp_code), public=True)


def refresh(refresh_token: str) -> Call[TokenPair]:
    return Call("POST", "/auth/refresh", TokenPair, body=RefreshRequest(refresh_token), public=True)


def logout(refresh_token: str | None) -> Call[None]:
    return Call("POST", "/auth/logout", None, body=LogoutRequest(refresh_token))


def me() -> Call[User]:
    return Call("GET", "/auth/me", User)


def update_me(display_name: str) -> Call[User]:
    return Call("PUT", "/auth/me", User, body=UpdateMeRequest(display_name))


def change_password(current_password: str, new_password: str) -> Call[None]:
    body = ChangePasswordRequest(current_password, new_password)
    return Call("POST", "/auth/change-password", None, body=body)


def users() -> Call[Page[User]]:
    return Call("GET", "/users", Page[User])


def create_user(username: str, password: str, role: Role, display_name: str) -> Call[User]:
    return Call("POST", "/users", User, body=CreateUserRequest(username, password, role, display_name))


def update_user(user_id: int, changes: UpdateUserRequest) -> Call[User]:
    return Call("PUT", f"/users/{segment(user_id)}", User, body=changes)


def delete_user(user_id: int) -> Call[None]:
    return Call("DELETE", f"/users/{segment(user_id)}", None)


# -- servers and keys --------------------------------------------------------------------------------------------


def servers() -> Call[Page[Server]]:
    return Call("GET", "/servers", Page[Server])


def server(server_id: int) -> Call[Server]:
    return Call("GET", f"/servers/{segment(server_id)}", Server)


def create_server(name: str, description: str, tags: Sequence[str]) -> Call[Server]:
    return Call("POST", "/servers", Server, body=WriteServerRequest(name, description, list(tags)))


def update_server(server_id: int, changes: UpdateServerRequest) -> Call[Server]:
    return Call("PUT", f"/servers/{segment(server_id)}", Server, body=changes)


def delete_server(server_id: int) -> Call[None]:
    return Call("DELETE", f"/servers/{segment(server_id)}", None)


def connections(server_id: int) -> Call[Page[ConnectionEvent]]:
    return Call("GET", f"/servers/{segment(server_id)}/connections", Page[ConnectionEvent])


def api_keys(server_id: int | None) -> Call[Page[ApiKey]]:
    return Call("GET", "/api-keys", Page[ApiKey], query_params({"server_id": server_id}))


def create_api_key(server_id: int, name: str, expires_at: datetime | None) -> Call[CreatedApiKey]:
    return Call("POST", "/api-keys", CreatedApiKey, body=CreateApiKeyRequest(server_id, name, expires_at))


def deactivate_api_key(key_id: int) -> Call[ApiKey]:
    return Call("POST", f"/api-keys/{segment(key_id)}/deactivate", ApiKey)


def delete_api_key(key_id: int) -> Call[None]:
    return Call("DELETE", f"/api-keys/{segment(key_id)}", None)


def agent_wheel() -> Call[AgentWheel]:
    return Call("GET", "/agent/wheel", AgentWheel, public=True)


# -- metrics -----------------------------------------------------------------------------------------------------


def catalog() -> Call[Catalog]:
    return Call("GET", "/metrics/catalog", Catalog)


def latest(server_id: int) -> Call[dict[str, Any]]:
    return Call("GET", f"/metrics/{segment(server_id)}/latest", dict[str, Any])


def history(
    server_id: int, metric: str, start: datetime, end: datetime, points: int, labels: Mapping[str, str] | None
) -> Call[MetricSeries]:
    parameters = {"metric": metric, "start": start, "end": end, "points": points, "labels": labels or None}
    return Call("GET", f"/metrics/{segment(server_id)}/history", MetricSeries, query_params(parameters))


def storage() -> Call[Storage]:
    return Call("GET", "/metrics/storage", Storage)
