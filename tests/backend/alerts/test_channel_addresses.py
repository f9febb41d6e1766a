"""Addresses of channels as they lie in the database, and what happens when the secret that encrypts them changes."""

from dataclasses import replace

import pytest

from chatops_backend.alerts import channels
from chatops_backend.alerts.channel_addresses import Addresses, AddressLostError, seal_plain_addresses
from chatops_backend.alerts.transports.sender import Sender, create_sender
from chatops_backend.audit.actor import SYSTEM
from chatops_protocol.alert_resources import Channel, UpdateChannelRequest
from tests.backend.alerts.alerting import Alerting, until
from tests.backend.alerts.sinks import HttpSink

pytestmark = pytest.mark.anyio

SECRET, OTHER = "a secret of thirty-two bytes, 1234", "another one of thirty-two bytes, 5"
URL = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"


def test_an_address_comes_back_and_nothing_of_it_can_be_read() -> None:
    addresses = Addresses(SECRET)
    sealed = [addresses.seal(URL) for _ in range(2)]
    assert sealed[0] != sealed[1]
    assert not any(part in one for one in sealed for part in URL.split("/") if part)
    assert {Addresses(SECRET).open(one) for one in sealed} == {URL}


def test_a_plain_address_of_before_is_used_as_it_is() -> None:
    assert Addresses(SECRET).open(URL) == URL


@pytest.mark.parametrize("damage", [lambda s: s[:-4], lambda s: s[:-5] + "AAAA" + s[-1], lambda s: s + "!", len])
def test_what_another_secret_sealed_or_somebody_changed_is_lost(damage) -> None:
    sealed = Addresses(SECRET).seal(URL)
    with pytest.raises(AddressLostError, match="enter the address again"):
        Addresses(OTHER).open(sealed)
    with pytest.raises(AddressLostError):
        Addresses(SECRET).open(damage(sealed) if damage is not len else "sealed:1:")


def sender_of(alerting: Alerting, secret: str) -> Sender:
    return create_sender(replace(alerting.settings, secret_key=secret, allow_private_targets=True))


async def stored(alerting: Alerting) -> list[str]:
    return [row["url"] for row in await alerting.database.fetch("SELECT url FROM chatops.channels ORDER BY id")]


async def test_what_is_entered_is_stored_encrypted_and_sent_to(alerting: Alerting, sink: HttpSink) -> None:
    sender = sender_of(alerting, SECRET)
    made = await channels.create_channel(
        alerting.database, sender, Channel("ops", "webhook", "https://192.0.2.1/s3cr3t"), SYSTEM
    )
    assert "192.0.2.1" in made.shown_url
    await channels.update_channel(alerting.database, sender, made.id, UpdateChannelRequest(url=sink.url), SYSTEM)
    assert (await channels.try_channel(alerting.database, sender, made.id, "", SYSTEM)).delivered
    assert len(sink.taken) == 1
    (url,) = await stored(alerting)
    assert url.startswith("sealed:1:")
    assert "s3cr3t" not in url


async def test_plain_addresses_are_encrypted_at_the_start_and_others_left(alerting: Alerting, sink: HttpSink) -> None:
    sender = sender_of(alerting, SECRET)
    plain = await alerting.channel(sink.url)
    await channels.create_channel(alerting.database, sender, Channel("ops", "webhook", sink.url), SYSTEM)
    before = await stored(alerting)
    await seal_plain_addresses(alerting.database, Addresses(SECRET))
    after = await stored(alerting)
    assert (before[0], after[0].startswith("sealed:1:"), after[1]) == (sink.url, True, before[1])
    await seal_plain_addresses(alerting.database, Addresses(SECRET))
    assert await stored(alerting) == after
    assert (await channels.try_channel(alerting.database, sender, plain, "", SYSTEM)).delivered


async def test_after_another_secret_a_channel_asks_for_its_address_and_the_others_go_on(
    alerting: Alerting, sink: HttpSink
) -> None:
    old, new = sender_of(alerting, SECRET), sender_of(alerting, OTHER)
    lost = await channels.create_channel(alerting.database, old, Channel("lost", "webhook", sink.url), SYSTEM)
    kept = await channels.create_channel(alerting.database, new, Channel("kept", "webhook", sink.url), SYSTEM)
    rule = await alerting.rule(channel_ids=[lost.id, kept.id])
    await alerting.enqueue(await alerting.alert(rule, await alerting.server()))
    async with alerting.notifying(new):
        await until(lambda: [request.json["receiver"] for request in sink.taken] == ["kept"])
        await until(lambda: _tried(alerting, lost.id))
        await until(lambda: _delivered(alerting, kept.id))
        found = await channels.list_channels(alerting.database, new, 0, 10)
        assert [(one.name, one.waiting, one.last_error is None) for one in found] == [
            ("lost", 1, False),
            ("kept", 0, True),
        ]
        assert (found[0].shown_url, "enter the address again" in str(found[0].last_error)) == ("…", True)
        tried = await channels.try_channel(alerting.database, new, lost.id, "", SYSTEM)
        assert (tried.delivered, "enter the address again" in tried.detail) == (False, True)
        mended = await channels.update_channel(
            alerting.database, new, lost.id, UpdateChannelRequest(url=sink.url), SYSTEM
        )
        assert mended.last_error is None
        alerting.clock.now += 3600
        await until(lambda: [request.json["receiver"] for request in sink.taken] == ["kept", "lost"])


async def _delivered(alerting: Alerting, channel_id: int) -> bool:
    return (await alerting.row("channels", channel_id))["last_delivered_at"] is not None


async def _tried(alerting: Alerting, channel_id: int) -> bool:
    return (await alerting.row("channels", channel_id))["last_error"] is not None
