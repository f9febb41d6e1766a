"""The backend's side of orders, in one event loop with a real desk: signs, sends, and hears what the agent says."""

import asyncio
import contextlib
import itertools
import secrets
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chatops_agent.containers.control import Containers
from chatops_agent.containers.engine import Engine
from chatops_agent.containers.sampling import Sampler
from chatops_agent.control.desk import Desk
from chatops_agent.counters import Counters
from chatops_agent.settings import Settings
from chatops_agent.worker import Worker
from chatops_protocol.agent_messages import Welcome
from chatops_protocol.control_messages import (
    Act,
    CarryOut,
    ControlFromAgent,
    Order,
    OrderFinished,
    OrderOutput,
    OutcomeStored,
    OutputStored,
    RunCommand,
    encode_order,
    signed_bytes,
)

SERVER_ID = 7
WITHIN_S = 30.0
_ids = itertools.count(1)


def settings_for(directory: Path, **changes: Any) -> Settings:
    defaults = {"command_policy": "shell", "allow_root": True, "command_environment": {"PATH": "/usr/bin:/bin"}}
    return Settings("ws://localhost:1/", "a key", directory, **{**defaults, **changes})


class OrderingBackend:
    """`heard` is everything the agent said; orders are signed by `key`. `storing`: confirm what is heard."""

    def __init__(self, desk: Desk, key: Ed25519PrivateKey, *, storing: bool = True) -> None:
        self.desk, self.key, self.storing = desk, key, storing
        self.heard: list[ControlFromAgent] = []
        self._changed = asyncio.Event()

    async def meet(self, **changes: Any) -> None:
        """Connect: what `Welcome` says can be changed."""
        said = {
            "server_id": SERVER_ID,
            "last_sequence": 0,
            "ignored": {},
            "server_time": time.time() - 1,
            "command_key": self.key.public_key().public_bytes_raw(),
        }
        await self.desk.met(Welcome(**{**said, **changes}))

    def order(self, act: Act | None = None, **changes: Any) -> Order:
        now = time.time()
        made = {
            "id": next(_ids),
            "server_id": SERVER_ID,
            "nonce": secrets.token_hex(16),
            "issued_at": now,
            "expires_at": now + 60,
            "act": act or RunCommand(["true"], 30.0),
        }
        return Order(**{**made, **changes})

    def signed(self, order: Order, **changes: Any) -> CarryOut:
        envelope = encode_order(order)
        made = {
            "id": order.id,
            "nonce": order.nonce,
            "envelope": envelope,
            "signature": self.key.sign(signed_bytes(envelope)),
        }
        return CarryOut(**{**made, **changes})

    async def run(self, act: Act) -> OrderFinished:
        order = self.order(act)
        await self.desk.received(self.signed(order))
        return await self.end_of(order.nonce)

    async def end_of(self, nonce: str, count: int = 1) -> OrderFinished:
        """The `count`-th time its end was said."""
        ends = await self.until(
            lambda: [one for one in self.heard if isinstance(one, OrderFinished) and one.nonce == nonce][count - 1 :]
        )
        end: OrderFinished = ends[0]
        return end

    async def until(self, condition: Callable[[], Any]) -> Any:
        async with asyncio.timeout(WITHIN_S):
            while not (found := condition()):
                self._changed.clear()
                await self._changed.wait()
        return found

    async def listen(self) -> None:
        while True:
            message = await self.desk.next_message()
            self.heard.append(message)
            self._changed.set()
            if self.storing and isinstance(message, OrderOutput):
                await self.desk.received(OutputStored(message.nonce, message.sequence))
            if self.storing and isinstance(message, OrderFinished):
                await self.desk.received(OutcomeStored(message.nonce))


@contextlib.asynccontextmanager
async def agent_and_backend(
    directory: Path, key: Ed25519PrivateKey, *, storing: bool = True, met: bool = True, **settings: Any
) -> AsyncIterator[OrderingBackend]:
    """A desk that works, and the backend it talks to. At the end it is stopped as the agent stops it."""
    worker = Worker()
    configured = settings_for(directory, **settings)
    engine = Engine(configured.docker_socket) if configured.docker_policy != "off" else None
    sampler = Sampler(engine, Counters()) if engine is not None else None
    desk = Desk(configured, worker, Containers(configured.docker_policy, engine, sampler), is_root=False)
    backend = OrderingBackend(desk, key, storing=storing)
    tasks = [asyncio.create_task(desk.run()), asyncio.create_task(backend.listen())]
    try:
        if met:
            await backend.meet()
        yield backend
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await desk.close(3.0)
        worker.close()
        if engine is not None:
            engine.close()
