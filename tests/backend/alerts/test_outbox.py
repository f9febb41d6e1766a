"""Who is told of what: grouping, silences, ends, nobody twice; and the reminders of what did not change."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.backend.alerts.alerting import START, Alerting, changed

pytestmark = pytest.mark.anyio


def hours(start: float, end: float) -> dict[str, datetime]:
    day = datetime.fromtimestamp(START, UTC)
    return {"starts_at": day + timedelta(hours=start), "ends_at": day + timedelta(hours=end)}


async def test_what_happens_on_one_server_in_one_evaluation_is_one_message_per_channel(alerting: Alerting) -> None:
    channels = [await alerting.channel(), await alerting.channel()]
    rule = await alerting.rule(channel_ids=channels)
    one, other = await alerting.server(), await alerting.server()
    alerts = [await alerting.alert(rule, one, {"core": n}) for n in range(20)]
    elsewhere = await alerting.alert(rule, other)
    await alerting.enqueue(*alerts[:15], elsewhere)
    await alerting.enqueue(*alerts[15:])  # another metric of the same evaluation
    stored = await alerting.stored()
    told = {(n["channel_id"], n["server_id"]): len(n["payload"]["changes"]) for n in stored}
    assert told == {(c, s): n for c in channels for s, n in ((one, 20), (other, 1))}
    assert all(sorted(n["alert_ids"]) == [a.alert_id for a in alerts] for n in stored if n["server_id"] == one)


async def test_a_message_that_is_being_sent_is_not_changed_any_more(alerting: Alerting) -> None:
    rule = await alerting.rule(channel_ids=[await alerting.channel()])
    server = await alerting.server()
    await alerting.enqueue(await alerting.alert(rule, server, {"core": 1}))
    await alerting.database.execute("UPDATE chatops.notifications SET attempts = 1")
    await alerting.enqueue(await alerting.alert(rule, server, {"core": 2}))
    assert [len(n["payload"]["changes"]) for n in await alerting.stored()] == [1, 1]


async def test_evaluations_far_apart_are_messages_apart(alerting: Alerting) -> None:
    rule = await alerting.rule(channel_ids=[await alerting.channel()])
    server = await alerting.server()
    await alerting.enqueue(await alerting.alert(rule, server, {"core": 1}))
    alerting.clock.now += 10
    await alerting.enqueue(await alerting.alert(rule, server, {"core": 2}))
    assert len(await alerting.stored()) == 2


async def test_no_change_is_told_twice(alerting: Alerting) -> None:
    rule = await alerting.rule(channel_ids=[await alerting.channel()])
    fired = await alerting.alert(rule, await alerting.server())
    raised = changed(fired, transition="raised", level="critical")
    over = changed(raised, transition="resolved")
    for change in (fired, raised, over):
        await alerting.enqueue(change)
        await alerting.enqueue(change)
    transitions = [c["transition"] for n in await alerting.stored() for c in n["payload"]["changes"]]
    assert transitions == ["fired", "raised", "resolved"]
    assert len({n["key"] for n in await alerting.stored()}) == 3


async def test_the_key_is_the_same_for_the_same_changes(alerting: Alerting) -> None:
    rule = await alerting.rule(channel_ids=[await alerting.channel()])
    fired = await alerting.alert(rule, await alerting.server())
    await alerting.enqueue(fired)
    first = (await alerting.stored())[0]["key"]
    # As if another backend had never heard of it: the key keeps it from a second message.
    await alerting.database.execute("UPDATE chatops.alerts SET first_notified_at = NULL, told_channel_ids = '{}'")
    await alerting.database.execute("UPDATE chatops.notifications SET attempts = 1")
    await alerting.enqueue(changed(fired, at=fired.at + 7, value=99.0))
    assert [n["key"] for n in await alerting.stored()] == [first]


async def test_nothing_is_stored_when_the_transition_is_not(alerting: Alerting) -> None:
    rule = await alerting.rule(channel_ids=[await alerting.channel()])
    fired = await alerting.alert(rule, await alerting.server())

    async def fail_after_enqueueing() -> None:
        from chatops_backend.alerts.outbox import enqueue

        async with alerting.database.transaction() as transaction:
            await enqueue(transaction, [fired], clock=alerting.clock)
            raise LookupError

    with pytest.raises(LookupError):
        await fail_after_enqueueing()
    assert await alerting.stored() == []
    assert (await alerting.row("alerts", fired.alert_id))["first_notified_at"] is None


async def test_a_silenced_alert_tells_nobody_and_is_marked(alerting: Alerting) -> None:
    rule = await alerting.rule(channel_ids=[await alerting.channel()])
    await alerting.silence(tag="db", **hours(-1, 1))
    quiet = await alerting.alert(rule, await alerting.server(["db"]))
    loud = await alerting.alert(rule, await alerting.server(["web"]))
    await alerting.enqueue(quiet, loud)
    assert [n["alert_ids"] for n in await alerting.stored()] == [[loud.alert_id]]
    assert (await alerting.row("alerts", quiet.alert_id))["silenced"]
    assert not (await alerting.row("alerts", loud.alert_id))["silenced"]


async def test_what_is_held_back_or_late_tells_nobody(alerting: Alerting) -> None:
    rule = await alerting.rule(channel_ids=[await alerting.channel()])
    fired = await alerting.alert(rule, await alerting.server())
    await alerting.enqueue(changed(fired, notify=False))
    assert await alerting.stored() == []
    assert not (await alerting.row("alerts", fired.alert_id))["silenced"]


async def test_disabled_and_deleted_channels_are_left_out(alerting: Alerting) -> None:
    good, disabled = await alerting.channel(), await alerting.channel(enabled=False)
    rule = await alerting.rule(channel_ids=[good, disabled, 2_000_000_000, good])
    await alerting.enqueue(await alerting.alert(rule, await alerting.server()))
    assert [n["channel_id"] for n in await alerting.stored()] == [good]


async def test_the_end_is_told_to_those_who_heard_of_the_beginning(alerting: Alerting) -> None:
    first, second = await alerting.channel(), await alerting.channel()
    rule = await alerting.rule(channel_ids=[first])
    fired = await alerting.alert(rule, await alerting.server())
    await alerting.enqueue(fired)
    edited = changed(fired.threshold, channel_ids=[second])
    await alerting.enqueue(changed(fired, transition="resolved", threshold=edited))
    assert [n["channel_id"] for n in await alerting.stored()] == [first, first]


async def test_the_end_of_what_was_told_before_is_told_during_a_silence_too(alerting: Alerting) -> None:
    channel = await alerting.channel()
    rule = await alerting.rule(channel_ids=[channel])
    server = await alerting.server()
    loud = await alerting.alert(rule, server, labels={"n": 1})
    await alerting.enqueue(loud)
    await alerting.silence(server_id=server, **hours(-1, 1))
    quiet = await alerting.alert(rule, server, labels={"n": 2})
    await alerting.enqueue(quiet)
    await alerting.enqueue(changed(loud, transition="resolved"), changed(quiet, transition="resolved"))
    told = [(n["channel_id"], n["alert_ids"]) for n in await alerting.stored()]
    assert told == [(channel, [loud.alert_id])] * 2


async def test_the_end_of_what_nobody_heard_of_is_not_told(alerting: Alerting) -> None:
    rule = await alerting.rule(channel_ids=[await alerting.channel()])
    fired = await alerting.alert(rule, await alerting.server())
    await alerting.enqueue(changed(fired, transition="resolved"))
    assert await alerting.stored() == []


async def due(alerting: Alerting, after_s: float) -> list[str]:
    """The transitions that reminders add `after_s` later."""
    before = len(await alerting.stored())
    alerting.clock.now += after_s
    await alerting.reminders().check()
    return [c["transition"] for n in (await alerting.stored())[before:] for c in n["payload"]["changes"]]


async def test_a_firing_alert_is_repeated_until_it_is_acknowledged(alerting: Alerting) -> None:
    rule = await alerting.rule(channel_ids=[await alerting.channel()], repeat_s=600)
    fired = await alerting.alert(rule, await alerting.server())
    await alerting.enqueue(fired)
    assert await due(alerting, 599) == []
    assert await due(alerting, 1) == ["repeat"]
    assert await due(alerting, 0) == []
    assert await due(alerting, 600) == ["repeat"]
    await alerting.database.execute("UPDATE chatops.alerts SET state = 'acknowledged'")
    assert await due(alerting, 6000) == []


async def test_what_nobody_acknowledges_in_time_is_escalated_once_and_its_end_told_there(alerting: Alerting) -> None:
    first, chief = await alerting.channel(), await alerting.channel()
    rule = await alerting.rule(channel_ids=[first], escalate_after_s=300, escalate_channel_ids=[chief])
    fired = await alerting.alert(rule, await alerting.server())
    await alerting.enqueue(fired)
    assert await due(alerting, 299) == []
    assert await due(alerting, 1) == ["escalated"]
    assert await due(alerting, 5000) == []
    await alerting.enqueue(changed(fired, transition="resolved"))
    assert [n["channel_id"] for n in await alerting.stored()] == [first, chief, first, chief]


async def test_an_acknowledged_alert_is_not_escalated(alerting: Alerting) -> None:
    chief = await alerting.channel()
    rule = await alerting.rule(channel_ids=[], escalate_after_s=300, escalate_channel_ids=[chief])
    await alerting.enqueue(await alerting.alert(rule, await alerting.server()))
    await alerting.database.execute("UPDATE chatops.alerts SET state = 'acknowledged'")
    assert await due(alerting, 5000) == []


async def test_what_still_fires_when_its_silence_is_over_is_told_then(alerting: Alerting) -> None:
    rule = await alerting.rule(channel_ids=[await alerting.channel()], repeat_s=600)
    server = await alerting.server()
    silence = await alerting.silence(server_id=server, **hours(-1, 1))
    fired = await alerting.alert(rule, server)
    await alerting.enqueue(fired)
    assert await due(alerting, 3000) == []
    assert (await alerting.row("alerts", fired.alert_id))["silenced"]
    await alerting.database.execute("DELETE FROM chatops.silences WHERE id = $1", silence)
    assert await due(alerting, 5) == ["fired"]
    assert not (await alerting.row("alerts", fired.alert_id))["silenced"]
    assert await due(alerting, 5) == []


async def test_a_silence_after_the_beginning_stops_repetitions_and_tells_a_rise_afterwards(alerting: Alerting) -> None:
    rule = await alerting.rule(channel_ids=[await alerting.channel()], repeat_s=600)
    server = await alerting.server()
    fired = await alerting.alert(rule, server)
    await alerting.enqueue(fired)
    await alerting.silence(server_id=server, **hours(0, 1))
    assert await due(alerting, 1000) == []
    await alerting.database.execute("UPDATE chatops.alerts SET level = 'critical'")
    await alerting.enqueue(changed(fired, transition="raised", level="critical"))
    assert await due(alerting, 2599) == []
    assert await due(alerting, 1) == ["raised"]


async def test_what_an_outage_held_back_is_told_a_minute_after_its_end_if_it_still_fires(alerting: Alerting) -> None:
    channel = await alerting.channel()
    server = await alerting.server()
    down = await alerting.alert(await alerting.rule(channel_ids=[channel], kind="offline", metric=None), server)
    disk = await alerting.alert(await alerting.rule(channel_ids=[channel]), server, held_back_by=down.alert_id)
    await alerting.enqueue(down, changed(disk, notify=False))
    assert await due(alerting, 1000) == []
    await alerting.database.execute(
        "UPDATE chatops.alerts SET state = 'resolved', resolved_at = to_timestamp($2::float8) WHERE id = $1",
        down.alert_id,
        alerting.clock(),
    )
    assert await due(alerting, 59) == []
    assert await due(alerting, 1) == ["fired"]
    assert (await alerting.row("alerts", disk.alert_id))["held_back_by"] is None
    assert await due(alerting, 60) == []


async def test_two_backends_remind_of_an_alert_once(alerting: Alerting) -> None:
    rule = await alerting.rule(channel_ids=[await alerting.channel()], repeat_s=600)
    await alerting.enqueue(await alerting.alert(rule, await alerting.server()))
    alerting.clock.now += 600
    await asyncio.gather(*(alerting.reminders().check() for _ in range(4)))
    assert len(await alerting.stored()) == 2
