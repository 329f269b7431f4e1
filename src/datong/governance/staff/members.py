"""Who works with shared data in a department, and what they were trained in and certified for. Pure.

A member is assigned and later leaves; trainings are added while they are there, and struck where they were wrong. Names
and certificates stay in the department's register: the log gets counts, and a commitment to the whole.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from enum import StrEnum

from pydantic import Field

from datong.kernel import Conflict, DepartmentCode, JsonValue, Text, Value

COURSE_CHARS_MAX, NAME_CHARS_MAX, CERTIFICATE_CHARS_MAX = 100, 50, 64
TRAININGS_MAX = 100
"""Trainings of one person."""
HOURS_MAX = 1000


class StaffRole(StrEnum):
    """What somebody does about shared data."""

    HEAD = "head"
    OFFICER = "officer"
    CLERK = "clerk"
    TECHNICAL = "technical"


class StaffAction(StrEnum):
    """What is done about a department's register."""

    ASSIGN = "assign"
    TRAIN = "train"
    STRIKE = "strike"
    LEAVE = "leave"
    IMPORT = "import"


STAFF_ROLE_NAMES: Mapping[StaffRole, Text] = {
    StaffRole.HEAD: Text(zh="共享工作负责人", en="head"),
    StaffRole.OFFICER: Text(zh="数据管理员", en="data officer"),
    StaffRole.CLERK: Text(zh="业务经办人", en="clerk"),
    StaffRole.TECHNICAL: Text(zh="技术人员", en="engineer"),
}


class Training(Value):
    """One training: a course of so many hours on a day, and the certificate, if it led to one."""

    course: str = Field(min_length=1, max_length=COURSE_CHARS_MAX)
    hours: int = Field(ge=1, le=HOURS_MAX)
    on: date
    certificate: str = Field("", max_length=CERTIFICATE_CHARS_MAX)
    expires_on: date | None = None


class NewMember(Value):
    """Somebody who is assigned."""

    name: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    role: StaffRole
    assigned_on: date
    trainings: tuple[Training, ...] = Field((), max_length=TRAININGS_MAX)


class Member(NewMember):
    """Somebody in a department's register; `left_on` is None while they are there."""

    id: str
    department: DepartmentCode
    left_on: date | None = None

    @property
    def certified_until(self) -> date | None:
        """The last day on which a certificate holds; `date.max` for one that never expires, None without any."""
        return max((one.expires_on or date.max for one in self.trainings if one.certificate), default=None)

    def is_certified(self, day: date) -> bool:
        """Whether a certificate holds on a day."""
        until = self.certified_until
        return until is not None and day <= until


class StaffNumbers(Value):
    """What others learn of a department's staff: how many are assigned and certified, and hours of training."""

    department: DepartmentCode
    assigned: int
    certified: int
    hours: int


def trained(member: Member, training: Training) -> Member:
    """Return a member with one more training.

    Raises:
        Conflict: they have left, have it already, or have too many.
    """
    _require_there(member)
    known = {(one.course, one.on) for one in member.trainings}
    if (training.course, training.on) in known or len(member.trainings) >= TRAININGS_MAX:
        raise Conflict(
            "governance.training_known",
            what=Text(zh="该次培训已经登记，或登记已满。", en="This training is on record, or the record is full."),
            remedy=Text(zh="登记有误的，请先撤销再登记。", en="Strike the wrong record first."),
            field="/course",
        )
    return member.model_copy(update={"trainings": (*member.trainings, training)})


def struck(member: Member, number: int) -> Member:
    """Return a member without the training of a number (from 1).

    Raises:
        Conflict: they have left, or there is no such training.
    """
    _require_there(member)
    if not 1 <= number <= len(member.trainings):
        raise Conflict(
            "governance.training_unknown",
            what=Text(zh="没有这次培训。", en="There is no such training."),
            remedy=Text(zh="请刷新后再试。", en="Load the page again."),
        )
    kept = (*member.trainings[: number - 1], *member.trainings[number:])
    return member.model_copy(update={"trainings": kept})


def departed(member: Member, on: date) -> Member:
    """Return a member who has left.

    Raises:
        Conflict: they had left before, or would leave before they came.
    """
    _require_there(member)
    if on < member.assigned_on:
        raise Conflict(
            "governance.staff_left_early",
            what=Text(zh="离岗日期早于上岗日期。", en="They cannot leave before they came."),
            remedy=Text(zh="请核对日期。", en="Check the date."),
            field="/on",
        )
    return member.model_copy(update={"left_on": on})


def numbers_of(department: DepartmentCode, members: Iterable[Member], day: date) -> StaffNumbers:
    """Return the numbers of a department's staff on a day."""
    there = [one for one in members if one.left_on is None]
    return StaffNumbers(
        department=department,
        assigned=len(there),
        certified=sum(one.is_certified(day) for one in there),
        hours=sum(training.hours for one in there for training in one.trainings),
    )


def facts_of(department: DepartmentCode, members: Iterable[Member]) -> dict[str, JsonValue]:
    """Return what the log states of a register: how many are assigned, and how many certified until which day."""
    there = [one for one in members if one.left_on is None]
    until = Counter(one.certified_until.isoformat() for one in there if one.certified_until is not None)
    return {"department": department, "assigned": len(there), "certified": dict(sorted(until.items()))}


def _require_there(member: Member) -> None:
    if member.left_on is not None:
        raise Conflict(
            "governance.staff_left",
            what=Text(zh="该人员已离岗。", en="They have left."),
            remedy=Text(zh="重新上岗的，请再登记一次。", en="Who comes back is assigned anew."),
        )
