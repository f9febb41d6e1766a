"""How the two servers of ours treat connections."""

import httpx

from chatops_backend import serve as backend
from chatops_dashboards import serve as dashboard

# Caddy and Go's client keep an idle connection for 120 s; nginx for 60 s.
PROXIES_KEEP_S = 120


def test_a_connection_that_a_client_still_keeps_is_not_ended_by_the_server() -> None:
    # A request that is sent while the server hangs up is lost, and reads as a backend that does not answer.
    client_keeps_s = httpx.Limits().keepalive_expiry
    assert client_keeps_s is not None
    assert min(backend.KEEP_ALIVE_S, dashboard.KEEP_ALIVE_S) > max(client_keeps_s, PROXIES_KEEP_S)
