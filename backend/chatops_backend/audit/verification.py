"""Follows the audit log's chain from its beginning and says where it is broken. Reads a few hundred entries at a time.

It finds an entry that was edited, deleted, put in between or moved, and entries cut off at the end. It cannot find that
whoever owns the database wrote every entry and the head anew. Only a head that was kept elsewhere shows that.
"""

from asyncpg import Record
from msgspec import Struct

from chatops_backend.audit.chain import BEGINNING, FIELDS, Entry, entry_hash
from chatops_backend.database.interface import Executor
from chatops_backend.database.queries import load_queries
from chatops_protocol.audit_resources import AuditHead, AuditVerification

BATCH = 250


class Fault(Struct, frozen=True):
    entry: int
    reason: str


async def read_head(database: Executor) -> AuditHead:
    row = await load_queries("audit").find_head(database)
    return AuditHead(0, BEGINNING.hex()) if row is None else AuditHead(row["entries"], row["hash"].hex())


async def verify(database: Executor, expected: AuditHead | None = None) -> AuditVerification:
    """Check the whole chain. `expected` is a head of former times, which must lie on it."""
    queries = load_queries("audit")
    head = await queries.find_head(database)
    if head is None:
        return AuditVerification(False, 0, AuditHead(0, ""), 1, "the head of the log is gone")
    checked, previous = 0, BEGINNING
    fault: Fault | None = None
    # As far as the log went when it began: it grows meanwhile.
    while fault is None and checked < head["entries"]:
        rows = [row async for row in queries.read_chain(database, after=checked, count=BATCH)]
        if not rows:
            fault = Fault(checked + 1, f"the log ends here, although it had {head['entries']} entries")
        for row in rows[: head["entries"] - checked]:
            fault = _fault_of(row, checked + 1, previous, expected)
            if fault is not None:
                break
            checked, previous = row["id"], row["hash"]
    if fault is None:
        fault = _fault_of_end(head, checked, previous, expected)
    return AuditVerification(
        valid=fault is None,
        checked=checked,
        head=AuditHead(head["entries"], head["hash"].hex()),
        first_bad=fault.entry if fault is not None else None,
        reason=fault.reason if fault is not None else None,
    )


def _fault_of(row: Record, number: int, previous: bytes, expected: AuditHead | None) -> Fault | None:
    if row["id"] != number:
        return Fault(number, "this entry is missing")
    if row["previous_hash"] != previous:
        return Fault(number, "this entry does not continue the one before it")
    if row["hash"] != entry_hash(previous, Entry(**{name: row[name] for name in FIELDS})):
        return Fault(number, "this entry was changed after it was written")
    if expected is not None and expected.entries == number and expected.hash != row["hash"].hex():
        return Fault(number, "this entry, or one before it, is not the one that the expected head was made of")
    return None


def _fault_of_end(head: Record, checked: int, previous: bytes, expected: AuditHead | None) -> Fault | None:
    if head["hash"] != previous:
        return Fault(checked, "the log does not end with what its head says")
    if head["last_id"] > checked:
        return Fault(checked + 1, "there are entries that the head does not know")
    if expected is not None and expected.entries > checked:
        return Fault(checked + 1, f"the log ends here, although it had {expected.entries} entries")
    return None
