"""The `chatops` command: a table of subcommands, each imported only when it is called.

So `chatops agent` loads nothing of the backend (its memory is counted), and a host that has only the agent's wheel
still has the same command.
"""

import sys

import click

from chatops_cli.commands import COMMANDS, load_command, part_installed


class Commands(click.Group):
    """Looks its subcommands up in `COMMANDS`; lists those whose part is installed here."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, entry in COMMANDS.items() if part_installed(entry)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        return None if entry is None else load_command(cmd_name, entry)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name].help) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except _expected_errors() as error:
            raise click.ClickException(" ".join(str(error).split())) from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="chatops", message="chatops %(version)s")
def main() -> None:
    """ChatOps: self-hosted, time-series-first server monitoring."""


# Errors whose message is written for the person at the terminal. `except` evaluates this after the fact, so a part
# that was never loaded, and so cannot have raised, need not be imported.
_EXPECTED = (
    ("chatops_backend.settings", "SettingsError"),
    ("chatops_backend.database.interface", "DatabaseError"),
    ("chatops_agent.settings", "SettingsError"),
    ("chatops_dashboards.settings", "SettingsError"),
)


def _expected_errors() -> tuple[type[Exception], ...]:
    return tuple(
        vars(sys.modules[module])[name]
        for module, name in _EXPECTED
        if module in sys.modules and name in vars(sys.modules[module])
    )
