"""Where notifications may go: nothing on this machine or its networks, however it is written, and no way around."""

import asyncio
import contextlib
import logging
import socket
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest

from chatops_backend.alerts.message import Message, trial
from chatops_backend.alerts.transports.guard import only_public_connections
from chatops_backend.alerts.transports.sender import Sender, create_sender
from chatops_backend.alerts.transports.targets import Targets, is_public
from chatops_backend.alerts.transports.transport import ChannelRefusedError, DeliveryError
from chatops_backend.settings import Settings
from tests.backend.alerts.alerting import START
from tests.backend.alerts.sinks import HttpSink, SmtpSink

pytestmark = pytest.mark.anyio

PUBLIC = "93.184.215.14"
PRIVATE_ADDRESSES = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::808:808",
    "100::1",
    "2001:db8::1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "2002:7f00:1::",
    "2002:a00:1::",
    "2002:c0a8:101::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd12:3456:789a::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "3fff::1%1",
    "4000::1",
]
PUBLIC_ADDRESSES = [
    PUBLIC,
    "1.1.1.1",
    "8.8.8.8",
    "172.32.0.1",
    "2606:4700::1111",
    "2a00:1450::1",
    "64:ff9b::808:808",
    "::ffff:8.8.8.8",
]
# Hosts that many resolvers take for 127.0.0.1, or that are not hosts.
DISGUISED_HOSTS = [
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7F.1",
    "0x7f.0x0.0x0.0x1",
    "0177.0.0.1",
    "017700000001",
    "0177.1",
    "127.0.0.1.",
    "127.000.000.001",
    "1",
    "0",
    "0.",
    "00000000",
    "localhost.1",
    "example.0x7f",
    "0x",
    "a.0x",
    "a..1",
    "[::1",
    "user@127.0.0.1",
    "127.0.0.1:80",
    "127.0.0.1/",
    "a/b",
    "a?b",
    "a#b",
    "a\\b",
    "１２７.0.0.1",
    "127。0。0。1",
    "ⓛocalhost",
    "①②⑦.0.0.1",
]


async def resolve_nothing(host: str, port: int) -> list[str]:
    raise AssertionError(f"{host} was looked up")


def resolving(*answers: list[str]) -> Callable[..., object]:
    """A resolver with one answer after another, the last one for ever."""
    waiting = list(answers)

    async def resolve(host: str, port: int) -> list[str]:
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    return resolve


@pytest.fixture
def sender_with(settings: Settings) -> Callable[..., Sender]:
    def make(*answers: list[str], private: bool = False) -> Sender:
        resolve = {"resolve": resolving(*answers)} if answers else {}
        return create_sender(replace(settings, allow_private_targets=private), **resolve)

    return make


@pytest.fixture
def message() -> Message:
    return trial("ops", "http://127.0.0.1:8050", START, "key-1")


@pytest.mark.parametrize("address", PRIVATE_ADDRESSES)
async def test_a_private_address_is_refused(address: str) -> None:
    assert not is_public(address)
    with pytest.raises(ChannelRefusedError):
        await Targets(False, resolve_nothing).addresses(address, 80)
    # A name that resolves to it, alone or among good ones, in any place.
    for addresses in ([address], [PUBLIC, address], [address, PUBLIC]):
        with pytest.raises(ChannelRefusedError):
            await Targets(False, resolving(addresses)).addresses("good.example", 80)


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
async def test_a_public_address_is_allowed(address: str) -> None:
    assert await Targets(False, resolve_nothing).addresses(address, 80) == [address]
    assert await Targets(False, resolving([PUBLIC, address])).addresses("good.example", 80) == [PUBLIC, address]


@pytest.mark.parametrize("host", DISGUISED_HOSTS)
@pytest.mark.parametrize("private", [False, True])
async def test_a_host_that_is_read_in_several_ways_is_refused_without_looking_it_up(host: str, private: bool) -> None:
    with pytest.raises(ChannelRefusedError):
        await Targets(private, resolve_nothing).addresses(host, 80)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST"])
async def test_names_of_this_machine_are_refused_by_what_they_resolve_to(host: str) -> None:
    with pytest.raises(ChannelRefusedError, match="CHATOPS_ALLOW_PRIVATE_TARGETS"):
        await Targets(False).addresses(host, 80)
    assert await Targets(True).addresses(host, 80)


