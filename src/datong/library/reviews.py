"""Clerical review: people decide about the pairs that the linkage leaves open; the next build keeps to it.

A decision is evidence: its entry commits to the pair with a salt, and names the weight and the reason that the person
saw. A withdrawn decision binds no later build; what it joined parts again, or joins by weight alone.
"""

import secrets
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, RowMapping, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from datong.kernel import (
    Actor,
    Clock,
    Conflict,
    Database,
    EntityId,
    Invalid,
    JsonValue,
    NotFound,
    Page,
    Text,
    new_id,
    page_of,
    sha256_hex,
)
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger, commitment
from datong.library.published import Published
from datong.library.review_values import (
    ComparedLevel,
    PairDecision,
    PairRecord,
    PairVerdict,
    ReviewPair,
    ReviewView,
    SeenRecord,
    Verdict,
)
from datong.library.tables import CURRENT, LINK_DECISIONS
from datong.library.thresholds import probability
from datong.library.values import LinkDecision, record_key, record_of_key

SALT_BYTES = 32
DECISIONS_MAX = 1_000_000
_SEPARATOR = "\x1e"


class StoredDecisions:
    """What people decided, as a build reads it from the control database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def link_decisions(self, library: str) -> tuple[LinkDecision, ...]:
        """Return the decisions in force for `library`, in a stable order; what waits for later decides nothing."""
        table = LINK_DECISIONS
        with self._database.snapshot() as connection:
            rows = connection.execute(
                select(table.c.left_key, table.c.right_key, table.c.verdict)
                .where(
                    table.c.library == library,
                    table.c.withdrawn_at.is_(None),
                    table.c.verdict.in_((Verdict.SAME, Verdict.DIFFERENT)),
                )
                .order_by(table.c.left_key, table.c.right_key)
                .limit(DECISIONS_MAX)
            )
            return tuple(
                LinkDecision(left_key=row.left_key, right_key=row.right_key, same=row.verdict == Verdict.SAME)
                for row in rows
            )


class Reviews:
    """The queue of doubtful pairs and the decisions about them."""

    def __init__(self, *, database: Database, clock: Clock, ledger: Ledger, library: Published) -> None:
        self._database, self._clock, self._ledger, self._library = database, clock, ledger, library

    def queue(
        self, library: str, *, postponed: bool = False, offset: int = 0, limit: int = PAGE_ROWS_DEFAULT
    ) -> Page[ReviewPair]:
        """Return the pairs of the current version that wait for a decision, the most doubtful first.

        With `postponed`, those that somebody put off until later.
        """
        version, table = self._pairs(library)
        verdicts = self._verdicts(library)
        sought = [pair for pair, verdict in verdicts.items() if not postponed or verdict is Verdict.LATER]
        names = {
            "left": pa.array([left for left, _ in sought], pa.string()),
            "right": pa.array([right for _, right in sought], pa.string()),
        }
        keys = table.select(["left", "right", "number"])
        kept = keys.join(pa.table(names), ["left", "right"], join_type="left semi" if postponed else "left anti")
        waiting = table.filter(pc.is_in(table.column("number"), value_set=kept.column("number").combine_chunks()))
        page = waiting.slice(offset, min(limit, PAGE_ROWS_MAX))
        pairs = tuple(_pair(library, version, row) for row in page.to_pylist())
        return page_of(pairs, total=waiting.num_rows, offset=offset)

    def view(self, library: str, version: int, number: int) -> ReviewView:
        """Return one pair with both records side by side.

        Raises:
            NotFound: the version that is served now is another, or has no such pair.
        """
        pair = self._find(library, version, number)
        left, right = self._seen(library, pair.left), self._seen(library, pair.right)
        elements = sorted({*left.cells, *right.cells}, key=lambda code: (code.startswith("column:"), code))
        return ReviewView(
            pair=pair,
            left=left,
            right=right,
            elements=tuple(elements),
            differing=frozenset(
                code
                for code in left.cells.keys() & right.cells.keys()
                if left.cells[code].value is not None
                and right.cells[code].value is not None
                and left.cells[code].value != right.cells[code].value
            ),
        )

    def decide(self, library: str, version: int, number: int, verdict: PairVerdict, *, actor: Actor) -> PairDecision:
        """Decide about a pair: the same, different, or later. The next build keeps to it.

        Raises:
            NotFound: no such pair in the current version. Conflict: somebody has decided on it already.
            Invalid: records are to be joined or parted without a word why.
        """
        statement = verdict.statement.strip()
        if verdict.verdict is not Verdict.LATER and not statement:
            raise Invalid(
                "library.review_statement",
                what=Text(zh="需要写明判断的依据。", en="A decision needs its grounds."),
                remedy=Text(zh="请写明依据，如“电话核实为同一人”。", en="Write them down: how do you know?"),
                field="/statement",
            )
        pair = self._find(library, version, number)
        view = (self._seen(library, pair.left), self._seen(library, pair.right))
        left_key, right_key = (record_key(record.resource_id, record.row_key) for record in (pair.left, pair.right))
        decision_id, now, salt = new_id(), self._clock.now(), secrets.token_bytes(SALT_BYTES)
        facts: dict[str, JsonValue] = {
            "decision": decision_id,
            "action": verdict.verdict.value,
            "library": library,
            "version": version,
            "departments": sorted({record.department for record in view}),
            "resources": sorted({pair.left.resource_id, pair.right.resource_id}),
            "pair_commitment": commitment(salt, left_key + _SEPARATOR + right_key),
            "millibits": round(pair.weight * 1000),
            "reason": pair.reason,
            "statement_sha256": sha256_hex(statement.encode()) if statement else None,
        }
        try:
            with self._database.transaction() as connection:
                self._replace_postponed(connection, library, left_key, right_key)
                entry_id = self._ledger.append(
                    connection, kind=EntryKind.LINK_DECISION, subject=decision_id, actor=actor, facts=facts
                )
                connection.execute(
                    insert(LINK_DECISIONS).values(
                        id=decision_id,
                        library=library,
                        left_key=left_key,
                        right_key=right_key,
                        in_force=sha256_hex(f"{library}{_SEPARATOR}{left_key}{_SEPARATOR}{right_key}".encode()),
                        verdict=verdict.verdict,
                        statement=statement,
                        details={
                            "weight": pair.weight,
                            "reason": pair.reason,
                            "salt": salt.hex(),
                            "levels": [level.model_dump() for level in pair.levels],
                            "model": self._model(library),
                        },
                        decided_by=actor.model_dump(mode="json"),
                        decided_at=now,
                        decided_version=version,
                        entry_id=entry_id,
                    )
                )
        except IntegrityError as error:
            raise _decided() from error
        return self.decision(decision_id)

    def withdraw(self, decision_id: str, *, actor: Actor) -> PairDecision:
        """Withdraw a decision; the pair waits again, and no later build keeps to it.

        Raises:
            NotFound: no such decision. Conflict: it was withdrawn already.
        """
        with self._database.transaction() as connection:
            row = self._row(connection, decision_id, lock=True)
            if row["withdrawn_at"] is not None:
                raise Conflict(
                    "library.decision_withdrawn",
                    what=Text(zh="该决定已经撤回。", en="The decision was withdrawn already."),
                    remedy=Text(zh="请刷新列表。", en="Reload the list."),
                )
            facts: dict[str, JsonValue] = {
                "decision": decision_id,
                "action": "withdraw",
                "library": row["library"],
                "version": self._version(connection, row["library"]),
            }
            self._ledger.append(connection, kind=EntryKind.LINK_DECISION, subject=decision_id, actor=actor, facts=facts)
            gone = {"withdrawn_at": self._clock.now(), "in_force": None}
            connection.execute(update(LINK_DECISIONS).where(LINK_DECISIONS.c.id == decision_id).values(gone))
        return self.decision(decision_id)

    def decision(self, decision_id: str) -> PairDecision:
        """Return one decision, or raise NotFound."""
        with self._database.snapshot() as connection:
            row = self._row(connection, decision_id)
            return _decision(row, self._version(connection, row["library"]))

    def decisions(self, library: str, *, offset: int = 0, limit: int = PAGE_ROWS_DEFAULT) -> Page[PairDecision]:
        """Return the decisions about a library's pairs, newest first; withdrawn ones, too."""
        mine = LINK_DECISIONS.c.library == library
        with self._database.snapshot() as connection:
            version = self._version(connection, library)
            total = connection.execute(select(func.count()).select_from(LINK_DECISIONS).where(mine)).scalar_one()
            rows = connection.execute(
                select(LINK_DECISIONS)
                .where(mine)
                .order_by(LINK_DECISIONS.c.decided_at.desc(), LINK_DECISIONS.c.id)
                .offset(offset)
                .limit(min(limit, PAGE_ROWS_MAX))
            ).mappings()
            return page_of(tuple(_decision(row, version) for row in rows), total=total, offset=offset)

    def _pairs(self, library: str) -> tuple[int, pa.Table]:
        """Return the current version and its doubtful pairs with their numbers, the most doubtful first."""
        version = self._library.dataset(library).version
        table = self._library.review_pairs(library)
        accept = getattr(self._library.definition(library).linkage, "accept_bits", 0.0)
        doubt = pc.abs(pc.subtract(table.column("weight"), pa.scalar(accept, pa.float64())))
        numbers = pa.array(range(table.num_rows), pa.int64())
        ordered = table.append_column("number", numbers).append_column("doubt", doubt)
        return version, ordered.sort_by([("doubt", "ascending"), ("number", "ascending")])

    def _model(self, library: str) -> str | None:
        """Return the digest of the definition by which the present version weighed its pairs."""
        entry_id = self._library.dataset(library).entry_id
        said = {} if entry_id is None else self._ledger.entry(entry_id).facts.get("definition")
        return str(said["digest"]) if isinstance(said, dict) and "digest" in said else None

    def _find(self, library: str, version: int, number: int) -> ReviewPair:
        current, table = self._pairs(library)
        found = (
            table.filter(pc.equal(table.column("number"), pa.scalar(number, pa.int64()))).to_pylist()
            if current == version
            else []
        )
        if not found:
            raise NotFound(
                "library.review_pair_unknown",
                what=Text(
                    zh="当前版本没有这一对记录；资源库可能已发布新版本。",
                    en="The present version has no such pair; a newer one may have been published.",
                ),
                remedy=Text(zh="请从待核对列表重新打开。", en="Open it from the queue again."),
            )
        return _pair(library, version, found[0])

    def _seen(self, library: str, record: PairRecord) -> SeenRecord:
        """Return a record as its source says it."""
        view = self._library.entity(library, record.entity_id)
        member = next(
            (one for one in view.members if (one.resource_id, one.row_key) == (record.resource_id, record.row_key)),
            None,
        )
        if member is None:
            raise NotFound(
                "library.review_record_gone",
                what=Text(zh="其中一条记录已不在资源库中。", en="One of the records is no longer in the library."),
                remedy=Text(zh="请从待核对列表重新打开。", en="Open it from the queue again."),
            )
        return SeenRecord(record=record, department=member.department, title=member.title, cells=member.cells)

    def _verdicts(self, library: str) -> dict[tuple[str, str], Verdict]:
        table = LINK_DECISIONS
        with self._database.snapshot() as connection:
            rows = connection.execute(
                select(table.c.left_key, table.c.right_key, table.c.verdict).where(
                    table.c.library == library, table.c.withdrawn_at.is_(None)
                )
            )
            return {(row.left_key, row.right_key): Verdict(row.verdict) for row in rows}

    def _replace_postponed(self, connection: Connection, library: str, left_key: str, right_key: str) -> None:
        """Make room for a decision about a pair that was put off; refuse a second decision."""
        table = LINK_DECISIONS
        row = connection.execute(
            select(table.c.id, table.c.verdict)
            .where(
                table.c.library == library,
                table.c.left_key == left_key,
                table.c.right_key == right_key,
                table.c.withdrawn_at.is_(None),
            )
            .with_for_update()
        ).first()
        if row is None:
            return
        if row.verdict != Verdict.LATER:
            raise _decided()
        gone = {"withdrawn_at": self._clock.now(), "in_force": None}
        connection.execute(update(table).where(table.c.id == row.id).values(gone))

    @staticmethod
    def _version(connection: Connection, library: str) -> int:
        return connection.execute(select(CURRENT.c.version).where(CURRENT.c.library == library)).scalar() or 0

    @staticmethod
    def _row(connection: Connection, decision_id: str, *, lock: bool = False) -> RowMapping:
        query = select(LINK_DECISIONS).where(LINK_DECISIONS.c.id == decision_id)
        row = connection.execute(query.with_for_update() if lock else query).mappings().first()
        if row is None:
            raise NotFound(
                "library.decision_unknown",
                what=Text(zh=f"没有决定 {decision_id}。", en=f"There is no decision {decision_id}."),
                remedy=Text(zh="请从决定列表中选择。", en="Choose one from the list of decisions."),
            )
        return row


