"""The ways of all requests: kept in step with the ledger in two tables, from which SQL counts variants and times."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Subquery,
    bindparam,
    case,
    delete,
    func,
    insert,
    select,
    update,
)

from datong.governance.judgement import working_seconds
from datong.governance.parties import Party
from datong.governance.periods import Period
from datong.governance.request_flow import (
    FLOW_KINDS,
    TURNED_BACK,
    FlowAct,
    FlowEdge,
    FlowMap,
    FlowRequest,
    FlowStart,
    FlowStep,
    FlowTurn,
    FlowVariant,
    side_of,
    step_of,
)
from datong.governance.tables import FLOW, FLOW_ACT, FLOW_MARK
from datong.kernel import (
    Clock,
    Database,
    DepartmentCode,
    EntryId,
    Page,
    RequestId,
    ResourceId,
    WorkingCalendar,
    page_of,
)
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from datong.ledger import COMMITTED_WITHIN, EntryKind, Ledger, RecordedEntry

READ_AT_ONCE = timedelta(days=7)
VARIANTS_SHOWN_MAX = 20
ACTS_MAX = 60
"""Steps of one request that are kept; who amends more often than that is not mined, but kept back."""
_SEPARATOR = ">"
_STATE = ("last_step", "last_at", "total_seconds", "variant")
"""What of a request changes with its steps."""
Named = TypeVar("Named", bound=str)


class RequestFlows:
    """Follows the requests of all departments through their steps."""

    def __init__(self, *, database: Database, clock: Clock, calendar: WorkingCalendar, ledger: Ledger) -> None:
        self._database = database
        self._clock = clock
        self._calendar = calendar
        self._ledger = ledger

    def catch_up(self) -> int:
        """Take in what the ledger holds since last time; return how many steps were new."""
        new, now = 0, self._clock.now()
        while True:
            with self._database.transaction() as connection:
                mark = connection.execute(select(FLOW_MARK.c.until).with_for_update()).scalar_one_or_none()
                if mark is None:
                    mark = self._ledger.first_at() or now
                    connection.execute(insert(FLOW_MARK).values(id=1, until=mark))
                if mark >= now:
                    return new
                until = min(now, mark + READ_AT_ONCE)
                entries = self._ledger.entries_between(kinds=FLOW_KINDS, since=mark - COMMITTED_WITHIN, until=until)
                new += self._take(connection, entries, since=mark - COMMITTED_WITHIN)
                connection.execute(update(FLOW_MARK).values(until=until))

    def map(self, *, period: str | None = None, department: DepartmentCode | None = None) -> FlowMap:
        """Return how the requests went that were submitted in `period` and concern `department`.

        Raises:
            Invalid: `period` is not a period.
        """
        where = _filters(period, department)
        with self._database.snapshot() as connection:
            return FlowMap(
                requests=_count(connection, where),
                delivered=_count(connection, [*where, FLOW.c.last_step == FlowStep.DELIVER.value]),
                turned_back=connection.scalar(
                    select(func.count(FLOW_ACT.c.request_id.distinct()))
                    .join(FLOW, FLOW.c.request_id == FLOW_ACT.c.request_id)
                    .where(FLOW_ACT.c.step.in_([step.value for step in TURNED_BACK]), *where)
                )
                or 0,
                edges=_edges(connection, where),
                variants=_variants(connection, where),
                variants_total=connection.scalar(select(func.count(FLOW.c.variant.distinct())).where(*where)) or 0,
                turns=_turns(connection, where),
            )

    def requests(
        self,
        before: FlowStep,
        step: FlowStep,
        *,
        period: str | None = None,
        department: DepartmentCode | None = None,
        offset: int = 0,
        limit: int = PAGE_ROWS_DEFAULT,
    ) -> Page[FlowRequest]:
        """Return the requests that went from one step straight to another, the slowest first.

        Raises:
            Invalid: `period` is not a period.
        """
        where = [
            *_filters(period, department),
            FLOW_ACT.c.before == before.value,
            FLOW_ACT.c.step == step.value,
        ]
        found = select(FLOW, FLOW_ACT.c.at, FLOW_ACT.c.waited_seconds, FLOW_ACT.c.party, FLOW_ACT.c.entry_id)
        found = found.join(FLOW_ACT, FLOW.c.request_id == FLOW_ACT.c.request_id).where(*where)
        slowest = found.order_by(FLOW_ACT.c.waited_seconds.desc(), FLOW.c.request_id)
        with self._database.snapshot() as connection:
            total = connection.scalar(select(func.count()).select_from(found.subquery())) or 0
            rows = connection.execute(slowest.offset(offset).limit(min(limit, PAGE_ROWS_MAX))).mappings()
            shown = tuple(
                FlowRequest(
                    request_id=row["request_id"],
                    consumer=row["consumer"],
                    provider=row["provider"],
                    resource_id=row["resource_id"],
                    submitted_at=row["submitted_at"],
                    at=row["at"],
                    waited_seconds=row["waited_seconds"],
                    party=row["party"],
                    entry_id=row["entry_id"],
                )
                for row in rows
            )
        return page_of(shown, total=total, offset=offset)

    def _take(self, connection: Connection, entries: Sequence[RecordedEntry], *, since: datetime) -> int:
        """Put the steps that entries show behind those that are known; return how many were new."""
        known = set(connection.scalars(select(FLOW_ACT.c.entry_id).where(FLOW_ACT.c.at >= since)))
        ordered = sorted(entries, key=lambda entry: (entry.at, entry.entry_id))
        own = [entry for entry in ordered if entry.kind is not EntryKind.BATCH and entry.entry_id not in known]
        starts: dict[RequestId, FlowStart] = {}
        agreements: dict[RequestId, str] = {}
        acts: dict[RequestId, list[FlowAct]] = {}
        in_force = _in_force(connection, {RequestId(entry.facts["request_id"]) for entry in own})
        for entry in own:
            request_id = RequestId(entry.facts["request_id"])
            starts.setdefault(request_id, _start_of(entry))
            if entry.facts.get("agreement_id"):
                agreements[request_id] = entry.facts["agreement_id"]
            step = step_of(entry, in_force=request_id in in_force)
            if step is FlowStep.IN_FORCE:
                in_force.add(request_id)
            if step is not None:
                acts.setdefault(request_id, []).append(
                    FlowAct(request_id, step, entry.at, side_of(entry), entry.entry_id)
                )
        count = self._write(connection, acts, starts, agreements)
        return count + self._deliveries(connection, [entry for entry in ordered if entry.kind is EntryKind.BATCH])

    def _deliveries(self, connection: Connection, batches: Sequence[RecordedEntry]) -> int:
        """Put the first complete delivery under each agreement behind its request's steps."""
        first: dict[str, RecordedEntry] = {}
        for batch in batches:
            if batch.facts.get("last"):
                first.setdefault(batch.facts["agreement"], batch)
        acts: dict[RequestId, list[FlowAct]] = {}
        for some in _slices(list(first)):
            waiting = select(FLOW.c.request_id, FLOW.c.agreement_id).where(
                FLOW.c.agreement_id.in_(some), FLOW.c.last_step == FlowStep.IN_FORCE.value
            )
            for row in connection.execute(waiting):
                batch = first[row.agreement_id]
                request_id = RequestId(row.request_id)
                acts[request_id] = [FlowAct(request_id, FlowStep.DELIVER, batch.at, side_of(batch), batch.entry_id)]
        return self._write(connection, acts, {}, {})

    def _write(
        self,
        connection: Connection,
        acts: dict[RequestId, list[FlowAct]],
        starts: dict[RequestId, FlowStart],
        agreements: dict[RequestId, str],
    ) -> int:
        known: dict[RequestId, list[FlowAct]] = {}
        for some in _slices(list(acts)):
            rows = select(FLOW_ACT).where(FLOW_ACT.c.request_id.in_(some)).order_by(FLOW_ACT.c.number)
            for row in connection.execute(rows).mappings():
                act = FlowAct(
                    row["request_id"], FlowStep(row["step"]), row["at"], Party(row["party"]), EntryId(row["entry_id"])
                )
                known.setdefault(act.request_id, []).append(act)
        flows: list[dict[str, object]] = []
        rows_new: list[dict[str, object]] = []
        changed: list[dict[str, object]] = []
        for request_id, new in acts.items():
            before = known.get(request_id, [])
            whole = sorted([*before, *new], key=lambda act: act.at)[:ACTS_MAX]
            if before and [act.entry_id for act in whole[: len(before)]] != [act.entry_id for act in before]:
                # An entry that committed late stands before some that are known: all is numbered anew.
                connection.execute(delete(FLOW_ACT).where(FLOW_ACT.c.request_id == request_id))
                before = []
            rows_new += self._rows(whole, len(before))
            state: dict[str, object] = {
                "last_step": whole[-1].step.value,
                "last_at": whole[-1].at,
                "total_seconds": self._waited(whole[0], whole[-1]),
                "variant": _SEPARATOR.join(act.step.value for act in whole),
            }
            if request_id in known:
                changed.append({"of_request": request_id, **{f"new_{name}": value for name, value in state.items()}})
            else:
                start = starts[request_id]
                flows.append({"request_id": request_id, "submitted_at": whole[0].at, **start._asdict(), **state})
        if flows:
            connection.execute(insert(FLOW), flows)
        if changed:
            same = FLOW.c.request_id == bindparam("of_request")
            connection.execute(update(FLOW).where(same).values(_bound(_STATE)), changed)
        if agreements:
            same = FLOW.c.request_id == bindparam("of_request")
            granted = [{"of_request": one, "new_agreement_id": other} for one, other in agreements.items()]
            connection.execute(update(FLOW).where(same).values(_bound(("agreement_id",))), granted)
        if rows_new:
            connection.execute(insert(FLOW_ACT), rows_new)
        return len(rows_new)

    def _rows(self, acts: Sequence[FlowAct], begin: int) -> Iterable[dict[str, object]]:
        for number in range(begin, len(acts)):
            act, before = acts[number], acts[number - 1] if number else None
            yield {
                "request_id": act.request_id,
                "number": number,
                "step": act.step.value,
                "before": None if before is None else before.step.value,
                "at": act.at,
                "party": act.party.value,
                "waited_seconds": 0 if before is None else self._waited(before, act),
                "entry_id": act.entry_id,
            }

    def _waited(self, first: FlowAct, last: FlowAct) -> int:
        return working_seconds(self._calendar, first.at, last.at)


