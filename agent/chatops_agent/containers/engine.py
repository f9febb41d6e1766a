"""The host's Docker Engine, by its own SDK; the only place that speaks to it. Every call blocks: never in the loop.

What can be done to a container is in `_ACTS` and nowhere else. Whatever goes wrong is an `EngineError` in plain words.
"""

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from chatops_agent.control.refusal import MissingError, UnansweredError
from chatops_protocol.container_messages import CONTAINER_PATTERN, MAX_CONTAINER_LENGTH, ContainerVerb

ANSWERS_WITHIN_S = 10.0
# After the time a container has to end by itself.
ACTS_WITHIN_S = 30.0
CONNECTIONS = 80
SHORTEST_ID = 12
_REFERENCE = re.compile(CONTAINER_PATTERN).match
_WHOLE_ID = re.compile(r"[0-9a-f]{64}").fullmatch
EVENTS = ("die", "kill", "oom", "start", "health_status")


class EngineError(UnansweredError):
    """The engine is not there, may not be used, or says no."""


class EngineSilentError(EngineError):
    """It did not answer in time, and may do it yet."""


class NoContainerError(EngineError, MissingError):
    pass


class Found(NamedTuple):
    """A container that was named in full: acts go to its whole id."""

    id: str
    name: str
    inspected: Mapping[str, Any]


_ACTS: dict[ContainerVerb, Callable[[Any, str, int], object]] = {
    "start": lambda client, container, _: client.start(container),
    "stop": lambda client, container, grace_s: client.stop(container, timeout=grace_s),
    "restart": lambda client, container, grace_s: client.restart(container, timeout=grace_s),
    "pause": lambda client, container, _: client.pause(container),
    "unpause": lambda client, container, _: client.unpause(container),
    "kill": lambda client, container, _: client.kill(container),
}


class Engine:
    """`socket_path` is the engine's Unix socket. Any thread may call it."""

    def __init__(self, socket_path: str, answers_within_s: float = ANSWERS_WITHIN_S) -> None:
        self._path = socket_path
        self._within_s = answers_within_s
        self._lock = threading.Lock()
        self._opened: Any = None

    def list(self, *, stopped: bool) -> list[dict[str, Any]]:
        """Containers as the engine lists them; running, paused and restarting ones only unless `stopped`."""
        with self._plain_errors():
            listed: list[dict[str, Any]] = self._client().containers(all=stopped)
            return listed

    def inspect(self, container_id: str) -> dict[str, Any]:
        with self._plain_errors(container_id):
            inspected: dict[str, Any] = self._client().inspect_container(require_reference(container_id))
            return inspected

    def statistics(self, container_id: str) -> dict[str, Any]:
        """One reading of its counters, at once: the engine's own second reading would take it one to two seconds."""
        with self._plain_errors(container_id):
            read: dict[str, Any] = self._client().stats(require_reference(container_id), stream=False, one_shot=True)
            return read

    def find(self, reference: str) -> Found:
        """The container whose name this is, or whose id, of which at least twelve digits are given.

        The engine itself also takes any beginning of an id: `a` could be somebody else's container.
        """
        inspected = self.inspect(reference)
        found = Found(str(inspected["Id"]), str(inspected["Name"]).removeprefix("/"), inspected)
        is_id = len(reference) >= SHORTEST_ID and found.id.startswith(reference)
        if not (reference == found.name or is_id):
            raise NoContainerError(_no_container(reference))
        return found

    def act(self, verb: ContainerVerb, container: Found, grace_s: float) -> None:
        do = _ACTS[verb]
        with self._plain_errors(container.name):
            do(self._client(), _require_whole_id(container.id), max(0, round(grace_s)))

    def events(self, since: str) -> Any:
        """Events of containers since then (`seconds.nanoseconds`), and as they happen, each a dictionary. To iterate
        over, and to `close` from another thread."""
        with self._plain_errors():
            return self._client().events(since=since, filters={"type": "container", "event": list(EVENTS)}, decode=True)

    def open_log(self, container_id: str, tail: int, *, follow: bool) -> Any:
        """A stream of the log's bytes as the engine frames them, each line with its time. Iterate, and `close` it."""
        wanted = {"stdout": 1, "stderr": 1, "timestamps": 1, "tail": tail, "follow": int(follow)}
        with self._plain_errors(container_id):
            from docker.types import CancellableStream  # type: ignore[import-untyped]

            client = self._client()
            address = f"{client.base_url}/v{client.api_version}/containers/{require_reference(container_id)}/logs"
            # Nothing may be written for hours, so that a time limit would end what is followed.
            response = client.get(address, params=wanted, stream=True, timeout=None if follow else self._within_s)
            client._raise_for_status(response)
            return CancellableStream(response.iter_content(chunk_size=None), response)

    def close(self) -> None:
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None

    def _client(self) -> Any:
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def _open(self) -> Any:
        # Late: 20 MB and a third of a second, which an agent that may not use it does without.
        import docker  # type: ignore[import-untyped]

        # Asked first, since the SDK leaves a socket open that it could not connect.
        problem = self._why_unreachable()
        if problem is not None:
            raise EngineError(problem)
        return docker.APIClient(
            f"unix://{self._path}", version="auto", timeout=self._within_s, max_pool_size=CONNECTIONS
        )

    @contextlib.contextmanager
    def _plain_errors(self, container: str = "") -> Iterator[None]:
        try:
            yield
        except ImportError as error:
            raise EngineError(
                f"the agent of this host was installed without its extra `docker` ({error.name} is missing): "
                "install the package `docker` beside it and restart it"
            ) from None
        except OSError as error:  # all errors of requests are of this kind
            raise self._explained(error, container) from None
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in ("docker", "urllib3", "requests"):
                raise
            raise self._explained(error, container) from None

    def _explained(self, error: Exception, container: str) -> EngineError:
        status, said = getattr(error, "status_code", None), getattr(error, "explanation", None)
        if status == 404 and str(said).lower().startswith("no such container"):
            return NoContainerError(_no_container(container))
        if status is not None:
            return EngineError(f"the Docker Engine answers: {said or error}")
        if "timeout" in type(error).__name__.lower():
            return EngineSilentError(f"the Docker Engine did not answer within {self._within_s:g} s")
        problem = self._why_unreachable()
        if problem is not None:
            self.close()  # another engine may be there next time
        return EngineError(problem or f"the Docker Engine does not answer ({error})")

    def _why_unreachable(self) -> str | None:
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(1.0)
                probe.connect(self._path)
        except FileNotFoundError:
            return f"there is no Docker Engine on this host at {self._path}: start it, or set CHATOPS_DOCKER_SOCKET"
        except PermissionError:
            return f"the agent's user may not use {self._path}: add it to the group docker and restart the agent"
        except OSError as error:
            return f"the Docker Engine at {self._path} does not listen ({error.strerror or error}): start it"
        return None


def require_reference(reference: str) -> str:
    """A name or an id as engines have them; anything else could be read as another address of the engine."""
    if len(reference) > MAX_CONTAINER_LENGTH or _REFERENCE(reference) is None:
        raise NoContainerError(f"{reference[:40]!r} is no name or id of a container")
    return reference


def _require_whole_id(container_id: str) -> str:
    if _WHOLE_ID(container_id) is None:
        raise NoContainerError(f"{container_id[:40]!r} is no whole id of a container")
    return container_id


def _no_container(reference: str) -> str:
    return f"there is no container {reference} on this host; it may have been removed"
