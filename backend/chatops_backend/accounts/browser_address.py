"""Whose address a request has: the peer's own, or the browser's when the dashboard passes it on and proves itself.

The guard calls it before anything else looks at the caller, so that the limits of log-ins and whoever writes addresses
down find the right one in `connection.client`. Headers that proxies add are anybody's claim and are not looked at here.
"""

import hmac
import ipaddress
from typing import Any

from litestar.connection import ASGIConnection
from prometheus_client import Counter

from chatops_protocol.dashboard_headers import BROWSER_ADDRESS_HEADER, DASHBOARD_SECRET_HEADER

not_believed = Counter(
    "chatops_browser_addresses_not_believed_total", "Requests that named a browser's address without the right secret"
)


def take_browser_address(connection: ASGIConnection[Any, Any, Any, Any], dashboard_secret: str | None) -> None:
    """Make `connection.client` the browser that the dashboard names. Without the right secret nothing changes."""
    named = connection.headers.get(BROWSER_ADDRESS_HEADER)
    if named is None:
        return
    sent = connection.headers.get(DASHBOARD_SECRET_HEADER, "")
    if not dashboard_secret or not hmac.compare_digest(sent.encode(), dashboard_secret.encode()):
        not_believed.inc()
        return
    try:
        address = ipaddress.ip_address(named)
    except ValueError:
        not_believed.inc()
        return
    connection.scope["client"] = (str(address), 0)
