"""Posts notifications as JSON in the format of Alertmanager's webhook receiver, version 4.

Connects to the addresses that were judged, by no proxy, and follows no redirect. `Idempotency-Key` is the same over all
attempts of one notification.
"""

import hashlib
import logging
from datetime import UTC, datetime
from functools import cache
from ssl import SSLContext
from typing import Any

import httpx
import msgspec

from chatops_backend.alerts.message import Message, ToldChange, summary
from chatops_backend.alerts.series_labels import flat_labels
from chatops_backend.alerts.transports.targets import Targets
from chatops_backend.alerts.transports.transport import ChannelRefusedError, DeliveryError

# Of one step; the sender limits the whole.
SEND_WITHIN_S = 10.0
_STILL_FIRING = "0001-01-01T00:00:00Z"

# They log whole addresses, and a webhook's address is its password.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class Webhook:
    takes_pictures = False

    def __init__(self, targets: Targets) -> None:
        self._targets = targets

    async def check(self, url: str) -> None:
        parsed = _parse(url)
        await self._targets.addresses(parsed.host, _port(parsed))

    def shown(self, url: str) -> str:
        parsed = _parse(url)
        port = f":{parsed.port}" if parsed.port is not None else ""
        host = f"[{parsed.host}]" if ":" in parsed.host else parsed.host
        return f"{parsed.scheme}://{host}{port}/" + ("…" if parsed.raw_path != b"/" else "")

    async def send(self, url: str, message: Message) -> None:
        parsed = _parse(url)
        addresses = await self._targets.addresses(parsed.host, _port(parsed))
        body = msgspec.json.encode(webhook_body(message))
        _judge(await _post_to_first(parsed, addresses, body, message.key))


def webhook_body(message: Message) -> dict[str, Any]:
    alerts = [_alert(message, change) for change in message.notice.changes]
    return {
        "version": "4",
        "groupKey": f'{{}}:{{server="{message.notice.server_name}"}}',
        "truncatedAlerts": 0,
        "status": message.status,
        "receiver": message.receiver,
        "groupLabels": {"server": message.notice.server_name},
        "commonLabels": _common([alert["labels"] for alert in alerts]),
        "commonAnnotations": _common([alert["annotations"] for alert in alerts]),
        "externalURL": message.external_url,
        "alerts": alerts,
    }


def _alert(message: Message, change: ToldChange) -> dict[str, Any]:
    labels = flat_labels(change.labels) | {
        "alertname": change.rule,
        "server": message.notice.server_name,
    }
    # Of what stays the same while the alert lives; its severity may rise.
    identity = msgspec.json.encode([message.notice.server_id, change.threshold_id, labels], order="sorted")
    annotations = {"summary": summary(message.notice, change), "transition": change.transition}
    if change.value is not None:
        annotations["value"] = f"{change.value:g}"
    if change.runbook_url:
        annotations["runbook_url"] = change.runbook_url
    over = change.transition == "resolved"
    return {
        "status": "resolved" if over else "firing",
        "labels": labels | {"severity": change.level},
        "annotations": annotations,
        "startsAt": _moment(change.started_at),
        "endsAt": _moment(change.at) if over else _STILL_FIRING,
        "generatorURL": f"{message.external_url}/alerts/{change.alert_id}",
        "fingerprint": hashlib.sha256(identity).hexdigest()[:16],
    }


def _common(maps: list[dict[str, str]]) -> dict[str, str]:
    first = maps[0] if maps else {}
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in maps)}


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _parse(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        raise ChannelRefusedError("the address is not a URL; write https://host/path") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ChannelRefusedError("a webhook's address must start with https:// (or http://) and a host")
    if not parsed.host.isascii():
        raise ChannelRefusedError("write the host in ASCII (the form that starts with xn--)")
    return parsed


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


async def _post_to_first(url: httpx.URL, addresses: list[str], body: bytes, key: str) -> int:
    """The status that the first reachable address answers."""
    unreachable = ""
    for address in addresses:
        try:
            return await _post(url, address, body, key)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            unreachable = type(error).__name__
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise DeliveryError(f"the receiver did not answer properly ({type(error).__name__})") from None
    raise DeliveryError(f"the receiver could not be reached ({unreachable})")


async def _post(url: httpx.URL, address: str, body: bytes, key: str) -> int:
    # A client each: a connection that is kept would be shared by all names of one address, whatever its certificate.
    async with (
        httpx.AsyncClient(
            verify=_certificates(), trust_env=False, follow_redirects=False, timeout=SEND_WITHIN_S
        ) as client,
        client.stream(
            "POST",
            url.copy_with(host=address),
            content=body,
            headers={
                "Host": url.netloc.decode("ascii").rpartition("@")[2],
                "Content-Type": "application/json",
                "User-Agent": "ChatOps",
                "Idempotency-Key": key,
            },
            extensions={"sni_hostname": url.host},
        ) as answer,
    ):
        return answer.status_code


@cache
def _certificates() -> SSLContext:
    return httpx.create_ssl_context()


def _judge(status: int) -> None:
    if 300 <= status < 400:
        raise DeliveryError(f"the receiver redirects ({status}), which is not followed; enter the final address")
    if not 200 <= status < 300:
        raise DeliveryError(f"the receiver answered {status}")
