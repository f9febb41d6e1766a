"""Links on the way to a log file: whoever writes to a folder of logs must not make the agent read out other files."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from chatops_agent.following.opened_file import OpenedFile

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")

SOMEBODY, ANOTHER = 64_001, 64_002


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "private" / "secret"
    path.parent.mkdir()
    path.write_text("a secret\n")
    path.chmod(0o600)
    return path


def link(path: Path, target: Path | str, owner: int) -> Path:
    path.symlink_to(target)
    os.chown(path, owner, owner, follow_symlinks=False)
    return path


def directly(folder: Path, secret: Path) -> Path:
    return link(folder / "app.log", secret, SOMEBODY)


def by_a_relative_link(folder: Path, secret: Path) -> Path:
    return link(folder / "app.log", f"../{secret.parent.name}/{secret.name}", SOMEBODY)


def by_a_folder(folder: Path, secret: Path) -> Path:
    return link(folder / "logs", secret.parent, SOMEBODY) / secret.name


def behind_a_link_of_root(folder: Path, secret: Path) -> Path:
    link(folder / "theirs", secret, SOMEBODY)
    return link(folder / "app.log", folder / "theirs", 0)


@pytest.mark.parametrize("way", [directly, by_a_relative_link, by_a_folder, behind_a_link_of_root])
def test_a_link_of_somebody_else_is_not_followed(
    way: Callable[[Path, Path], Path], tmp_path: Path, secret: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = way(folder, secret)
    assert path.read_text() == "a secret\n"
    with pytest.raises(PermissionError, match="link of a user"):
        OpenedFile(path)


@pytest.mark.parametrize(("of_link", "of_file"), [(0, SOMEBODY), (SOMEBODY, SOMEBODY), (0, 0)])
def test_links_of_root_and_of_the_files_owner_are_followed(
    of_link: int, of_file: int, tmp_path: Path, secret: Path
) -> None:
    os.chown(secret, of_file, of_file)
    opened = OpenedFile(link(tmp_path / "app.log", secret, of_link))
    assert opened.read_lines(1) == [(b"a secret", 8)]
    opened.close()


def test_a_link_to_the_file_of_a_third_is_not_followed(tmp_path: Path, secret: Path) -> None:
    os.chown(secret, ANOTHER, ANOTHER)
    with pytest.raises(PermissionError, match="link of a user"):
        OpenedFile(link(tmp_path / "app.log", secret, SOMEBODY))
