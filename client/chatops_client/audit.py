"""``/audit`` of the clients, for administrators: `client.audit` (`Audit`) and `async_client.audit` (`AsyncAudit`)."""

from datetime import datetime
from typing import TypedDict, Unpack

from chatops_client.alerts import AsyncSender, Sender
from chatops_client.wire import Call, query_params
from chatops_protocol.audit_resources import AuditEntry, AuditResult, AuditVerification
from chatops_protocol.resources import Page

# Ten seconds for a million entries.
VERIFY_WITHIN_S = 300.0


class AuditFilters(TypedDict, total=False):
    """`actor` is a username; `action` is one, or the part before its dot for all of that kind; times need a zone."""

    actor: str | None
    user_id: int | None
    action: str | None
    target_type: str | None
    target_id: str | None
    server_id: int | None
    result: AuditResult | None
    start: datetime | None
    end: datetime | None
    search: str | None


def entries(**filters: Unpack[AuditFilters]) -> Call[Page[AuditEntry]]:
    return Call("GET", "/audit", Page[AuditEntry], query_params(filters))


def verification(expect: str | None) -> Call[AuditVerification]:
    params = query_params({"expect": expect})
    return Call("GET", "/audit/verify", AuditVerification, params, timeout_s=VERIFY_WITHIN_S)


class Audit:
    def __init__(self, client: Sender) -> None:
        self._client = client

    def page(self, *, cursor: str | None = None, limit: int = 100, **filters: Unpack[AuditFilters]) -> Page[AuditEntry]:
        """Newest first."""
        return self._client.request(entries(**filters).page(cursor, limit))

    def verify(self, expect: str | None = None) -> AuditVerification:
        """Follow the chain from its beginning. `expect`: a head of former times, ``entries:hash``."""
        return self._client.request(verification(expect))


class AsyncAudit:
    def __init__(self, client: AsyncSender) -> None:
        self._client = client

    async def page(
        self, *, cursor: str | None = None, limit: int = 100, **filters: Unpack[AuditFilters]
    ) -> Page[AuditEntry]:
        """Newest first."""
        return await self._client.request(entries(**filters).page(cursor, limit))

    async def verify(self, expect: str | None = None) -> AuditVerification:
        """Follow the chain from its beginning. `expect`: a head of former times, ``entries:hash``."""
        return await self._client.request(verification(expect))
