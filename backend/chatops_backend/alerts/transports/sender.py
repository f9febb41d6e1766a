"""All transports behind one door: checks, shows and uses the address of a channel. Used by notifier and routes.

`url` is an address as people write it, `stored` as it is kept: encrypted.
"""

import asyncio
import logging
from collections.abc import Mapping

from chatops_backend.alerts.channel_addresses import Addresses
from chatops_backend.alerts.message import Message
from chatops_backend.alerts.transports.apprise import AppriseService
from chatops_backend.alerts.transports.targets import Resolve, Targets, resolve
from chatops_backend.alerts.transports.transport import ChannelRefusedError, DeliveryError, Transport
from chatops_backend.alerts.transports.webhook import Webhook
from chatops_backend.settings import Settings, load_or_create_secret_key
from chatops_protocol.alert_resources import ChannelType

log = logging.getLogger(__name__)

SEND_TIMEOUT_S = 15.0


class Sender:
    def __init__(
        self, transports: Mapping[ChannelType, Transport], addresses: Addresses, timeout_s: float = SEND_TIMEOUT_S
    ) -> None:
        self._transports = transports
        self._addresses = addresses
        self._timeout_s = timeout_s

    async def check(self, kind: ChannelType, url: str) -> None:
        """Raise `ChannelRefusedError` when the address cannot be used."""
        if not url.isprintable() or " " in url:
            raise ChannelRefusedError("the address has spaces or characters that cannot be seen; remove them")
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._transports[kind].check(url)
        except TimeoutError:
            raise ChannelRefusedError("the host's name could not be looked up in time; try again") from None

    def to_store(self, url: str) -> str:
        return self._addresses.seal(url)

    def shown(self, kind: ChannelType, stored: str) -> str:
        try:
            return self._transports[kind].shown(self._addresses.open(stored))
        except ChannelRefusedError:
            return "…"

    def fault_of(self, stored: str) -> str | None:
        """Why nothing can be sent to an address before it is entered again."""
        try:
            self._addresses.open(stored)
        except ChannelRefusedError as error:
            return str(error)
        return None

    def takes_pictures(self, kind: ChannelType) -> bool:
        return self._transports[kind].takes_pictures

    async def send(self, kind: ChannelType, stored: str, message: Message) -> None:
        """Return when the receiver took it, within the time limit; raise `DeliveryError` else, and nothing else."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._transports[kind].send(self._addresses.open(stored), message)
        except TimeoutError:
            raise DeliveryError(f"no answer within {self._timeout_s:g} s") from None
        except ChannelRefusedError as error:
            raise DeliveryError(str(error)) from None
        except DeliveryError:
            raise
        except Exception as error:
            # Neither its text nor its trace, which may hold the address.
            log.error("a %s channel failed unexpectedly: %s", kind, type(error).__name__)  # noqa: TRY400
            raise DeliveryError(f"the message could not be sent ({type(error).__name__})") from None


def create_sender(settings: Settings, resolve: Resolve = resolve) -> Sender:
    targets = Targets(settings.allow_private_targets, resolve)
    addresses = Addresses(load_or_create_secret_key(settings))
    return Sender({"webhook": Webhook(targets), "apprise": AppriseService(targets)}, addresses)