def _pair(library: str, version: int, row: dict[str, Any]) -> ReviewPair:
    return ReviewPair(
        library=library,
        version=version,
        number=row["number"],
        left=_record(row["left"], row["left_entity"]),
        right=_record(row["right"], row["right_entity"]),
        weight=row["weight"],
        probability=probability(row["weight"]),
        reason=row["reason"],
        levels=tuple(ComparedLevel.model_validate(level) for level in row["levels"]),
    )


def _record(key: str, entity_id: str) -> PairRecord:
    resource_id, row_key = record_of_key(key)
    return PairRecord(resource_id=resource_id, row_key=row_key, entity_id=EntityId(entity_id))


def _decision(row: RowMapping, current: int) -> PairDecision:
    details = row["details"]
    return PairDecision(
        weight=details["weight"],
        reason=details["reason"],
        applied=row["withdrawn_at"] is None and row["verdict"] != Verdict.LATER and current > row["decided_version"],
        **{name: row[name] for name in PairDecision.model_fields if name not in {"weight", "reason", "applied"}},
    )


def _decided() -> Conflict:
    return Conflict(
        "library.review_decided",
        what=Text(zh="这一对记录已有决定。", en="Somebody has decided on this pair already."),
        remedy=Text(zh="请先撤回原来的决定。", en="Withdraw that decision first."),
    )
