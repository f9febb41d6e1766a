"""One command's state and output as they come, to its end: ``/ws/commands/{id}``.

The backend sends everything from the beginning at each connect, the same pieces in the same order. What was handed on
before a reconnect is told by its offset and left out.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from chatops_client.live import LinkState, LiveSession, live_messages
from chatops_protocol.live_messages import CommandChanged, CommandOutput

CommandMessage = CommandChanged | CommandOutput


async def command_messages(
    session: LiveSession, command_id: int, on_state: Callable[[LinkState], None] | None = None
) -> AsyncGenerator[CommandMessage, None]:
    """Yield until the command has ended and all its output has come. Raises as `live_messages` does."""
    kinds: tuple[type[CommandMessage], ...] = (CommandChanged, CommandOutput)
    messages = live_messages(session, f"/ws/commands/{command_id}", kinds, on_state, ends=True, what="command")
    taken = {"stdout": -1, "stderr": -1}
    async with aclosing(messages) as all_of_them:
        async for message in all_of_them:
            if isinstance(message, CommandOutput):
                if message.offset <= taken[message.stream]:
                    continue
                taken[message.stream] = message.offset
            yield message
