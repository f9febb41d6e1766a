"""The routes of import and export over the session's database, with the clocks at now."""

import asyncio
import socket

import pytest
import uvicorn
from litestar import Router
from litestar.di import Provide

from chatops_backend.transfer import routes
from chatops_backend.transfer.exports import Exports
from chatops_backend.transfer.importer import Importer
from chatops_backend.transfer.rollups import RollUps
from tests.backend.transfer.importing import new_server


def provide(value: object) -> Provide:
    return Provide(lambda: value, sync_to_thread=False)


@pytest.fixture(scope="module")
async def rollups(database) -> RollUps:
    return RollUps(database)


@pytest.fixture(scope="module")
def make_app(build_app, database, settings, rollups):
    """A function that makes an application whose exports are given."""

    def make(exports):
        provided = {"importer": provide(Importer(database, rollups)), "rollups": provide(rollups)}
        provided["exports"] = provide(exports)
        return build_app(
            database, settings, handlers=(Router("/", route_handlers=routes.route_handlers, dependencies=provided),)
        )

    return make


@pytest.fixture(scope="module")
def transfer_app(make_app, database):
    return make_app(Exports(database))


@pytest.fixture
async def serve(anyio_backend):
    """A function that serves an application by uvicorn and returns its address."""
    running = []

    async def start(app) -> str:
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        running.append((server, asyncio.create_task(server.serve(sockets=[listening]))))
        async with asyncio.timeout(30):
            while not server.started:
                await asyncio.sleep(0.01)
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    yield start
    for server, task in running:
        server.should_exit = True
        await task


@pytest.fixture
async def person(transfer_app, new_person):
    return await new_person("operator", into=transfer_app)


@pytest.fixture
async def server_id(database, request) -> int:
    return await new_server(database, f"transfer of {request.node.name}"[:190])
