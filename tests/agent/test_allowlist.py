"""Patterns of the host's list: they decide what an argument may be, and never hold up the agent."""

import asyncio
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chatops_agent.control.allowlist import Text
from chatops_protocol.control_messages import RunCommand
from tests.agent.orders_backend import agent_and_backend

pytestmark = pytest.mark.anyio
# Twice the time for each letter more.
SLOW_PATTERN, SLOW_TEXT = "(a+)+b", "a" * 60
LIST = f"""
[say]
argv = ["echo", "{{word}}"]
[say.arguments]
word = {{ type = "text", pattern = "[a-zé]+" }}
[slow]
argv = ["echo", "{{word}}"]
[slow.arguments]
word = {{ type = "text", pattern = "{SLOW_PATTERN}" }}
"""


@pytest.fixture
def listing(tmp_path: Path) -> Path:
    path = tmp_path / "commands.toml"
    path.write_text(LIST)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    ("pattern", "text", "good"),
    [
        ("[a-z]+", "abc", True),
        ("[a-z]+", "abc\n", False),
        ("[a-z]+", "", False),
        (".*", "", True),
        (".*", "a\nb", False),
        ("(?s).*", "a\0b", False),
        ("é{2}", "éé", True),
        ("[0-9]+", "１", False),
        (".{0,200}", "x" * 201, False),
        (".*", "-rf", False),
    ],
)
def test_a_text_is_taken_when_all_of_it_matches(pattern: str, text: str, good: bool) -> None:
    if good:
        assert Text(pattern).accept(text) == text
    else:
        with pytest.raises(ValueError, match="must"):
            Text(pattern).accept(text)


async def test_a_pattern_that_never_ends_refuses_the_order_and_the_agent_goes_on(tmp_path, listing) -> None:
    key = Ed25519PrivateKey.generate()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.02)

    async with agent_and_backend(tmp_path, key, command_policy="allowlist", commands_file=listing) as backend:
        counting = asyncio.create_task(count())
        refused = await backend.run(RunCommand(["slow", SLOW_TEXT], 30.0))
        counting.cancel()
        assert (refused.state, "takes too long" in refused.detail) == ("failed", True)
        # A second of the processor is what the pattern has; the loop turned all the while.
        assert turns > 10
        assert (await backend.run(RunCommand(["say", "fine"], 30.0))).state == "ok"
        assert (await backend.run(RunCommand(["say", "FINE"], 30.0))).detail.startswith("refused: say: word must match")
