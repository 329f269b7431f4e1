"""Duties that are not done and not yet due, kept by their deadline, so that who is to be reminded is one look-up.

The monitor draws all duties from the evidence anyway. It leaves the open ones here, writing only what changed since
its last run. They are derived: whoever loses them has them again after the monitor's next run.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from datong.governance.duties import RULES, Duty
from datong.governance.tables import OPEN_DUTY
from datong.kernel import sha256_hex

DUE_SOON_MAX = 20_000
"""Duties that one look-up returns: the first to be done."""
_WRITTEN_AT_ONCE = 500
Key = tuple[str, str]


def is_open(duty: Duty, now: datetime) -> bool:
    """Whether something is left to be done in time; what was measured to be wrong has no time left."""
    return duty.done_at is None and now < duty.due_at and RULES[duty.kind].measured is None


def keep_open(connection: Connection, duties: Iterable[Duty], *, now: datetime) -> int:
    """Keep those of all `duties` that are open at `now`, in the caller's transaction; return how many rows changed."""
    written = {(duty.kind.value, duty.subject): duty for duty in duties if is_open(duty, now)}
    wanted = {key: (duty, sha256_hex(duty.model_dump_json().encode())) for key, duty in written.items()}
    known = {
        (row.kind, row.subject): row.digest
        for row in connection.execute(select(OPEN_DUTY.c.kind, OPEN_DUTY.c.subject, OPEN_DUTY.c.digest))
    }
    over = [key for key, digest in known.items() if key not in wanted or wanted[key][1] != digest]
    new = [(duty, digest) for key, (duty, digest) in wanted.items() if known.get(key) != digest]
    for kind in sorted({kind for kind, _ in over}):
        subjects = [subject for of, subject in over if of == kind]
        for begin in range(0, len(subjects), _WRITTEN_AT_ONCE):
            some = subjects[begin : begin + _WRITTEN_AT_ONCE]
            connection.execute(delete(OPEN_DUTY).where(OPEN_DUTY.c.kind == kind, OPEN_DUTY.c.subject.in_(some)))
    if new:
        connection.execute(
            insert(OPEN_DUTY),
            [
                {
                    "kind": duty.kind.value,
                    "subject": duty.subject,
                    "due_at": duty.due_at,
                    "digest": digest,
                    "document": duty.model_dump(mode="json"),
                }
                for duty, digest in new
            ],
        )
    return len(over) + len(new)


def due_between(connection: Connection, since: datetime, until: datetime) -> tuple[Duty, ...]:
    """Return the open duties with a deadline after `since` and up to `until`, the first to be done first."""
    query = select(OPEN_DUTY.c.document).where(OPEN_DUTY.c.due_at > since, OPEN_DUTY.c.due_at <= until)
    ordered = query.order_by(OPEN_DUTY.c.due_at, OPEN_DUTY.c.kind, OPEN_DUTY.c.subject).limit(DUE_SOON_MAX)
    return tuple(Duty.model_validate(document) for document in connection.scalars(ordered))
