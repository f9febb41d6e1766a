"""``chatops dashboard``: serve the dashboard with uvicorn until a signal."""

import socket
from dataclasses import replace

import click

from chatops_dashboards.settings import DashboardSettings, SettingsError, check_api_url


@click.command()
@click.option("--host", help="Address to listen on (CHATOPS_HOST, 127.0.0.1).")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on (CHATOPS_DASHBOARD_PORT, 8050).")
@click.option("--api-url", help="Where the backend is (CHATOPS_API_URL, http://127.0.0.1:8000).")
def dashboard(host: str | None, port: int | None, api_url: str | None) -> None:
    """Serve the dashboard. It talks to the backend at --api-url and keeps no data of its own."""
    try:
        from_environment = DashboardSettings.from_environment()
        settings = replace(
            from_environment,
            host=host or from_environment.host,
            port=port or from_environment.port,
            api_url=check_api_url(api_url) if api_url else from_environment.api_url,
        )
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    try:
        listener = _listen(settings)
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on {settings.host} port {settings.port} ({error.strerror}); "
            "stop what uses it or choose another with --port"
        ) from error
    # Imported late: `--help` and a wrong port should not wait for Dash.
    from chatops_dashboards.serve import serve

    serve(settings, listener)


def _listen(settings: DashboardSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener
