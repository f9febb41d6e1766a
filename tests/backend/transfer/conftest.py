"""The routes of import and export over a database of their own, with the clocks at now."""

import pytest
from litestar import Router
from litestar.di import Provide

from chatops_backend.transfer import routes
from chatops_backend.transfer.importer import Importer
from chatops_backend.transfer.rollups import RollUps
from tests.backend.transfer.importing import new_server


@pytest.fixture(scope="module")
async def rollups(database) -> RollUps:
    return RollUps(database)


@pytest.fixture(scope="module")
async def transfer_app(build_app, database, settings, rollups):
    importer = Importer(database, rollups)
    handlers = Router(
        "/",
        route_handlers=routes.route_handlers,
        dependencies={
            "importer": Provide(lambda: importer, sync_to_thread=False),
            "rollups": Provide(lambda: rollups, sync_to_thread=False),
        },
    )
    return build_app(database, settings, handlers=(handlers,))


@pytest.fixture
async def person(transfer_app, new_person):
    return await new_person("operator", into=transfer_app)


@pytest.fixture
async def server_id(database, request) -> int:
    return await new_server(database, f"transfer of {request.node.name}"[:190])
