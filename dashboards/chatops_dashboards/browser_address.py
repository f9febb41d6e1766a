"""For whom the dashboard calls the backend: the browser whose request or socket is being served, so that limits meet
who guesses and not all who log in here, and the audit log has the address from which somebody acts."""

from collections.abc import Awaitable, Callable
from ipaddress import ip_address

import httpx
from quart import has_request_context, has_websocket_context, request, websocket

from chatops_protocol.dashboard_headers import BROWSER_ADDRESS_HEADER, DASHBOARD_SECRET_HEADER


def names_browser(secret: str | None) -> Callable[[httpx.Request], Awaitable[None]]:
    """A hook for requests to the backend, which would believe nobody without the secret."""

    async def name(call: httpx.Request) -> None:
        if secret is not None and (address := _address()) is not None:
            call.headers[BROWSER_ADDRESS_HEADER] = address
            call.headers[DASHBOARD_SECRET_HEADER] = secret

    return name


def _address() -> str | None:
    """A task that lives on has the address of the request or socket that started it."""
    if has_websocket_context():
        said = websocket.remote_addr
    elif has_request_context():
        said = request.remote_addr
    else:
        return None
    try:
        return str(ip_address(said or ""))
    except ValueError:
        return None
