"""Supervises the embedded database's Node.js process: one per data directory, restarted when it dies.

Used by `chatops db` and, when that does not run, by the process that opens the database itself. It never speaks SQL.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import time
from pathlib import Path

from chatops_backend.database.interface import DatabaseError
from chatops_backend.database.node_packages import ensure_packages, node_executable

log = logging.getLogger(__name__)

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 8.0
# A killed supervisor's child needs a moment to notice and let go of the lock.
LOCK_TIMEOUT_S = 2.0
MAX_BACKOFF_S = 10.0
# Linux allows 107 bytes for the path of a Unix socket.
MAX_SOCKET_PATH = 107
# Of what it prints, in bytes of one line of our log.
MAX_SHOWN = 2048


class DirectoryInUseError(DatabaseError):
    """Another process runs the database of this data directory."""


def database_dir(data_dir: Path) -> Path:
    return data_dir / "database"


def socket_path(data_dir: Path) -> Path:
    """PostgreSQL clients derive the file's name from the port, so it has to be this one."""
    return database_dir(data_dir) / ".s.PGSQL.5432"


class EmbeddedProcess:
    """The Node.js process of one data directory. `start`, then `stop`; in between it restarts what dies."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._output: asyncio.Task[None] | None = None
        self._lock_file: int | None = None
        self._packages: Path | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Return when the database accepts a connection.

        Raises `DirectoryInUseError` when another process runs it, `DatabaseError` when it cannot start.
        """
        directory = database_dir(self._data_dir)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        if len(os.fsencode(socket_path(self._data_dir))) > MAX_SOCKET_PATH:
            raise DatabaseError(
                f"the path of the data directory {self._data_dir} is too long for a Unix socket; "
                "set CHATOPS_DATA_DIR to a shorter one"
            )
        self._lock_file = await _take_lock(directory / "lock")
        try:
            self._packages = await ensure_packages(self._data_dir)
            await self._launch()
        except BaseException:
            await self.stop()
            raise
        self._watcher = asyncio.create_task(self._restart_when_it_dies(), name="embedded-database-watcher")

    async def stop(self) -> None:
        """End the process cleanly, after STOP_TIMEOUT_S by force."""
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
            self._watcher = None
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            if process.stdin is not None:
                process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
            except TimeoutError:
                log.warning("the embedded database did not stop within %.0f s and is killed", STOP_TIMEOUT_S)
                process.kill()
                await process.wait()
        if self._output is not None:
            self._output.cancel()
            self._output = None
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    async def _launch(self) -> None:
        if self._packages is None or self._lock_file is None:
            raise RuntimeError("started without packages or lock")
        socket_path(self._data_dir).unlink(missing_ok=True)
        # The child inherits the lock's descriptor: while it lives, nobody else can open its files.
        process = await asyncio.create_subprocess_exec(
            node_executable(),
            self._packages / "server.mjs",
            database_dir(self._data_dir) / "pgdata",
            socket_path(self._data_dir),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=(self._lock_file,),
        )
        self._process = process
        if process.stdout is None:
            raise RuntimeError("no pipe to the database process")
        try:
            line = await asyncio.wait_for(process.stdout.readline(), START_TIMEOUT_S)
        except TimeoutError:
            process.kill()
            raise DatabaseError(f"the embedded database did not answer within {START_TIMEOUT_S:.0f} s") from None
        if line.strip() != b"ready":
            code = await process.wait()
            raise DatabaseError(
                f"the embedded database in {database_dir(self._data_dir)} ended at start (exit code {code}); "
                "its own message stands above; a damaged directory has to be restored from a backup"
            )
        self._output = asyncio.create_task(_drain(process.stdout), name="embedded-database-output")

    async def _restart_when_it_dies(self) -> None:
        backoff = 0.0
        while True:
            process = self._process
            if process is None:
                return
            started = time.monotonic()
            code = await process.wait()
            if time.monotonic() - started > MAX_BACKOFF_S:
                backoff = 0.0
            log.error("the embedded database ended (exit code %s); restarting in %.1f s", code, backoff)
            await asyncio.sleep(backoff)
            backoff = min(MAX_BACKOFF_S, backoff * 2 or 0.5)
            try:
                await self._launch()
            except (DatabaseError, OSError) as error:
                log.error("%s", error)  # noqa: TRY400 - the message says it all
            else:
                log.info("the embedded database answers again")


async def _drain(stream: asyncio.StreamReader) -> None:
    """Read to the end: a process whose output nobody reads stands still once the pipe is full."""
    while piece := await stream.read(MAX_SHOWN):
        log.debug("the embedded database says: %s", piece.decode(errors="replace").rstrip())


async def _take_lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
                os.close(descriptor)
                raise DirectoryInUseError(
                    f"the database in {path.parent} is already running (process {holder}); "
                    "stop that first, or set CHATOPS_DATA_DIR to another directory"
                ) from None
            await asyncio.sleep(0.05)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
