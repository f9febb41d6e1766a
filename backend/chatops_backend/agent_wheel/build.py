"""Makes the wheel that a monitored host installs: protocol, agent and command, and nothing of the backend.

It is made from the installed packages, so that it works from a checkout, from a wheel and in the container alike, and
is always of the backend's own version. The same files give the same bytes. It carries the name `chatops`, which belongs
to somebody else on the public registry: it must be installed by address or file, never by name.
"""

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import Distribution, distribution
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("chatops_protocol", "chatops_agent", "chatops_cli")

_KEPT_METADATA = ("Name", "Version", "Summary", "License-Expression", "Requires-Python")
_ENTRY_POINTS = "[console_scripts]\nchatops = chatops_cli:main\n"
_WHEEL = "Wheel-Version: 1.0\nGenerator: chatops\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip archive can hold


@dataclass(frozen=True)
class BuiltWheel:
    filename: str
    sha256: str
    content: bytes = field(repr=False)


@cache
def agent_wheel() -> BuiltWheel:
    """The wheel of this process's version; made once (tens of milliseconds), then kept (tens of kilobytes)."""
    installed = distribution("chatops")
    stem = f"chatops-{installed.version}"
    files = dict(_package_files()) | dict(_metadata_files(installed, f"{stem}.dist-info"))
    record = f"{stem}.dist-info/RECORD"
    files[record] = _record(files, record)
    content = _archive(files, last=record)
    return BuiltWheel(f"{stem}-py3-none-any.whl", hashlib.sha256(content).hexdigest(), content)


def _package_files() -> Iterator[tuple[str, bytes]]:
    for package in PACKAGES:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise RuntimeError(f"{package} is not installed beside the backend, so the agent's wheel cannot be made")
        root = Path(spec.origin).parent
        for path in root.rglob("*"):
            if path.suffix == ".py" or path.name == "py.typed":
                yield path.relative_to(root.parent).as_posix(), path.read_bytes()


def _metadata_files(installed: Distribution, folder: str) -> Iterator[tuple[str, bytes]]:
    # 2.4 is the least that has these fields; Debian 12's pip must still read it.
    lines = ["Metadata-Version: 2.4"]
    lines += [f"{name}: {installed.metadata[name]}" for name in _KEPT_METADATA if name in installed.metadata]
    # What an extra needs is not for the agent.
    base = (line for line in installed.requires or () if "extra ==" not in line.partition(";")[2])
    lines += [f"Requires-Dist: {line}" for line in base]
    licence = installed.read_text("licenses/LICENSE")
    if licence is not None:
        lines.append("License-File: LICENSE")
        yield f"{folder}/licenses/LICENSE", licence.encode()
    yield f"{folder}/METADATA", ("\n".join(lines) + "\n").encode()
    yield f"{folder}/WHEEL", _WHEEL.encode()
    yield f"{folder}/entry_points.txt", _ENTRY_POINTS.encode()


def _record(files: dict[str, bytes], own_name: str) -> bytes:
    def line(name: str) -> str:
        digest = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).rstrip(b"=").decode()
        return f"{name},sha256={digest},{len(files[name])}\n"

    return ("".join(line(name) for name in sorted(files)) + f"{own_name},,\n").encode()


def _archive(files: dict[str, bytes], last: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files, key=lambda name: (name == last, name)):
            entry = zipfile.ZipInfo(name, _EARLIEST)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()
