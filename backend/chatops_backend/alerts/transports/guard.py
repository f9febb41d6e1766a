"""Keeps a thread from connecting to anything but public addresses, whatever the library it runs does: follow redirects,
look a name up twice, read a host out of an answer. Used around Apprise, whose connections are not ours to make.

Python tells its audit hooks of each connection before it is made, and a hook that raises prevents it. Hooks cannot be
removed and hear of everything (0.15 µs an event), so there is one for the process, added when first needed.
"""

import contextlib
import errno
import sys
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any

from chatops_backend.alerts.transports.targets import is_public
from chatops_backend.alerts.transports.transport import ChannelRefusedError

_CONNECTS = ("socket.connect", "socket.sendto", "socket.sendmsg")
_PROGRAMS = ("subprocess.Popen", "os.posix_spawn", "os.fork", "os.exec", "os.system")


class _Guarded(threading.local):
    active = False
    refused = False


_thread = _Guarded()


@contextlib.contextmanager
def only_public_connections() -> Iterator[None]:
    """Raises `ChannelRefusedError` at the end when this thread tried to reach another address, or to start a program.

    The library sees a connection that failed, and tidies up after it. Threads that it starts are not guarded.
    """
    _add_hook()
    _thread.active, _thread.refused = True, False
    try:
        yield
    except Exception:
        if not _thread.refused:
            raise
    finally:
        _thread.active = False
    if _thread.refused:
        raise ChannelRefusedError(
            "the service is on this machine or in a private network, or needs programs of this machine; only an "
            "administrator of this server can allow that, with CHATOPS_ALLOW_PRIVATE_TARGETS=1"
        )


@cache
def _add_hook() -> None:
    sys.addaudithook(_watch)


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _CONNECTS:
        if _thread.active and not _is_allowed(arguments[1]):
            _refuse()
    elif event in _PROGRAMS and _thread.active:
        _refuse()


def _refuse() -> None:
    _thread.refused = True
    raise PermissionError(errno.EACCES, "not to this machine or its networks")


def _is_allowed(address: Any) -> bool:
    if address is None:  # the address was given, and judged, when the socket was connected
        return True
    # Anything else is a socket in the file system, or of another family than the internet's.
    return isinstance(address, tuple) and isinstance(address[0], str) and is_public(address[0])
