"""The server entry and agent key of the machine that runs ChatOps itself, made by `chatops up` on its first start."""

import os
from pathlib import Path

from chatops_backend.database.interface import Database
from chatops_backend.database.queries import load_queries
from chatops_backend.servers.agent_keys import generate_key, hash_key, hint_of, identify_agent


async def ensure_local_server(database: Database, data_dir: Path, hostname: str) -> str:
    """Return a valid agent key for this host, kept in ``<data_dir>/agent_key``; make server and key when there is none.

    A server of this name that exists already is used: it is this host's from before.
    """
    path = data_dir / "agent_key"
    if path.is_file():
        kept = path.read_text().strip()
        if await identify_agent(database, kept) is not None:
            return kept
    queries = load_queries("servers")
    name = hostname.strip()[:200] or "localhost"
    server_id = await queries.find_server_by_name(database, name=name)
    if server_id is None:
        server_id = await queries.create_server(
            database, name=name, description="The machine that ChatOps itself runs on", tags=[]
        )
    key = generate_key()
    await queries.create_api_key(
        database, server_id=server_id, name="local agent", key_hash=hash_key(key), hint=hint_of(key), expires_at=None
    )
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(key + "\n")
    return key
