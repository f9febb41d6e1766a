"""What the engine says of a container, as it is told to people: listed fields only, secrets hidden. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from chatops_agent.collectors.interface import Readings
from chatops_agent.containers.sampling import image_of, name_of
from chatops_agent.control.masking import masked
from chatops_protocol.container_messages import (
    HIDDEN,
    ContainerEntry,
    ContainerInspected,
    ContainerMount,
    ContainerNetwork,
    PublishedPort,
)

COMPOSE_PROJECT = "com.docker.compose.project"
_NANO = 1_000_000_000
_PERIOD_US = 100_000


def entry_of(listed: dict[str, Any], inspected: Mapping[str, Any] | None, readings: Readings) -> ContainerEntry:
    """`inspected` is None for a container that was removed since it was listed."""
    state = (inspected or {}).get("State") or {}
    is_over = listed.get("State") in ("exited", "dead")
    return ContainerEntry(
        id=str(listed["Id"]),
        name=name_of(listed),
        image=image_of(listed),
        state=_text(listed.get("State")),
        status=_text(listed.get("Status")),
        health=_health(state),
        exit_code=state.get("ExitCode") if is_over else None,
        created_at=moment(state and (inspected or {}).get("Created")),
        started_at=moment(state.get("StartedAt")),
        finished_at=moment(state.get("FinishedAt")),
        restart_count=(inspected or {}).get("RestartCount"),
        ports=_listed_ports(listed.get("Ports") or []),
        compose_project=(listed.get("Labels") or {}).get(COMPOSE_PROJECT),
        **{name: value for name, value in readings.items() if name != "restart_count"},
    )


def details_of(inspected: Mapping[str, Any]) -> ContainerInspected:
    state, config = inspected.get("State") or {}, inspected.get("Config") or {}
    host = inspected.get("HostConfig") or {}
    network = inspected.get("NetworkSettings") or {}
    memory = host.get("Memory") or None
    return ContainerInspected(
        id=str(inspected["Id"]),
        name=_text(inspected.get("Name")).removeprefix("/"),
        image=_text(config.get("Image")),
        image_id=_text(inspected.get("Image")),
        state=_text(state.get("Status")),
        health=_health(state),
        health_check=masked([str(part) for part in (config.get("Healthcheck") or {}).get("Test") or []]),
        exit_code=state.get("ExitCode") if state.get("Status") in ("exited", "dead") else None,
        out_of_memory=bool(state.get("OOMKilled")),
        error=_text(state.get("Error")),
        created_at=moment(inspected.get("Created")),
        started_at=moment(state.get("StartedAt")),
        finished_at=moment(state.get("FinishedAt")),
        restart_count=inspected.get("RestartCount"),
        restart_policy=_restart_policy(host.get("RestartPolicy") or {}),
        command=masked([_text(inspected.get("Path")), *(str(part) for part in inspected.get("Args") or [])]),
        user=_text(config.get("User")),
        working_directory=_text(config.get("WorkingDir")),
        hostname=_text(config.get("Hostname")),
        environment={str(entry).partition("=")[0]: HIDDEN for entry in config.get("Env") or []},
        labels={str(name): _text(value) for name, value in (config.get("Labels") or {}).items()},
        ports=_inspected_ports(network.get("Ports") or {}),
        mounts=[_mount(mount) for mount in inspected.get("Mounts") or []],
        networks=[_network(name, found) for name, found in (network.get("Networks") or {}).items()],
        network_mode=_text(host.get("NetworkMode")),
        privileged=bool(host.get("Privileged")),
        added_capabilities=[str(name) for name in host.get("CapAdd") or []],
        memory_limit_bytes=memory,
        cpu_limit=_cpu_limit(host),
        log_driver=_text((host.get("LogConfig") or {}).get("Type")),
    )


def moment(text: Any) -> datetime | None:
    """The engine's nanoseconds are cut; its year 1 means never."""
    if not isinstance(text, str) or not text or text.startswith("0001-"):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _health(state: Mapping[str, Any]) -> str | None:
    found = (state.get("Health") or {}).get("Status")
    return found if found and found != "none" else None


def _listed_ports(ports: list[Mapping[str, Any]]) -> list[PublishedPort]:
    return [
        PublishedPort(
            port.get("PrivatePort") or 0, _text(port.get("Type")), port.get("PublicPort"), _text(port.get("IP"))
        )
        for port in ports
    ]


def _inspected_ports(ports: Mapping[str, Any]) -> list[PublishedPort]:
    found = []
    for name, bindings in ports.items():
        number, _, protocol = str(name).partition("/")
        for binding in bindings or [{}]:
            outside = str(binding.get("HostPort") or "")
            host_port = int(outside) if outside.isdigit() else None
            inside = int(number) if number.isdigit() else 0
            found.append(PublishedPort(inside, protocol, host_port, _text(binding.get("HostIp"))))
    return found


def _mount(mount: Mapping[str, Any]) -> ContainerMount:
    source = _text(mount.get("Name") or mount.get("Source"))
    return ContainerMount(_text(mount.get("Type")), source, _text(mount.get("Destination")), not mount.get("RW", True))


def _network(name: str, found: Mapping[str, Any] | None) -> ContainerNetwork:
    found = found or {}
    address = found.get("IPAddress") or found.get("GlobalIPv6Address")
    return ContainerNetwork(name, _text(address), [str(alias) for alias in found.get("Aliases") or []])


def _restart_policy(policy: Mapping[str, Any]) -> str:
    name, most = _text(policy.get("Name")) or "no", policy.get("MaximumRetryCount")
    return f"{name}:{most}" if most else name


def _cpu_limit(host: Mapping[str, Any]) -> float | None:
    """In cores."""
    if host.get("NanoCpus"):
        return float(host["NanoCpus"]) / _NANO
    if (host.get("CpuQuota") or 0) > 0:
        return float(host["CpuQuota"]) / (host.get("CpuPeriod") or _PERIOD_US)
    return None


def _text(value: Any) -> str:
    return "" if value is None else str(value)
