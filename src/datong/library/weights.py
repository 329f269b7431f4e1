"""Weights learned from people's decisions: proposed by training, put in force by a person, never by a build.

What is in force is laid over the definition it was learned for; a definition that changes leaves it behind. Every act
leaves its entry, with counts and shares only.
"""

from collections.abc import Mapping

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from datong.kernel import Actor, Clock, Conflict, Database, JsonValue, NotFound, Text, sha256_hex
from datong.ledger import EntryKind, Ledger, require_other_eyes
from datong.library.calibration import Calibration, JudgedPair, calibrate, under_model
from datong.library.defining import Definitions
from datong.library.definition import Definition, Linkage
from datong.library.learned import with_weights
from datong.library.review_values import ComparedLevel, Verdict
from datong.library.tables import LINK_DECISIONS, WEIGHTS
from datong.library.weights_values import LearnedWeights, WeightsAct, WeightsOrder, WeightsReport, WeightsState

DECISIONS_MIN = 20
"""Fewer judged pairs teach nothing that a person would not see at a glance."""
DECISIONS_MAX = 200_000
SHOWN_MAX = 50
_AFTER = {
    WeightsAct.ACTIVATE: WeightsState.ACTIVE,
    WeightsAct.DECLINE: WeightsState.DECLINED,
    WeightsAct.END: WeightsState.ENDED,
}
_BEFORE = {
    WeightsAct.ACTIVATE: WeightsState.PROPOSED,
    WeightsAct.DECLINE: WeightsState.PROPOSED,
    WeightsAct.END: WeightsState.ACTIVE,
}


class Weights:
    """The learned weights of every library that links by a model."""

    def __init__(self, *, database: Database, clock: Clock, ledger: Ledger, definitions: Definitions) -> None:
        self._database, self._clock, self._ledger, self._definitions = database, clock, ledger, definitions

    def usable_decisions(self, library: str) -> tuple[int, int]:
        """Return how many decisions training could learn from now, and how many it cannot (made under other models)."""
        pairs, unusable = self._judged(library)
        return len(pairs), unusable

    def train(self, library: str, *, actor: Actor) -> LearnedWeights:
        """Learn weights from the decisions in force and propose them; nothing changes until a person says so.

        Raises:
            Conflict: the library does not link by a model, there are too few decisions, or all say the same.
        """
        base, present = self._base(library), self._present(library)
        pairs, unusable = self._judged(library)
        same = sum(pair.same for pair in pairs)
        if len(pairs) < DECISIONS_MIN or same in (0, len(pairs)):
            raise Conflict(
                "library.decisions_too_few",
                what=Text(
                    zh=f"可用的决定有 {len(pairs)} 项，“是同一个”占 {same} 项；至少需要 {DECISIONS_MIN} 项，两种都有。",
                    en=f"{len(pairs)} decisions can be used, {same} say “same”; {DECISIONS_MIN} of both are needed.",
                ),
                remedy=Text(zh="请先核对更多记录对。", en="Review more pairs first."),
            )
        found = calibrate(_model(present), pairs)
        learned = with_weights(base, found.linkage.comparisons)
        report = _report(found, len(pairs), same, unusable)
        with self._database.transaction() as connection:
            newest = connection.execute(select(func.max(WEIGHTS.c.number)).where(WEIGHTS.c.library == library)).scalar()
            number = (newest or 0) + 1
            entry_id = self._ledger.append(
                connection,
                kind=EntryKind.WEIGHTS,
                subject=f"{library}/{number}",
                actor=actor,
                facts=_facts("propose", library, number, learned.digest, report),
            )
            connection.execute(
                insert(WEIGHTS).values(
                    library=library,
                    number=number,
                    state=WeightsState.PROPOSED,
                    base_digest=base.digest,
                    digest=learned.digest,
                    weights=[one.model_dump(mode="json") for one in found.linkage.comparisons],
                    report=report.model_dump(mode="json"),
                    proposed_by=actor.model_dump(mode="json"),
                    proposed_at=self._clock.now(),
                    proposed_entry_id=entry_id,
                    statement="",
                )
            )
        return self.get(library, number)

    def all(self, library: str) -> tuple[LearnedWeights, ...]:
        """Return the learned weights of a library, newest first, at most `SHOWN_MAX`."""
        base = self._base(library)
        query = select(WEIGHTS).where(WEIGHTS.c.library == library).order_by(WEIGHTS.c.number.desc()).limit(SHOWN_MAX)
        with self._database.snapshot() as connection:
            return tuple(_learned(row, base) for row in connection.execute(query).mappings())

    def get(self, library: str, number: int) -> LearnedWeights:
        """Return one set of learned weights, or raise NotFound."""
        base = self._base(library)
        with self._database.snapshot() as connection:
            return _learned(self._row(connection, library, number), base)

    def decide(self, library: str, number: int, order: WeightsOrder, *, actor: Actor) -> LearnedWeights:
        """Put proposed weights in force, decline them, or end those in force; builds from then on keep to it.

        Raises:
            NotFound: no such weights.
            Conflict: they do not stand where the act begins, or are for a definition that is no longer in force.
            Refused: a substitute puts in force what either of the two proposed.
        """
        base = self._base(library)
        with self._database.transaction() as connection:
            row = self._row(connection, library, number, lock=True)
            if row["state"] != _BEFORE[order.act]:
                raise Conflict(
                    "library.weights_state",
                    what=Text(
                        zh=f"这组权重现为“{WeightsState(row['state']).label.zh}”。",
                        en=f"These weights are {WeightsState(row['state']).label.en}.",
                    ),
                    remedy=Text(zh="请刷新页面。", en="Reload the page."),
                )
            if order.act is WeightsAct.ACTIVATE and row["base_digest"] != base.digest:
                raise Conflict(
                    "library.weights_outdated",
                    what=Text(
                        zh="资源库定义已经变化，这组权重不再适用。",
                        en="The library's definition has changed meanwhile.",
                    ),
                    remedy=Text(zh="请重新训练。", en="Train again."),
                )
            if order.act is WeightsAct.ACTIVATE:
                of_these = f"{library}/{number}"
                # Learning and deciding are one role's; a substitute does not do the one for the other.
                require_other_eyes(
                    connection, actor, subject=of_these, kinds=(EntryKind.WEIGHTS,), acts=("propose",), lent_only=True
                )
                active = (WEIGHTS.c.library == library) & (WEIGHTS.c.state == WeightsState.ACTIVE)
                connection.execute(update(WEIGHTS).where(active).values(state=WeightsState.ENDED))
            report = WeightsReport.model_validate(row["report"])
            facts = _facts(order.act.value, library, number, row["digest"], report)
            facts["statement_sha256"] = sha256_hex(order.statement.encode())
            entry_id = self._ledger.append(
                connection, kind=EntryKind.WEIGHTS, subject=f"{library}/{number}", actor=actor, facts=facts
            )
            connection.execute(
                update(WEIGHTS)
                .where(WEIGHTS.c.library == library, WEIGHTS.c.number == number)
                .values(
                    state=_AFTER[order.act],
                    decided_by=actor.model_dump(mode="json"),
                    decided_at=self._clock.now(),
                    decided_entry_id=entry_id,
                    statement=order.statement,
                )
            )
        return self.get(library, number)

    def _base(self, library: str) -> Definition:
        """Return the definition without learned weights."""
        return _linked(self._definitions.base(library))

    def _present(self, library: str) -> Definition:
        """Return the definition as builds use it."""
        return next(known for known in self._definitions.all() if known.name == library)

    def _judged(self, library: str) -> tuple[tuple[JudgedPair, ...], int]:
        """Return the decided pairs as the present model weighs them, and how many decisions cannot be used."""
        base, present = self._base(library), self._present(library)
        table = LINK_DECISIONS
        with self._database.snapshot() as connection:
            rows = connection.execute(
                select(table.c.verdict, table.c.details)
                .where(
                    table.c.library == library,
                    table.c.withdrawn_at.is_(None),
                    table.c.verdict.in_((Verdict.SAME, Verdict.DIFFERENT)),
                )
                .order_by(table.c.left_key, table.c.right_key)
                .limit(DECISIONS_MAX)
            ).all()
            learned = connection.execute(
                select(WEIGHTS.c.digest, WEIGHTS.c.weights).where(WEIGHTS.c.library == library)
            ).all()
        models: dict[str, Linkage] = {base.digest: _model(base), present.digest: _model(present)}
        for row in learned:
            models.setdefault(row.digest, _model(with_weights(base, row.weights)))
        found = [_judged(row.verdict, row.details, models, _model(present)) for row in rows]
        usable = tuple(pair for pair in found if pair is not None)
        return usable, len(found) - len(usable)

    @staticmethod
    def _row(connection: Connection, library: str, number: int, *, lock: bool = False) -> RowMapping:
        query = select(WEIGHTS).where(WEIGHTS.c.library == library, WEIGHTS.c.number == number)
        row = connection.execute(query.with_for_update() if lock else query).mappings().first()
        if row is None:
            raise NotFound(
                "library.weights_unknown",
                what=Text(zh="没有这组权重。", en="There are no such weights."),
                remedy=Text(zh="请从列表中选择。", en="Choose one from the list."),
            )
        return row


