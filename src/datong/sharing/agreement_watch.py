"""What happens to agreements by rule: terms end and are brought to mind, purposes vanish, breaches show."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select

from datong.kernel import PLATFORM_ACTOR, Clock, Database, DepartmentCode, ResourceId, Value
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger
from datong.sharing import agreement_rules, tables
from datong.sharing.agreement_store import select_agreements
from datong.sharing.agreements import Agreements
from datong.sharing.terms import Agreement, AgreementState

BREACH_REFUSALS_MAX = 50
"""So many refused calls outside purpose or items within a day, and the agreement is suspended."""
BREACH_WINDOW = timedelta(days=1)
BREACH_POLICIES = frozenset({"data.other_purpose", "data.items_outside"})
_IN_USE = (AgreementState.ACTIVE.value, AgreementState.SUSPENDED.value)


class EndedItem(Value):
    """A service item that its department has given up."""

    department: DepartmentCode
    code: str


class AgreementWatch:
    """Looks after the agreements in force; running it twice does nothing twice."""

    def __init__(self, *, database: Database, clock: Clock, ledger: Ledger, agreements: Agreements) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._agreements = agreements

    def run(self, ended_items: Iterable[EndedItem] = ()) -> int:
        """Do everything that is due; return how many agreements changed."""
        changed = self._agreements.expire_due() + self.remind_due() + self.suspend_breaches()
        return changed + sum(self.end_purpose(item) for item in ended_items)

    def remind_due(self) -> int:
        """Remind the consumers of agreements whose term ends soon; the reminder is on record."""
        now, table = self._clock.now(), tables.agreement
        where: list[ColumnElement[bool]] = [
            table.c.state.in_(_IN_USE),
            table.c.reminded_at.is_(None),
            table.c.valid_until > now,
            table.c.valid_until <= now + agreement_rules.REMIND_BEFORE,
        ]
        with self._database.snapshot() as connection:
            due = select_agreements(connection, where, limit=PAGE_ROWS_MAX)
        for agreement in due:
            self._agreements.apply(
                agreement.id, "remind", PLATFORM_ACTOR, lambda found: agreement_rules.remind(found, now)
            )
        return len(due)

    def end_purpose(self, item: EndedItem) -> int:
        """End the agreements that serve a service item which is no more (Art. 27)."""
        table = tables.agreement
        where: list[ColumnElement[bool]] = [
            table.c.state.not_in([state.value for state in agreement_rules.ENDED]),
            table.c.consumer == item.department,
        ]
        with self._database.snapshot() as connection:
            found = select_agreements(connection, where, limit=PAGE_ROWS_MAX)
        served = [agreement for agreement in found if agreement.purpose.service_item == item.code]
        reason = f"服务事项 {item.code} 已注销。"
        for agreement in served:
            self._agreements.apply(
                agreement.id, "terminate", PLATFORM_ACTOR, lambda one: agreement_rules.end_purpose(one, reason)
            )
        return len(served)

    def suspend_breaches(self) -> int:
        """Suspend the agreements whose consumers keep asking for what was not agreed."""
        now = self._clock.now()
        suspended = 0
        for consumer, resource_id in self._suspects(now):
            for agreement in self._agreements.candidates(consumer, resource_id):
                if agreement.state is not AgreementState.ACTIVE or now >= agreement.valid_until:
                    continue
                refusals = self._refusals(agreement, since=max(now - BREACH_WINDOW, self._resumed_at(agreement)))
                if refusals < BREACH_REFUSALS_MAX:
                    continue
                self._suspend(agreement, f"一天内有 {refusals} 次超出约定用途或信息项的调用被拒绝。", now)
                suspended += 1
        return suspended

    def _suspend(self, agreement: Agreement, reason: str, now: datetime) -> None:
        self._agreements.apply(
            agreement.id, "suspend", PLATFORM_ACTOR, lambda one: agreement_rules.suspend_by_rule(one, reason, now)
        )

    def _suspects(self, now: datetime) -> list[tuple[DepartmentCode, ResourceId]]:
        """Return who was refused how often about which resource lately, whatever the reasons were."""
        table = tables.access
        query = (
            select(table.c.consumer, table.c.resource_id)
            .where(table.c.allowed.is_(False), table.c.at > now - BREACH_WINDOW, table.c.resource_id.is_not(None))
            .group_by(table.c.consumer, table.c.resource_id)
            .having(func.count() >= BREACH_REFUSALS_MAX)
            .limit(PAGE_ROWS_MAX)
        )
        with self._database.snapshot() as connection:
            return [(DepartmentCode(row.consumer), ResourceId(row.resource_id)) for row in connection.execute(query)]

    def _refusals(self, agreement: Agreement, *, since: datetime) -> int:
        """Count the refused calls outside what this agreement says, up to the newest few hundred."""
        table = tables.access
        query = (
            select(table.c.content)
            .where(
                table.c.consumer == agreement.consumer,
                table.c.resource_id == agreement.resource_id,
                table.c.allowed.is_(False),
                table.c.at > since,
            )
            .order_by(table.c.at.desc())
            .limit(PAGE_ROWS_MAX)
        )
        with self._database.snapshot() as connection:
            contents = list(connection.execute(query).scalars())
        under = [content for content in contents if agreement.id in content["agreement_ids"]]
        counted = Counter(policy for content in under for policy in set(content["policies"]) & BREACH_POLICIES)
        return max(counted.values(), default=0)

    def _resumed_at(self, agreement: Agreement) -> datetime:
        """Return when the agreement last changed: what happened before a resumption is forgiven."""
        newest = self._ledger.newest(kind=EntryKind.AGREEMENT, subject=agreement.id, limit=1)
        return newest[0].at if newest else agreement.drawn_up_at
