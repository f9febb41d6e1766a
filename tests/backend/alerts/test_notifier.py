"""Delivery at least once to real receivers: refusals, kills around a send, dead channels, order, and giving up."""

import asyncio
import logging
import random
from collections import Counter
from typing import Any

import pytest

from chatops_backend.alerts.channel_addresses import Addresses
from chatops_backend.alerts.message import Message
from chatops_backend.alerts.notifier import LEASE_S, Backoff
from chatops_backend.alerts.transports.transport import DeliveryError
from tests.backend.alerts.alerting import START, Alerting, changed, until
from tests.backend.alerts.sinks import HttpSink, Request, SmtpSink, running

pytestmark = pytest.mark.anyio


def transitions_of(request: Request) -> list[tuple[str, str]]:
    """(fingerprint, status) of each alert in a webhook's body."""
    return [(alert["fingerprint"], alert["status"]) for alert in request.json["alerts"]]


async def none_waits(alerting: Alerting) -> bool:
    return bool(
        await alerting.database.fetchval(
            "SELECT count(*) = 0 FROM chatops.notifications WHERE delivered_at IS NULL AND given_up_at IS NULL"
        )
    )


async def fire_many(alerting: Alerting, rule: Any, count: int) -> list[Any]:
    """Each on a server of its own, so that each transition is a message."""
    changes = [await alerting.alert(rule, await alerting.server()) for _ in range(count)]
    await alerting.enqueue(*changes)
    return changes


async def keep_moving(alerting: Alerting, step_s: float) -> None:
    while True:
        alerting.clock.now += step_s
        await asyncio.sleep(0.01)


async def test_200_transitions_arrive_in_order_though_the_receiver_refuses_a_third(
    alerting: Alerting, sink: HttpSink
) -> None:
    """R14, with two kills between a send and its mark."""
    chance = random.Random(3)
    sink.answer = lambda _: 503 if chance.random() < 0.3 else 200
    rule = await alerting.rule(channel_ids=[await alerting.channel(sink.url)])
    changes = await fire_many(alerting, rule, 100)
    await alerting.enqueue(*(changed(change, transition="resolved") for change in changes))
    assert len(await alerting.stored()) == 200
    moving = asyncio.create_task(keep_moving(alerting, 0.5))
    for after in (50, 120):
        async with alerting.notifying(KilledAfter(alerting.sender(), sink, after)):
            await until(lambda after=after: len(sink.taken) >= after)
    async with alerting.notifying():
        await until(lambda: none_waits(alerting), 60)
    moving.cancel()
    told = [transition for request in sink.taken for transition in transitions_of(request)]
    assert len(set(told)) == 200
    assert len(told) - 200 <= 2
    first = {transition: place for place, transition in reversed(list(enumerate(told)))}
    assert all(first[alert, "firing"] < first[alert, "resolved"] for alert, _ in told)
    # All attempts of one notification carry its key, so that a receiver can tell them.
    keys = {request.key: set(transitions_of(request)) for request in sink.taken}
    assert len(keys) == 200
    assert Counter(request.key for request in sink.taken).total() == len(sink.taken)
    assert all(set(transitions_of(request)) == keys[request.key] for request in sink.requests)


class KilledAfter:
    """Sends, then dies before anybody hears of it, once `after` messages are taken."""

    def __init__(self, sender: Any, sink: HttpSink, after: int) -> None:
        self._sender, self._sink, self._after = sender, sink, after

    def takes_pictures(self, kind: str) -> bool:
        return False

    async def send(self, kind: Any, url: str, message: Message) -> None:
        await self._sender.send(kind, url, message)
        if len(self._sink.taken) >= self._after:
            await asyncio.Event().wait()


async def test_a_backend_that_dies_between_send_and_mark_leaves_it_to_the_next(
    alerting: Alerting, sink: HttpSink
) -> None:
    rule = await alerting.rule(channel_ids=[await alerting.channel(sink.url)])
    await fire_many(alerting, rule, 1)
    async with alerting.notifying(KilledAfter(alerting.sender(), sink, 1)):
        await until(lambda: len(sink.taken) == 1)
    async with alerting.notifying():
        alerting.clock.now += LEASE_S - 1
        await asyncio.sleep(0.2)
        assert len(sink.taken) == 1
        alerting.clock.now += 1
        await until(lambda: none_waits(alerting))
    assert len(sink.taken) == 2
    assert sink.taken[0].key == sink.taken[1].key