def _bound(columns: Iterable[str]) -> dict[str, BindParameter[object]]:
    """Return new values of columns as parameters of a statement that is carried out for many rows."""
    return {name: bindparam(f"new_{name}") for name in columns}


def _start_of(entry: RecordedEntry) -> FlowStart:
    facts = entry.facts
    return FlowStart(
        DepartmentCode(facts["consumer"]), DepartmentCode(facts["provider"]), ResourceId(facts["resource_id"])
    )


def _in_force(connection: Connection, requests: set[RequestId]) -> set[RequestId]:
    """Return those of some requests whose agreement has been in force."""
    held = [FlowStep.IN_FORCE.value, FlowStep.DELIVER.value]
    found: set[RequestId] = set()
    for some in _slices(list(requests)):
        query = select(FLOW.c.request_id).where(FLOW.c.request_id.in_(some), FLOW.c.last_step.in_(held))
        found |= {RequestId(one) for one in connection.scalars(query)}
    return found


def _slices(items: list[Named]) -> Iterable[list[Named]]:
    for begin in range(0, len(items), PAGE_ROWS_MAX):
        yield items[begin : begin + PAGE_ROWS_MAX]


def _filters(period: str | None, department: DepartmentCode | None) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if period:
        span = Period.parse(period)
        where += [FLOW.c.submitted_at >= span.since, FLOW.c.submitted_at < span.until]
    if department is not None:
        where.append((FLOW.c.provider == department) | (FLOW.c.consumer == department))
    return where


