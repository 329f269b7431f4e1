"""校核: somebody reports a wrong cell, its source department answers, the platform sees the correction come in.

Each act changes the report and leaves its entry in one transaction. What is personal (the record, the values, the
statements) stays in the report's own row; the entry holds salted commitments to it, which the report opens to whoever
may see the values.
"""

import secrets
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, func, insert, select, update

from datong.kernel import (
    PLATFORM_ACTOR,
    Actor,
    BatchId,
    Clock,
    Conflict,
    CorrectionId,
    Database,
    DepartmentCode,
    Invalid,
    JsonValue,
    NotFound,
    Page,
    ResourceId,
    Text,
    WorkingCalendar,
    canonical_json,
    new_id,
    page_of,
    sha256_hex,
)
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, TEXT_CHARS_MAX
from datong.ledger import EntryKind, Ledger, commitment
from datong.library.correction_cells import CorrectionCells
from datong.library.correction_rules import (
    REASONED,
    CorrectionAction,
    CorrectionSide,
    CorrectionState,
    next_state,
)
from datong.library.correction_values import (
    Claim,
    Correction,
    CorrectionAct,
    CorrectionContent,
    CorrectionSight,
    DisputedCell,
)
from datong.library.published import Published
from datong.library.tables import CORRECTION_ACTS, CORRECTIONS, CURRENT

OPEN_PER_REPORTER_MAX = 200
SALT_BYTES = 32
FOLLOWED_AT_ONCE_MAX = 200
WAITING = (CorrectionState.REPORTED, CorrectionState.ACCEPTED)
COMMITTED = ("record", "disputed", "believed", "seen")
"""What an entry commits to; `record` is the source's row key."""
_SEEN = Text(
    zh="数源部门已更正，新值已随批次进入资源库。",
    en="The source department corrected it; the new value came into the library with a batch.",
)


