"""Resources of the REST API about the audit log."""

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

ActorKind = Literal["person", "nobody", "command_line", "system"]
AuditResult = Literal["intended", "ok", "refused", "failed"]


class AuditEntry(Struct, frozen=True):
    """`intent_id` is the entry that said this would be done; an `intended` one without such an answer has an outcome
    that nobody knows. `hash` is hexadecimal. For kind `command_line`, `username` is the operating system's."""

    id: int
    time: datetime
    actor_kind: ActorKind
    user_id: int | None
    username: str
    role: str | None
    session_id: str | None
    address: str | None
    action: str
    target_type: str
    target_id: str | None
    target_name: str | None
    server_id: int | None
    before: Any
    after: Any
    result: AuditResult
    detail: str
    intent_id: int | None
    hash: str


class AuditHead(Struct, frozen=True):
    """How long the chain is, and the hash it ends with, hexadecimal. Kept elsewhere, it proves what was there."""

    entries: int
    hash: str


class AuditVerification(Struct, frozen=True, omit_defaults=True):
    """`checked` entries are whole and in their places. `first_bad` is the number of the first that is not, and `reason`
    says what is wrong with it."""

    valid: bool
    checked: int
    head: AuditHead
    first_bad: int | None = None
    reason: str | None = None
