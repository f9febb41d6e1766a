"""Which subcommands there are, where they live, and what they need to be installed."""

from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple

import click


class Command(NamedTuple):
    """`part` is the import package that must be present, `extra` what installs its dependencies."""

    module: str
    attribute: str
    part: str
    extra: str
    help: str


COMMANDS: dict[str, Command] = {
    "up": Command("chatops_cli.up", "up", "chatops_backend", "server,dashboard", "Run everything on this machine."),
    "server": Command("chatops_backend.cli", "server", "chatops_backend", "server", "Run the backend."),
    "dashboard": Command(
        "chatops_dashboards.cli", "dashboard", "chatops_dashboards", "dashboard", "Run the dashboard."
    ),
    "agent": Command("chatops_agent.cli", "agent", "chatops_agent", "", "Send this host's metrics to a backend."),
    "migrate": Command("chatops_backend.cli", "migrate", "chatops_backend", "server", "Bring the database up to date."),
    "db": Command("chatops_backend.cli", "db", "chatops_backend", "server", "Run the embedded database alone."),
    "user": Command(
        "chatops_backend.accounts.cli", "user", "chatops_backend", "server", "Add, list and change people."
    ),
    "key": Command(
        "chatops_backend.servers.cli", "key", "chatops_backend", "server", "Add, list and revoke agents' keys."
    ),
    "server-add": Command(
        "chatops_backend.servers.cli",
        "server_add",
        "chatops_backend",
        "server",
        "Add a server and print its agent's key.",
    ),
    "audit": Command(
        "chatops_backend.audit.cli", "audit", "chatops_backend", "server", "Read and check the audit log."
    ),
    "demo": Command(
        "chatops_cli.demo.command", "demo", "chatops_client", "server", "Fill a running backend with demo data."
    ),
    "import": Command(
        "chatops_cli.transfer.import_command", "import_file", "chatops_client", "server", "Store a file of readings."
    ),
    "export": Command(
        "chatops_cli.transfer.export_command", "export_file", "chatops_client", "server", "Write readings to a file."
    ),
    "notebooks": Command(
        "chatops_cli.notebooks", "notebooks", "chatops_client", "server", "Open the notebooks in JupyterLab."
    ),
    "bench": Command("chatops_cli.bench", "bench", "chatops_backend", "server,dashboard", "Run the benchmarks."),
    "doctor": Command("chatops_backend.doctor.cli", "doctor", "chatops_backend", "server", "Say what is wrong here."),
}


def part_installed(command: Command) -> bool:
    return find_spec(command.part) is not None


def load_command(name: str, command: Command) -> click.Command:
    """Import and return the command; raise `click.ClickException` naming the extra when a dependency is missing."""
    if not part_installed(command):
        raise click.ClickException(
            f"`chatops {name}` is not part of the agent's installation; it needs the whole of ChatOps"
        )
    try:
        found: object = getattr(import_module(command.module), command.attribute)
    except ModuleNotFoundError as error:
        # A module of ours that is missing is a defect, not a missing extra: show it as it is.
        if error.name is None or error.name.startswith("chatops_"):
            raise
        extra = f"[{command.extra}]" if command.extra else ""
        raise click.ClickException(
            f"`chatops {name}` needs {f'the extra {extra}' if extra else 'its dependencies'}, there is no module "
            f"{error.name}; install ChatOps from its checkout or wheel with: pip install '/path/to/chatops{extra}'"
        ) from None
    if not isinstance(found, click.Command):
        raise TypeError(f"{command.module}:{command.attribute} is no click command")
    return found
