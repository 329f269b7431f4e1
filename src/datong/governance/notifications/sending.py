"""What leaves the console: messages made of what waits, sent at least once, with one id over all attempts.

A message is a row: made in the transaction that takes the notices it carries, claimed by one worker for a time, so that
a worker that is killed leaves it to the next one, settled with its evidence when the other side has answered. Webhooks
are those of Standard Webhooks, signed and retried as subscriptions are (`sharing.webhooks`).
"""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from datong.governance.notifications.digests import DAY, HOUR, Rate, Waiting, due_at
from datong.governance.notifications.inbox import PeopleBook, preferences_of
from datong.governance.notifications.mail import Letter, Line, Mailer, confirmation, subject_of, text_of
from datong.governance.notifications.preferences import (
    Choices,
    Preferences,
    confirmation_code,
    require_address,
)
from datong.governance.notifications.tables import MESSAGE, NOTICE, SETTING
from datong.kernel import (
    PLATFORM_ACTOR,
    Clock,
    Conflict,
    Database,
    DatongError,
    DepartmentCode,
    EntryId,
    Invalid,
    NotFound,
    Page,
    PersonId,
    Text,
    Value,
    WorkingCalendar,
    new_id,
    page_of,
    sha256_hex,
)
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger
from datong.sharing import GONE, WebhookSender, next_attempt, secret_of, signed_headers

LEASE_SECONDS = 60
"""How long a worker has a message to itself; one attempt takes less."""
MESSAGES_AT_ONCE = 20
NOTICES_AT_ONCE = 1000
"""Notices that one message carries; what is above waits for the next one."""
CONFIRMATIONS_PER_HOUR = 3
CONTENT_KEPT = timedelta(days=90)
EVENT_TYPE = "datong.notices"
_WAITS = (NOTICE.c.waiting_since.is_not(None), NOTICE.c.read_at.is_(None))


class MessageState(StrEnum):
    """Where a message stands: `dead` after the last attempt, or when nobody wants it any more."""

    DUE = "due"
    SENT = "sent"
    DEAD = "dead"


class Message(Value):
    """A message that left, or is to leave, the platform; `notices` is 0 for the letter that confirms an address."""

    id: str
    person: PersonId
    department: DepartmentCode | None
    channel: str
    notices: int
    content_sha256: str
    state: MessageState
    attempts: int
    made_at: datetime
    due_at: datetime
    detail: str
    settled_at: datetime | None
    entry_id: EntryId | None


