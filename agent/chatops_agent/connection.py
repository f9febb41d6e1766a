"""Sends the spool to the backend and starts anew whenever the connection ends. Runs beside the collection, for ever.

The key goes out only after the address was found good (`settings.py`), the certificate verified and the WebSocket
opened at that very address: redirects are not followed.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from typing import NamedTuple

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from chatops_agent.backoff import Backoff
from chatops_agent.control.desk import Desk
from chatops_agent.counters import Counters
from chatops_agent.sender import ProtocolError, Sender, SpoolReplacedError
from chatops_agent.settings import Settings, SettingsError
from chatops_agent.spool import Spool
from chatops_agent.worker import Worker
from chatops_protocol import agent_messages as messages

log = logging.getLogger("chatops_agent")

OPEN_WITHIN_S = 15.0
# A peer that died without a word is noticed within 20 s.
PING_EVERY_S = PONG_WITHIN_S = 10.0
CLOSE_WITHIN_S = 2.0
STABLE_AFTER_S = 10.0
SAY_AGAIN_AFTER_S = 600.0
GOING_AWAY = 1001
MAX_MESSAGE_BYTES = 65_536  # what the backend sends is small

# The library logs whole messages, the key among them, at DEBUG; what goes wrong it raises as well.
_silent = logging.getLogger("chatops_agent.websocket")
_silent.setLevel(logging.CRITICAL + 1)


class Outcome(NamedTuple):
    """Why a connection ended. `refused`: trying again soon cannot help."""

    reason: str
    refused: bool = False


class DirectConnect(connect):
    """A redirect is an answer like any other wrong one: it could name another host, or take the encryption away."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Connection:
    def __init__(
        self,
        settings: Settings,
        spool: Spool,
        counters: Counters,
        worker: Worker,
        uniform: Callable[[float, float], float],
        hello: Callable[[], messages.Authenticate],
        tls: ssl.SSLContext | None,
        desk: Desk,
    ) -> None:
        """`hello` makes the first message, `tls_for` makes `tls`."""
        self._settings, self._counters, self._hello = settings, counters, hello
        self._backoff = Backoff(uniform)
        self._sender = Sender(spool, counters, worker, desk)
        self._desk = desk
        self._tls = tls
        self._said: tuple[str, float] = ("", 0.0)

    def frames_waiting(self) -> None:
        """The spool has something new."""
        self._sender.wake()

    async def run(self) -> None:
        while True:
            started = time.monotonic()
            outcome = await self._connect_once()
            self._say(outcome.reason)
            if time.monotonic() - started >= STABLE_AFTER_S and self._sender.was_welcome:
                self._backoff.connected()
            await asyncio.sleep(self._backoff.refused_s() if outcome.refused else self._backoff.next_s())

    async def _connect_once(self) -> Outcome:
        self._sender.was_welcome = False
        try:
            socket = await open_socket(self._settings, self._tls)
            self._counters.connections += 1
            await self._talk(socket)
        except ConnectionClosed as closed:
            if closed.rcvd is not None and closed.rcvd.code == messages.CLOSE_UNAUTHENTICATED:
                self._desk.key_was_refused()
            return _closed(closed, self._settings)
        except ssl.SSLCertVerificationError as error:
            return Outcome(
                f"the certificate of {self._settings.url} does not verify ({error.verify_message}); "
                "the key was not sent"
            )
        except ssl.SSLError as error:
            return Outcome(f"no TLS connection to {self._settings.url} ({error.reason}); the key was not sent")
        except InvalidStatus as error:
            status = error.response.status_code
            return Outcome(f"{self._settings.url} answered with HTTP status {status}: is CHATOPS_API_URL right?")
        except (ProtocolError, SpoolReplacedError) as error:
            return Outcome(str(error))
        except TimeoutError:
            return Outcome(f"{self._settings.url} did not answer in time")
        except Exception as error:  # nothing that a network can do may end the agent
            return Outcome(f"no connection to {self._settings.url}: {type(error).__name__}: {error}")
        return Outcome("the connection ended")

    async def _talk(self, socket: ClientConnection) -> None:
        code = GOING_AWAY
        try:
            await self._sender.run(socket, self._hello())
        except ProtocolError:
            code = messages.CLOSE_PROTOCOL_ERROR
            raise
        finally:
            await socket.close(code)

    def _say(self, reason: str) -> None:
        """Log why there is no connection, but the same reason only now and then."""
        said, at = self._said
        if reason != said or self._sender.was_welcome or time.monotonic() - at >= SAY_AGAIN_AFTER_S:
            log.warning("%s; trying again", reason)
            self._said = (reason, time.monotonic())


def open_socket(settings: Settings, tls: ssl.SSLContext | None) -> connect:
    """`tls` is of `tls_for`."""
    return DirectConnect(
        settings.url,
        ssl=tls,
        proxy=True if settings.through_proxy else None,
        local_addr=(settings.own_address, 0) if settings.own_address else None,
        # Frames are 1 KB each 5 s: compressing them cost no CPU time that could be measured, but 1.4 MB of memory here
        # and a window per agent in the backend.
        compression=None,
        open_timeout=OPEN_WITHIN_S,
        ping_interval=PING_EVERY_S,
        ping_timeout=PONG_WITHIN_S,
        close_timeout=CLOSE_WITHIN_S,
        max_size=MAX_MESSAGE_BYTES,
        logger=_silent,
    )


def tls_for(settings: Settings) -> ssl.SSLContext | None:
    """Verifies certificate and host name, always. A CA file takes the place of the system's authorities.

    None for plain ws, which the settings allow to this host only. Raise `SettingsError` when the file is none.
    """
    if not settings.url.startswith("wss:"):
        return None
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except (ssl.SSLError, OSError) as error:
        raise SettingsError(
            f"CHATOPS_CA_FILE names {settings.ca_file}, which holds no usable certificates ({error})"
        ) from error


def _closed(closed: ConnectionClosed, settings: Settings) -> Outcome:
    if closed.rcvd is None:
        return Outcome(f"the connection to {settings.url} broke")
    code, reason = closed.rcvd.code, closed.rcvd.reason[:200]
    if code == messages.CLOSE_UNAUTHENTICATED:
        return Outcome(
            f"the backend refuses the API key ({reason or 'no reason given'}): create a new one", refused=True
        )
    if code == messages.CLOSE_REPLACED:
        return Outcome("another agent connected with the same API key: give each server its own", refused=True)
    if code == messages.CLOSE_SHUTTING_DOWN:
        return Outcome("the backend is shutting down")
    return Outcome(f"the backend closed the connection ({code} {reason})")
