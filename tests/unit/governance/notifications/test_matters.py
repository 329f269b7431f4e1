"""What entries mean for whom, and that what a message says gives nothing away."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from datong.governance import CaseStage, Duty, DutyKind, Party, Span
from datong.governance.notifications import PACE_NAMES, TOPIC_NAMES, Matter, Pace, Topic, matters_of, reminder_of
from datong.governance.notifications.mail import LINES_MAX, Line, subject_of, text_of
from datong.governance.notifications.preferences import Choices, Preferences, confirmation_code, require_address
from datong.governance.notifications.telling import DUTY_NAMES, MAKERS
from datong.kernel import (
    CHINA,
    Actor,
    ActorKind,
    DepartmentCode,
    EntryId,
    Invalid,
    JsonValue,
    Language,
    ResourceId,
    Text,
    WorkingCalendar,
)
from datong.ledger import EntryKind, RecordedEntry
from datong.sharing import Role

PROVIDER, CONSUMER = DepartmentCode("114406000000000193"), DepartmentCode("12440600456000017N")
NOW = datetime(2026, 11, 2, 9, 0, tzinfo=CHINA)
CALENDAR = WorkingCalendar()


class Plain:
    """Things are called by their ids."""

    def resource(self, resource_id: ResourceId) -> Text:
        return Text(zh=f"资源 {resource_id}", en=f"resource {resource_id}")

    def department(self, code: DepartmentCode) -> Text:
        return Text(zh=code, en=code)


def told(of: EntryKind, facts: Mapping[str, JsonValue]) -> list[Matter]:
    """Return what an entry of two departments about one resource means."""
    parties: dict[str, JsonValue] = {
        "provider": PROVIDER, "consumer": CONSUMER, "department": PROVIDER, "resource_id": "r", "resource": "r"
    }  # fmt: skip
    entry = RecordedEntry(
        entry_id=EntryId("e"),
        index=0,
        leaf_hash="",
        kind=of,
        at=NOW,
        subject="s",
        actor=Actor(kind=ActorKind.PERSON, id="p"),
        facts={**parties, **facts},
    )
    return list(matters_of(entry, Plain()))


@pytest.mark.parametrize(
    ("kind", "facts", "topic", "audience"),
    [
        (EntryKind.REQUEST, {"step": "submit", "state": "submitted"}, Topic.DUTY, (PROVIDER, Role.DATA_OFFICER)),
        (EntryKind.DECISION, {"step": "approve", "state": "granted"}, Topic.ANSWER, (CONSUMER, Role.BUSINESS)),
        (EntryKind.DECISION, {"step": "extend", "state": "submitted"}, Topic.DUTY, (None, Role.AUTHORITY)),
        (EntryKind.AGREEMENT, {"step": "confirm", "state": "confirmed"}, Topic.AGREEMENT,
         (CONSUMER, Role.DATA_OFFICER)),
        (EntryKind.AGREEMENT, {"step": "propose", "state": "active", "amendment": 2}, Topic.AGREEMENT,
         (PROVIDER, Role.DATA_OFFICER)),
        (EntryKind.CATALOGUE_STEP, {"action": "submit"}, Topic.DUTY, (None, Role.AUTHORITY)),
        (EntryKind.CATALOGUE_STEP, {"action": "return", "to_state": "returned"}, Topic.DUTY,
         (PROVIDER, Role.DATA_OFFICER)),
        (EntryKind.CATALOGUE_STEP, {"action": "publish"}, Topic.ANSWER, (PROVIDER, Role.DATA_OFFICER)),
        (EntryKind.DRIFT, {"action": "open"}, Topic.DUTY, (PROVIDER, Role.DATA_OFFICER)),
        (EntryKind.CORRECTION, {"action": "report"}, Topic.DUTY, (PROVIDER, Role.DATA_OFFICER)),
        (EntryKind.CORRECTION, {"action": "reject"}, Topic.CORRECTION, (CONSUMER, Role.BUSINESS)),
        (EntryKind.OBJECTION, {"step": "make"}, Topic.DUTY, (CONSUMER, Role.DATA_OFFICER)),
        (EntryKind.WISH, {"step": "make"}, Topic.DUTY, (None, Role.AUTHORITY)),
        (EntryKind.WISH, {"step": "assign", "department": PROVIDER}, Topic.DUTY, (PROVIDER, Role.DATA_OFFICER)),
        (EntryKind.TASK, {"action": "schema_blocked"}, Topic.DUTY, (PROVIDER, Role.DATA_OFFICER)),
        (EntryKind.FINDING, {"kind": "reply", "revision": 1}, Topic.BREACH, (PROVIDER, Role.DEPARTMENT_HEAD)),
        (EntryKind.ALARM, {"kind": "misses", "state": "open", "series": "x", "day": "2026-11-02"}, Topic.ALARM,
         (None, Role.AUTHORITY)),
        (EntryKind.CASE, {"action": "open", "stage_after": "negotiate"}, Topic.CASE, (PROVIDER, Role.DEPARTMENT_HEAD)),
        (EntryKind.CASE, {"action": "escalate", "stage_after": CaseStage.AUTHORITY.value}, Topic.CASE,
         (None, Role.AUTHORITY)),
    ],
)  # fmt: skip
def test_an_entry_concerns(
    kind: EntryKind, facts: dict[str, JsonValue], topic: Topic, audience: tuple[DepartmentCode | None, Role]
) -> None:
    (matter,) = told(kind, facts)
    assert matter.topic is topic
    assert any(audience[0] == one.department and audience[1] in one.roles for one in matter.audiences)
    assert matter.address.startswith("/")
    assert matter.what.zh
    assert matter.what.en


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        (EntryKind.DECISION, {"step": "withdraw", "state": "withdrawn"}),
        (EntryKind.AGREEMENT, {"step": "confirm", "state": "draft"}),
        (EntryKind.AGREEMENT, {"step": "lapse_amendment", "state": "active", "amendment": 2}),
        (EntryKind.CATALOGUE_STEP, {"action": "sign_off"}),
        (EntryKind.DRIFT, {"action": "close"}),
        (EntryKind.CORRECTION, {"action": "close"}),
        (EntryKind.OBJECTION, {"step": "uphold"}),
        (EntryKind.WISH, {"step": "plan", "department": PROVIDER}),
        (EntryKind.TASK, {"action": "run"}),
        (EntryKind.FINDING, {"kind": "reply", "revision": 2}),
        (EntryKind.ALARM, {"state": "dismissed"}),
        (EntryKind.CASE, {"action": "unknown", "stage_after": "closed"}),
        (EntryKind.BATCH, {}),
    ],
)
def test_what_concerns_nobody_is_not_told(kind: EntryKind, facts: dict[str, JsonValue]) -> None:
    assert told(kind, facts) == []


def duty(*, due_days: int, done: bool = False, kind: DutyKind = DutyKind.REPLY) -> Duty:
    due_at = CALENDAR.deadline(NOW, due_days)
    span = Span(party=Party.PROVIDER, since=NOW - timedelta(days=3), entry_id=EntryId("e"), why=Text(zh="", en=""))
    return Duty(
        kind=kind,
        subject="request-1",
        title=Text(zh="资源", en="resource"),
        provider=PROVIDER,
        consumer=CONSUMER,
        due_at=due_at,
        done_at=NOW if done else None,
        spans=(span,),
        evidence=(),
    )


def test_a_deadline_is_told_when_it_is_near_and_only_to_who_must_act() -> None:
    assert reminder_of(duty(due_days=5), now=NOW, calendar=CALENDAR) is None
    assert reminder_of(duty(due_days=1, done=True), now=NOW, calendar=CALENDAR) is None
    assert reminder_of(duty(due_days=1), now=NOW + timedelta(days=9), calendar=CALENDAR) is None
    assert reminder_of(duty(due_days=1, kind=DutyKind.QUALITY), now=NOW, calendar=CALENDAR) is None
    near = reminder_of(duty(due_days=2), now=NOW, calendar=CALENDAR)
    assert near is not None
    assert (near.once, near.urgent, near.address) == (True, False, "/requests/request-1")
    assert [one.department for one in near.audiences] == [PROVIDER]
    assert "2026-11-04" in near.what.en
    today = reminder_of(duty(due_days=0), now=NOW, calendar=CALENDAR)
    assert today is not None
    assert today.urgent


def test_every_topic_pace_and_duty_has_a_name() -> None:
    assert set(TOPIC_NAMES) == set(Topic)
    assert set(PACE_NAMES) == set(Pace)
    assert set(DUTY_NAMES) == set(DutyKind)
    assert EntryKind.CASE in MAKERS


def test_a_message_says_what_is_urgent_first_and_how_much_it_left_out() -> None:
    lines = [
        Line(
            topic=Topic.DUTY,
            urgent=number == 55,
            times=1 + number % 2,
            title=Text(zh=f"资源{number}", en=f"resource {number}"),
            what=Text(zh="待答复。", en="Reply."),
            address=f"/requests/{number}",
            told_at=NOW + timedelta(minutes=number),
        )
        for number in range(56)
    ]
    assert subject_of(lines, Language.EN) == "[Urgent] Datong: 56 notices"
    assert subject_of(lines[:1], Language.ZH) == "资源0"
    text = text_of(lines, Language.EN, "https://hub.example")
    assert text.startswith("[urgent] [duties] resource 55 (2 times)\nReply.\n")
    assert f"{56 - LINES_MAX} more are in the console." in text
    assert "https://hub.example/notices/settings" in text
    assert "（2 次）" in text_of(lines, Language.ZH, "https://hub.example")


def test_an_address_is_used_when_it_is_confirmed() -> None:
    assert Preferences().channels == ()
    assert Preferences(email="a@b.cn").channels == ()
    assert Preferences(email="a@b.cn", email_confirmed=True, webhook="https://x").channels == ("email", "webhook")
    assert require_address(" ming.li@example.gov.cn ") == "ming.li@example.gov.cn"
    assert require_address("") == ""
    for wrong in ("a", "a@", "a b@c.cn", "a@b..cn", "a@b.cn\r\nBcc: x@y.cn", "x" * 70 + "@b.cn", "<a@b.cn>"):
        with pytest.raises(Invalid):
            require_address(wrong)
    code = confirmation_code(b"hub", "p", "a@b.cn")
    assert code != confirmation_code(b"hub", "q", "a@b.cn")
    assert Choices().pace is Pace.WORKING_DAY
