"""Notices and messages over a real ledger and the real policy, on each control database."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from datong.governance import Duty, DutyKind, Party, Span
from datong.governance.notifications import (
    NOTIFICATION_AREAS,
    Choices,
    Inbox,
    MessageState,
    Pace,
    Rate,
    RecordingMailer,
    Sending,
    Topic,
    mail_refused,
    mail_unanswered,
)
from datong.kernel import (
    Conflict,
    Database,
    DepartmentCode,
    EntryId,
    Invalid,
    JsonValue,
    NotFound,
    Page,
    PersonId,
    ResourceId,
    Text,
    Unavailable,
    page_of,
)
from datong.ledger import EntryKind
from datong.sharing import Account, PolicyEngine, Role, secret_of
from datong.sharing.webhooks import RecordingSender
from tests.integration.governance.test_monitor import BUREAU, CONSUMER, DAY, PROVIDER, World

STANDARD = "https://receiver.example/notices"


class Killed(BaseException):
    """Stands for the end of the process."""


class Staff:
    """An officer and a clerk of each department, and the authority's officer."""

    def __init__(self, world: World) -> None:
        self.disabled: set[str] = set()
        roles = {PROVIDER: Role.DATA_OFFICER, CONSUMER: Role.DATA_OFFICER, BUREAU: Role.AUTHORITY}
        self._rows = [(f"officer-{code}", code, role) for code, role in roles.items()]
        self._rows.append(("clerk", CONSUMER, Role.BUSINESS))
        self._at = world.clock.now()

    def account(self, person: PersonId) -> Account:
        for name, code, role in self._rows:
            if name == person:
                return Account(
                    id=PersonId(name),
                    username=name,
                    name=name,
                    department=code,
                    roles=frozenset({role}),
                    has_subject=False,
                    disabled=name in self.disabled,
                    created_at=self._at,
                )
        raise NotFound("test.nobody", what=Text(zh="无", en="none"), remedy=Text(zh="无", en="none"))

    def accounts(self, *, department: DepartmentCode | None = None, offset: int = 0, limit: int = 50) -> Page[Account]:
        rows = [self.account(PersonId(name)) for name, code, _ in self._rows if department in {None, code}]
        return page_of(tuple(rows[offset : offset + limit]), total=len(rows), offset=offset)


class Names:
    """Things are called by their ids."""

    def resource(self, resource_id: ResourceId) -> Text:
        return Text(zh=f"资源 {resource_id}", en=f"resource {resource_id}")

    def department(self, code: DepartmentCode) -> Text:
        return Text(zh=code, en=code)


