"""The `chatops` command: what it lists, loads and says. Commands' own work is tested with their parts."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from chatops_cli import main
from chatops_cli.bench import find_checkout
from chatops_cli.commands import COMMANDS, Command, load_command


@pytest.mark.parametrize("name", COMMANDS)
def test_every_listed_command_exists_and_explains_itself(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert f"Usage: main {name}" in result.output


def test_the_list_of_commands_imports_none_of_them() -> None:
    assert _modules_loaded_by("--help").isdisjoint({"chatops_backend", "chatops_agent", "chatops_dashboards"})


def test_the_agent_loads_no_other_part() -> None:
    loaded = _modules_loaded_by("agent", "--help")
    assert "chatops_agent" in loaded
    assert loaded.isdisjoint({"chatops_backend", "chatops_client", "chatops_dashboards", "litestar", "polars", "dash"})


def _modules_loaded_by(*arguments: str) -> set[str]:
    code = (
        "import sys, atexit; from chatops_cli import main;"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr)); main()"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stderr.split()}


def test_a_missing_dependency_names_the_extra_that_brings_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "needs_absent_thing.py").write_text("import a_module_that_is_not_installed\n")
    monkeypatch.syspath_prepend(tmp_path)
    entry = Command("needs_absent_thing", "command", "chatops_cli", "server", "")
    with pytest.raises(click.ClickException, match=r"needs the extra \[server\].*a_module_that_is_not_installed"):
        load_command("thing", entry)


def test_a_part_that_is_not_installed_is_named_as_such() -> None:
    entry = Command("absent_part.cli", "command", "absent_part", "server", "")
    with pytest.raises(click.ClickException, match="needs the whole of ChatOps"):
        load_command("thing", entry)


def test_a_wrong_setting_is_one_line_and_exit_code_1() -> None:
    result = CliRunner().invoke(main, ["migrate"], env={"CHATOPS_SECRET_KEY": "short"})
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "CHATOPS_SECRET_KEY is shorter than 32 bytes" in result.stderr


def test_an_unknown_command_is_wrong_use() -> None:
    assert CliRunner().invoke(main, ["nonsense"]).exit_code == 2


def test_the_version_is_printed() -> None:
    assert CliRunner().invoke(main, ["--version"]).output.startswith("chatops 0.")


def test_benchmarks_are_the_programs_of_a_checkout_and_only_there(tmp_path: Path) -> None:
    listed = CliRunner().invoke(main, ["bench", "--list"]).output.split()
    assert "agent" in listed
    assert "simulated_agents" not in listed
    assert CliRunner().invoke(main, ["bench", "nonsense"]).exit_code == 2
    with pytest.raises(click.ClickException, match="in a checkout"):
        find_checkout(tmp_path / "site-packages" / "chatops_cli" / "bench.py")