def _count(connection: Connection, where: Sequence[ColumnElement[bool]]) -> int:
    return connection.scalar(select(func.count()).select_from(FLOW).where(*where)) or 0


def _percentiles(ranked: Subquery, seconds: ColumnElement[int]) -> tuple[ColumnElement[int], ColumnElement[int]]:
    """Return median and ninetieth percentile by nearest rank of what was ranked within its group of `many`."""
    place, many = ranked.c.place, ranked.c.many
    return (
        func.max(case((place == (many + 1) // 2, seconds))),
        func.max(case((place == (many * 9 + 9) // 10, seconds))),
    )


def _edges(connection: Connection, where: Sequence[ColumnElement[bool]]) -> tuple[FlowEdge, ...]:
    act = FLOW_ACT.c
    grouped = [act.before, act.step]
    ranked = (
        select(
            act.before,
            act.step,
            act.waited_seconds,
            func.row_number().over(partition_by=grouped, order_by=act.waited_seconds).label("place"),
            func.count().over(partition_by=grouped).label("many"),
        )
        .join(FLOW, FLOW.c.request_id == act.request_id)
        .where(act.before.is_not(None), *where)
        .subquery()
    )
    median, ninetieth = _percentiles(ranked, ranked.c.waited_seconds)
    many = func.count()
    query = (
        select(ranked.c.before, ranked.c.step, many, median, ninetieth, func.sum(ranked.c.waited_seconds))
        .group_by(ranked.c.before, ranked.c.step)
        .order_by(many.desc(), ranked.c.before, ranked.c.step)
    )
    return tuple(
        FlowEdge(
            before=FlowStep(before),
            step=FlowStep(step),
            requests=requests,
            median_seconds=half,
            ninetieth_seconds=most,
            total_seconds=int(total),
        )
        for before, step, requests, half, most, total in connection.execute(query)
    )


def _variants(connection: Connection, where: Sequence[ColumnElement[bool]]) -> tuple[FlowVariant, ...]:
    ranked = (
        select(
            FLOW.c.variant,
            FLOW.c.total_seconds,
            func.row_number().over(partition_by=FLOW.c.variant, order_by=FLOW.c.total_seconds).label("place"),
            func.count().over(partition_by=FLOW.c.variant).label("many"),
        )
        .where(*where)
        .subquery()
    )
    median, ninetieth = _percentiles(ranked, ranked.c.total_seconds)
    query = (
        select(ranked.c.variant, func.count(), median, ninetieth)
        .group_by(ranked.c.variant)
        .order_by(func.count().desc(), ranked.c.variant)
        .limit(VARIANTS_SHOWN_MAX)
    )
    return tuple(
        FlowVariant(
            steps=tuple(FlowStep(step) for step in variant.split(_SEPARATOR)),
            requests=requests,
            median_seconds=half,
            ninetieth_seconds=most,
        )
        for variant, requests, half, most in connection.execute(query)
    )


def _turns(connection: Connection, where: Sequence[ColumnElement[bool]]) -> tuple[FlowTurn, ...]:
    grouped = (FLOW.c.provider, FLOW_ACT.c.step, FLOW_ACT.c.party)
    query = (
        select(*grouped, func.count())
        .join(FLOW_ACT, FLOW.c.request_id == FLOW_ACT.c.request_id)
        .where(FLOW_ACT.c.step.in_([step.value for step in TURNED_BACK]), *where)
        .group_by(*grouped)
        .order_by(func.count().desc(), *grouped)
        .limit(PAGE_ROWS_MAX)
    )
    return tuple(
        FlowTurn(provider=DepartmentCode(provider), step=FlowStep(step), party=Party(party), times=times)
        for provider, step, party, times in connection.execute(query)
    )
