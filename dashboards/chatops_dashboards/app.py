"""The factory of the dashboard: one ASGI application, Dash on Quart, behind a session."""

import logging
from pathlib import Path

import httpx
from dash import Dash, html
from quart import Quart, g

from chatops_dashboards.browser_address import names_browser
from chatops_dashboards.guard import content_policy, protect
from chatops_dashboards.live import LiveViews, register_live
from chatops_dashboards.login import add_login_routes
from chatops_dashboards.pages.explore.download import add_download_route
from chatops_dashboards.session import SessionStore
from chatops_dashboards.settings import DashboardSettings
from chatops_dashboards.shell import register_shell, shell_layout

FOLDER = Path(__file__).parent
BACKEND_TIMEOUT_S = 20.0

INDEX = """<!DOCTYPE html>
<html lang="en">
  <head>
    {%metas%}
    <title>{%title%}</title>
    <link rel="icon" href="/assets/favicon.svg" type="image/svg+xml">
    {%css%}
  </head>
  <body>
    {%app_entry%}
    <footer>
      {%config%}
      {%scripts%}
      {%renderer%}
    </footer>
  </body>
</html>"""


def create_app(settings: DashboardSettings) -> Quart:
    """Build the application. `extensions["chatops"]` holds session store and live views, for tests and measurements."""
    from chatops_dashboards.pages import PAGES

    server = Quart(__name__, template_folder=str(FOLDER / "templates"), static_folder=None)
    sessions, views = SessionStore(), LiveViews()
    http = httpx.AsyncClient(
        base_url=settings.api_url,
        timeout=BACKEND_TIMEOUT_S,
        limits=httpx.Limits(max_connections=200, max_keepalive_connections=50),
        trust_env=False,
        event_hooks={"request": [names_browser(settings.secret)]},
    )
    # The hooks of this app run in the order in which they are added: the guard comes before anything of Dash.
    policy: list[str] = []
    protect(server, sessions, settings, policy)
    app = Dash(
        "chatops_dashboards",
        server=server,  # type: ignore[arg-type]  # the annotation knows Flask alone
        backend="quart",
        title="ChatOps",
        update_title="",
        assets_folder=str(FOLDER / "assets"),
        assets_ignore=r"login\..*",
        index_string=INDEX,
        suppress_callback_exceptions=True,
        serve_locally=True,
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
        websocket_allowed_origins=list(settings.allowed_origins),
        # A fleet in which nothing changes is no reason to hang up.
        websocket_inactivity_timeout=0,
    )
    # Dash calls the layout once for itself, before the first request and outside any session.
    app.layout = lambda: shell_layout(PAGES) if g.get("session") else html.Div()
    for page in PAGES:
        page.register(app, views, settings)
    register_shell(app, PAGES, settings)
    register_live(app, views)
    add_login_routes(server, sessions, settings, http)
    add_download_route(server)
    policy.append(content_policy(list(app.csp_hashes())))

    @server.after_serving
    async def close_backend_connections() -> None:
        await http.aclose()

    server.extensions["chatops"] = {"sessions": sessions, "views": views}
    logging.getLogger("quart.serving").setLevel(logging.WARNING)
    return server