async def test_a_name_without_an_address_is_refused() -> None:
    async def fail(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    for resolve in (fail, resolving([])):
        with pytest.raises(ChannelRefusedError, match="no address"):
            await Targets(True, resolve).addresses("missing.example", 80)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://[::1]:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://[0:0:0:0:0:ffff:7f00:1]:{port}/",
        "http://2130706433:{port}/",
        "http://0x7f000001:{port}/",
        "http://0177.0.0.1:{port}/",
        "http://127.1:{port}/",
        "http://0:{port}/",
        "http://localhost:{port}/",
        "http://localhost.:{port}/",
        "http://good.example@127.0.0.1:{port}/",
        "http://good.example:80@127.0.0.1:{port}/",
        "http://127.0.0.1:{port}#@good.example/",
        "http://127.0.0.1:{port}\\@good.example/",
        "http://good.example\\@127.0.0.1:{port}/",
        "http://１２７.0.0.1:{port}/",
        "http://%31%32%37.0.0.1:{port}/",
        "http:127.0.0.1:{port}/",
        "http:///127.0.0.1:{port}/",
        "//127.0.0.1:{port}/",
        "ftp://good.example/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:{port}/_x",
        "unix:///run/docker.sock",
        "javascript:alert(1)",
        "http://good.example:99999/",
        "http://good.example/ x",
        "http://good.example/\r\nX: y",
        "http://",
        "x",
    ],
)
async def test_a_webhook_to_this_machine_is_refused_when_made_and_when_sent(
    url: str, sink: HttpSink, message: Message, settings: Settings
) -> None:
    url = url.format(port=sink.port)
    sender = create_sender(settings)
    with pytest.raises(ChannelRefusedError):
        await sender.check("webhook", url)
    with pytest.raises(DeliveryError):
        await sender.send("webhook", url, message)
    assert sink.requests == []


