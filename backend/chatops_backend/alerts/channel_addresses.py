"""How the addresses of channels lie in the database: encrypted, since they hold passwords and tokens.

The key is derived from CHATOPS_SECRET_KEY: whoever changes that enters the addresses again. Those of before are plain;
they are used as they are, and encrypted at the next start.
"""

import base64
import binascii
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from chatops_backend.alerts.transports.transport import ChannelRefusedError
from chatops_backend.database.interface import Database
from chatops_backend.database.queries import load_queries

# No scheme of an address that could be sent to.
_SEALED = "sealed:1:"
_NONCE_BYTES = 12
_PURPOSE = b"chatops: addresses of channels, 1"


class AddressLostError(ChannelRefusedError):
    def __init__(self) -> None:
        super().__init__("its address was encrypted with another CHATOPS_SECRET_KEY; enter the address again")


class Addresses:
    def __init__(self, secret: str) -> None:
        self._cipher = AESGCM(HKDF(SHA256(), 32, salt=None, info=_PURPOSE).derive(secret.encode()))

    def seal(self, address: str) -> str:
        """What is stored; another text each time."""
        nonce = os.urandom(_NONCE_BYTES)
        return _SEALED + base64.b64encode(nonce + self._cipher.encrypt(nonce, address.encode(), _PURPOSE)).decode()

    def open(self, stored: str) -> str:
        """The address of what is stored. Raises `AddressLostError` when another key sealed it."""
        if not stored.startswith(_SEALED):
            return stored
        try:
            sealed = base64.b64decode(stored.removeprefix(_SEALED), validate=True)
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _PURPOSE).decode()
        except (InvalidTag, ValueError, binascii.Error):
            raise AddressLostError from None


async def seal_plain_addresses(database: Database, addresses: Addresses) -> None:
    """Called at every start; two backends may do so at once."""
    queries = load_queries("notifications")
    rows = [row async for row in queries.list_plain_addresses(database, sealed=f"{_SEALED}%")]
    for row in rows:
        await queries.seal_address(database, channel_id=row["id"], plain=row["url"], sealed=addresses.seal(row["url"]))
