"""The server entry and agent key of the machine that runs ChatOps itself, made by `chatops up` on its first start."""

import os
from pathlib import Path

from chatops_backend.audit.actor import SYSTEM
from chatops_backend.database.interface import Database
from chatops_backend.database.queries import load_queries
from chatops_backend.servers import inventory
from chatops_backend.servers.agent_keys import identify_agent
from chatops_protocol.resources import CreateApiKeyRequest, WriteServerRequest


async def ensure_local_server(database: Database, data_dir: Path, hostname: str) -> str:
    """Return a valid agent key for this host, kept in ``<data_dir>/agent_key``; make server and key when there is none.

    A server of this name that exists already is used: it is this host's from before.
    """
    path = data_dir / "agent_key"
    if path.is_file():
        kept = path.read_text().strip()
        if await identify_agent(database, kept) is not None:
            return kept
    name = hostname.strip()[:200] or "localhost"
    server_id = await load_queries("servers").find_server_by_name(database, name=name)
    async with database.transaction() as transaction:
        if server_id is None:
            wanted = WriteServerRequest(name, "The machine that ChatOps itself runs on")
            server_id = await inventory.create_server(transaction, wanted, SYSTEM)
        _, key = await inventory.create_api_key(transaction, CreateApiKeyRequest(server_id, "local agent"), SYSTEM)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(key + "\n")
    return key
