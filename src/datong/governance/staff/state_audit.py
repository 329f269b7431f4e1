"""What of departments' staff `fsck` compares with the log: counts, and the commitment to every row."""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from datong.governance.staff.members import Member, facts_of
from datong.governance.staff.register import register_commitment
from datong.governance.staff.tables import STAFF, STAFF_REGISTER
from datong.kernel import DepartmentCode, Text
from datong.ledger import Area, EntryKind, Held, of_subject


def _registers(connection: Connection) -> Iterator[Held]:
    rows: dict[str, list[Member]] = {}
    for row in connection.execute(select(STAFF)).mappings():
        rows.setdefault(row["department"], []).append(Member.model_validate(dict(row)))
    salts = {row.department: row.salt for row in connection.execute(select(STAFF_REGISTER))}
    for department in sorted({*rows, *salts}):
        members = rows.get(department, [])
        salt = bytes.fromhex(salts.get(department, "00" * 16))
        own = {
            **facts_of(DepartmentCode(department), members),
            "register_commitment": register_commitment(members, salt),
        }
        yield Held(department, {"governance_staff": own})


STAFF_AREAS = (
    Area(
        "governance.staff",
        Text(zh="人员登记", en="Register of staff"),
        frozenset({EntryKind.STAFF}),
        of_subject,
        _registers,
    ),
)
