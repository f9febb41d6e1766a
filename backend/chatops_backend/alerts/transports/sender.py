"""All transports behind one door: checks, shows and uses the address of a channel. Used by notifier and routes."""

import asyncio
import logging
from collections.abc import Mapping

from chatops_backend.alerts.message import Message
from chatops_backend.alerts.transports.apprise import AppriseService
from chatops_backend.alerts.transports.targets import Resolve, Targets, resolve
from chatops_backend.alerts.transports.transport import ChannelRefusedError, DeliveryError, Transport
from chatops_backend.alerts.transports.webhook import Webhook
from chatops_backend.settings import Settings
from chatops_protocol.alert_resources import ChannelType

log = logging.getLogger(__name__)

SEND_TIMEOUT_S = 15.0


class Sender:
    def __init__(self, transports: Mapping[ChannelType, Transport], timeout_s: float = SEND_TIMEOUT_S) -> None:
        self._transports = transports
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

    def shown(self, kind: ChannelType, url: str) -> str:
        try:
            return self._transports[kind].shown(url)
        except ChannelRefusedError:
            return "…"

    def takes_pictures(self, kind: ChannelType) -> bool:
        return self._transports[kind].takes_pictures

    async def send(self, kind: ChannelType, url: str, message: Message) -> None:
        """Return when the receiver took it, within the time limit; raise `DeliveryError` else, and nothing else."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._transports[kind].send(url, message)
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
    return Sender({"webhook": Webhook(targets), "apprise": AppriseService(targets)})
