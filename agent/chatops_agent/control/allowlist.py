"""The host's own list of commands that may be run on it: templates with typed arguments, in a TOML file.

    [restart]
    argv = ["systemctl", "restart", "{unit}"]
    timeout_s = 60
    [restart.arguments]
    unit = { type = "choice", values = ["nginx", "postgresql"] }

The order names the template and gives its arguments in the order in which they stand there. A value is put into the
place of its name within one argument of the program; no shell reads it. Read anew when the file has changed.

Reading the file, looking for paths and matching patterns takes time: `Orders` does it in a thread.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from chatops_agent.control.matching import matches
from chatops_agent.control.refusal import RefusedError
from chatops_protocol.control_messages import SignalName

MAX_TEXT = 1000


class AllowlistError(Exception):
    """The file cannot be used; the message names the place and says what to do."""


class Integer(Struct, frozen=True, tag="integer", forbid_unknown_fields=True):
    minimum: int
    maximum: int

    def accept(self, text: str) -> str:
        if re.fullmatch(r"-?[0-9]{1,18}", text) is None or not self.minimum <= int(text) <= self.maximum:
            raise ValueError(f"must be a whole number from {self.minimum} to {self.maximum}")
        return str(int(text))


class Choice(Struct, frozen=True, tag="choice", forbid_unknown_fields=True):
    values: Annotated[list[str], Meta(min_length=1)]

    def accept(self, text: str) -> str:
        if text not in self.values:
            raise ValueError(f"must be one of {', '.join(self.values)}")
        return text


class Text(Struct, frozen=True, tag="text", forbid_unknown_fields=True):
    """`pattern` must match the whole value. A dash at the beginning, which programs take for an option, is refused."""

    pattern: str
    maximum_length: int = 200

    def accept(self, text: str) -> str:
        if text.startswith("-"):
            raise ValueError("must not begin with a dash")
        if len(text) > min(self.maximum_length, MAX_TEXT) or not matches(self.pattern, text):
            raise ValueError(f"must match {self.pattern} and have at most {self.maximum_length} characters")
        return text


class ExistingPath(Struct, frozen=True, tag="path", forbid_unknown_fields=True):
    """A path that exists inside the folder `under`, whatever links it goes through."""

    under: str

    def accept(self, text: str) -> str:
        try:
            folder, path = Path(self.under).resolve(strict=True), Path(text).resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            raise ValueError(f"must be a path that exists under {self.under}") from None
        if not text.startswith("/") or not path.is_relative_to(folder):
            raise ValueError(f"must be a path that exists under {self.under}")
        return str(path)


class Template(Struct, frozen=True, forbid_unknown_fields=True):
    argv: Annotated[list[str], Meta(min_length=1)]
    arguments: dict[str, Integer | Choice | Text | ExistingPath] = {}
    timeout_s: Annotated[float, Meta(gt=0, le=86_400)] | None = None
    working_directory: Annotated[str, Meta(pattern="^/")] | None = None
    description: str = ""


class Allowlist:
    """`signals = ["TERM"]` at the top of the file lists what processes may be sent; without it none is signalled."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_at: tuple[int, int] | None = None
        self._templates: dict[str, Template] = {}
        self._signals: frozenset[str] = frozenset()

    def load(self) -> None:
        """Read the file if it has changed. Raise `AllowlistError`; then nothing of it is allowed."""
        import tomllib  # late: an agent without a list does not need it

        try:
            state = self._path.stat()
            if self._read_at == (state.st_mtime_ns, state.st_size):
                return
            self._read_at = None
            if state.st_mode & 0o022:
                raise AllowlistError(
                    f"{self._path} can be changed by others than its owner; run chmod go-w {self._path}"
                )
            read = tomllib.loads(self._path.read_text())
        except (OSError, ValueError) as error:
            raise AllowlistError(f"{self._path} cannot be read ({error})") from None
        signals = read.pop("signals", [])
        try:
            self._signals = frozenset(msgspec.convert(signals, list[SignalName]))
            self._templates = {name: _template(name, entry) for name, entry in read.items()}
        except (msgspec.ValidationError, re.error, ValueError) as error:
            raise AllowlistError(f"{self._path} is not as it must be: {error}") from None
        self._read_at = (state.st_mtime_ns, state.st_size)

    def expand(self, argv: list[str]) -> tuple[list[str], Template]:
        """The program's arguments. Raise `RefusedError` for what the list does not hold."""
        template = self._templates.get(argv[0])
        if template is None:
            known = ", ".join(sorted(self._templates)) or "none"
            raise RefusedError(f"refused: {argv[0][:100]!r} is not on the list of this host; it has: {known}")
        names = list(template.arguments)
        if len(argv) - 1 != len(names):
            raise RefusedError(f"refused: {argv[0]} takes {len(names)} arguments ({' '.join(names)})")
        values: dict[str, str] = {}
        for name, text in zip(names, argv[1:], strict=True):
            try:
                values[name] = template.arguments[name].accept(text)
            except ValueError as error:
                raise RefusedError(f"refused: {argv[0]}: {name} {error}") from None
        return [_filled(part, values) for part in template.argv], template

    def allows_signal(self, name: str) -> bool:
        return name in self._signals


def _template(name: str, entry: Any) -> Template:
    template = msgspec.convert(entry, Template)
    used = {found for part in template.argv for found in re.findall(r"\{(\w+)\}", part)}
    if used != set(template.arguments):
        raise ValueError(f"{name}: argv uses {sorted(used)}, arguments are {sorted(template.arguments)}")
    if "{" in template.argv[0] or not os.fspath(template.argv[0]):
        raise ValueError(f"{name}: the program itself must be fixed")
    for argument in template.arguments.values():
        if isinstance(argument, Text):
            re.compile(argument.pattern)
    return template


def _filled(part: str, values: dict[str, str]) -> str:
    # In one pass: a value that looks like a name must stay as it is.
    return re.sub(r"\{(\w+)\}", lambda match: values[match[1]], part)
