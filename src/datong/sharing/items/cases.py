"""Cases of service items: what departments hold about the applicant is obtained through the gateway, under agreements.

No value is kept: the form is shown once to who handles the case. What is kept of a case are its figures, its evidence
and a keyed mark of its applicant, so that a case number cannot be used for somebody else.
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Protocol

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from datong.catalogue import Resource, ServiceItem
from datong.kernel import (
    AccessId,
    Clock,
    Conflict,
    Database,
    DatongError,
    DepartmentCode,
    EntryId,
    JsonValue,
    NotFound,
    ResourceId,
    Text,
    Value,
    new_id,
)
from datong.kernel.limits import NAME_CHARS_MAX, PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger, commitment
from datong.norms import NormPack
from datong.sharing import tables
from datong.sharing.agreements import Agreements
from datong.sharing.credentials import invalid_field
from datong.sharing.evidence import subject_fact
from datong.sharing.gateway_calls import GatewayAnswer
from datong.sharing.items.definitions import ItemDefinition, shipped_definitions
from datong.sharing.items.forms import CaseBenefit, CaseForm, Fetch, Fetched, fill, plan, usable
from datong.sharing.items.register import ServiceRegister
from datong.sharing.ports import PublishedResources
from datong.sharing.principals import Principal
from datong.sharing.subjects import CITIZEN_ELEMENT, SALT_BYTES, canonical_subject, keyed_index

KEYS = frozenset({CITIZEN_ELEMENT, "uscc"})
"""By what applicants are named: people and firms."""


class Query(Protocol):
    """Asks the gateway in somebody's name; `Gateway.query` satisfies it."""

    def __call__(
        self,
        principal: Principal,
        resource_id: ResourceId,
        *,
        key: Mapping[str, str],
        items: Sequence[str],
        purpose: str,
        case_number: str,
    ) -> GatewayAnswer:
        """Return what the gateway answers, or raise what it refuses with."""
        ...


class ItemBenefit(Value):
    """What the cases of one service item spared people."""

    item_id: str
    code: str
    department: DepartmentCode
    benefit: CaseBenefit


class HandledCase(Value):
    """A case as it is kept, with every access that was made for it."""

    id: str
    item_id: str
    code: str
    department: DepartmentCode
    case_number: str
    at: datetime
    entry_id: EntryId
    accesses: tuple[AccessId, ...]


class ServiceBenefit(Value):
    """What all cases spared people, and those of each item, the most first."""

    total: CaseBenefit
    items: tuple[ItemBenefit, ...]


