"""Brings a demo fleet to a running backend through its API, as the person who is logged in; and removes it again.

Touches nothing but the demo's own servers and their silences.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from chatops_cli.demo.fleet import Host
from chatops_cli.demo.history import INTERVAL_S, History, Tables, batches
from chatops_cli.demo.ownership import describe, own_servers
from chatops_client import Client
from chatops_client.wire import Call
from chatops_protocol.alert_resources import Silence
from chatops_protocol.resources import Server, WriteServerRequest

Advance = Callable[[int], None]

# Values of one request. More are not faster, and the other requests of the backend wait longer.
BATCH_VALUES = 360_000
SILENT_FOR = timedelta(days=3650)
SILENCE_COMMENT = "Demo data of `chatops demo`: nobody is to be told of it"


class UploadError(Exception):
    """The backend did not take what it was sent; the message says why."""


def create_servers(client: Client, history: History, now: datetime, advance: Advance) -> dict[str, int]:
    """Ids by name. Each is silenced before it has any data, so that no rule notifies of it."""
    ids: dict[str, int] = {}
    for host in history.hosts:
        ids[host.name] = _create_server(client, host, history).id
        client.alerts.create_silence(
            Silence(
                comment=SILENCE_COMMENT,
                server_id=ids[host.name],
                starts_at=now - timedelta(minutes=1),
                ends_at=now + SILENT_FOR,
            )
        )
        advance(1)
    return ids


def _create_server(client: Client, host: Host, history: History) -> Server:
    body = WriteServerRequest(host.name, describe(host, history.incidents), host.tags, INTERVAL_S)
    return client.request(Call("POST", "/servers", Server, body=body))


def remove_servers(client: Client, servers: Sequence[Server], advance: Advance) -> None:
    """With their silences; their rows stay out of sight until retention takes them."""
    ids = {server.id for server in own_servers(servers)}
    for silence in client.alerts.silences():
        if silence.silence.server_id in ids:
            client.alerts.delete_silence(silence.id)
    for server_id in sorted(ids):
        client.delete_server(server_id)
        advance(1)


def send_rows(client: Client, tables: Tables, advance: Advance) -> int:
    """Returns how many rows were stored."""
    stored = 0
    for measurement, frame in tables.items():
        for batch in batches(frame, BATCH_VALUES):
            result = client.transfer.import_rows(measurement, batch)
            if result.refused:
                reasons = ", ".join(f"{refused.count} {refused.reason}" for refused in result.refused)
                raise UploadError(f"the backend refused rows of {measurement}: {reasons}")
            stored += result.stored
            advance(len(batch))
    return stored
