"""Requests: from a need for data to a yes with an agreement, or a no with reasons (Order 809, Arts. 20–22)."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, func, insert, or_, select, update

from datong.catalogue import Resource, ServiceItem, UseKind
from datong.kernel import (
    PLATFORM_ACTOR,
    Actor,
    AgreementId,
    Clock,
    Conflict,
    Database,
    DepartmentCode,
    NotFound,
    Page,
    RequestId,
    ResourceId,
    Text,
    WorkingCalendar,
    new_id,
    page_of,
)
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger, require_other_eyes
from datong.norms import NormPack, ShareType
from datong.sharing import tables
from datong.sharing.agreements import Agreements
from datong.sharing.evidence import request_facts
from datong.sharing.masks import MaskKind
from datong.sharing.ports import DepartmentBook, PublishedResources, ResourceUses
from datong.sharing.request_prefill import Prefill, prefill
from datong.sharing.request_rules import (
    LINES_MAX,
    Problem,
    RequestAction,
    RequestParty,
    amend,
    completed,
    follow,
    incomplete,
    items_by_share_type,
    line_problems,
    merged_lines,
    possible_actions,
    purpose_problems,
    reply_limits,
    with_masks,
)
from datong.sharing.terms import AgreementItem, Purpose, PurposeDraft, Request, RequestLine, RequestState

DECISIONS = frozenset({RequestAction.APPROVE, RequestAction.REFUSE})
_MUTABLE = {
    "state",
    "due_at",
    "extension",
    "extension_reason",
    "reason",
    "decided_at",
    "agreement_id",
    "revision",
    "content",
}


class Named(NamedTuple):
    """The names of a request that comes from elsewhere, and what else is written with it."""

    bundle_id: str
    request_id: RequestId
    also: Callable[[Connection, Sequence[Request]], None]


class Requests:
    """The requests of all departments."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        calendar: WorkingCalendar,
        ledger: Ledger,
        pack: NormPack,
        catalogue: PublishedResources,
        departments: DepartmentBook,
        agreements: Agreements,
        uses: ResourceUses,
    ) -> None:
        self._database = database
        self._clock = clock
        self._calendar = calendar
        self._ledger = ledger
        self._pack = pack
        self._catalogue = catalogue
        self._departments = departments
        self._agreements = agreements
        self._uses = uses
        self._limits = reply_limits(pack)

    def submit(
        self,
        *,
        consumer: DepartmentCode,
        lines: Sequence[RequestLine],
        purpose: Purpose | PurposeDraft,
        actor: Actor,
        named: Named | None = None,
    ) -> tuple[Request, ...]:
        """Submit a bundle: one request per resource and share type. Unconditional ones are granted at once.

        One that is `named` already is made under these names, with what else belongs to its transaction.

        Raises:
            Invalid: `sharing.request_incomplete`, listing everything that is missing or wrong in `context["problems"]`.
            NotFound: the consumer is not registered.
        """
        now = self._clock.now()
        self._departments.get(consumer)
        draft = PurposeDraft.model_validate(purpose.model_dump())
        merged = merged_lines(lines[:LINES_MAX])
        found = [self._published(line.resource_id) for line in merged]
        problems: list[Problem] = list(purpose_problems(draft, now))
        if not merged:
            problems.append(Problem(field="/lines", text=Text(zh="未选择任何资源", en="no resource was chosen")))
        if len(lines) > LINES_MAX:
            problems.append(
                Problem(
                    field="/lines",
                    text=Text(zh=f"一次最多申请 {LINES_MAX} 项资源", en=f"at most {LINES_MAX} resources at once"),
                )
            )
        for place, (line, resource) in enumerate(zip(merged, found, strict=True)):
            problems.extend(line_problems(place, line, resource, consumer, draft.modes))
        if problems:
            raise incomplete(problems)
        bundle_id = named.bundle_id if named else new_id()
        submitted: list[Request] = []
        with self._database.transaction() as connection:
            for line, resource in zip(merged, found, strict=True):
                if resource is None:
                    continue
                for share_type, items in items_by_share_type(resource, line, self._pack).items():
                    request = self._new_request(
                        bundle_id, consumer, resource, share_type, items, completed(draft), actor, now
                    ).model_copy(update={"row_filter": line.rows, "calls": line.calls})
                    if named is not None:
                        request = request.model_copy(update={"id": named.request_id})
                    submitted.append(self._record_new(connection, request, actor))
            if named is not None:
                named.also(connection, submitted)
        return tuple(submitted)

    def act(
        self,
        request_id: RequestId,
        action: RequestAction,
        actor: Actor,
        reason: str = "",
        masks: Mapping[str, MaskKind] | None = None,
    ) -> Request:
        """Take a step: approve, refuse, ask for, consent to or deny an extension, withdraw.

        Who approves may name stricter `masks` than the grades call for, by column; to other steps they mean nothing.

        Raises:
            NotFound: there is no such request.
            Refused, Conflict, Invalid: see `request_rules.follow` and `with_masks`; also Conflict when somebody else
                was faster, Refused when who decides had a part in submitting it.
        """
        now = self._clock.now()
        parties = self.parties_of(self.get(request_id), actor.department)
        with self._database.transaction() as connection:
            request = self._load(connection, request_id)
            after = follow(
                request,
                action,
                parties=parties,
                reason=reason,
                now=now,
                calendar=self._calendar,
                limits=self._limits,
            )
            if action in DECISIONS:
                require_other_eyes(
                    connection, actor, subject=request_id, kinds=(EntryKind.REQUEST,), acts=("submit", "amend")
                )
            agreement_id = AgreementId(new_id()) if action is RequestAction.APPROVE else None
            if agreement_id is not None:
                after = with_masks(after, masks or {}).model_copy(update={"agreement_id": agreement_id})
            # Whoever saves first decides; an agreement before that would meet the other one's as a broken constraint.
            self._save(connection, request, after)
            if agreement_id is not None:
                self._agreements.draw_up(connection, after, agreement_id=agreement_id, actor=actor, now=now)
            self._ledger.append(
                connection,
                kind=EntryKind.DECISION if action in DECISIONS else EntryKind.REQUEST,
                subject=request_id,
                actor=actor,
                facts=request_facts(after, action.value),
            )
        return after

    decide = act

    def amend(self, request_id: RequestId, purpose: PurposeDraft, actor: Actor) -> Request:
        """Change the purpose of a request that awaits its reply; its deadline begins anew.

        Raises:
            NotFound: there is no such request.
            Refused, Conflict, Invalid: see `request_rules.amend`; also Conflict when somebody else was faster.
        """
        now = self._clock.now()
        parties = self.parties_of(self.get(request_id), actor.department)
        with self._database.transaction() as connection:
            request = self._load(connection, request_id)
            after = amend(request, purpose, parties=parties, now=now, calendar=self._calendar, limits=self._limits)
            self._save(connection, request, after)
            self._ledger.append(
                connection,
                kind=EntryKind.REQUEST,
                subject=request_id,
                actor=actor,
                facts=request_facts(after, "amend"),
            )
        return after

    def prefill(
        self,
        consumer: DepartmentCode,
        resource_ids: Sequence[ResourceId],
        *,
        service_item: str = "",
        registered: ServiceItem | None = None,
    ) -> Prefill:
        """Return what a new request may say, and where each answer comes from; see `request_prefill.prefill`."""
        found = [self._published(resource_id) for resource_id in dict.fromkeys(resource_ids)]
        return prefill(
            consumer=consumer,
            resources=[resource for resource in found if resource is not None],
            service_item=service_item,
            registered=registered,
            earlier=self.find(consumer=consumer, limit=PAGE_ROWS_MAX).rows,
            now=self._clock.now(),
        )

    def get(self, request_id: RequestId) -> Request:
        """Return a request.

        Raises:
            NotFound: there is none with that id.
        """
        with self._database.snapshot() as connection:
            return self._load(connection, request_id)

    def bundle(self, bundle_id: str) -> tuple[Request, ...]:
        """Return the requests that were submitted together."""
        query = select(tables.request).where(tables.request.c.bundle_id == bundle_id).order_by(tables.request.c.id)
        with self._database.snapshot() as connection:
            return tuple(request_of(row) for row in connection.execute(query).mappings())

    def find(
        self,
        *,
        consumer: DepartmentCode | None = None,
        provider: DepartmentCode | None = None,
        department: DepartmentCode | None = None,
        state: RequestState | None = None,
        resource_id: ResourceId | None = None,
        overdue: bool = False,
        offset: int = 0,
        limit: int = 20,
    ) -> Page[Request]:
        """Return requests, newest first: of a party `department`, or `overdue` (unanswered past the deadline)."""
        table = tables.request
        where: list[ColumnElement[bool]] = []
        for column, value in (
            (table.c.consumer, consumer),
            (table.c.provider, provider),
            (table.c.state, state.value if state else None),
            (table.c.resource_id, resource_id),
        ):
            if value is not None:
                where.append(column == value)
        if department is not None:
            where.append(or_(table.c.consumer == department, table.c.provider == department))
        if overdue:
            where += [table.c.state == RequestState.SUBMITTED.value, table.c.due_at <= self._clock.now()]
        query = select(table).where(*where).order_by(table.c.submitted_at.desc(), table.c.id.desc())
        with self._database.snapshot() as connection:
            total = connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one()
            rows = connection.execute(query.offset(offset).limit(min(limit, PAGE_ROWS_MAX))).mappings()
            return page_of(tuple(request_of(row) for row in rows), total=total, offset=offset)

    def parties_of(self, request: Request, department: DepartmentCode | None) -> frozenset[RequestParty]:
        """Return as what `department` may act on `request`."""
        parties: set[RequestParty] = set()
        if department is None:
            return frozenset()
        if department == request.consumer:
            parties.add(RequestParty.CONSUMER)
        if department == request.provider:
            parties.add(RequestParty.PROVIDER)
        if self._departments.get(department).is_authority:
            parties.add(RequestParty.AUTHORITY)
        return frozenset(parties)

    def possible_actions(self, request: Request, department: DepartmentCode | None) -> tuple[RequestAction, ...]:
        """Return what `department` can do with `request` now."""
        return possible_actions(request, self.parties_of(request, department), self._clock.now())

    def _published(self, resource_id: ResourceId) -> Resource | None:
        try:
            return self._catalogue.published(resource_id)
        except NotFound:
            return None

    def _new_request(
        self,
        bundle_id: str,
        consumer: DepartmentCode,
        resource: Resource,
        share_type: ShareType,
        items: tuple[AgreementItem, ...],
        purpose: Purpose,
        actor: Actor,
        now: datetime,
    ) -> Request:
        return Request(
            id=RequestId(new_id()),
            bundle_id=bundle_id,
            consumer=consumer,
            provider=resource.department,
            resource_id=resource.id,
            resource_version=resource.published_version or resource.version,
            resource_title=resource.content.title,
            items=items,
            share_type=share_type,
            update_cycle=resource.content.update_cycle,
            purpose=purpose,
            state=RequestState.SUBMITTED,
            submitted_by=actor.id,
            submitted_at=now,
            due_at=self._calendar.deadline(now, self._limits.reply(share_type)),
        )

    def _record_new(self, connection: Connection, request: Request, actor: Actor) -> Request:
        """Store a fresh request with its evidence, and grant it at once when its items are shared unconditionally."""
        connection.execute(insert(tables.request).values(_row(request)))
        self._uses.record_use_within(
            connection, request.resource_id, UseKind.REQUEST, request.consumer, request.provider
        )
        self._ledger.append(
            connection,
            kind=EntryKind.REQUEST,
            subject=request.id,
            actor=actor,
            facts=request_facts(request, "submit"),
        )
        if request.share_type is not ShareType.UNCONDITIONAL:
            return request
        agreement_id = AgreementId(new_id())
        granted = request.model_copy(
            update={
                "state": RequestState.GRANTED,
                "decided_at": request.submitted_at,
                "agreement_id": agreement_id,
                "revision": request.revision + 1,
            }
        )
        self._save(connection, request, granted)
        self._agreements.draw_up(
            connection, granted, agreement_id=agreement_id, actor=PLATFORM_ACTOR, now=request.submitted_at
        )
        self._ledger.append(
            connection,
            kind=EntryKind.DECISION,
            subject=request.id,
            actor=PLATFORM_ACTOR,
            facts=request_facts(granted, "grant_unconditional"),
        )
        return granted

    def _load(self, connection: Connection, request_id: RequestId) -> Request:
        row = connection.execute(select(tables.request).where(tables.request.c.id == request_id)).mappings().first()
        if row is None:
            raise NotFound(
                "sharing.request_unknown",
                what=Text(zh=f"没有这个申请：{request_id}。", en=f"There is no such request: {request_id}."),
                remedy=Text(zh="请核对编号。", en="Check the id."),
            )
        return request_of(row)

    def _save(self, connection: Connection, before: Request, after: Request) -> None:
        """Write `after` over `before`, unless somebody changed it in between."""
        changed = connection.execute(
            update(tables.request)
            .where(tables.request.c.id == before.id, tables.request.c.revision == before.revision)
            .values({key: value for key, value in _row(after).items() if key in _MUTABLE})
        ).rowcount
        if changed != 1:
            raise Conflict(
                "sharing.request_changed",
                what=Text(zh="该申请刚刚被他人办理。", en="Somebody else has just acted on this request."),
                remedy=Text(zh="请刷新后查看最新状态。", en="Reload to see the present state."),
            )


def _row(request: Request) -> dict[str, object]:
    return {
        "id": request.id,
        "bundle_id": request.bundle_id,
        "consumer": request.consumer,
        "provider": request.provider,
        "resource_id": request.resource_id,
        "state": request.state.value,
        "submitted_at": request.submitted_at,
        "due_at": request.due_at,
        "extension": request.extension.value,
        "extension_reason": request.extension_reason,
        "reason": request.reason,
        "decided_at": request.decided_at,
        "agreement_id": request.agreement_id,
        "revision": request.revision,
        "content": request.model_dump(
            mode="json",
            include={
                "resource_version",
                "resource_title",
                "items",
                "row_filter",
                "calls",
                "share_type",
                "update_cycle",
                "purpose",
                "submitted_by",
            },
        ),
    }


def request_of(row: tables.Row) -> Request:
    """Return the request that a row holds."""
    columns = {key: row[key] for key in row if key != "content"}
    return Request.model_validate({**columns, **row["content"]})