class Told(World):
    """A world in which people are told."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.staff = Staff(self)
        self.mailer, self.sender = RecordingMailer(), RecordingSender()
        self.duties: list[Duty] = []
        self.standing_in: dict[PersonId, PersonId] = {}
        self.inbox = Inbox(
            database=database,
            clock=self.clock,
            calendar=self.calendar,
            ledger=self.ledger,
            people=self.staff,
            policy=PolicyEngine(),
            names=Names(),
            authorities=self.authorities,
            duties=lambda _now: self.duties,
            substitutes=lambda _department: self.standing_in,
        )
        self.sending = Sending(
            database=database,
            clock=self.clock,
            calendar=self.calendar,
            ledger=self.ledger,
            people=self.staff,
            mailer=self.mailer,
            sender=self.sender,
            secret=b"hub",
            base_url="https://hub.example",
            rate=Rate(hourly_max=2, daily_max=5),
        )

    def follow(self) -> None:
        """Publish the log and tell of it."""
        while self.ledger.integrate():
            pass
        while self.inbox.follow():
            pass

    def denied(self) -> None:
        """Let the authority deny the extension of the first request."""
        facts: dict[str, JsonValue] = {
            "step": "deny_extension",
            "state": "submitted",
            "provider": PROVIDER,
            "consumer": CONSUMER,
            "resource_id": "resource-1",
        }
        self.record(EntryKind.DECISION, "request-1", facts, BUREAU)

    def send(self) -> None:
        """Make and deliver what is due."""
        self.sending.make()
        while self.sending.deliver():
            pass

    def confirmed(self, person: str, choices: Choices) -> None:
        """Let a person choose and enter the code of the letter."""
        self.sending.choose(person, choices)
        self.send()
        code = re.search(r"\b[0-9A-F]{8}\b", self.mailer.letters[-1].text)
        assert code is not None
        assert self.sending.confirm(person, code[0].lower()).email_confirmed
        self.mailer.letters.clear()


@pytest.fixture
def told(control_database: Database) -> Told:
    """A world in which people are told."""
    return Told(control_database)


@contextmanager
def killed() -> Iterator[None]:
    """Let the process end inside."""
    with pytest.raises(Killed):
        yield


def die() -> None:
    raise Killed


OFFICER, OTHER = f"officer-{PROVIDER}", f"officer-{CONSUMER}"


def test_an_inbox_folds_what_repeats_and_knows_who_may_read(told: Told) -> None:
    told.request("submit", "submitted")
    told.follow()
    (notice,) = told.inbox.find(OFFICER).rows
    assert (notice.topic, notice.times, notice.address) == (Topic.DUTY, 1, "/requests/request-1")
    assert told.inbox.unread(OTHER) == 0
    told.follow()
    told.request("extend", "submitted")
    told.denied()
    told.follow()
    (notice,) = told.inbox.find(OFFICER, unread=True).rows
    assert notice.times == 2
    # The authority's officer is told of the extension; who asked for it is not told of the own act.
    assert [one.address for one in told.inbox.find(f"officer-{BUREAU}").rows] == ["/requests/request-1"]
    with pytest.raises(NotFound):
        told.inbox.read(OTHER, notice.id)
    assert told.inbox.read(OFFICER, notice.id).read_at is not None
    told.denied()
    told.follow()
    assert told.inbox.find(OFFICER).total == 2
    told.request("approve", "granted")
    told.follow()
    assert {told.inbox.unread("clerk"), told.inbox.unread(OTHER)} == {1}
    assert told.inbox.find("clerk", topic=Topic.DUTY).total == 0
    assert told.inbox.read_all("clerk") == 1
    told.clock.advance(timedelta(days=181))
    told.inbox.sweep()
    assert told.inbox.find("clerk").total == 0
    assert told.inbox.unread(OFFICER) == 1


def test_who_relied_on_a_wrong_value_is_told_once_the_source_owns_up(told: Told) -> None:
    facts: dict[str, JsonValue] = {"provider": PROVIDER, "consumer": None, "resource_id": "resource-1"}
    asked: list[str] = []

    def relied(report: str) -> list[DepartmentCode]:
        asked.append(report)
        return [CONSUMER]

    def out_of_reach(_report: str) -> list[DepartmentCode]:
        raise Unavailable("test.away", what=Text(zh="无", en="none"), remedy=Text(zh="无", en="none"))

    told.record(EntryKind.CORRECTION, "report-1", {**facts, "action": "report"}, BUREAU)
    told.follow()
    told.inbox.follow_relied(relied)
    assert (asked, told.inbox.unread("clerk")) == ([], 0), "that somebody says so is no news"

    told.record(EntryKind.CORRECTION, "report-1", {**facts, "action": "accept"}, PROVIDER)
    told.follow()
    with pytest.raises(Unavailable):
        told.inbox.follow_relied(out_of_reach)
    assert told.inbox.unread("clerk") == 0
    told.record(EntryKind.CORRECTION, "report-1", {**facts, "action": "see"}, PROVIDER)
    told.follow()
    while told.inbox.follow_relied(relied):
        pass
    assert asked == ["report-1", "report-1"]
    for person in ("clerk", OTHER):
        (notice,) = told.inbox.find(person, unread=True).rows
        assert (notice.address, notice.topic, notice.times) == ("/corrections/report-1/uses", Topic.CORRECTION, 2)
    assert "corrected" in notice.what.en
    # Neither the source nor the authority relied on it.
    assert {told.inbox.unread(f"officer-{BUREAU}"), told.inbox.find(OFFICER, topic=Topic.CORRECTION).total} == {0}


def test_a_substitute_is_told_too_and_for_whom(told: Told) -> None:
    told.standing_in = {PersonId(OFFICER): PersonId("clerk"), PersonId(OTHER): PersonId("clerk")}
    told.request("submit", "submitted")
    told.follow()
    (theirs,), (lent,) = (told.inbox.find(person).rows for person in (OFFICER, "clerk"))
    assert lent.title == Text(zh=f"（代{OFFICER}）{theirs.title.zh}", en=f"(for {OFFICER}) {theirs.title.en}")
    assert (lent.address, lent.what) == (theirs.address, theirs.what)
    told.inbox.read_all("clerk")
    # Who is told in their own right is told once, and not for the other.
    told.request("approve", "granted")
    told.follow()
    (own,) = told.inbox.find("clerk", unread=True).rows
    assert "(for" not in own.title.en


def test_old_entries_are_nobodys_news_and_reminders_come_once(told: Told) -> None:
    told.request("submit", "submitted")
    told.clock.advance(timedelta(days=8))
    told.follow()
    assert told.inbox.unread(OFFICER) == 0
    now = told.clock.now()
    span = Span(party=Party.PROVIDER, since=now - DAY, entry_id=EntryId("e"), why=Text(zh="", en=""))
    told.duties = [
        Duty(
            kind=DutyKind.REPLY,
            subject="request-1",
            title=Text(zh="资源", en="resource"),
            provider=PROVIDER,
            consumer=CONSUMER,
            due_at=told.calendar.deadline(now, 1),
            spans=(span,),
            evidence=(),
        )
    ]
    told.inbox.remind()
    told.inbox.read_all(OFFICER)
    told.inbox.remind()
    assert told.inbox.find(OFFICER).total == 1
    assert told.inbox.find(OTHER).total == 0


def test_letters_are_digests_sent_at_least_once_with_one_id(told: Told) -> None:
    with pytest.raises(Invalid):
        told.sending.confirm(OFFICER, "00000000")
    told.confirmed(OFFICER, Choices(email="officer@example.gov.cn", pace=Pace.HOURLY))
    for number in range(1, 31):
        told.request("submit", "submitted", number=number)
    told.follow()
    told.send()
    assert told.mailer.letters == []
    told.clock.advance(timedelta(hours=1))
    # The server does not answer; then the process ends after the server took the letter, before that was noted.
    told.mailer.faults = [mail_unanswered("ConnectError")]
    told.send()
    told.clock.advance(timedelta(seconds=6))
    told.mailer.on_sent = die
    with killed():
        told.send()
    told.mailer.on_sent = lambda: None
    told.send()
    assert len(told.mailer.letters) == 1
    told.clock.advance(timedelta(seconds=61))
    told.send()
    first, again = told.mailer.letters
    assert (first.message_id, first.text) == (again.message_id, again.text)
    assert first.subject == "打通平台：30 条提醒"
    assert told.sending.find(person=OFFICER, state=MessageState.SENT).total == 2
    told.send()
    assert len(told.mailer.letters) == 2

    # A flood of urgent matters: two letters an hour, five a day, and all of it is told.
    told.mailer.letters.clear()
    for number in range(16):
        facts: dict[str, JsonValue] = {
            "action": "schema_blocked", "provider": PROVIDER, "consumer": CONSUMER, "resource": f"r{number}"
        }  # fmt: skip
        told.record(EntryKind.TASK, f"task-{number}", facts, BUREAU)
        told.clock.advance(timedelta(minutes=5))
        told.follow()
        told.send()
    assert len(told.mailer.letters) <= 5
    told.clock.advance(DAY)
    told.send()
    said = "".join(letter.text for letter in told.mailer.letters)
    assert all(f"资源 r{number}\n" in said for number in range(16))


def test_what_was_read_or_nobody_wants_is_not_sent(told: Told) -> None:
    told.confirmed(OFFICER, Choices(email="officer@example.gov.cn", pace=Pace.AT_ONCE, muted=frozenset({Topic.ALARM})))
    told.record(
        EntryKind.ALARM,
        "alarm-1",
        {"kind": "volume", "state": "open", "series": "task:1", "day": "2026-11-02", "provider": PROVIDER},
        BUREAU,
    )
    told.request("submit", "submitted")
    told.follow()
    assert told.inbox.unread(OFFICER) == 2
    told.inbox.read_all(OFFICER)
    told.clock.advance(timedelta(hours=2))
    told.send()
    assert told.mailer.letters == []
    told.request("submit", "submitted", number=2)
    told.follow()
    told.clock.advance(timedelta(minutes=2))
    told.sending.make()
    told.staff.disabled.add(OFFICER)
    told.send()
    (message, *_) = told.sending.find(person=OFFICER).rows
    assert (message.state, told.mailer.letters) == (MessageState.DEAD, [])
    told.staff.disabled.clear()

    # A letter that the server refuses for good is dead at once; its evidence says so.
    told.request("submit", "submitted", number=3)
    told.follow()
    told.clock.advance(timedelta(hours=2))
    told.mailer.faults = [mail_refused("550 no such mailbox")]
    told.send()
    (message, *_) = told.sending.find(person=OFFICER, state=MessageState.DEAD).rows
    assert message.detail == "governance.mail_refused"
    assert message.entry_id is not None
    assert told.ledger.entry(message.entry_id).facts["state"] == "dead"
    # A changed address is not used before it is confirmed, and may not be changed all the time.
    for number in range(3):
        told.sending.choose(OFFICER, Choices(email=f"other{number}@example.gov.cn"))
    with pytest.raises(Conflict):
        told.sending.choose(OFFICER, Choices(email="more@example.gov.cn"))
    assert told.sending.preferences(OFFICER).channels == ()
    told.mailer.ready = False
    with pytest.raises(Invalid):
        told.sending.choose(OTHER, Choices(email="other@example.gov.cn"))


def test_webhooks_are_signed_tried_again_and_end_with_410(told: Told) -> None:
    with pytest.raises(Invalid):
        told.sending.choose(OFFICER, Choices(webhook="http://receiver.example"))
    told.sending.choose(OFFICER, Choices(webhook=STANDARD, pace=Pace.AT_ONCE))
    told.request("submit", "submitted")
    told.follow()
    told.clock.advance(timedelta(minutes=2))
    told.sender.statuses = [500, 0, 204]
    told.send()
    told.clock.advance(timedelta(seconds=6))
    told.send()
    told.clock.advance(timedelta(seconds=301))
    told.send()
    ids = {headers["webhook-id"] for _, headers, _ in told.sender.sent}
    assert (len(told.sender.sent), len(ids)) == (3, 1)
    url, headers, body = told.sender.sent[-1]
    assert url == STANDARD
    assert told.sending.webhook_secret(OFFICER) == secret_of(b"hub", f"notices:{OFFICER}", 1)
    said = json.loads(body)
    assert (said["type"], said["id"]) == ("datong.notices", headers["webhook-id"])
    assert said["notices"][0]["address"] == "https://hub.example/requests/request-1"
    told.request("submit", "submitted", number=2)
    told.follow()
    told.clock.advance(timedelta(hours=1))
    told.sender.statuses = [410]
    told.send()
    assert told.sending.preferences(OFFICER).webhook == ""
    assert told.sending.find(state=MessageState.DEAD).total == 1
    told.clock.advance(timedelta(days=91))
    told.sending.sweep()
    while told.ledger.integrate():
        pass
    assert told.ledger.fsck(NOTIFICATION_AREAS).faults == ()
