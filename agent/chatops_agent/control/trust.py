"""Whether an order comes from this agent's backend: its public key is kept, and signature, server and time are checked.

The key is the one that `CHATOPS_COMMAND_KEY` names, else the first that the backend told over its authenticated
connection, kept in the spool directory. A key that changes later is not believed. Nothing here is remembered of single
orders: that is the ledger's.
"""

import base64
import binascii
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import DecodeError

from chatops_agent.control.refusal import RefusedError
from chatops_agent.settings import COMMAND_KEY_BYTES
from chatops_protocol.control_messages import CarryOut, Order, decode_order, signed_bytes

log = logging.getLogger("chatops_agent")

FILE_NAME = "command_key"
# Orders are signed moments before they are sent; a clock that is set back a little does no harm.
AHEAD_S = 300.0


class Trust:
    """`configured` is the key from the settings. `monotonic` tells how much time has passed since the backend told its
    own: this host's clock may be years off."""

    def __init__(
        self, directory: Path, configured: bytes | None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = directory / FILE_NAME
        self._configured = configured
        self._monotonic = monotonic
        self._refusal = "this agent has not been told the backend's key yet"
        self._key: bytes | None = None
        self._server_id = 0
        self._backend_ahead_s = 0.0

    def meet(self, server_id: int, offered: bytes | None, server_time: float) -> None:
        """The backend let this agent in and told its key and its time."""
        self._server_id = server_id
        self._backend_ahead_s = server_time - self._monotonic()
        self._key = None
        try:
            known = self._configured or self._kept()
            if known is None and offered is not None:
                self._keep(offered)
                log.info("orders of this backend will be signed with %s; kept in %s", shown(offered), self._path)
                known = offered
        except (OSError, ValueError) as error:
            self._refuse(f"the backend's key in {self._path} cannot be read or kept ({error})")
            return
        if known is None:
            self._refuse("the backend signs no orders")
        elif offered is not None and offered != known:
            self._refuse(
                f"the backend signs with another key ({shown(offered)}) than this agent knows ({shown(known)}). "
                "If its CHATOPS_SECRET_KEY was changed, "
                + (
                    "correct CHATOPS_COMMAND_KEY"
                    if self._configured is not None
                    else f"delete {self._path} on this host"
                )
                + " and restart the agent; otherwise somebody else answers in its place"
            )
        else:
            self._key = known

    def now(self) -> float:
        """The backend's time."""
        return self._monotonic() + self._backend_ahead_s

    def verify(self, message: CarryOut) -> Order:
        """The order, if it was signed for this server, is whole, and still good. Raise `RefusedError` otherwise."""
        if self._key is None:
            raise RefusedError(f"refused: {self._refusal}")
        if not _signed(self._key, message):
            raise RefusedError("refused: the signature is not the backend's")
        try:
            order = decode_order(message.envelope)
        except (DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RefusedError(f"refused: this agent does not know such orders ({error}); update it") from None
        if (order.id, order.nonce) != (message.id, message.nonce):
            raise RefusedError("refused: the order is another than its message says")
        if order.server_id != self._server_id:
            raise RefusedError(f"refused: the order is for server {order.server_id}, this is {self._server_id}")
        if order.issued_at > self.now() + AHEAD_S:
            raise RefusedError("refused: the order is of the future")
        return order

    def is_late(self, order: Order) -> bool:
        return self.now() > order.expires_at

    def _refuse(self, reason: str) -> None:
        if reason != self._refusal:
            log.error("no order will be carried out: %s", reason)
        self._refusal = reason

    def _kept(self) -> bytes | None:
        try:
            text = self._path.read_text()
        except FileNotFoundError:
            return None
        return read_key(text)

    def _keep(self, key: bytes) -> None:
        building = self._path.with_suffix(".tmp")
        building.unlink(missing_ok=True)
        with os.fdopen(os.open(building, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(shown(key) + "\n")
            file.flush()
            os.fsync(file.fileno())
        building.rename(self._path)


def shown(key: bytes) -> str:
    return base64.b64encode(key).decode()


def read_key(text: str) -> bytes:
    """Raise `ValueError` for what is no public key."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != COMMAND_KEY_BYTES:
        raise ValueError("it must be 32 bytes in base64")
    return key


def _signed(key: bytes, message: CarryOut) -> bool:
    # Late: 7 MB that an agent without orders does not need.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(message.signature, signed_bytes(message.envelope))
    except (InvalidSignature, ValueError):
        return False
    return True
