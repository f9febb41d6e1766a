"""What a host of the demo fleet is made of; `roles` says which there are. Sizes in bytes."""

from msgspec import Struct

MIB, GIB = 2**20, 2**30
KB, MB = 1e3, 1e6

NAME_PREFIX = "demo-"
TAG = "demo"
Span = tuple[float, float]
_NONE: Span = (0.0, 0.0)


class Container(Struct, frozen=True):
    name: str
    image: str
    limit_bytes: int


class Program(Struct, frozen=True, kw_only=True):
    """One group of processes. Spans are what it takes when nothing, and when everything, is asked of the host:
    cores, resident bytes, and bytes per second. What it writes stays in the file system `keeps`, if one is named."""

    process: str
    user: str
    cores: Span
    memory: Span
    reads: Span = _NONE
    writes: Span = _NONE
    receives: Span = _NONE
    sends: Span = _NONE
    processes: int = 1
    threads: int = 4
    container: Container | None = None
    keeps: str | None = None

    @property
    def name(self) -> str:
        return self.container.name if self.container is not None else self.process


class Mount(Struct, frozen=True, kw_only=True):
    """`full`: the share in use at the end. `daily`: what each day adds of it. `emptied_s`: how often `swing` of it is
    filled and removed again."""

    mountpoint: str
    device: str
    filesystem_type: str = "ext4"
    total_bytes: int
    full: float
    daily: float = 0.0003
    swing: float = 0.004
    emptied_s: int = 86_400


class Role(Struct, frozen=True, kw_only=True):
    """`sensors`: a machine of its own, with a temperature; the others are virtual."""

    name: str
    rhythm: str
    cores: int
    memory_bytes: int
    mounts: tuple[Mount, ...]
    programs: tuple[Program, ...]
    disk: str = "vda"
    sensors: bool = False


class Host(Struct, frozen=True):
    name: str
    role: Role
    stage: str = "prod"

    @property
    def tags(self) -> list[str]:
        return [TAG, self.role.name, self.stage]
