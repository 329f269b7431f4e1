"""Matters: what an entry of the log, or a deadline, means for whom, in one sentence of both languages.

A matter names departments and roles, not people; and what a person must be
allowed to read to be told of it, so that the one policy decides who learns what (ADR 0190). Its sentences name
resources, departments and kinds of duties, never a value of a record: they may leave the platform by e-mail.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

from datong.kernel import DepartmentCode, ResourceId, Text, Value
from datong.sharing import Action, Role, Target

NEAR_WORKING_DAYS = 2
"""A deadline is near when at most so many working days are left."""


class Topic(StrEnum):
    """What a notice is about; people choose by topic what leaves the console."""

    DUTY = "duty"
    DEADLINE = "deadline"
    ANSWER = "answer"
    AGREEMENT = "agreement"
    CASE = "case"
    BREACH = "breach"
    ALARM = "alarm"
    CORRECTION = "correction"
    MEETING = "meeting"
    INCIDENT = "incident"
    RATING = "rating"


TOPIC_NAMES: Mapping[Topic, Text] = {
    Topic.DUTY: Text(zh="待办", en="duties"),
    Topic.DEADLINE: Text(zh="期限", en="deadlines"),
    Topic.ANSWER: Text(zh="答复", en="answers"),
    Topic.AGREEMENT: Text(zh="协议", en="agreements"),
    Topic.CASE: Text(zh="协调事项", en="cases"),
    Topic.BREACH: Text(zh="责任认定", en="findings"),
    Topic.ALARM: Text(zh="异常预警", en="alarms"),
    Topic.CORRECTION: Text(zh="校核", en="corrections"),
    Topic.MEETING: Text(zh="联席会议", en="joint meetings"),
    Topic.INCIDENT: Text(zh="处置联动", en="joint handling"),
    Topic.RATING: Text(zh="评价", en="ratings"),
}

OFFICERS = frozenset({Role.DATA_OFFICER})
STAFF = frozenset({Role.DATA_OFFICER, Role.BUSINESS})
LEADERS = frozenset({Role.DATA_OFFICER, Role.DEPARTMENT_HEAD})
AUTHORITY = frozenset({Role.AUTHORITY})


class Audience(Value):
    """Who is told: the people of a department who have one of `roles`. `department` None: of every data authority."""

    department: DepartmentCode | None
    roles: frozenset[Role]


class Matter(Value):
    """Something that concerns people.

    Matters of one `key` are one thing to its reader: while a notice of it is unread, another is folded into it. `once`:
    one person is told of the key a single time. Who may not do `action` to `target` is not told.
    """

    key: str
    topic: Topic
    title: Text
    what: Text
    address: str
    audiences: tuple[Audience, ...]
    action: Action
    target: Target
    urgent: bool = False
    once: bool = False


class Names(Protocol):
    """What things are called; a thing that is no longer known stands for itself."""

    def resource(self, resource_id: ResourceId) -> Text:
        """Return a resource's title."""
        ...

    def department(self, code: DepartmentCode) -> Text:
        """Return a department's short name."""
        ...