def _judged(
    verdict: str, details: Mapping[str, object], models: Mapping[str, Linkage], now: Linkage
) -> JudgedPair | None:
    then, levels = models.get(str(details.get("model"))), details.get("levels")
    if then is None or not isinstance(levels, list) or not levels:
        return None
    pair = JudgedPair(
        weight=float(str(details["weight"])),
        levels=tuple(ComparedLevel.model_validate(level) for level in levels),
        same=verdict == Verdict.SAME,
    )
    return under_model(pair, then, now)


def _linked(definition: Definition) -> Definition:
    if definition.linkage is None:
        raise Conflict(
            "library.nothing_to_train",
            what=Text(zh="该资源库不使用链接模型。", en="This library has no linkage model."),
            remedy=Text(zh="请选择人口等需要链接的资源库。", en="Choose a library that links records."),
        )
    return definition


def _model(definition: Definition) -> Linkage:
    linkage = _linked(definition).linkage
    if linkage is None:
        raise AssertionError("a linked definition has a model")
    return linkage


def _report(found: Calibration, decisions: int, same: int, unusable: int) -> WeightsReport:
    return WeightsReport(
        decisions=decisions,
        same=same,
        unusable=unusable,
        accept_bits=found.linkage.accept_bits,
        before=found.before,
        after=found.after,
        shifts=found.shifts,
    )


def _facts(action: str, library: str, number: int, digest: str, report: WeightsReport) -> dict[str, JsonValue]:
    return {
        "action": action,
        "library": library,
        "number": number,
        "definition_digest": digest,
        "decisions": report.decisions,
        "same": report.same,
        "precision_before": round(report.before.precision * 10_000),
        "recall_before": round(report.before.recall * 10_000),
        "precision_after": round(report.after.precision * 10_000),
        "recall_after": round(report.after.recall * 10_000),
    }


def _learned(row: RowMapping, base: Definition) -> LearnedWeights:
    names = set(LearnedWeights.model_fields) - {"fits", "comparisons"}
    return LearnedWeights(
        fits=row["base_digest"] == base.digest, comparisons=row["weights"], **{name: row[name] for name in names}
    )