async def test_two_backends_send_each_notification_once(alerting: Alerting, sink: HttpSink) -> None:
    rule = await alerting.rule(channel_ids=[await alerting.channel(sink.url)])
    await fire_many(alerting, rule, 30)
    async with alerting.notifying(), alerting.notifying():
        await until(lambda: none_waits(alerting))
    assert len(sink.taken) == len({request.key for request in sink.taken}) == 30


async def test_a_channel_that_hangs_delays_no_other(alerting: Alerting, sink: HttpSink) -> None:
    async with running(HttpSink()) as dead:
        dead.answer = lambda _: None
        channels = [await alerting.channel(dead.url), await alerting.channel(sink.url)]
        rule = await alerting.rule(channel_ids=channels)
        await fire_many(alerting, rule, 20)
        async with alerting.notifying():
            await until(lambda: len(sink.taken) == 20, 5)
            assert len(dead.requests) <= 1


async def test_an_end_waits_for_its_beginning_and_nothing_else_does(alerting: Alerting, sink: HttpSink) -> None:
    refused: list[str] = []

    def answer(request: Request) -> int:
        if not refused:
            refused.append(request.key)
        return 500 if request.key in refused and alerting.clock() < START + 100 else 200

    sink.answer = answer
    rule = await alerting.rule(channel_ids=[await alerting.channel(sink.url)])
    first, second = await fire_many(alerting, rule, 2)
    await alerting.enqueue(changed(first, transition="resolved"), changed(second, transition="resolved"))
    async with alerting.notifying():
        await until(lambda: len(sink.taken) == 2)
        alerting.clock.now += 100
        await until(lambda: none_waits(alerting))
    told = [transition for request in sink.taken for transition in transitions_of(request)]
    (waited, state), last = told[2], told[3]
    assert (state, last) == ("firing", (waited, "resolved"))
    assert [state for _, state in told[:2]] == ["firing", "resolved"]


async def test_the_wait_doubles_with_jitter_up_to_a_quarter_of_an_hour() -> None:
    backoff = Backoff()
    assert [backoff.wait(attempts, 1.0) for attempts in (1, 2, 3)] == [5, 10, 20]
    assert [backoff.wait(attempts, 0.0) for attempts in (1, 2, 3)] == [2.5, 5, 10]
    assert backoff.wait(9, 1.0) == backoff.wait(100_000, 1.0) == 900


async def test_what_nobody_takes_for_three_days_is_given_up_and_shown(alerting: Alerting, sink: HttpSink) -> None:
    sink.answer = lambda _: 500
    channel = await alerting.channel(sink.url)
    await fire_many(alerting, await alerting.rule(channel_ids=[channel]), 1)
    async with alerting.notifying(poll_s=0.01):
        await until(lambda: len(sink.requests) == 1)
        alerting.clock.now += 3 * 86_400 - 1000
        await until(lambda: len(sink.requests) == 2)
        assert not await none_waits(alerting)
        alerting.clock.now += 1000
        await until(lambda: none_waits(alerting))
    (stored,) = await alerting.stored()
    assert (stored["delivered_at"], stored["attempts"]) == (None, 3)
    assert stored["given_up_at"].timestamp() == alerting.clock()
    assert (await alerting.row("channels", channel))["last_error"] == "the receiver answered 500"


async def test_a_channel_shows_how_its_last_delivery_went(alerting: Alerting, sink: HttpSink) -> None:
    channel = await alerting.channel(sink.url)
    sink.answer = lambda _: 500 if len(sink.requests) == 1 else 200
    await fire_many(alerting, await alerting.rule(channel_ids=[channel]), 1)
    async with alerting.notifying():

        async def failed() -> bool:
            return (await alerting.row("channels", channel))["last_error"] is not None

        await until(failed)
        assert (await alerting.row("channels", channel))["last_delivered_at"] is None
        alerting.clock.now += 5
        await until(lambda: none_waits(alerting))
    row = await alerting.row("channels", channel)
    assert (row["last_error"], row["last_delivered_at"].timestamp()) == (None, alerting.clock())