class Corrections:
    """Reports of wrong cells over the control database; `arrived_at` says when the hub committed a batch."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        calendar: WorkingCalendar,
        ledger: Ledger,
        library: Published,
        limit_working_days: int,
        arrived_at: Callable[[BatchId], datetime | None],
    ) -> None:
        self._database, self._clock, self._calendar, self._ledger = database, clock, calendar, ledger
        self.cells = CorrectionCells(library)
        self._working_days = limit_working_days
        self._arrived_at = arrived_at

    # Acts

    def report(
        self, cell: DisputedCell, claim: Claim, *, actor: Actor, consumer: DepartmentCode | None, seen: bool = True
    ) -> Correction:
        """Report that `cell` is wrong; its source department then has ten working days.

        `seen`: the reporter may see its value. Others are not told that it is what they believe: they could try.

        Raises:
            Invalid: what is believed is what the cell says.
            Conflict: the same reporter has reported this cell already, or too many others.
        """
        if seen and claim.believed is not None and claim.believed.strip() == (cell.value or ""):
            raise Invalid(
                "library.correction_same_value",
                what=Text(zh="填写的值与现有值相同。", en="What you believe to be right is what stands there."),
                remedy=Text(zh="请填写您认为正确的值，或留空。", en="Write the right value, or leave it empty."),
                field="/believed",
            )
        now = self._clock.now()
        correction_id = CorrectionId(new_id())
        digest = sha256_hex(canonical_json([cell.resource_id, cell.row_key, cell.element]))
        believed = claim.believed.strip() or None if claim.believed is not None else None
        values = {
            "entity_id": cell.entity_id,
            "row_key": cell.row_key,
            "disputed": cell.value,
            "believed": believed,
            "seen": None,
        }
        salts = {name: secrets.token_hex(SALT_BYTES) for name in COMMITTED}
        publisher = self.cells.publisher(cell)
        with self._database.transaction() as connection:
            self._refuse_repeats(connection, actor, digest)
            row = {
                "id": correction_id,
                "state": CorrectionState.REPORTED,
                "library": cell.library,
                "resource_id": cell.resource_id,
                "provider": cell.provider,
                "consumer": consumer,
                "reporter": actor.id,
                "reporter_kind": actor.kind,
                "element": cell.element,
                "cell_digest": digest,
                "batch_id": cell.batch_id,
                "disputes": 0,
                "reported_at": now,
                "due_at": self._calendar.deadline(now, self._working_days),
                "record_library": publisher,
                "followed_version": self._version(connection, publisher),
                "personal": {"values": values, "salts": salts},
            }
            connection.execute(insert(CORRECTIONS).values(row))
            known = self._row(connection, correction_id)
            self._record(connection, known, CorrectionAction.REPORT, None, actor, claim.statement)
        return self.get(correction_id)

    def act(
        self,
        correction_id: CorrectionId,
        action: CorrectionAction,
        *,
        actor: Actor,
        sides: Iterable[CorrectionSide],
        statement: str = "",
    ) -> Correction:
        """Answer, withdraw, confirm or send back a report; `sides` is where the policy found the actor to stand.

        Raises:
            NotFound: no such report. Conflict: its state does not admit the act. Refused: it is for the other side.
            Invalid: the act needs a statement, or it is too long.
        """
        statement = statement.strip()
        if (action in REASONED and not statement) or len(statement) > TEXT_CHARS_MAX:
            raise Invalid(
                "library.correction_statement",
                what=Text(
                    zh=f"“{action.label.zh}”需要说明，且不超过 {TEXT_CHARS_MAX} 字。",
                    en=f"“{action.label.en}” needs a statement of at most {TEXT_CHARS_MAX} characters.",
                ),
                remedy=Text(zh="请写明理由和依据。", en="Write why, and how you know."),
                field="/statement",
            )
        now = self._clock.now()
        with self._database.transaction() as connection:
            row = self._row(connection, correction_id, lock=True)
            before = CorrectionState(row["state"])
            after = next_state(before, action, frozenset(sides), disputes=row["disputes"])
            changes: dict[str, Any] = {"state": after}
            if action in {CorrectionAction.ACCEPT, CorrectionAction.REJECT}:
                changes["answered_at"] = now
            if action is CorrectionAction.DISPUTE:
                changes |= self._anew(connection, row, now)
            if after in {CorrectionState.CLOSED, CorrectionState.WITHDRAWN}:
                changes["ended_at"] = now
            self._change(connection, row, changes, action, actor, statement)
        return self.get(correction_id)

    def follow(self) -> bool:
        """Look for corrections in the versions published since the last look; return whether more wait.

        A report whose value the source has changed in a later batch is corrected; it is closed at once if the value is
        what the reporter believed. Killed anywhere, the next call does what is left.
        """
        with self._database.snapshot() as connection:
            rows = connection.execute(
                select(CORRECTIONS, CURRENT.c.version.label("current_version"))
                .join(CURRENT, CURRENT.c.library == CORRECTIONS.c.record_library)
                .where(CORRECTIONS.c.state.in_(WAITING), CURRENT.c.version > CORRECTIONS.c.followed_version)
                .order_by(CORRECTIONS.c.reported_at, CORRECTIONS.c.id)
                .limit(FOLLOWED_AT_ONCE_MAX)
            ).mappings()
            waiting = [dict(row) for row in rows]
        for row in waiting:
            self._look(row)
        return len(waiting) == FOLLOWED_AT_ONCE_MAX

    # Reading

    def get(self, correction_id: CorrectionId) -> Correction:
        """Return one report with its acts, or raise NotFound."""
        with self._database.snapshot() as connection:
            correction = _correction(self._row(connection, correction_id))
            rows = connection.execute(
                select(CORRECTION_ACTS)
                .where(CORRECTION_ACTS.c.correction_id == correction_id)
                .order_by(CORRECTION_ACTS.c.number)
            ).mappings()
            return correction.model_copy(update={"acts": tuple(_act(row) for row in rows)})

    def find(
        self,
        *,
        department: DepartmentCode | None = None,
        provider: DepartmentCode | None = None,
        reporter: str | None = None,
        waiting: bool | None = None,
        resources: Collection[ResourceId] | None = None,
        batch_id: BatchId | None = None,
        offset: int = 0,
        limit: int = PAGE_ROWS_DEFAULT,
    ) -> Page[Correction]:
        """Return reports, the nearest deadline first; `department` is a party, `batch_id` brought what is disputed.

        Acts are not read.
        """
        wanted: list[ColumnElement[bool]] = []
        if resources is not None:
            wanted.append(CORRECTIONS.c.resource_id.in_(resources))
        if batch_id is not None:
            wanted.append(CORRECTIONS.c.batch_id == batch_id)
        if department is not None:
            wanted.append((CORRECTIONS.c.provider == department) | (CORRECTIONS.c.consumer == department))
        if provider is not None:
            wanted.append(CORRECTIONS.c.provider == provider)
        if reporter is not None:
            wanted.append(CORRECTIONS.c.reporter == reporter)
        if waiting is not None:
            still = CORRECTIONS.c.state.in_(WAITING)
            wanted.append(still if waiting else ~still)
        with self._database.snapshot() as connection:
            total = connection.execute(select(func.count()).select_from(CORRECTIONS).where(*wanted)).scalar_one()
            rows = connection.execute(
                select(CORRECTIONS)
                .where(*wanted)
                .order_by(CORRECTIONS.c.ended_at.is_not(None), CORRECTIONS.c.due_at, CORRECTIONS.c.id)
                .offset(offset)
                .limit(min(limit, PAGE_ROWS_MAX))
            ).mappings()
            return page_of(tuple(_correction(row) for row in rows), total=total, offset=offset)

    def proof(self, correction_id: CorrectionId, number: int, *, names: Collection[str] = COMMITTED) -> dict[str, Any]:
        """Return the proof of one act with the openings of its commitments: of those `names` that one may see.

        Raises:
            NotFound: no such act. Conflict: no checkpoint covers its entry yet.
        """
        with self._database.snapshot() as connection:
            row = self._row(connection, correction_id)
            entry_id = connection.execute(
                select(CORRECTION_ACTS.c.entry_id).where(
                    CORRECTION_ACTS.c.correction_id == correction_id, CORRECTION_ACTS.c.number == number
                )
            ).scalar()
        if entry_id is None:
            raise _unknown(correction_id)
        known = committed(row)
        facts = self._ledger.entry(entry_id).facts
        salts = row["personal"]["salts"]
        # A report that was sent back has new values: those of its earlier acts can no longer be opened.
        openings = {
            f"{name}_commitment": {"salt": salts[name], "value": value}
            for name, value in known.items()
            if name in names
            and value is not None
            and facts.get(f"{name}_commitment") == commitment(bytes.fromhex(salts[name]), value)
        }
        return self._ledger.proof_bundle(entry_id, disclosures=openings)

    # The rest

    def _refuse_repeats(self, connection: Connection, actor: Actor, digest: str) -> None:
        mine = (CORRECTIONS.c.reporter == actor.id, CORRECTIONS.c.state.in_(WAITING))
        if connection.execute(select(CORRECTIONS.c.id).where(*mine, CORRECTIONS.c.cell_digest == digest)).first():
            raise Conflict(
                "library.correction_reported",
                what=Text(
                    zh="您已就该项提出校核，尚未办结。", en="You have reported this cell; it is not settled yet."
                ),
                remedy=Text(zh="请在校核列表中查看进展。", en="See the list of reports for how it stands."),
            )
        count = connection.execute(select(func.count()).select_from(CORRECTIONS).where(*mine)).scalar_one()
        if count >= OPEN_PER_REPORTER_MAX:
            raise Conflict(
                "library.correction_too_many",
                what=Text(
                    zh=f"您有 {count} 项校核尚未答复。", en=f"{count} of your reports still wait for their answers."
                ),
                remedy=Text(zh="请等待答复后再提出。", en="Wait until some are answered."),
            )

    def _look(self, row: dict[str, Any]) -> None:
        """Compare the source's present record with what was reported, and record what is found."""
        values = row["personal"]["values"]
        batch_id, cell = self.cells.present(row)
        version = int(row["current_version"])
        seen = None if cell is None else cell.value
        changed = seen != values["disputed"] and batch_id != row["batch_id"]
        believed = values["believed"]
        as_believed = believed is not None and cell is not None and believed in {cell.value, cell.raw}
        golden = changed and self.cells.is_golden(row, seen)
        with self._database.transaction() as connection:
            locked = self._row(connection, CorrectionId(row["id"]), lock=True)
            if locked["state"] not in WAITING or locked["followed_version"] >= version:
                return
            if not changed:
                followed = {"followed_version": version}
                connection.execute(update(CORRECTIONS).where(CORRECTIONS.c.id == row["id"]).values(followed))
                return
            now = self._clock.now()
            sight = CorrectionSight(
                batch_id=batch_id,
                arrived_at=self._arrived_at(batch_id) or now,
                version=version,
                golden=golden,
                as_believed=as_believed,
            )
            changes: dict[str, Any] = {
                "state": next_state(
                    CorrectionState(locked["state"]),
                    CorrectionAction.SEE,
                    frozenset({CorrectionSide.PLATFORM}),
                    disputes=locked["disputes"],
                ),
                "followed_version": version,
                "sight": sight.model_dump(mode="json"),
                "personal": row["personal"] | {"values": values | {"seen": seen}},
            }
            corrected = self._change(connection, locked, changes, CorrectionAction.SEE, PLATFORM_ACTOR, _SEEN.zh)
            if as_believed:
                closed = {"state": CorrectionState.CLOSED, "ended_at": now}
                self._change(connection, corrected, closed, CorrectionAction.CLOSE, PLATFORM_ACTOR, "")

    def _anew(self, connection: Connection, row: RowMapping, now: datetime) -> dict[str, Any]:
        """Return what changes when a report is sent back: ten more working days, from what it says now."""
        personal = row["personal"]
        changes: dict[str, Any] = {
            "disputes": row["disputes"] + 1,
            "due_at": self._calendar.deadline(now, self._working_days),
            "answered_at": None,
            "followed_version": self._version(connection, row["record_library"]),
        }
        if row["sight"] is not None:
            values = personal["values"] | {"disputed": personal["values"]["seen"], "seen": None}
            fresh = {name: secrets.token_hex(SALT_BYTES) for name in ("disputed", "seen")}
            changes |= {
                "batch_id": row["sight"]["batch_id"],
                "sight": None,
                "personal": {"values": values, "salts": personal["salts"] | fresh},
            }
        return changes

    def _change(
        self,
        connection: Connection,
        row: RowMapping,
        changes: dict[str, Any],
        action: CorrectionAction,
        actor: Actor,
        statement: str,
    ) -> RowMapping:
        connection.execute(update(CORRECTIONS).where(CORRECTIONS.c.id == row["id"]).values(changes))
        changed = self._row(connection, CorrectionId(row["id"]))
        self._record(connection, changed, action, CorrectionState(row["state"]), actor, statement)
        return changed

    def _record(
        self,
        connection: Connection,
        row: RowMapping,
        action: CorrectionAction,
        before: CorrectionState | None,
        actor: Actor,
        statement: str,
    ) -> None:
        facts: dict[str, JsonValue] = {
            "correction": row["id"],
            "action": action.value,
            "from_state": None if before is None else before.value,
            "to_state": row["state"],
            "library": row["library"],
            "resource_id": row["resource_id"],
            "element": row["element"],
            "provider": row["provider"],
            "consumer": row["consumer"],
            "due_at": row["due_at"].isoformat(),
            "disputes": row["disputes"],
            "statement_sha256": sha256_hex(statement.encode()) if statement else None,
        }
        salts = row["personal"]["salts"]
        for name, value in committed(row).items():
            salt = bytes.fromhex(salts[name])
            facts[f"{name}_commitment"] = None if value is None else commitment(salt, value)
        if row["sight"] is not None:
            sight = row["sight"]
            facts |= {
                "batch": sight["batch_id"],
                "arrived_at": sight["arrived_at"],
                "version": sight["version"],
                "golden": sight["golden"],
                "as_believed": sight["as_believed"],
            }
        entry_id = self._ledger.append(
            connection, kind=EntryKind.CORRECTION, subject=row["id"], actor=actor, facts=facts
        )
        mine = CORRECTION_ACTS.c.correction_id == row["id"]
        number = connection.execute(select(func.count()).select_from(CORRECTION_ACTS).where(mine)).scalar_one()
        connection.execute(
            insert(CORRECTION_ACTS).values(
                correction_id=row["id"],
                number=number,
                action=action,
                state_before=before,
                state_after=row["state"],
                actor=actor.model_dump(mode="json"),
                at=self._clock.now(),
                statement=statement,
                entry_id=entry_id,
            )
        )

    @staticmethod
    def _version(connection: Connection, library: str) -> int:
        return connection.execute(select(CURRENT.c.version).where(CURRENT.c.library == library)).scalar() or 0

    @staticmethod
    def _row(connection: Connection, correction_id: CorrectionId, *, lock: bool = False) -> RowMapping:
        query = select(CORRECTIONS).where(CORRECTIONS.c.id == correction_id)
        row = connection.execute(query.with_for_update() if lock else query).mappings().first()
        if row is None:
            raise _unknown(correction_id)
        return row


