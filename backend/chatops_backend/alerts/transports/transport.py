"""What a way of handing notifications over has to do. A new one is a file beside this and a line in `sender.py`."""

from typing import Protocol

from chatops_backend.alerts.message import Message


class ChannelRefusedError(Exception):
    """The channel's address cannot be used. The text says why, for people, and holds nothing secret."""


class DeliveryError(Exception):
    """The message may not have arrived. The text is kept and shown, and holds nothing secret."""


class Transport(Protocol):
    takes_pictures: bool

    async def check(self, url: str) -> None:
        """Raise `ChannelRefusedError` when `url` cannot be used."""
        ...

    def shown(self, url: str) -> str:
        """`url` without anything that could be a secret."""
        ...

    async def send(self, url: str, message: Message) -> None:
        """Return when the receiver took it; raise `DeliveryError` or `ChannelRefusedError`."""
        ...
