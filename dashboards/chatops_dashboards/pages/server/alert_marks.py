"""The alerts that mark a server's charts. Charts work without them."""

import logging
from datetime import datetime

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.session import Session
from chatops_protocol.alert_resources import Alert

MOST_MARKS = 200
log = logging.getLogger(__name__)


async def alerts_of(session: Session, server_id: int, start: datetime, end: datetime | None = None) -> list[Alert]:
    """The newest alerts of a server that fired between the two, over or not."""
    try:
        return await session.client.alerts.list(
            states=["firing", "acknowledged", "resolved"], server_id=server_id, start=start, end=end, limit=MOST_MARKS
        )
    except (ApiError, BackendUnreachableError) as error:
        log.warning("no alerts to mark the charts with: %s", error)
        return []
