"""Signs orders. The Ed25519 key is derived from CHATOPS_SECRET_KEY, so that all backends of one database have the same.

Changing the secret changes this key too: agents then refuse orders until they are told the new one (docs/commands.md).
"""

import base64

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct

from chatops_protocol.control_messages import Order, encode_order, signed_bytes

_PURPOSE = b"chatops: signature of orders, 1"


class SignedOrder(Struct, frozen=True):
    envelope: bytes
    signature: bytes


class OrderSigner:
    def __init__(self, secret: str) -> None:
        seed = HKDF(SHA256(), 32, salt=None, info=_PURPOSE).derive(secret.encode())
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def public_key(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    @property
    def shown_public_key(self) -> str:
        """As `CHATOPS_COMMAND_KEY` of an agent takes it."""
        return base64.b64encode(self.public_key).decode()

    def sign(self, order: Order) -> SignedOrder:
        envelope = encode_order(order)
        return SignedOrder(envelope, self._key.sign(signed_bytes(envelope)))
