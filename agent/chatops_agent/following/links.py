"""Whether the symbolic links on the way to a log file may be followed. Asked by `opened_file.py` for every file.

Who may write to a folder of logs could link a name in it to any file that the agent's user reads, and have it sent to
everybody who sees the server's logs. So a link counts only if root made it, the agent's own user, or the owner of the
file that it leads to: the rule of Linux' `protected_symlinks`, for every folder.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

MOST_LINKS = 40


def are_trusted(path: Path, owner: int) -> bool:
    """`owner` is the file's user id. Raise OSError when something on the way is missing."""
    return all(user in (0, os.geteuid(), owner) for user in _owners_of_links(path))


def _owners_of_links(path: Path) -> Iterator[int]:
    left = list(reversed(path.absolute().parts[1:]))
    here = Path("/")
    links = 0
    while left:
        part = left.pop()
        here = here.parent if part == ".." else here / part
        status = here.lstat()
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > MOST_LINKS:
                raise OSError(f"too many links on the way to {path}")
            yield status.st_uid
            target = here.readlink()
            here = Path("/") if target.is_absolute() else here.parent
            left += reversed(target.parts[1:] if target.is_absolute() else target.parts)
