"""What this host's own settings allow. Nothing that comes over the network can widen it."""

from collections.abc import Mapping
from pathlib import Path

from chatops_agent.control.allowlist import Allowlist, AllowlistError
from chatops_agent.control.program import Program
from chatops_agent.control.refusal import RefusedError
from chatops_protocol.control_messages import CommandPolicy, RunCommand, SignalProcess

MAX_TIMEOUT_S = 86_400.0
SHELL = "/bin/sh"


class Policy:
    """`is_root`: whether the agent runs as root, which it must be told to allow."""

    def __init__(
        self,
        policy: CommandPolicy,
        allowlist_file: Path | None,
        *,
        is_root: bool,
        allow_root: bool,
        environment: Mapping[str, str],
    ) -> None:
        self.name = policy
        self._allowlist = Allowlist(allowlist_file) if allowlist_file is not None else None
        self._root_forbidden = is_root and not allow_root
        self._environment = environment

    @property
    def effective(self) -> CommandPolicy:
        return "off" if self._root_forbidden else self.name

    def problem(self) -> str | None:
        """What is wrong with this host's settings, for its log at the start."""
        try:
            if self.name != "off":
                self.require()
            if self.name == "allowlist":
                self._listed()
        except RefusedError as error:
            return str(error).removeprefix("refused: ")
        return None

    def require(self) -> None:
        """Raise `RefusedError` when nothing is allowed at all."""
        if self.name == "off":
            raise RefusedError("refused: this host takes no commands (CHATOPS_ALLOW_COMMANDS of its agent is off)")
        if self._root_forbidden:
            raise RefusedError(
                "refused: the agent of this host runs as root; run it as another user, or set CHATOPS_ALLOW_ROOT=1"
            )

    def program_for(self, act: RunCommand) -> Program:
        """What to run for a command. Raise `RefusedError`."""
        self.require()
        if not act.argv:
            raise RefusedError("refused: there is nothing to run")
        timeout_s = min(max(act.timeout_s, 0.1), MAX_TIMEOUT_S)
        home = self._environment.get("HOME") or "/"
        if self.name == "shell":
            argv = [SHELL, "-c", act.command] if act.command is not None else act.argv
            return Program(argv, act.working_directory or home, self._environment, timeout_s)
        if act.working_directory is not None:
            raise RefusedError("refused: the list of this host decides the working directory; leave it out")
        argv, template = self._listed().expand(act.argv)
        return Program(
            argv,
            template.working_directory or home,
            self._environment,
            min(timeout_s, template.timeout_s or MAX_TIMEOUT_S),
        )

    def require_signal(self, act: SignalProcess) -> None:
        self.require()
        if self.name == "allowlist" and not self._listed().allows_signal(act.signal):
            raise RefusedError(f"refused: the list of this host does not allow the signal {act.signal}")

    def _listed(self) -> Allowlist:
        if self._allowlist is None:
            raise RefusedError("refused: this host has no list of commands (CHATOPS_COMMANDS_FILE)")
        try:
            self._allowlist.load()
        except AllowlistError as error:
            raise RefusedError(f"refused: {error}") from None
        return self._allowlist
