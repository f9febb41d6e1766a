"""The dead man's switch calls while all is well, and is silent otherwise."""

import asyncio
import logging

import pytest

from chatops_backend.alerts.heartbeat import Heartbeat
from chatops_backend.settings import Settings, SettingsError
from tests.backend.alerts.alerting import until
from tests.backend.alerts.sinks import HttpSink

pytestmark = pytest.mark.anyio


async def test_it_calls_while_rules_are_evaluated_and_only_then(sink: HttpSink) -> None:
    healthy, asked = True, 0

    def ask() -> bool:
        nonlocal asked
        asked += 1
        return healthy

    task = asyncio.create_task(Heartbeat(sink.url, ask, every_s=0.01).run())
    await until(lambda: len(sink.requests) >= 3)
    healthy = False
    asked = 0
    await until(lambda: asked >= 2)
    before = len(sink.requests)
    await until(lambda: asked >= 5)
    assert len(sink.requests) == before
    task.cancel()


@pytest.mark.parametrize("answer", [500, (302, {"Location": "/elsewhere"})])
async def test_a_failed_call_is_told_without_its_address(
    answer: object, sink: HttpSink, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sink.answer = lambda _: answer  # type: ignore[assignment,return-value]
    assert not await Heartbeat(sink.url, lambda: True).beat()
    assert not await Heartbeat("http://127.0.0.1:9/s3cr3t", lambda: True).beat()
    assert len(sink.requests) == 1
    assert "did not get through" in caplog.text
    assert "s3cr3t" not in caplog.text


def test_its_address_and_the_switch_of_targets_are_read_from_the_environment() -> None:
    secret = "https://ping.example/s3cr3t"
    settings = Settings.from_environment({"CHATOPS_HEARTBEAT_URL": secret, "CHATOPS_ALLOW_PRIVATE_TARGETS": "1"})
    assert (settings.heartbeat_url, settings.allow_private_targets) == (secret, True)
    assert "s3cr3t" not in repr(settings)
    assert not Settings.from_environment({}).allow_private_targets
    assert not Settings.from_environment({"CHATOPS_ALLOW_PRIVATE_TARGETS": "0"}).allow_private_targets
    with pytest.raises(SettingsError, match="CHATOPS_ALLOW_PRIVATE_TARGETS"):
        Settings.from_environment({"CHATOPS_ALLOW_PRIVATE_TARGETS": "perhaps"})
    with pytest.raises(SettingsError, match="CHATOPS_HEARTBEAT_URL") as refused:
        Settings.from_environment({"CHATOPS_HEARTBEAT_URL": "ping.example/s3cr3t"})
    assert "s3cr3t" not in str(refused.value)