async def test_the_connection_goes_to_the_address_that_was_judged(
    sink: HttpSink, message: Message, sender_with: Callable[..., Sender], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No second look-up between judging and connecting, in which the name could have moved."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def recording(host: str, *rest: object, **more: object) -> object:
        asked.append(host)
        return real(host, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", recording)
    await sender_with(["127.0.0.1"], private=True).send("webhook", f"http://moving.example:{sink.port}/x", message)
    assert "moving.example" not in asked
    assert sink.taken[0].headers["host"] == f"moving.example:{sink.port}"


async def test_a_name_that_moved_inside_after_it_was_made_is_refused_when_sent(
    sink: HttpSink, message: Message, sender_with: Callable[..., Sender]
) -> None:
    sender = sender_with([PUBLIC], ["127.0.0.1"])
    url = f"http://moving.example:{sink.port}/x"
    await sender.check("webhook", url)
    with pytest.raises(DeliveryError, match="private network"):
        await sender.send("webhook", url, message)
    assert sink.requests == []


async def test_the_next_address_is_tried_when_one_is_not_reachable(
    sink: HttpSink, message: Message, sender_with: Callable[..., Sender]
) -> None:
    await sender_with(["::1", "127.0.0.1"], private=True).send("webhook", f"http://two.example:{sink.port}/", message)
    assert len(sink.taken) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("kind", ["webhook", "apprise"])
async def test_redirects_are_not_followed(
    kind: str, status: int, sink: HttpSink, message: Message, sender_with: Callable[..., Sender]
) -> None:
    sink.answer = lambda request: (status, {"Location": f"http://127.0.0.1:{sink.port}/inside"})
    url = f"{'http' if kind == 'webhook' else 'json'}://127.0.0.1:{sink.port}/x?redirect=yes"
    with pytest.raises(DeliveryError):
        await sender_with(private=True).send(kind, url, message)
    assert [request.path.partition("?")[0] for request in sink.requests] == ["/x"]


@pytest.mark.parametrize(
    "url",
    [
        "json://127.0.0.1:{port}/",
        "json://localhost:{port}/",
        "json://2130706433:{port}/",
        "xml://127.0.0.1:{port}/",
        "form://[::1]:{port}/",
        "gotify://127.0.0.1:{port}/AbCdEfGhIjKlMnO",
        "ntfy://127.0.0.1:{port}/topic",
        "mailto://user:pass@127.0.0.1:{mail}?from=a@b.example&to=c@d.example&mode=insecure",
        "mailto://user:pass@good.example:{mail}?smtp=127.0.0.1&from=a@b.example&to=c@d.example&mode=insecure",
        "mailto://user:pass@good.example:{mail}?smtp=localhost&from=a@b.example&to=c@d.example&mode=insecure",
        "syslog://",
        "dbus://",
        "windows://",
        "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js?template=/etc/passwd",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/?template=notes.json",
        "json://",
        "nothing://x",
        "json",
        "",
        "http://127.0.0.1:{port}/",
    ],
)
async def test_a_service_on_this_machine_is_refused_when_made_and_when_sent(
    url: str, sink: HttpSink, mailbox: SmtpSink, message: Message, settings: Settings
) -> None:
    url = url.format(port=sink.port, mail=mailbox.port)
    sender = create_sender(settings)
    with pytest.raises(ChannelRefusedError):
        await sender.check("apprise", url)
    with pytest.raises(DeliveryError):
        await sender.send("apprise", url, message)
    assert (sink.requests, mailbox.mails) == ([], [])


@pytest.mark.parametrize(
    "url",
    [
        "json://localhost:{port}/",
        "mailto://user:pass@localhost:{mail}?smtp=localhost&from=a@b.example&to=c@d.example&mode=insecure",
    ],
)
async def test_what_a_service_really_connects_to_is_judged(
    url: str, sink: HttpSink, mailbox: SmtpSink, message: Message, sender_with: Callable[..., Sender]
) -> None:
    """Its name looked public to us, then resolved to this machine for the library."""
    sender = sender_with([PUBLIC])
    url = url.format(port=sink.port, mail=mailbox.port)
    await sender.check("apprise", url)
    with pytest.raises(DeliveryError, match="private network"):
        await sender.send("apprise", url, message)
    assert (sink.requests, mailbox.mails) == ([], [])


@pytest.mark.parametrize(
    "attempt",
    [
        lambda port: socket.create_connection(("127.0.0.1", port)),
        lambda port: connecting(socket.AF_INET, ("127.0.0.1", port)),
        lambda port: connecting(socket.AF_INET, ("localhost", port)),
        lambda port: connecting(socket.AF_INET6, ("::1", port)),
        lambda port: connecting(socket.AF_UNIX, "/nowhere"),
        lambda port: sending(("127.0.0.1", port)),
        lambda port: httpx.get(f"http://127.0.0.1:{port}", trust_env=False),
        lambda port: subprocess.run(["true"], check=False),
    ],
)
async def test_the_guard_stops_connections_and_programs_of_its_thread(
    attempt: Callable[[int], object], sink: HttpSink
) -> None:
    with pytest.raises(ChannelRefusedError), only_public_connections():
        attempt(sink.port)


def connecting(family: int, address: object) -> None:
    with socket.socket(family) as connection:
        connection.connect_ex(address)  # type: ignore[arg-type]


def sending(address: tuple[str, int]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.sendto(b"x", address)


async def test_the_guard_leaves_other_threads_and_later_work_alone(sink: HttpSink) -> None:
    def connect() -> None:
        socket.create_connection(("127.0.0.1", sink.port)).close()

    pool = ThreadPoolExecutor(1)
    pool.submit(int).result()
    with only_public_connections():
        await asyncio.get_running_loop().run_in_executor(pool, connect)
    connect()
    pool.shutdown()


async def test_the_guard_tells_what_a_library_kept_to_itself(sink: HttpSink) -> None:
    with pytest.raises(ChannelRefusedError), only_public_connections(), contextlib.suppress(Exception):
        socket.create_connection(("127.0.0.1", sink.port))


@pytest.mark.parametrize("kind", ["webhook", "apprise"])
async def test_nothing_secret_is_logged_or_told(
    kind: str, sink: HttpSink, message: Message, sender_with: Callable[..., Sender], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = ["s3cr3t-user", "s3cr3t-password", "s3cr3t-path", "s3cr3t-query"]
    scheme = "http" if kind == "webhook" else "json"
    address = f"{scheme}://s3cr3t-user:s3cr3t-password@%s/s3cr3t-path?token=s3cr3t-query"
    sender = sender_with(private=True)
    told = [sender.shown(kind, address % "127.0.0.1:9")]
    sink.answer = lambda request: 500
    for host in (f"127.0.0.1:{sink.port}", "127.0.0.1:9", "missing.invalid"):
        with pytest.raises(DeliveryError) as failed:
            await sender.send(kind, address % host, message)
        told.append(str(failed.value))
        assert failed.value.__cause__ is None
    sink.answer = lambda request: 200
    await sender.send(kind, address % f"127.0.0.1:{sink.port}", message)
    assert len(sink.taken) == 1
    everything = "\n".join([*told, caplog.text])
    assert not [secret for secret in secrets if secret in everything], everything
