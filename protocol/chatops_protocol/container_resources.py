"""Resources of ``/docker/{server_id}/containers``. JSON on the wire."""

from datetime import datetime

from msgspec import Struct

from chatops_protocol.container_messages import ContainerEntry, ContainerLogLine, DockerPolicy


class ContainerList(Struct, frozen=True, kw_only=True):
    """The containers of one server as they were at `taken_at`. `policy` is what its host allows: ``read`` or
    ``control``. `total` counts those left out too."""

    server_id: int
    taken_at: datetime
    policy: DockerPolicy
    total: int
    containers: list[ContainerEntry]


class ContainerLog(Struct, frozen=True, kw_only=True):
    """The last lines of a container's log, oldest first; `skipped` of those asked for, before them, did not fit."""

    server_id: int
    container_id: str
    lines: list[ContainerLogLine]
    skipped: int
