"""Locks, version and tracked files: what a stranger's machine depends on."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from chatops_protocol import __version__

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# In pieces, so that this file is no finding of its own.
REGISTRY_HOSTS = tuple(
    ".".join(pieces)
    for pieces in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("npmjs", "com"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("docker", "io/library"),
        ("yarnpkg", "com"),
    )
)


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("lock", ["runtime", "dev", "notebooks"])
def test_every_locked_package_has_hashes(lock: str) -> None:
    text = (ROOT / f"locks/{lock}.txt").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) > 40
    assert [line for line in lines if not re.match(r"[a-z0-9._-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line)] == []


def test_what_runs_is_locked_alike_for_running_and_for_testing() -> None:
    def pins(lock: str) -> set[str]:
        return set(re.findall(r"^[a-z0-9._-]+==\S+", (ROOT / f"locks/{lock}.txt").read_text(), re.MULTILINE))

    assert pins("runtime") <= pins("dev")
    assert pins("runtime") <= pins("notebooks")


def test_every_dependency_is_locked() -> None:
    locked = {
        name
        for lock in ("dev", "notebooks")
        for name in re.findall(r"^([a-z0-9._-]+)==", (ROOT / f"locks/{lock}.txt").read_text(), re.MULTILINE)
    }
    project, groups = PROJECT["project"], PROJECT["dependency-groups"]
    sources = (project["dependencies"], *project["optional-dependencies"].values(), *groups.values())
    wanted = [item for source in sources for item in source if isinstance(item, str)]
    assert {re.split(r"[\[<>=!~ ]", requirement)[0] for requirement in wanted} <= locked


def test_no_extra_names_the_project_itself() -> None:
    for requirements in PROJECT["project"]["optional-dependencies"].values():
        assert not any(re.match(r"chatops\b", requirement) for requirement in requirements)


def test_no_tracked_file_names_a_registry() -> None:
    found = []
    for path in tracked_files():
        content = path.read_bytes()
        found += [f"{path.relative_to(ROOT)}: {host}" for host in REGISTRY_HOSTS if host.encode() in content]
    assert found == []


def test_no_generated_or_secret_file_is_tracked() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in tracked_files()}
    assert {name for name in names if name.startswith("secrets/")} <= {"secrets/.gitignore", "secrets/make.sh"}
    assert not {name for name in names if "__pycache__" in name or "node_modules" in name or name.startswith("data/")}


def test_the_version_is_the_same_everywhere() -> None:
    version = PROJECT["project"]["version"]
    assert __version__ == version
    assert f"image: chatops:{version}\n" in (ROOT / "docker-compose.yml").read_text()
