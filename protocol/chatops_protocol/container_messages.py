"""What is done to, and asked about, the containers of a host. `control_messages` carries these to the agent and back.

Names and ids are checked where a request comes in, and again by the agent, which acts on a container only if it is the
one that was named in full.
"""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

ContainerVerb = Literal["start", "stop", "restart", "pause", "unpause", "kill"]
DockerPolicy = Literal["off", "read", "control"]

# An engine's names, and ids as it prints them; nothing that could mean another place in an address.
CONTAINER_PATTERN = r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$(?!\n)"
MAX_CONTAINER_LENGTH = 128
ContainerRef = Annotated[str, Meta(min_length=1, max_length=MAX_CONTAINER_LENGTH, pattern=CONTAINER_PATTERN)]
# How long a container has to end by itself before it is killed.
GraceSeconds = Annotated[float, Meta(ge=0, le=300)]

DEFAULT_TAIL = 200
MAX_TAIL = 5_000
Tail = Annotated[int, Meta(ge=0, le=MAX_TAIL)]
# What is sent of a log at once; older lines of a longer one are left out and counted.
MAX_LOG_BYTES = 512 * 1024
MAX_LOG_LINE_LENGTH = 16_384
HIDDEN = "***"


class ControlContainer(Struct, frozen=True, tag="control_container"):
    """`timeout_s` counts for ``stop`` and ``restart``; ``kill`` is SIGKILL."""

    container: ContainerRef
    verb: ContainerVerb
    timeout_s: GraceSeconds = 10.0


class ListContainers(Struct, frozen=True, tag="list_containers"):
    """All containers of the host, those that do not run included."""


class PublishedPort(Struct, frozen=True):
    """`host_port` is None for a port that only other containers reach."""

    container_port: int
    protocol: str
    host_port: int | None = None
    host_address: str = ""


class ContainerEntry(Struct, frozen=True, kw_only=True):
    """One container. `status` is the engine's own sentence; `health` is None without a health check. The readings are
    the newest of the agent's own (None: not known, or it does not run), CPU as a share of one core."""

    id: str
    name: str
    image: str
    state: str
    status: str
    health: str | None = None
    exit_code: int | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    restart_count: int | None = None
    ports: list[PublishedPort] = []
    compose_project: str | None = None
    cpu_percent: float | None = None
    memory_used_bytes: float | None = None
    memory_limit_bytes: float | None = None
    memory_used_percent: float | None = None
    network_receive_bytes_per_second: float | None = None
    network_transmit_bytes_per_second: float | None = None
    disk_read_bytes_per_second: float | None = None
    disk_write_bytes_per_second: float | None = None
    process_count: float | None = None


class ContainersListed(Struct, frozen=True, tag="containers_listed"):
    """`policy` is what the host allows, so that nobody is offered what would be refused. `total` counts those that did
    not fit too; running ones come first."""

    taken_at: datetime
    policy: DockerPolicy
    total: int
    containers: list[ContainerEntry]


class InspectContainer(Struct, frozen=True, tag="inspect_container"):
    container: ContainerRef


class ContainerMount(Struct, frozen=True):
    type: str
    source: str
    destination: str
    read_only: bool


class ContainerNetwork(Struct, frozen=True):
    name: str
    address: str
    aliases: list[str]


class ContainerInspected(Struct, frozen=True, tag="container_inspected", kw_only=True):
    """What the engine knows of one container, without its secrets: of the environment only the names, and what looks
    like a secret in `command` and `health_check` is masked. Labels are as they are."""

    id: str
    name: str
    image: str
    image_id: str
    state: str
    health: str | None
    health_check: str
    exit_code: int | None
    out_of_memory: bool
    error: str
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    restart_count: int | None
    restart_policy: str
    command: str
    user: str
    working_directory: str
    hostname: str
    environment: dict[str, str]
    labels: dict[str, str]
    ports: list[PublishedPort]
    mounts: list[ContainerMount]
    networks: list[ContainerNetwork]
    network_mode: str
    privileged: bool
    added_capabilities: list[str]
    memory_limit_bytes: int | None
    cpu_limit: float | None
    log_driver: str


class ReadContainerLogs(Struct, frozen=True, tag="read_container_logs"):
    """The last `tail` lines; with `follow` then what is written, until the container ends or nobody listens."""

    container: ContainerRef
    tail: Tail = DEFAULT_TAIL
    follow: bool = False


class ContainerLogLine(Struct, frozen=True):
    """`time` is the engine's, None where it gives none. `stream` is None for a container with a terminal."""

    time: datetime | None
    stream: Literal["stdout", "stderr"] | None
    text: str


class ContainerLogs(Struct, frozen=True, tag="container_logs"):
    """Lines in order; `skipped` lines just before them are left out, because more came than is sent."""

    lines: list[ContainerLogLine]
    skipped: int = 0


ContainerQuestion = ListContainers | InspectContainer | ReadContainerLogs
ContainerAnswer = ContainersListed | ContainerInspected | ContainerLogs
