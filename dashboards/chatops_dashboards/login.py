"""The pages around a session: log-in, log-out, readiness. Plain HTML: they work before any script has loaded."""

import logging
import secrets

import httpx
from quart import Quart, Response, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as WerkzeugResponse

from chatops_client import ApiError, AsyncClient, BackendUnreachableError
from chatops_dashboards.guard import safe_next, session_cookie
from chatops_dashboards.pending_logins import PendingLogins
from chatops_dashboards.session import SessionStore, current_session
from chatops_dashboards.settings import DashboardSettings

log = logging.getLogger(__name__)


def add_login_routes(
    server: Quart, sessions: SessionStore, settings: DashboardSettings, http: httpx.AsyncClient
) -> None:
    """Routes ``/login``, ``/logout``, ``/session`` and ``/ready``."""
    cookie = session_cookie(settings)
    form_cookie = f"chatops_login_{settings.port}"

    def is_secure() -> bool:
        return settings.secure or request.scheme == "https"

    pending = PendingLogins()

    async def login_page(
        status: int = 200, message: str = "", username: str = "", *, wants_code: bool = False
    ) -> Response:
        token = request.cookies.get(form_cookie) or secrets.token_urlsafe(32)
        target = safe_next((await request.form).get("next") or request.args.get("next"))
        html = await render_template(
            "login.html", token=token, next=target, message=message, username=username, wants_code=wants_code
        )
        response: Response = await make_response(html, status)  # type: ignore[assignment]
        response.set_cookie(form_cookie, token, httponly=True, samesite="Strict", secure=is_secure(), path="/login")
        return response

    @server.get("/login")
    async def show_login() -> Response | WerkzeugResponse:
        if sessions.find(request.cookies.get(cookie)) is not None:
            return redirect(safe_next(request.args.get("next")))
        pending.forget(request.cookies.get(form_cookie, ""))
        return await login_page()

    @server.post("/login")
    async def log_in() -> Response | WerkzeugResponse:
        form = await request.form
        username = form.get("username", "")[:256]
        sent, kept = form.get("csrf", ""), request.cookies.get(form_cookie, "")
        if not kept or not secrets.compare_digest(sent.encode(), kept.encode()):
            return await login_page(403, "The form had expired. Please try again.", username)
        password, code = form.get("password", "")[:1024], form.get("totp_code")
        if code is not None:
            waiting = pending.next_try(kept)
            if waiting is None:
                return await login_page(403, "That took too long, or too many codes were wrong. Please start again.")
            username, password = waiting.username, waiting.password
            if not (code := code.replace(" ", "")[:64]):
                return await login_page(400, "Type the code that your app shows.", username, wants_code=True)
        headers = _program(request.user_agent.string)
        client = AsyncClient(settings.api_url, http=http, headers=headers, retries=0)
        try:
            user = await client.login(username, password, code)
        except ApiError as error:
            status = error.status if error.status < 500 else 502
            if code is None and _asks_for_code(error):
                pending.keep(kept, username, password)
                return await login_page(200, "", username, wants_code=True)
            if code is not None and (status != 401 or _asks_for_code(error)):
                message = error.detail if _asks_for_code(error) else _explain(error)
                return await login_page(status, message, username, wants_code=True)
            pending.forget(kept)
            return await login_page(status, _explain(error), username)
        except BackendUnreachableError:
            message = f"The backend at {settings.api_url} does not answer. Is it running? Try again in a moment."
            return await login_page(503, message, username, wants_code=code is not None)
        pending.forget(kept)
        response = redirect(safe_next(form.get("next")), 303)
        response.set_cookie(
            cookie, sessions.create(user, client), httponly=True, samesite="Strict", secure=is_secure(), path="/"
        )
        response.delete_cookie(form_cookie, path="/login")
        return response

    @server.post("/logout")
    async def log_out() -> Response | WerkzeugResponse:
        session = current_session()
        sent = (await request.form).get("csrf", "")
        if not secrets.compare_digest(sent.encode(), session.csrf.encode()):
            return Response("The form had expired; go back and try again.", 403, content_type="text/plain")
        sessions.end(session)
        try:
            await session.client.logout()
        except (ApiError, BackendUnreachableError) as error:
            # The tokens are forgotten here either way; on the backend they end by age.
            log.warning("the backend did not confirm a log-out: %s", error)
        response = redirect("/login", 303)
        response.delete_cookie(cookie, path="/")
        return response

    @server.get("/session")
    async def session_state() -> Response:
        """Whether the caller is logged in. SameSite=Strict hides the cookie on links from other sites; the log-in page
        asks again from here."""
        found = sessions.find(request.cookies.get(cookie)) is not None
        return Response("in" if found else "out", content_type="text/plain")

    @server.get("/ready")
    async def ready() -> Response:
        return Response("ready\n", content_type="text/plain")


def _program(said: str) -> dict[str, str]:
    """What the browser says of itself, so that a person knows their sessions apart."""
    shown = "".join(letter for letter in said if letter.isascii() and letter.isprintable())[:200]
    return {"user-agent": shown} if shown else {}


def _asks_for_code(error: ApiError) -> bool:
    return any(fault.get("key") == "totp_code" for fault in error.extra)


def _explain(error: ApiError) -> str:
    if error.status == 401:
        return "The user name or the password is wrong."
    if error.status == 429:
        return "Too many attempts. Wait a minute, then try again."
    return error.detail
