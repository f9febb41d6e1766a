"""The import rules of `make lint` are those of the layout's table, for every package that is shipped."""

import tomllib
from pathlib import Path

import pytest

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
MAY_IMPORT = {
    "chatops_protocol": set(),
    "chatops_agent": {"chatops_protocol"},
    "chatops_backend": {"chatops_protocol"},
    "chatops_client": {"chatops_protocol"},
    "chatops_dashboards": {"chatops_client", "chatops_protocol"},
    "chatops_cli": {"chatops_protocol", "chatops_agent", "chatops_backend", "chatops_client", "chatops_dashboards"},
}
LINTER = PROJECT["tool"]["importlinter"]


def test_every_shipped_package_is_linted_and_type_checked() -> None:
    shipped = {Path(path).name for path in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]}
    assert shipped == set(MAY_IMPORT) == set(LINTER["root_packages"]) == set(PROJECT["tool"]["mypy"]["packages"])


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_what_a_package_may_not_import_is_forbidden(package: str) -> None:
    contracts = [contract for contract in LINTER["contracts"] if contract["source_modules"] == [package]]
    forbidden = {module for contract in contracts for module in contract["forbidden_modules"]}
    assert forbidden == set(MAY_IMPORT) - MAY_IMPORT[package] - {package}
    assert all(contract["type"] == "forbidden" and "ignore_imports" not in contract for contract in contracts)