class Sending:
    """Preferences, and the messages that follow from them; `secret` is the hub's own, of which others are made."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        calendar: WorkingCalendar,
        ledger: Ledger,
        people: PeopleBook,
        mailer: Mailer,
        sender: WebhookSender,
        secret: bytes,
        base_url: str,
        rate: Rate | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._calendar = calendar
        self._ledger = ledger
        self._people = people
        self._mailer = mailer
        self._sender = sender
        self._secret = secret
        self._base_url = base_url
        self._rate = rate or Rate()

    @property
    def mails(self) -> bool:
        """Whether this hub can send e-mail."""
        return self._mailer.ready

    def preferences(self, person: str) -> Preferences:
        """Return what a person has set."""
        with self._database.snapshot() as connection:
            return preferences_of(connection, person)

    def choose(self, person: str, choices: Choices) -> Preferences:
        """Keep what a person wants; a new address of e-mail gets a letter with the code that confirms it.

        Raises:
            Invalid: an address is none, or the hub sends no e-mail. Refused, Unreachable: see `WebhookSender.check`.
            Conflict: `governance.confirmations_often`: too many letters of confirmation in an hour.
        """
        email = require_address(choices.email)
        if email and not self._mailer.ready:
            raise Invalid(
                "governance.email_off",
                what=Text(zh="本平台没有设置邮件服务器。", en="This hub has no server of e-mail."),
                remedy=Text(
                    zh="请留空，或请运维人员设置 DATONG_SMTP_HOST。",
                    en="Leave it empty, or let the operators set DATONG_SMTP_HOST.",
                ),
                field="/email",
            )
        now = self._clock.now()
        with self._database.snapshot() as connection:
            before = preferences_of(connection, person)
        if choices.webhook and choices.webhook != before.webhook:
            self._sender.check(choices.webhook)
        same = email == before.email
        chosen = {name: getattr(choices, name) for name in Choices.model_fields}
        kept = {"email_confirmed": before.email_confirmed and same, "generation": before.generation}
        if choices.webhook and before.webhook and choices.webhook != before.webhook:
            kept["generation"] = before.generation + 1
        after = Preferences.model_validate({**chosen, **kept, "email": email})
        with self._database.transaction() as connection:
            _keep(connection, person, after, now)
            if not after.channels:
                connection.execute(update(NOTICE).where(NOTICE.c.person == person).values(waiting_since=None))
            if email and not after.email_confirmed and not same:
                self._ask(connection, person, after, now)
        return after

    def confirm(self, person: str, code: str) -> Preferences:
        """Confirm a person's address with the code that was sent there.

        Raises:
            Invalid: it is not that code.
        """
        now = self._clock.now()
        with self._database.transaction() as connection:
            before = preferences_of(connection, person)
            if not before.email or code.strip().upper() != confirmation_code(self._secret, person, before.email):
                raise Invalid(
                    "governance.code_wrong",
                    what=Text(zh="确认码不正确。", en="This is not the code."),
                    remedy=Text(zh="请输入邮件中的确认码。", en="Enter the code in the letter."),
                    field="/code",
                )
            after = before.model_copy(update={"email_confirmed": True})
            _keep(connection, person, after, now)
        return after

    def webhook_secret(self, person: str) -> str:
        """Return the secret with which a person's webhook is signed; it stands nowhere."""
        return self._secret_of(person, self.preferences(person).generation)

    def find(
        self,
        *,
        person: str | None = None,
        state: MessageState | None = None,
        offset: int = 0,
        limit: int = PAGE_ROWS_DEFAULT,
    ) -> Page[Message]:
        """Return messages, newest first."""
        wanted = [] if person is None else [MESSAGE.c.person == person]
        if state is not None:
            wanted.append(MESSAGE.c.state == state)
        with self._database.snapshot() as connection:
            total = connection.scalar(select(func.count()).select_from(MESSAGE).where(*wanted)) or 0
            rows = connection.execute(
                select(MESSAGE)
                .where(*wanted)
                .order_by(MESSAGE.c.made_at.desc(), MESSAGE.c.id.desc())
                .offset(offset)
                .limit(min(limit, PAGE_ROWS_MAX))
            ).mappings()
            return page_of(tuple(_message(row) for row in rows), total=total, offset=offset)

    def make(self) -> bool:
        """Make the messages that are due; return False, since all of them are made."""
        now = self._clock.now()
        # Most of what waits waits for the morning: nothing is written for whom nothing is due.
        with self._database.snapshot() as connection:
            due = self._due_people(connection, now)
        for person in due:
            with self._database.transaction() as connection:
                self._make_for(connection, person, now)
        return False

    def _due_people(self, connection: Connection, now: datetime) -> list[str]:
        """Return for whom a message is due, in three queries, however many people wait."""
        query = select(NOTICE.c.person, NOTICE.c.waiting_since, NOTICE.c.urgent).where(*_WAITS)
        waiting: defaultdict[str, list[Waiting]] = defaultdict(list)
        for row in connection.execute(query):
            waiting[row.person].append(Waiting(since=row.waiting_since, urgent=row.urgent))
        of_them = select(NOTICE.c.person).where(*_WAITS)
        chosen = connection.execute(select(SETTING).where(SETTING.c.person.in_(of_them))).mappings()
        preferences = {row["person"]: Preferences.model_validate(row["content"]) for row in chosen}
        lately = select(MESSAGE.c.person, MESSAGE.c.channel, MESSAGE.c.made_at).where(
            MESSAGE.c.made_at > now - DAY, MESSAGE.c.person.in_(of_them)
        )
        sent: dict[str, defaultdict[str, list[datetime]]] = {person: defaultdict(list) for person in waiting}
        for row in connection.execute(lately):
            sent[row.person][row.channel].append(row.made_at)
        return [
            person
            for person, mine in sorted(waiting.items())
            if self._is_due(mine, preferences.get(person, Preferences()), sent[person].__getitem__, now)
        ]

    def _is_due(
        self,
        waiting: Sequence[Waiting],
        preferences: Preferences,
        sent: Callable[[str], Sequence[datetime]],
        now: datetime,
    ) -> bool:
        """Whether what waits for a person leaves now by every channel; `sent` are the times of the last day."""
        dues = [
            due_at(waiting, sent(channel), preferences, self._rate, self._calendar) for channel in preferences.channels
        ]
        return all(due is not None and due <= now for due in dues)

    def deliver(self) -> bool:
        """Send what is due; return whether there may be more at once."""
        claimed = self._claim()
        for row in claimed:
            self._send(row)
        return len(claimed) == MESSAGES_AT_ONCE

    def waiting(self) -> int:
        """Return how many messages are not sent yet."""
        with self._database.snapshot() as connection:
            return connection.scalar(select(func.count(MESSAGE.c.id)).where(MESSAGE.c.state == MessageState.DUE)) or 0

    def sweep(self) -> bool:
        """Forget the texts of old messages; what was sent when, and its digest, stays. Return False."""
        old = MESSAGE.c.settled_at < self._clock.now() - CONTENT_KEPT
        with self._database.transaction() as connection:
            connection.execute(update(MESSAGE).where(old, MESSAGE.c.content != "").values(content=""))
        return False

    def _make_for(self, connection: Connection, person: str, now: datetime) -> None:
        preferences = preferences_of(connection, person, lock=True)
        mine = select(NOTICE).where(NOTICE.c.person == person, *_WAITS)
        query = mine.order_by(NOTICE.c.waiting_since, NOTICE.c.id).limit(NOTICES_AT_ONCE)
        rows = connection.execute(query.with_for_update(skip_locked=True)).mappings().all()
        waiting = [Waiting(since=row["waiting_since"], urgent=row["urgent"]) for row in rows]

        def sent(channel: str) -> Sequence[datetime]:
            lately = (MESSAGE.c.person == person, MESSAGE.c.channel == channel, MESSAGE.c.made_at > now - DAY)
            return connection.execute(select(MESSAGE.c.made_at).where(*lately)).scalars().all()

        if not waiting or not self._is_due(waiting, preferences, sent, now):
            return
        lines = [_line(row) for row in rows]
        message_id = None
        for channel in preferences.channels:
            message_id = self._insert(connection, person, channel, preferences, lines, now)
        values = {"waiting_since": None} if message_id is None else {"waiting_since": None, "message": message_id}
        connection.execute(update(NOTICE).where(NOTICE.c.id.in_([row["id"] for row in rows])).values(values))

    def _insert(
        self,
        connection: Connection,
        person: str,
        channel: str,
        preferences: Preferences,
        lines: Sequence[Line],
        now: datetime,
    ) -> str:
        """Write down a message as it will be sent."""
        message_id = f"msg_{new_id()}"
        content: dict[str, object]
        if channel == "email":
            content = {
                "subject": subject_of(lines, preferences.language),
                "text": text_of(lines, preferences.language, self._base_url),
            }
            address = preferences.email
        else:
            told = [{**line.model_dump(mode="json"), "address": f"{self._base_url}{line.address}"} for line in lines]
            content = {"type": EVENT_TYPE, "id": message_id, "timestamp": now.isoformat(), "notices": told}
            address = preferences.webhook
        self._write(
            connection, message_id, person, channel, address, json.dumps(content, ensure_ascii=False), len(lines), now
        )
        return message_id

    def _write(
        self,
        connection: Connection,
        message_id: str,
        person: str,
        channel: str,
        address: str,
        content: str,
        notices: int,
        now: datetime,
    ) -> None:
        try:
            department = self._people.account(PersonId(person)).department
        except NotFound:
            department = None
        connection.execute(
            insert(MESSAGE).values(
                id=message_id,
                person=person,
                department=department,
                channel=channel,
                address=address,
                notices=notices,
                content=content,
                content_sha256=sha256_hex(content.encode()),
                state=MessageState.DUE,
                attempts=0,
                made_at=now,
                due_at=now,
                detail="",
            )
        )

    def _ask(self, connection: Connection, person: str, preferences: Preferences, now: datetime) -> None:
        """Write down the letter that confirms an address."""
        letters = (MESSAGE.c.person == person, MESSAGE.c.notices == 0, MESSAGE.c.made_at > now - HOUR)
        asked = connection.scalar(select(func.count()).select_from(MESSAGE).where(*letters)) or 0
        if asked >= CONFIRMATIONS_PER_HOUR:
            raise Conflict(
                "governance.confirmations_often",
                what=Text(zh="一小时内更换邮箱过多。", en="The address was changed too often within an hour."),
                remedy=Text(zh="请一小时后再试。", en="Try again in an hour."),
                field="/email",
            )
        message_id = f"msg_{new_id()}"
        code = confirmation_code(self._secret, person, preferences.email)
        letter = confirmation(preferences.email, code, preferences.language, message_id=message_id, at=now)
        content = json.dumps({"subject": letter.subject, "text": letter.text}, ensure_ascii=False)
        self._write(connection, message_id, person, "email", preferences.email, content, 0, now)

    def _claim(self) -> list[RowMapping]:
        """Take due messages for a time; what another worker takes at the same moment is its own."""
        now = self._clock.now()
        due = (MESSAGE.c.state == MessageState.DUE, MESSAGE.c.due_at <= now)
        query = select(MESSAGE).where(*due).order_by(MESSAGE.c.due_at, MESSAGE.c.id).limit(MESSAGES_AT_ONCE)
        found = []
        with self._database.transaction() as connection:
            for row in connection.execute(query).mappings().all():
                until = now + timedelta(seconds=LEASE_SECONDS)
                taken = update(MESSAGE).where(MESSAGE.c.id == row["id"], *due).values(due_at=until)
                if connection.execute(taken).rowcount:
                    found.append(row)
        return found

    def _send(self, row: RowMapping) -> None:
        preferences = self.preferences(row["person"])
        present = preferences.email if row["channel"] == "email" else preferences.webhook
        if row["address"] != present or not self._works(row["person"]):
            self._settle(row, MessageState.DEAD, "nobody is there to be told")
            return
        try:
            status = self._handed_over(row, preferences)
        except DatongError as error:
            if error.transient:
                self._again(row, error.code)
            else:
                self._settle(row, MessageState.DEAD, error.code)
            return
        if status is None or 200 <= status < 300:
            self._settle(row, MessageState.SENT, "")
        elif status == GONE:
            self._settle(row, MessageState.DEAD, f"the receiver answered {GONE}")
            self._forget_webhook(row["person"])
        else:
            self._again(row, f"the receiver answered {status}")

    def _handed_over(self, row: RowMapping, preferences: Preferences) -> int | None:
        """Send a message; return the status of a webhook's answer, None for a letter that was taken.

        Raises:
            DatongError: it was not taken.
        """
        if row["channel"] == "email":
            content = json.loads(row["content"])
            letter = Letter(message_id=row["id"], to=row["address"], at=row["made_at"], **content)
            self._mailer.send(letter)
            return None
        secret = self._secret_of(row["person"], preferences.generation)
        body = row["content"].encode()
        headers = signed_headers((secret,), row["id"], self._clock.now(), body)
        return self._sender.post(row["address"], headers, body)

    def _works(self, person: str) -> bool:
        try:
            return not self._people.account(PersonId(person)).disabled
        except NotFound:
            return False

    def _forget_webhook(self, person: str) -> None:
        with self._database.transaction() as connection:
            before = preferences_of(connection, person)
            _keep(connection, person, before.model_copy(update={"webhook": ""}), self._clock.now())

    def _again(self, row: RowMapping, detail: str) -> None:
        """Try a message again after a pause; after the last attempt it is dead."""
        attempts = row["attempts"] + 1
        due = next_attempt(attempts, self._clock.now())
        if due is None:
            self._settle(row, MessageState.DEAD, detail)
            return
        values = {"attempts": attempts, "due_at": due, "detail": detail[:200]}
        with self._database.transaction() as connection:
            connection.execute(update(MESSAGE).where(MESSAGE.c.id == row["id"]).values(values))

    def _settle(self, row: RowMapping, state: MessageState, detail: str) -> None:
        """Write down what became of a message, with its evidence; one that another worker settled stays as it is."""
        attempts = row["attempts"] + 1
        unsettled = (MESSAGE.c.id == row["id"], MESSAGE.c.state == MessageState.DUE)
        with self._database.transaction() as connection:
            if connection.execute(select(MESSAGE.c.id).where(*unsettled).with_for_update()).first() is None:
                return
            entry_id = self._ledger.append(
                connection,
                kind=EntryKind.NOTIFICATION,
                subject=row["id"],
                actor=PLATFORM_ACTOR,
                facts={
                    "message": row["id"],
                    "person": row["person"],
                    "department": row["department"],
                    "channel": row["channel"],
                    "notices": row["notices"],
                    "content_sha256": row["content_sha256"],
                    "state": state.value,
                    "attempts": attempts,
                },
            )
            connection.execute(
                update(MESSAGE)
                .where(MESSAGE.c.id == row["id"])
                .values(
                    state=state,
                    attempts=attempts,
                    detail=detail[:200],
                    settled_at=self._clock.now(),
                    entry_id=entry_id,
                )
            )

    def _secret_of(self, person: str, generation: int) -> str:
        return secret_of(self._secret, f"notices:{person}", generation)


def _keep(connection: Connection, person: str, preferences: Preferences, now: datetime) -> None:
    values = {"content": preferences.model_dump(mode="json"), "changed_at": now}
    if not connection.execute(update(SETTING).where(SETTING.c.person == person).values(values)).rowcount:
        connection.execute(insert(SETTING).values(person=person, **values))


def _line(row: RowMapping) -> Line:
    fields = {name: row[name] for name in ("topic", "urgent", "times", "told_at")}
    return Line.model_validate({**fields, **row["content"]})


def _message(row: RowMapping) -> Message:
    return Message.model_validate({name: row[name] for name in Message.model_fields})