def committed(row: RowMapping) -> dict[str, str | None]:
    """Return the personal values of a report that its evidence commits to, by name."""
    values = row["personal"]["values"]
    return {
        "record": values["row_key"],
        "disputed": values["disputed"],
        "believed": values["believed"],
        "seen": values["seen"] if row["sight"] is not None else None,
    }


def _correction(row: RowMapping) -> Correction:
    sight = row["sight"]
    return Correction(
        id=row["id"],
        state=CorrectionState(row["state"]),
        library=row["library"],
        resource_id=row["resource_id"],
        provider=row["provider"],
        consumer=row["consumer"],
        reporter=row["reporter"],
        reporter_kind=row["reporter_kind"],
        element=row["element"],
        batch_id=row["batch_id"],
        disputes=row["disputes"],
        reported_at=row["reported_at"],
        due_at=row["due_at"],
        answered_at=row["answered_at"],
        ended_at=row["ended_at"],
        sight=None if sight is None else CorrectionSight.model_validate(sight),
        disposed_at=row["disposed_at"],
        content=None if row["disposed_at"] else CorrectionContent.model_validate(row["personal"]["values"]),
    )


def _act(row: RowMapping) -> CorrectionAct:
    return CorrectionAct.model_validate({name: row[name] for name in CorrectionAct.model_fields})


def _unknown(correction_id: CorrectionId) -> NotFound:
    return NotFound(
        "library.correction_unknown",
        what=Text(zh=f"没有校核 {correction_id}。", en=f"There is no report {correction_id}."),
        remedy=Text(zh="请从校核列表中选择。", en="Choose one from the list of reports."),
    )
