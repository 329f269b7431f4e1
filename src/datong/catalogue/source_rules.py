"""Rules of 一数一源 (Order 809, Art. 19): who qualifies as the source of an element, on which evidence; pure."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources

import yaml
from pydantic import Field

from datong.catalogue.overlaps import ColumnOverlap, HeldColumn
from datong.catalogue.sketch_estimates import cardinality_of
from datong.catalogue.sketches import merged
from datong.kernel import DepartmentCode, ResourceId, Text, Value

DUTIES_FILE = "source_duties.yaml"


class LegalDuty(Value):
    """A law by which a department collects some elements; it fits departments whose name holds one of `words`."""

    elements: tuple[str, ...]
    words: tuple[str, ...]
    law: Text


class SourceNorms(Value):
    """Weights (summing to 100), freshness in percent by update cycle, and what laws say about who collects what."""

    weights: Mapping[str, int]
    freshness: Mapping[str, int]
    identifying: tuple[str, ...]
    duties: tuple[LegalDuty, ...]

    def duty(self, element: str, department_name: str) -> Text | None:
        """The law by which a department collects an element, if one is known."""
        return next(
            (
                duty.law
                for duty in self.duties
                if element in duty.elements and any(word in department_name for word in duty.words)
            ),
            None,
        )


class SourceCandidate(Value):
    """One holder, and the evidence for making it the source: shares from 0 to 1, None where nothing was measured.

    `coverage`: of everything that any holder has, how much this one has. `concord`: the mean share of people about whom
    the other holders say the same. `completeness`: of its rows, how many have the value. `score` is of 100 points; what
    was not measured earns none.
    """

    department: DepartmentCode
    resource_id: ResourceId
    column: str
    title: str
    coverage: float | None = None
    concord: float | None = None
    completeness: float | None = None
    freshness: float
    legal_duty: Text | None = None
    score: float = Field(ge=0, le=100)


@cache
def source_norms() -> SourceNorms:
    """Return the weights and duties that ship with the platform."""
    text = resources.files("datong.catalogue").joinpath(DUTIES_FILE).read_text(encoding="utf-8")
    return SourceNorms.model_validate(yaml.safe_load(text))


def rank(
    element: str,
    holders: Sequence[HeldColumn],
    pairs: Sequence[ColumnOverlap],
    *,
    registers: Mapping[tuple[ResourceId, str], bytes],
    table_rows: Mapping[ResourceId, int],
    names: Mapping[DepartmentCode, str],
    norms: SourceNorms,
) -> tuple[SourceCandidate, ...]:
    """Return the holders as candidates for the source, the best first; equal ones by department and title.

    `registers` are the sketches that tell of whom (or which values) each column is held; `table_rows` how many rows
    each table has as far as its sketches know.
    """
    whole = _everything(list(registers.values()))
    found = []
    for holder in holders:
        place = (holder.resource_id, holder.column)
        evidence = {
            "coverage": _share(registers.get(place), whole),
            "concord": _concord(holder, pairs),
            "completeness": _completeness(holder, table_rows.get(holder.resource_id, 0)),
        }
        freshness = norms.freshness.get(holder.update_cycle, 0) / 100
        duty = norms.duty(element, names.get(holder.department, ""))
        parts = {**evidence, "freshness": freshness, "legal_duty": 0.0 if duty is None else 1.0}
        score = sum(weight * (parts.get(name) or 0.0) for name, weight in norms.weights.items())
        found.append(
            SourceCandidate(
                department=holder.department,
                resource_id=holder.resource_id,
                column=holder.column,
                title=holder.title,
                freshness=freshness,
                legal_duty=duty,
                score=round(min(score, 100.0), 1),
                **evidence,
            )
        )
    found.sort(key=lambda one: (-one.score, one.department, one.title, one.resource_id, one.column))
    return tuple(found)


def _everything(registers: Sequence[bytes]) -> float:
    if not registers:
        return 0.0
    whole = registers[0]
    for one in registers[1:]:
        whole = merged(whole, one)
    return cardinality_of(whole)


def _share(own: bytes | None, whole: float) -> float | None:
    return None if own is None or whole <= 0 else min(1.0, cardinality_of(own) / whole)


def _concord(holder: HeldColumn, pairs: Sequence[ColumnOverlap]) -> float | None:
    """The mean agreement with the other holders, weighted by how many people both have."""
    place = (holder.resource_id, holder.column)
    known = [
        pair.concord
        for pair in pairs
        if pair.concord is not None and place in ((pair.left, pair.left_column), (pair.right, pair.right_column))
    ]
    common = sum(one.common.value for one in known)
    return sum(one.common.value * one.agreeing.value for one in known) / common if common > 0 else None


def _completeness(holder: HeldColumn, rows: int) -> float | None:
    return None if holder.rows is None or rows <= 0 else min(1.0, holder.rows / rows)
