"""docs/settings.md lists exactly the settings there are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BACKEND = ROOT / "backend/chatops_backend/settings.py"
DASHBOARD = ROOT / "dashboards/chatops_dashboards/settings.py"
AGENT = ROOT / "agent/chatops_agent/settings.py"
CLIENT = ROOT / "client/chatops_client/settings.py"
PARTS = ("agent", "backend", "client", "dashboards", "cli", "protocol")


def read_by(*modules: Path) -> set[str]:
    """Names that the modules read, with the `_FILE` ones that are made from a name."""
    text = "\n".join(module.read_text() for module in modules)
    also_from_files = re.findall(r'_value_or_file\(env, "(CHATOPS_\w+)"\)', text)
    return set(re.findall(r'"(CHATOPS_[A-Z_]+)"', text)) | {f"{name}_FILE" for name in also_from_files}


def listed_under(heading: str) -> list[str]:
    page = (ROOT / "docs/settings.md").read_text()
    section = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert section is not None, heading
    return re.findall(r"^\| `(CHATOPS_[A-Z_]+)` \|", section[1], re.MULTILINE)


@pytest.mark.parametrize(
    ("heading", "modules"),
    [
        ("Backend, dashboard and `chatops up`", (BACKEND, DASHBOARD)),
        ("Agent", (AGENT,)),
        ("Client and notebooks", (CLIENT,)),
    ],
)
def test_every_setting_that_is_read_is_listed_once_and_no_other(heading: str, modules: tuple[Path, ...]) -> None:
    names = read_by(*modules)
    assert len(names) > 3
    listed = listed_under(heading)
    assert set(listed) == names
    assert len(listed) == len(set(listed))


def test_the_tests_own_settings_are_listed() -> None:
    # Those of this file are in patterns, not in use.
    others = (path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__))
    used = {name for path in others for name in re.findall(r"CHATOPS_TEST_[A-Z_]+", path.read_text())}
    assert set(listed_under("Tests and benchmarks")) == used


@pytest.mark.parametrize("part", PARTS)
def test_only_settings_modules_read_settings_from_the_environment(part: str) -> None:
    reads = re.compile(r"(environ(\.get\(|\[)|getenv\()")
    for path in (ROOT / part).rglob("*.py"):
        if path.name != "settings.py" and "node_modules" not in path.parts:
            assert not reads.search(path.read_text()), f"{path.relative_to(ROOT)} reads the environment"
