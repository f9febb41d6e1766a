"""`chatops notebooks`: opens JupyterLab on a checkout's `notebooks` folder, logged in to a running backend."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TextIO

import click

from chatops_cli.bench import find_checkout
from chatops_cli.log_in import ask, enter, login_options


@click.command(context_settings={"ignore_unknown_options": True})
@login_options
@click.argument("jupyter", nargs=-1, type=click.UNPROCESSED)
def notebooks(
    url: str | None,
    username: str | None,
    password_file: TextIO | None,
    totp_code: str | None,
    jupyter: tuple[str, ...],
) -> None:
    """Open JupyterLab with the notebooks, connected to a running backend. JUPYTER: options for JupyterLab itself."""
    folder = find_checkout(Path(__file__).resolve()) / "notebooks"
    if find_spec("jupyterlab") is None:
        raise click.ClickException("JupyterLab is not installed here; `make notebooks` in a checkout installs it")
    person = ask(url, username, password_file)
    with enter(person, totp_code) as client:
        if client.account.second_factor().enabled:
            raise click.ClickException(
                f"each notebook logs in by itself, and {person.name} has a second factor; give --username of somebody "
                "without one, a viewer for example"
            )
        client.logout()
    # Kernels inherit it. Nobody but this account and root can read another process's environment.
    environment = os.environ | {
        "CHATOPS_API_URL": person.address,
        "CHATOPS_USERNAME": person.name,
        "CHATOPS_PASSWORD": person.password,
    }
    command = [sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1", *jupyter, str(folder)]
    sys.exit(subprocess.call(command, env=environment, cwd=folder))  # noqa: S603 - what the person typed
