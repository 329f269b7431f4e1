"""Whether enough witnesses follow the log: who must, how many, how long they may take, and who is behind since when.

A log that nobody else watches can show everybody another past. A hub therefore does not look healthy while less than a
quorum of its witnesses has cosigned what it published (docs/adr/0182).
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from datong.kernel import Clock, Database, Text, Unavailable, Value
from datong.ledger.places import serial_at
from datong.ledger.sequencer import CHECKPOINTS_KEPT, published_size
from datong.ledger.tables import CHECKPOINTS, COSIGNATURES, ENTRIES


class ExpectedWitness(Value):
    """Somebody who has to witness the log: its name, the department it stands for, and since when it is one."""

    name: str
    department: str
    since: datetime


class WitnessStanding(Value):
    """How far a witness follows; `behind_since` is when the first checkpoint was published that it did not cosign."""

    name: str
    size: int | None
    signed_at: datetime | None
    behind_since: datetime | None
    missing: bool


class Quorum(Value):
    """How the log is witnessed now: departments that must follow, those that do, and each expected witness."""

    size: int
    required: int
    reached: int
    patience_seconds: int
    witnesses: tuple[WitnessStanding, ...]

    @property
    def holds(self) -> bool:
        """Whether enough departments follow. A log that has no witness yet, and needs none, holds."""
        return self.reached >= self.required

    @property
    def missing(self) -> tuple[WitnessStanding, ...]:
        """The witnesses that are behind for longer than they may be."""
        return tuple(one for one in self.witnesses if one.missing)

    def require(self) -> None:
        """Pass if enough departments follow.

        Raises:
            Unavailable: `ledger.no_quorum`, with who is missing and since when.
        """
        if self.holds:
            return
        zh = "、".join(f"{one.name}（自 {_moment(one.behind_since)}）" for one in self.missing) or "无"
        en = ", ".join(f"{one.name} (since {_moment(one.behind_since)})" for one in self.missing) or "none"
        raise Unavailable(
            "ledger.no_quorum",
            what=Text(
                zh=f"日志没有得到足够的见证：需要 {self.required} 个部门，现有 {self.reached} 个。缺席的见证方：{zh}。",
                en=f"Too few witness the log: {self.required} departments are needed, {self.reached} follow. "
                f"Missing witnesses: {en}.",
            ),
            remedy=Text(
                zh="请查看这些前置机的状态；拒绝见证的前置机会说明原因。",
                en="Look at these nodes' status; one that refuses to witness says why.",
            ),
            context=self.model_dump(mode="json"),
        )


class QuorumWatch:
    """Looks at how the log is witnessed, under one policy.

    `expected` are the witnesses that exist; `names` keeps those of them that count (empty: all; a name that no witness
    has counts as missing). `required` is how many departments must follow; 0 means a majority of those that have one.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        expected: Callable[[], Sequence[ExpectedWitness]],
        names: Sequence[str] = (),
        required: int = 0,
        patience: timedelta = timedelta(seconds=60),
    ) -> None:
        self._database = database
        self._clock = clock
        self._expected = expected
        self._names = names
        self._required = required
        self._patience = patience

    def state(self) -> Quorum:
        """Return how the log is witnessed now."""
        expected = self._chosen()
        with self._database.snapshot() as connection:
            size = published_size(connection)
            rows = {row.witness_name: row for row in connection.execute(select(COSIGNATURES))}
            first = _made_at(connection, 0)
            since: dict[int, datetime | None] = {size: None}
            standings = []
            for one in expected:
                row = rows.get(one.name)
                cosigned = None if row is None else int(row.size)
                if cosigned is None:
                    behind = None if size == 0 or first is None else max(one.since, first)
                else:
                    if cosigned not in since:
                        since[cosigned] = _passed_at(connection, cosigned)
                    behind = since[cosigned]
                standings.append(
                    WitnessStanding(
                        name=one.name,
                        size=cosigned,
                        signed_at=None if row is None else row.signed_at,
                        behind_since=behind,
                        missing=behind is not None and self._clock.now() - behind > self._patience,
                    )
                )
        departments = {one.department for one in expected}
        following = {one.department for one, standing in zip(expected, standings, strict=True) if not standing.missing}
        return Quorum(
            size=size,
            required=self._required or (len(departments) // 2 + 1 if departments else 0),
            reached=len(following),
            patience_seconds=int(self._patience.total_seconds()),
            witnesses=tuple(standings),
        )

    def _chosen(self) -> list[ExpectedWitness]:
        known = list(self._expected())
        if not self._names:
            return known
        by_name = {one.name: one for one in known}
        nobody = [ExpectedWitness(name=name, department=name, since=_NEVER) for name in self._names]
        return [by_name.get(one.name, one) for one in nobody]


_NEVER = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def _passed_at(connection: Connection, cosigned: int) -> datetime | None:
    """Return when the first checkpoint was published that has more entries than `cosigned`."""
    later = select(func.count(), func.min(CHECKPOINTS.c.published_at)).where(CHECKPOINTS.c.size > cosigned)
    kept, published_at = connection.execute(later).one()
    passed: datetime | None = published_at
    if kept >= CHECKPOINTS_KEPT:
        # That checkpoint may be forgotten: the entry that made it necessary is not.
        passed = _made_at(connection, cosigned)
    return passed


def _made_at(connection: Connection, position: int) -> datetime | None:
    """Return when the entry at a place of the log was made."""
    return connection.scalar(select(ENTRIES.c.at).where(ENTRIES.c.serial == serial_at(connection, position)))


def _moment(at: datetime | None) -> str:
    return "—" if at is None else at.isoformat(timespec="seconds")