class ServiceCases:
    """Handles cases; `query` is the gateway's, which decides and records every call."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ledger: Ledger,
        register: ServiceRegister,
        agreements: Agreements,
        catalogue: PublishedResources,
        query: Query,
        index_key: bytes,
        pack: NormPack,
    ) -> None:
        self._database, self._clock, self._ledger = database, clock, ledger
        self._register, self._agreements, self._catalogue = register, agreements, catalogue
        self._query = query
        self._index_key = index_key
        self._pack = pack

    @cached_property
    def definitions(self) -> tuple[ItemDefinition, ...]:
        """The definitions that ship with the platform, read and checked at the first need."""
        return shipped_definitions(self._pack)

    def handle(
        self,
        principal: Principal,
        item_id: str,
        *,
        applicant: str,
        case_number: str,
        key_element: str = CITIZEN_ELEMENT,
    ) -> CaseForm:
        """Fill in the form of one case for one applicant, and put on record what that spared.

        Raises:
            NotFound: there is no such item. Invalid: applicant or case number is missing or too long.
            Conflict: the item is retired, or the case number is another applicant's.
        """
        applicant, case_number = applicant.strip(), case_number.strip()
        for name, value in (("applicant", applicant), ("case_number", case_number)):
            if not 0 < len(value) <= NAME_CHARS_MAX:
                raise invalid_field(
                    name,
                    Text(
                        zh=f"申请人和办件编号须为 1 到 {NAME_CHARS_MAX} 个字符。",
                        en=f"Applicant and case number have 1 to {NAME_CHARS_MAX} characters.",
                    ),
                )
        if key_element not in KEYS:
            raise invalid_field(
                "key", Text(zh="申请人须以证件号或信用代码指明。", en="Name the applicant by ID or code.")
            )
        item = self._register.get(item_id)
        if item.retired:
            raise _retired()
        subject = keyed_index(self._index_key, key_element, applicant)
        with self._database.snapshot() as connection:
            self._require_same(self._known(connection, item, case_number), subject)
        now = self._clock.now()
        agreements = tuple(one for one in self._agreements.of_consumer(item.department) if usable(one, item, now))
        fetches = plan(item, agreements, self._resources({one.resource_id for one in agreements}), key_element)
        fetched = [self._fetch(principal, item, fetch, {key_element: applicant}, case_number) for fetch in fetches]
        form = fill(item, case_number=case_number, fetches=fetches, fetched=fetched, agreements=agreements, now=now)
        named = canonical_subject(applicant) if key_element == CITIZEN_ELEMENT else applicant
        entry_id = self._record(principal, item, form, subject, named)
        return form.model_copy(update={"entry_id": entry_id})

    def of_applicant(self, element: str, identifier: str) -> tuple[HandledCase, ...]:
        """Return the cases of one applicant, named by a key of `KEYS`; a value that is none names nobody."""
        table = tables.service_case
        subject = keyed_index(self._index_key, element, identifier)
        with self._database.snapshot() as connection:
            rows = connection.execute(select(table).where(table.c.subject_index == subject)).mappings().all()
        return tuple(self._handled(row) for row in rows)

    def _handled(self, row: tables.Row) -> HandledCase:
        # A case that is opened again keeps its newest figures; the accesses of each time stand in its entries.
        entries = self._ledger.entries(kind=EntryKind.SERVICE_CASE, subject=row["id"], limit=PAGE_ROWS_MAX).rows
        made = {access for entry in entries for access in entry.facts["accesses"]}
        kept = {name: row[name] for name in HandledCase.model_fields if name != "accesses"}
        return HandledCase(**kept, accesses=tuple(sorted(made)))

    def benefit(self, *, department: DepartmentCode | None = None, item_id: str | None = None) -> ServiceBenefit:
        """Return what cases spared people: of all departments, of one, or of one item."""
        table = tables.service_case
        sums = [func.count().label("cases"), *(func.sum(table.c[name]).label(name) for name in _FIGURES)]
        query = select(table.c.item_id, table.c.code, table.c.department, *sums).group_by(
            table.c.item_id, table.c.code, table.c.department
        )
        if department is not None:
            query = query.where(table.c.department == department)
        if item_id is not None:
            query = query.where(table.c.item_id == item_id)
        with self._database.snapshot() as connection:
            rows = connection.execute(query).mappings().all()
        items = [
            ItemBenefit(
                item_id=row["item_id"],
                code=row["code"],
                department=row["department"],
                benefit=CaseBenefit(cases=row["cases"], **{name: int(row[name]) for name in _FIGURES}),
            )
            for row in rows
        ]
        ranked = sorted(items, key=lambda one: (-one.benefit.documents, -one.benefit.cases, one.code))
        total = CaseBenefit(**{name: sum(getattr(one.benefit, name) for one in items) for name in ("cases", *_FIGURES)})
        return ServiceBenefit(total=total, items=tuple(ranked[:PAGE_ROWS_MAX]))

    def _resources(self, wanted: set[ResourceId]) -> dict[ResourceId, Resource]:
        found = {}
        for resource_id in wanted:
            try:
                found[resource_id] = self._catalogue.published(resource_id)
            except NotFound:
                # A resource that is published no more can be asked nothing: its fields have no source.
                continue
        return found

    def _fetch(
        self, principal: Principal, item: ServiceItem, fetch: Fetch, key: dict[str, str], case_number: str
    ) -> Fetched:
        """Ask the gateway; what it refuses leaves the fields empty, with the reason, and the refusal on record."""
        try:
            answer = self._query(
                principal,
                fetch.resource_id,
                key=key,
                items=tuple(fetch.columns.values()),
                purpose=item.code,
                case_number=case_number,
            )
        except DatongError as error:
            return Fetched(problem=error.what)
        return Fetched(rows=answer.rows, masks=answer.masks, access_id=answer.access_id, entry_id=answer.entry_id)

    def _known(self, connection: Connection, item: ServiceItem, case_number: str) -> tables.Row | None:
        table = tables.service_case
        query = select(table).where(table.c.item_id == item.id, table.c.case_number == case_number)
        return connection.execute(query).mappings().first()

    def _require_same(self, known: tables.Row | None, subject: str) -> None:
        if known is not None and known["subject_index"] != subject:
            raise Conflict(
                "sharing.case_of_another",
                what=Text(
                    zh="这个办件编号已用于另一位申请人，不能用它查询他人的数据。",
                    en="This case number is another applicant's: data of somebody else cannot be asked for it.",
                ),
                remedy=Text(zh="请核对办件编号。", en="Check the case number."),
                field="/case_number",
            )

    def _record(self, principal: Principal, item: ServiceItem, form: CaseForm, subject: str, applicant: str) -> EntryId:
        """Keep the figures of a case, and evidence of them; a case that is opened again has the newest ones."""
        salts = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(SALT_BYTES)
        figures = {name: getattr(form.benefit, name) for name in _FIGURES}
        table = tables.service_case
        with self._database.transaction() as connection:
            known = self._known(connection, item, form.case_number)
            self._require_same(known, subject)
            facts: dict[str, JsonValue] = {
                "step": "handle" if known is None else "again",
                "item_id": item.id,
                "code": item.code,
                "department": item.department,
                "fields": len(form.fields),
                "obtained": sum(field.state.is_obtained for field in form.fields),
                "to_bring": len(form.to_bring),
                **figures,
                "accesses": sorted(
                    {field.origin.access_id for field in form.fields if field.origin and field.origin.access_id}
                ),
                "case_commitment": commitment(salts[0], form.case_number),
                subject_fact(0): commitment(salts[1], applicant),
            }
            case_id = new_id() if known is None else str(known["id"])
            entry_id = self._ledger.append(
                connection, kind=EntryKind.SERVICE_CASE, subject=case_id, actor=principal.actor, facts=facts
            )
            values = {
                **figures,
                "at": form.at,
                "entry_id": entry_id,
                "content": {"case_salt": salts[0].hex(), "subject_salt": salts[1].hex()},
            }
            if known is not None:
                connection.execute(update(table).where(table.c.id == case_id).values(**values))
                return entry_id
            own = {"id": case_id, "item_id": item.id, "code": item.code, "department": item.department}
            try:
                connection.execute(
                    insert(table).values(**own, case_number=form.case_number, subject_index=subject, **values)
                )
            except IntegrityError as error:
                raise _just_handled() from error
        return entry_id


_FIGURES = ("documents", "sheets", "trips")


def _retired() -> Conflict:
    return Conflict(
        "sharing.item_retired",
        what=Text(zh="该事项已注销。", en="This service item is retired."),
        remedy=Text(zh="请选择现行的事项。", en="Choose one that is in force."),
    )


def _just_handled() -> Conflict:
    return Conflict(
        "sharing.case_changed",
        what=Text(zh="该办件刚刚由他人办理。", en="Somebody else has just handled this case."),
        remedy=Text(zh="请重新打开。", en="Open it again."),
    )
