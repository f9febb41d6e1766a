"""Deny by default: every request and socket needs a session except the few listed here.

Also refuses posts and sockets from other origins, closes sockets when their session ends, and sets the headers that
keep text from outside from ever running as code.
"""

import asyncio
from urllib.parse import quote, urlsplit

from quart import Quart, Response, g, redirect, request, websocket
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response as WerkzeugResponse

from chatops_dashboards.session import SessionEndedError, SessionStore
from chatops_dashboards.settings import DashboardSettings

PUBLIC_PATHS = frozenset({"/login", "/session", "/ready", "/_favicon.ico"})
PUBLIC_PREFIXES = ("/assets/",)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CLOSE_SESSION_ENDED = 4401


def session_cookie(settings: DashboardSettings) -> str:
    """Cookies do not tell ports apart: two dashboards on one host must not log each other out."""
    return f"chatops_session_{settings.port}"


def is_public(path: str) -> bool:
    return path in PUBLIC_PATHS or path.startswith(PUBLIC_PREFIXES)


def origin_allowed(headers: Headers, allowed: tuple[str, ...]) -> bool:
    """Browsers send Origin with every post and socket: it must be this site's own or a configured one."""
    origin, host = headers.get("Origin"), headers.get("Host")
    if not origin:
        return False
    return origin in allowed or (bool(host) and urlsplit(origin).netloc == host)


def safe_next(target: str | None) -> str:
    """A path on this site to go to after login, or the first page. Never another site."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\", "/login", "/logout", "/_dash")):
        return "/"
    parts = urlsplit(target)
    plain = not parts.scheme and not parts.netloc and "\\" not in target and target.isprintable()
    return target if plain else "/"


def protect(server: Quart, sessions: SessionStore, settings: DashboardSettings, policy: list[str]) -> None:
    """Install the hooks. `policy` gets the Content-Security-Policy once all scripts are known."""
    cookie = session_cookie(settings)

    @server.before_request
    async def require_session() -> WerkzeugResponse | Response | None:
        if request.method not in SAFE_METHODS and not origin_allowed(request.headers, settings.allowed_origins):
            return Response("This request came from another site.", 403, content_type="text/plain")
        if is_public(request.path):
            return None
        g.session = sessions.find(request.cookies.get(cookie))
        if g.session is not None:
            return None
        if request.method == "GET" and not request.path.startswith("/_"):
            wanted = request.path + (f"?{request.query_string.decode()}" if request.query_string else "")
            return redirect(f"/login?next={quote(safe_next(wanted), safe='')}")
        return Response("Your session has ended; log in again.", 401, content_type="text/plain")

    @server.before_websocket
    async def require_session_for_socket() -> Response | None:
        if not origin_allowed(websocket.headers, settings.allowed_origins):
            return Response("", 403)
        g.session = sessions.find(websocket.cookies.get(cookie))
        if g.session is None:
            return Response("", 401)
        g.closer = asyncio.create_task(_close_when_ended(g.session.ended))
        return None

    @server.teardown_websocket
    async def forget_closer(_error: BaseException | None) -> None:
        closer = g.get("closer")
        if closer is not None:
            closer.cancel()

    @server.errorhandler(SessionEndedError)
    async def session_ended(_error: SessionEndedError) -> Response:
        return Response("Your session has ended; log in again.", 401, content_type="text/plain")

    @server.after_request
    async def set_headers(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = "; ".join(policy)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["X-Frame-Options"] = "DENY"
        response.headers["Referrer-Policy"] = "same-origin"
        if not request.path.startswith(("/assets/", "/_dash-component-suites/")):
            response.headers["Cache-Control"] = "no-store"
        return response


async def _close_when_ended(ended: asyncio.Event) -> None:
    # The socket is shared by all tabs of a browser: left open, it would carry a dead session into the next login.
    await ended.wait()
    await websocket.close(CLOSE_SESSION_ENDED, "session ended")


def content_policy(script_hashes: list[str]) -> str:
    """Scripts from this site and the two inline ones Dash makes, by hash. Mantine and Plotly style elements inline."""
    scripts = " ".join(["'self'", *script_hashes])
    return (
        f"default-src 'self'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "connect-src 'self'; worker-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    )
