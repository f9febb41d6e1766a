"""Hands notifications to the services that Apprise knows: mail, chat, telephone and paging, a hundred and more.

Apprise blocks, so each send has a thread of its own: a service that hangs keeps no other from its thread. Its loading
(half a second, 35 MB) waits for the first channel that needs it. What it logs names secrets, so it is heard by nobody;
a failure is therefore told without its reason.
"""

import asyncio
import contextlib
import logging
import re
import threading
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from chatops_backend.alerts.message import Message
from chatops_backend.alerts.transports.guard import only_public_connections
from chatops_backend.alerts.transports.targets import Targets
from chatops_backend.alerts.transports.transport import ChannelRefusedError, DeliveryError

T = TypeVar("T")

# They act on this machine instead of sending anything.
_LOCAL = {"blink1", "dbus", "gio", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows"}
# How Apprise names arguments that hold a file of this machine, which the service would then be sent.
_FILE_ARGUMENT = re.compile(r"(Path|File)$")
_SCHEME = re.compile(r"([A-Za-z0-9]{1,30})://")

logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
for _name in ("urllib3", "requests_oauthlib", "oauthlib"):
    logging.getLogger(_name).setLevel(logging.ERROR)


class AppriseService:
    takes_pictures = True

    def __init__(self, targets: Targets) -> None:
        self._targets = targets

    async def check(self, url: str) -> None:
        await self._open(url)

    def shown(self, url: str) -> str:
        """The scheme alone: in many services the host is a token already."""
        return f"{_scheme(url)}://…"

    async def send(self, url: str, message: Message) -> None:
        service = await self._open(url)
        guarded = contextlib.nullcontext if self._targets.allow_private else only_public_connections
        try:
            taken = await _in_its_own_thread(lambda: _notify(service, message, guarded))
        except ChannelRefusedError:
            raise
        except Exception as error:
            raise DeliveryError(f"the service could not be told ({type(error).__name__})") from None
        if not taken:
            raise DeliveryError("the service refused the message or could not be reached; check the channel's address")

    async def _open(self, url: str) -> Any:
        scheme = _scheme(url)
        if scheme in _LOCAL:
            raise ChannelRefusedError(f"{scheme}:// shows something on the server itself; choose a service")
        service = await _in_its_own_thread(lambda: _parse(url))
        if service is None:
            raise ChannelRefusedError(f"Apprise does not understand this {scheme}:// address; see its list of services")
        host = _host(service)
        if host:
            await self._targets.addresses(host, service.port or 443)
        return service


@cache
def _asset() -> Any:
    import apprise

    return apprise.AppriseAsset(
        app_id="ChatOps",
        app_desc="ChatOps",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        async_mode=False,
        http_redirects=False,
        pgp_autogen=False,
        pem_autogen=False,
        storage_mode="memory",
        allow_templates=False,
    )


def _parse(url: str) -> Any:
    """The service of a URL; None when Apprise does not understand it, or needs what is not installed."""
    from apprise import Apprise
    from apprise.plugins import url_to_dict

    parts: dict[str, Any] | None = url_to_dict(url, secure_logging=True)  # type: ignore[no-untyped-call]
    service = Apprise.instantiate(url, asset=_asset()) if parts else None
    if service is None:
        return None
    files = {
        name
        for name, argument in type(service).template_args.items()
        if _FILE_ARGUMENT.search(str(_described(service, name, argument)))
    }
    named = files & (parts or {}).get("qsd", {}).keys()
    if named:
        raise ChannelRefusedError(f"leave {', '.join(sorted(named))} out: it would read a file of the server")
    # An address may ask for redirects, against the setting of all.
    service.redirects = False
    return service


def _described(service: Any, name: str, argument: dict[str, Any]) -> Any:
    original = argument.get("alias_of", name)
    return type(service).template_args.get(original, argument).get("name") if isinstance(original, str) else ""


def _host(service: Any) -> str | None:
    """The host that an address names itself; None when the service has one of its own."""
    smtp_host = getattr(service, "smtp_host", None)
    if smtp_host:
        return str(smtp_host)
    return str(service.host) if "host" in type(service).template_tokens and service.host else None


def _notify(service: Any, message: Message, guarded: Callable[[], contextlib.AbstractContextManager[None]]) -> bool:
    from apprise import AppriseAttachment
    from apprise.attachment.memory import AttachMemory

    attachment = None
    if message.picture is not None and service.attachment_support:
        attachment = AppriseAttachment(asset=_asset())
        picture = AttachMemory(  # type: ignore[no-untyped-call]
            content=message.picture, name="chart.png", mimetype="image/png"
        )
        attachment.add(picture)
    kind = "success" if message.status == "resolved" else "failure" if message.level == "critical" else "warning"
    with guarded():
        return bool(
            service.notify(
                body=message.text, title=message.title, notify_type=kind, body_format="text", attach=attachment
            )
        )


def _scheme(url: str) -> str:
    match = _SCHEME.match(url)
    if match is None:
        raise ChannelRefusedError("an Apprise address starts with its service, such as mailtos:// or slack://")
    return match[1].lower()


async def _in_its_own_thread(work: Callable[[], T]) -> T:
    """A pool's threads could all be taken by services that hang. A daemon thread keeps no process from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def finish(result: T | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except BaseException as error:  # whatever it is, the waiting side raises it
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(finish, result, failure)

    threading.Thread(target=run, name="apprise", daemon=True).start()
    return await future
