"""What the agent counts about itself since it started. Every part adds to it, the host collector reports it."""

import logging
from dataclasses import dataclass, field

log = logging.getLogger("chatops_agent")
DISTINCT_ERRORS_LOGGED = 200


@dataclass
class Counters:
    """Plain numbers, written by one thread each."""

    collector_errors: int = 0
    connections: int = 0
    dropped_frames: int = 0
    refused_rows: int = 0
    spool_frames: int = 0
    spool_bytes: int = 0
    _logged: set[tuple[str, str]] = field(default_factory=set, repr=False)

    def collector_failed(self, source: str, error: Exception) -> None:
        """Count a failure; log it the first time this source fails in this way."""
        self.collector_errors += 1
        self.log_once(
            source, f"{type(error).__name__}: {error}", "cannot read %s: %s (counted from now on, not repeated)"
        )

    def log_once(self, source: str, what: str, message: str) -> None:
        if (source, what) not in self._logged and len(self._logged) < DISTINCT_ERRORS_LOGGED:
            self._logged.add((source, what))
            log.warning(message, source, what)
