"""The agents' WebSocket. Who is there follows from the key in the first message."""

from litestar import websocket
from litestar.di import NamedDependency

from chatops_backend.accounts.access import allow_agent
from chatops_backend.accounts.sockets import Socket
from chatops_backend.ingest.gateway import Gateway


@websocket("/agents/ws", opt=allow_agent())
async def agent_socket(socket: Socket, gateway: NamedDependency[Gateway]) -> None:
    await gateway.serve(socket)


route_handlers = [agent_socket]