async def test_what_cannot_be_read_stops_nothing(alerting: Alerting, sink: HttpSink) -> None:
    channel = await alerting.channel(sink.url)
    rule = await alerting.rule(channel_ids=[channel])
    await fire_many(alerting, rule, 1)
    await alerting.database.execute("""UPDATE chatops.notifications SET payload = '{"server_id": "x"}'""")
    await fire_many(alerting, rule, 1)
    async with alerting.notifying():
        await until(lambda: none_waits(alerting))
    assert len(sink.taken) == 1
    assert (await alerting.stored())[0]["given_up_at"] is not None


async def test_disabled_channels_are_sent_nothing(alerting: Alerting, sink: HttpSink) -> None:
    channel = await alerting.channel(sink.url)
    await fire_many(alerting, await alerting.rule(channel_ids=[channel]), 1)
    await alerting.database.execute("UPDATE chatops.channels SET enabled = false")
    async with alerting.notifying():
        await asyncio.sleep(0.2)
    assert sink.requests == []


async def test_a_picture_that_cannot_be_drawn_does_not_keep_the_message(alerting: Alerting, mailbox: SmtpSink) -> None:
    url = f"mailto://127.0.0.1:{mailbox.port}?smtp=127.0.0.1&from=a@b.example&to=c@d.example&mode=insecure"
    await fire_many(alerting, await alerting.rule(channel_ids=[await alerting.channel(url, "apprise")]), 1)

    async def fail(_: Any) -> bytes:
        raise ZeroDivisionError

    async with alerting.notifying(pictures=fail):
        await until(lambda: none_waits(alerting))
    assert len(mailbox.mails) == 1


async def test_a_mail_says_what_is_wrong_and_carries_the_picture(alerting: Alerting, mailbox: SmtpSink) -> None:
    url = f"mailto://127.0.0.1:{mailbox.port}?smtp=127.0.0.1&from=a@b.example&to=c@d.example&mode=insecure"
    values = {"name": "CPU busy", "runbook_url": "https://wiki.example/cpu"}
    rule = await alerting.rule(channel_ids=[await alerting.channel(url, "apprise")], **values)
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(256))

    async def draw(_: Any) -> bytes:
        return picture

    (change,) = await fire_many(alerting, rule, 1)
    async with alerting.notifying(pictures=draw):
        await until(lambda: none_waits(alerting))
    (mail,) = mailbox.mails
    assert mail["subject"] == f"WARNING: {change.server_name}: CPU busy"
    assert "c@d.example" in mail["to"]
    parts = {part.get_content_type(): part.get_payload(decode=True) for part in mail.walk() if not part.is_multipart()}
    text = parts["text/plain"].decode()
    assert f"{change.server_name}: CPU busy, host.cpu_percent 91.5 > 80 (avg of 5 min)" in text
    assert f"/alerts/{change.alert_id}" in text
    assert "https://wiki.example/cpu" in text
    assert parts["image/png"] == picture


