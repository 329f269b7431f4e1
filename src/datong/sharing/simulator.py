"""The simulator: who could see a column, and why a chosen caller may or may not; decided by the one policy engine.

Nothing is read and nothing is recorded: the simulator asks the engine what the gateway and transfers would ask it.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement

from datong.kernel import (
    Actor,
    ActorKind,
    AgreementId,
    Clock,
    Database,
    DepartmentCode,
    NotFound,
    ResourceId,
    Text,
    Value,
)
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.norms import ShareMode
from datong.sharing import tables
from datong.sharing.actions import Action, DataAccess, Decision
from datong.sharing.agreement_store import select_agreements
from datong.sharing.identity import Identity
from datong.sharing.masks import MaskKind
from datong.sharing.policy import PolicyEngine
from datong.sharing.ports import PublishedResources
from datong.sharing.principals import Principal, Role
from datong.sharing.row_filters import RowCondition
from datong.sharing.terms import Agreement, AgreementState

SOME_CASE = "simulation"
_ACTIONS = {
    ShareMode.INTERFACE: Action.DATA_QUERY,
    ShareMode.BULK: Action.DATA_SHARE,
    ShareMode.FILE: Action.DATA_TRANSFER,
}


class Viewer(Value):
    """One department that an agreement concerns: in which modes its programs could see the column, or why not."""

    department: DepartmentCode
    applications: tuple[str, ...]
    agreement_id: AgreementId
    version: int
    state: AgreementState
    service_item: str
    mask: MaskKind
    row_filter: tuple[RowCondition, ...]
    valid_from: datetime
    valid_until: datetime
    modes: tuple[ShareMode, ...]
    allowed: bool
    reasons: tuple[Text, ...]
    policy_ids: tuple[str, ...]


class ColumnView(Value):
    """Who could see a column at a time: those who could first."""

    resource_id: ResourceId
    resource_title: Text
    column: str
    name: Text
    grade: str
    at: datetime
    viewers: tuple[Viewer, ...]


class SimulatedCall(Value):
    """A call that somebody might make: who, what of which resource, in which mode, and what for."""

    resource_id: ResourceId
    columns: tuple[str, ...]
    department: DepartmentCode
    kind: ActorKind = ActorKind.APPLICATION
    roles: frozenset[Role] = frozenset()
    mode: ShareMode = ShareMode.INTERFACE
    purpose: str = ""
    case_number: str = ""
    at: datetime | None = None


class Verdict(Value):
    """What the policy says to a question under one agreement; None: as if there were none."""

    agreement_id: AgreementId | None
    allowed: bool
    reasons: tuple[Text, ...]
    policy_ids: tuple[str, ...]


class CallVerdict(Value):
    """Whether each column could be had, under which agreement, and every verdict that led to it."""

    allowed: bool
    granted: dict[str, AgreementId]
    verdicts: tuple[Verdict, ...]


class Simulator:
    """Asks the policy engine what would be."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        catalogue: PublishedResources,
        policy: PolicyEngine,
        identity: Identity,
    ) -> None:
        self._database = database
        self._clock = clock
        self._catalogue = catalogue
        self._policy = policy
        self._identity = identity

    def column(self, resource_id: ResourceId, column: str, *, at: datetime | None = None) -> ColumnView:
        """Return who could see a column of a published resource at a time (None: now).

        Raises:
            NotFound: no such resource is published, or it has no such column.
        """
        resource = self._catalogue.published(resource_id)
        item = resource.content.item(column)
        if item is None:
            raise NotFound(
                "sharing.column_unknown",
                what=Text(zh=f"该资源没有列 {column}。", en=f"The resource has no column {column}."),
                remedy=Text(zh="请对照目录中的信息项。", en="Compare with the items in the catalogue."),
                field="/column",
            )
        when = at or self._clock.now()
        agreements = [one for one in self._agreements(resource_id, None) if column in one.columns]
        viewers = [self._viewer(agreement, column, when) for agreement in agreements]
        return ColumnView(
            resource_id=resource_id,
            resource_title=resource.content.title,
            column=item.column,
            name=item.name,
            grade=item.grade.value,
            at=when,
            viewers=tuple(sorted(viewers, key=lambda viewer: not viewer.allowed)),
        )

    def ask(self, question: SimulatedCall) -> CallVerdict:
        """Return what the policy says to a call: column by column, as the gateway decides it.

        Raises:
            NotFound: no such resource is published.
        """
        resource = self._catalogue.published(question.resource_id)
        when = question.at or self._clock.now()
        caller = Principal(
            actor=Actor(kind=question.kind, id=SOME_CASE, department=question.department), roles=question.roles
        )
        wanted = frozenset(question.columns)
        granted: dict[str, AgreementId] = {}
        verdicts: list[Verdict] = []
        agreements = self._agreements(question.resource_id, question.department)
        for agreement in agreements:
            part = (wanted - granted.keys()) & agreement.columns
            if not part:
                continue
            decision = self._decide(caller, question, resource.department, part, agreement, when)
            verdicts.append(_verdict(decision, agreement))
            if decision.allowed:
                granted.update(dict.fromkeys(part, agreement.id))
        left = wanted - granted.keys()
        uncovered = left.difference(*(agreement.columns for agreement in agreements))
        if uncovered or not wanted:
            # Of what an agreement covers, that agreement's verdict says why not.
            verdicts.append(_verdict(self._decide(caller, question, resource.department, uncovered, None, when), None))
        return CallVerdict(allowed=bool(wanted) and not left, granted=granted, verdicts=tuple(verdicts))

    def _viewer(self, agreement: Agreement, column: str, when: datetime) -> Viewer:
        """Ask for one column as a program of the consumer would that keeps to the agreement."""
        caller = Principal(actor=Actor(kind=ActorKind.APPLICATION, id=SOME_CASE, department=agreement.consumer))
        decisions: dict[ShareMode, Decision] = {}
        for mode in agreement.purpose.modes:
            question = SimulatedCall(
                resource_id=agreement.resource_id,
                columns=(column,),
                department=agreement.consumer,
                mode=mode,
                purpose=agreement.purpose.service_item,
                case_number=SOME_CASE,
            )
            asked = frozenset({column})
            decisions[mode] = self._decide(caller, question, agreement.provider, asked, agreement, when)
        allowed = tuple(mode for mode, decision in decisions.items() if decision.allowed)
        telling = decisions[allowed[0]] if allowed else next(iter(decisions.values()))
        item = agreement.item(column)
        applications = self._identity.applications(agreement.consumer)
        return Viewer(
            department=agreement.consumer,
            applications=tuple(one.name for one in applications if one.in_force),
            agreement_id=agreement.id,
            version=agreement.version,
            state=agreement.state,
            service_item=agreement.purpose.service_item,
            mask=item.mask if item is not None else MaskKind.HIDDEN,
            row_filter=agreement.row_filter,
            valid_from=agreement.valid_from,
            valid_until=agreement.valid_until,
            modes=allowed,
            allowed=bool(allowed),
            reasons=telling.reasons,
            policy_ids=telling.policy_ids,
        )

    def _decide(
        self,
        caller: Principal,
        question: SimulatedCall,
        provider: DepartmentCode,
        columns: frozenset[str],
        agreement: Agreement | None,
        when: datetime,
    ) -> Decision:
        access = DataAccess(
            resource_id=question.resource_id,
            provider=provider,
            items=columns,
            mode=question.mode,
            purpose=question.purpose,
            case_stated=bool(question.case_number.strip()),
            # Some way out in these modes leaves rows out: calls, live or not, and Delta Sharing for bulk.
            rows_filtered=question.mode in {ShareMode.INTERFACE, ShareMode.BULK},
            # Whoever is asked about with their consent: only calls for one person can know of it.
            consented=question.mode is ShareMode.INTERFACE,
        )
        return self._policy.authorise_data(caller, _ACTIONS[question.mode], access, agreement, when)

    def _agreements(self, resource_id: ResourceId, consumer: DepartmentCode | None) -> Sequence[Agreement]:
        """Return the newest agreements about a resource, of one consumer or of all."""
        table = tables.agreement
        where: list[ColumnElement[bool]] = [table.c.resource_id == resource_id]
        if consumer is not None:
            where.append(table.c.consumer == consumer)
        with self._database.snapshot() as connection:
            return select_agreements(connection, where, limit=PAGE_ROWS_MAX)


def _verdict(decision: Decision, agreement: Agreement | None) -> Verdict:
    return Verdict(
        agreement_id=None if agreement is None else agreement.id,
        allowed=decision.allowed,
        reasons=decision.reasons,
        policy_ids=decision.policy_ids,
    )
