"""The demo's roles with what runs on them, and its twenty hosts. Data alone."""

from chatops_cli.demo.fleet import GIB, KB, MB, MIB, Container, Host, Mount, Program, Role
from chatops_cli.demo.noise import RHYTHMS


def _root(total: int = 40 * GIB, full: float = 0.34) -> Mount:
    return Mount(mountpoint="/", device="/dev/vda1", total_bytes=total, full=full)


def _system(spool: float = 1.0) -> tuple[Program, ...]:
    return (
        Program(
            process="systemd-journal",
            user="root",
            cores=(0.004, 0.02 * spool),
            memory=(60 * MIB, 90 * MIB),
            writes=(4 * KB, 30 * KB * spool),
        ),
        Program(process="chatops", user="chatops", cores=(0.004, 0.006), memory=(46 * MIB, 48 * MIB), threads=6),
    )


_WEB = Role(
    name="web",
    rhythm="shop",
    cores=2,
    memory_bytes=8 * GIB,
    mounts=(
        _root(),
        Mount(mountpoint="/var", device="/dev/vda2", total_bytes=200 * GIB, full=0.25, daily=0.0008),
    ),
    programs=(
        Program(
            process="nginx",
            user="www-data",
            cores=(0.02, 0.28),
            memory=(80 * MIB, 160 * MIB),
            receives=(30 * KB, 3.2 * MB),
            sends=(60 * KB, 9 * MB),
            processes=5,
            threads=5,
        ),
        Program(
            process="node",
            user="app",
            cores=(0.03, 0.42),
            memory=(500 * MIB, 900 * MIB),
            receives=(10 * KB, 900 * KB),
            sends=(20 * KB, 1.6 * MB),
            processes=2,
            threads=22,
            container=Container("shop-frontend", "demo/shop-frontend:5.2", 2 * GIB),
        ),
        Program(
            process="java",
            user="app",
            cores=(0.04, 0.5),
            memory=(1300 * MIB, 1700 * MIB),
            reads=(2 * KB, 120 * KB),
            receives=(8 * KB, 700 * KB),
            sends=(8 * KB, 800 * KB),
            threads=68,
            container=Container("checkout-api", "demo/checkout-api:2.14", 7 * GIB),
        ),
        Program(
            process="vector",
            user="app",
            cores=(0.005, 0.04),
            memory=(70 * MIB, 110 * MIB),
            writes=(1 * KB, 9 * KB),
            container=Container("access-log", "demo/access-log:1.8", 512 * MIB),
            keeps="/var",
        ),
        *_system(),
    ),
)
_DB = Role(
    name="db",
    rhythm="shop",
    cores=4,
    memory_bytes=32 * GIB,
    disk="nvme0n1",
    sensors=True,
    mounts=(
        _root(full=0.28),
        Mount(
            mountpoint="/var/lib/postgresql",
            device="/dev/nvme0n1p1",
            filesystem_type="xfs",
            total_bytes=500 * GIB,
            full=0.46,
            daily=0.001,
            swing=0.01,
        ),
    ),
    programs=(
        Program(
            process="postgres",
            user="postgres",
            cores=(0.1, 1.5),
            memory=(9 * GIB, 12 * GIB),
            reads=(60 * KB, 14 * MB),
            writes=(120 * KB, 11 * MB),
            receives=(20 * KB, 2.4 * MB),
            sends=(40 * KB, 6 * MB),
            processes=60,
            threads=60,
            container=Container("orders-db", "demo/postgres:17", 24 * GIB),
        ),
        Program(
            process="audit-trail",
            user="app",
            cores=(0.01, 0.05),
            memory=(120 * MIB, 160 * MIB),
            writes=(1 * KB, 12 * KB),
            container=Container("audit-trail", "demo/audit-trail:0.9", GIB),
            keeps="/var/lib/postgresql",
        ),
        Program(process="pgbouncer", user="postgres", cores=(0.01, 0.12), memory=(20 * MIB, 30 * MIB), threads=1),
        *_system(),
    ),
)
_BATCH = Role(
    name="batch",
    rhythm="night",
    cores=4,
    memory_bytes=16 * GIB,
    mounts=(_root(120 * GIB, 0.46),),
    programs=(
        Program(
            process="python3",
            user="etl",
            cores=(0.02, 1.6),
            memory=(300 * MIB, 5 * GIB),
            reads=(1 * KB, 30 * MB),
            writes=(1 * KB, 12 * MB),
            receives=(1 * KB, 8 * MB),
            processes=4,
            threads=9,
            container=Container("etl-worker", "demo/etl-worker:3.3", 8 * GIB),
        ),
        Program(
            process="R",
            user="report",
            cores=(0.005, 0.5),
            memory=(150 * MIB, 1400 * MIB),
            reads=(0.0, 2 * MB),
            container=Container("nightly-report", "demo/nightly-report:1.1", 6 * GIB),
        ),
        *_system(),
    ),
)
_CI = Role(
    name="ci",
    rhythm="office",
    cores=4,
    memory_bytes=16 * GIB,
    mounts=(_root(250 * GIB, 0.55),),
    programs=(
        Program(
            process="cc1plus",
            user="runner",
            cores=(0.0, 2.4),
            memory=(10 * MIB, 3 * GIB),
            reads=(0.0, 5 * MB),
            writes=(0.0, 16 * MB),
            processes=6,
            threads=6,
        ),
        Program(
            process="gitea",
            user="git",
            cores=(0.02, 0.2),
            memory=(300 * MIB, 500 * MIB),
            receives=(4 * KB, 600 * KB),
            sends=(6 * KB, 2 * MB),
            threads=24,
        ),
        *_system(),
    ),
)
_CACHE = Role(
    name="cache",
    rhythm="shop",
    cores=2,
    memory_bytes=16 * GIB,
    mounts=(_root(),),
    programs=(
        Program(
            process="redis-server",
            user="redis",
            cores=(0.03, 0.55),
            memory=(9 * GIB, 10 * GIB),
            writes=(0.0, 1.5 * MB),
            receives=(40 * KB, 7 * MB),
            sends=(60 * KB, 14 * MB),
            threads=5,
            container=Container("session-cache", "demo/redis:8", 12 * GIB),
        ),
        *_system(0.3),
    ),
)
_BACKUP = Role(
    name="backup",
    rhythm="night",
    cores=2,
    memory_bytes=8 * GIB,
    disk="sda",
    sensors=True,
    mounts=(
        _root(full=0.22),
        # Looks as if it filled up, for six days of seven: then old backups go.
        Mount(
            mountpoint="/srv/backup",
            device="/dev/sda1",
            filesystem_type="xfs",
            total_bytes=4096 * GIB,
            full=0.61,
            daily=0.0,
            swing=0.12,
            emptied_s=7 * 86_400,
        ),
    ),
    programs=(
        Program(
            process="restic",
            user="backup",
            cores=(0.0, 0.9),
            memory=(20 * MIB, 700 * MIB),
            writes=(0.0, 45 * MB),
            receives=(1 * KB, 45 * MB),
            threads=14,
        ),
        Program(process="sshd", user="root", cores=(0.001, 0.2), memory=(12 * MIB, 30 * MIB), processes=3, threads=3),
        *_system(0.3),
    ),
)
_MAIL = Role(
    name="mail",
    rhythm="office",
    cores=2,
    memory_bytes=4 * GIB,
    mounts=(_root(80 * GIB, 0.57),),
    programs=(
        Program(
            process="master",
            user="postfix",
            cores=(0.005, 0.08),
            memory=(30 * MIB, 50 * MIB),
            writes=(2 * KB, 400 * KB),
            receives=(2 * KB, 300 * KB),
            sends=(2 * KB, 260 * KB),
            processes=7,
            threads=7,
        ),
        Program(
            process="dovecot",
            user="dovecot",
            cores=(0.005, 0.15),
            memory=(120 * MIB, 300 * MIB),
            reads=(1 * KB, 900 * KB),
            sends=(3 * KB, 800 * KB),
            processes=14,
            threads=14,
        ),
        Program(process="rspamd", user="_rspamd", cores=(0.01, 0.3), memory=(420 * MIB, 520 * MIB), threads=3),
        *_system(),
    ),
)
_MONITOR = Role(
    name="monitor",
    rhythm="steady",
    cores=2,
    memory_bytes=8 * GIB,
    mounts=(_root(160 * GIB, 0.48),),
    programs=(
        Program(
            process="postgres",
            user="postgres",
            cores=(0.1, 0.5),
            memory=(2 * GIB, 2.5 * GIB),
            reads=(10 * KB, 900 * KB),
            writes=(100 * KB, 3 * MB),
            processes=18,
            threads=18,
        ),
        *_system(),
    ),
)

# Those that something befalls come first, so that a small fleet has something to show.
HOSTS: tuple[Host, ...] = (
    Host("demo-web-1", _WEB),
    Host("demo-db-1", _DB),
    Host("demo-web-2", _WEB),
    Host("demo-batch-1", _BATCH),
    Host("demo-web-3", _WEB),
    Host("demo-db-2", _DB),
    Host("demo-ci-1", _CI),
    Host("demo-backup-1", _BACKUP),
    Host("demo-cache-1", _CACHE),
    Host("demo-mail-1", _MAIL),
    Host("demo-monitor-1", _MONITOR),
    Host("demo-web-4", _WEB),
    Host("demo-db-3", _DB),
    Host("demo-batch-2", _BATCH),
    Host("demo-cache-2", _CACHE),
    Host("demo-web-5", _WEB, "staging"),
    Host("demo-web-6", _WEB, "staging"),
    Host("demo-db-4", _DB, "staging"),
    Host("demo-ci-2", _CI, "staging"),
    Host("demo-batch-3", _BATCH, "staging"),
)
assert all(host.role.rhythm in RHYTHMS for host in HOSTS)


def fleet(servers: int) -> tuple[Host, ...]:
    """The first so many, twenty at most."""
    return HOSTS[:servers]