async def test_a_webhooks_body_is_that_of_alertmanager(alerting: Alerting, sink: HttpSink) -> None:
    channel = await alerting.channel(sink.url)
    name = (await alerting.row("channels", channel))["name"]
    rule = await alerting.rule(name="disk full", channel_ids=[channel], runbook_url="https://wiki.example/disk")
    server = await alerting.server()
    fired = [await alerting.alert(rule, server, {"mountpoint": mount}) for mount in ("/", "/home")]
    await alerting.enqueue(*fired)
    async with alerting.notifying():
        await until(lambda: none_waits(alerting))
        alerting.clock.now += 60
        await alerting.enqueue(*(changed(f, transition="resolved", at=alerting.clock()) for f in fired))
        await until(lambda: none_waits(alerting))
    first, last = (request.json for request in sink.taken)
    assert set(first) == {
        "version",
        "groupKey",
        "truncatedAlerts",
        "status",
        "receiver",
        "groupLabels",
        "commonLabels",
        "commonAnnotations",
        "externalURL",
        "alerts",
    }
    assert (first["version"], first["truncatedAlerts"], first["status"], first["receiver"]) == ("4", 0, "firing", name)
    labels = {"alertname": "disk full", "server": fired[0].server_name, "severity": "warning"}
    assert first["commonLabels"] == labels
    assert first["groupLabels"] == {"server": fired[0].server_name}
    alert = first["alerts"][0]
    assert alert["labels"] == labels | {"mountpoint": "/"}
    assert (alert["startsAt"], alert["endsAt"]) == ("2027-01-15T08:00:00Z", "0001-01-01T00:00:00Z")
    assert alert["generatorURL"] == f"{first['externalURL']}/alerts/{fired[0].alert_id}"
    assert alert["annotations"]["runbook_url"] == "https://wiki.example/disk"
    assert (last["status"], last["groupKey"]) == ("resolved", first["groupKey"])
    assert [a["endsAt"] for a in last["alerts"]] == ["2027-01-15T08:01:00Z"] * 2
    assert [a["fingerprint"] for a in last["alerts"]] == [a["fingerprint"] for a in first["alerts"]]
    assert len({a["fingerprint"] for a in first["alerts"]}) == 2


async def test_an_outage_of_the_database_after_a_send_makes_no_second_one(
    alerting: Alerting, sink: HttpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chatops_backend.database.interface import DatabaseUnavailableError
    from chatops_backend.database.queries import load_queries

    queries = load_queries("notifications")
    mark, failures = queries.mark_delivered, iter(range(2))

    async def fail_twice(*arguments: Any, **values: Any) -> None:
        if next(failures, None) is not None:
            raise DatabaseUnavailableError("gone")
        await mark(*arguments, **values)

    monkeypatch.setattr(queries, "mark_delivered", fail_twice)
    await fire_many(alerting, await alerting.rule(channel_ids=[await alerting.channel(sink.url)]), 1)
    async with alerting.notifying():
        await until(lambda: none_waits(alerting))
    assert len(sink.taken) == 1


async def test_secrets_are_neither_logged_nor_kept(
    alerting: Alerting, sink: HttpSink, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sink.answer = lambda _: 403
    webhook = await alerting.channel(sink.url)
    service = await alerting.channel(f"json://user:s3cr3t@127.0.0.1:{sink.port}/s3cr3t-path", "apprise")
    await fire_many(alerting, await alerting.rule(channel_ids=[webhook, service]), 1)
    async with alerting.notifying():

        async def both_failed() -> bool:
            return all([(await alerting.row("channels", channel))["last_error"] for channel in (webhook, service)])

        await until(both_failed)
    kept = [str(await alerting.row("channels", channel) | {"url": ""}) for channel in (webhook, service)]
    assert "s3cr3t" not in "\n".join([*kept, caplog.text, str(await alerting.stored())])


async def test_a_failure_nobody_thought_of_is_a_failed_attempt(alerting: Alerting) -> None:
    class Broken:
        takes_pictures = False

        async def send(self, url: str, message: Message) -> None:
            raise KeyError(url)

    from chatops_backend.alerts.transports.sender import Sender

    sender = Sender({"webhook": Broken()}, Addresses("x" * 32))  # type: ignore[dict-item]
    with pytest.raises(DeliveryError, match="KeyError") as failed:
        await sender.send("webhook", "s3cr3t", None)  # type: ignore[arg-type]
    assert "s3cr3t" not in str(failed.value)


async def test_a_receiver_that_never_answers_is_left_in_time(alerting: Alerting, sink: HttpSink) -> None:
    from chatops_backend.alerts.message import trial
    from chatops_backend.alerts.transports.sender import Sender
    from chatops_backend.alerts.transports.targets import Targets
    from chatops_backend.alerts.transports.webhook import Webhook

    sink.answer = lambda _: None
    sender = Sender({"webhook": Webhook(Targets(True))}, Addresses("x" * 32), timeout_s=0.2)
    with pytest.raises(DeliveryError, match=r"no answer within 0\.2 s"):
        await sender.send("webhook", sink.url, trial("ops", "", START, "k"))
