"""Staff: who works with shared data, and what they were trained in and certified for."""

from datong.governance.staff.members import (
    STAFF_ROLE_NAMES,
    Member,
    NewMember,
    StaffAction,
    StaffNumbers,
    StaffRole,
    Training,
)
from datong.governance.staff.register import StaffRegister
from datong.governance.staff.staff_files import FILE_BYTES_MAX, read_staff
from datong.governance.staff.state_audit import STAFF_AREAS

__all__ = [
    "FILE_BYTES_MAX",
    "STAFF_AREAS",
    "STAFF_ROLE_NAMES",
    "Member",
    "NewMember",
    "StaffAction",
    "StaffNumbers",
    "StaffRegister",
    "StaffRole",
    "Training",
    "read_staff",
]
