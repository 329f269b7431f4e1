"""How good a linkage is, measured against a known truth: pairwise precision, recall and F1.

Two records form a pair if they stand for the same entity. Pairs are counted from cluster sizes, so the cost is linear
in the number of records.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

from datong.kernel import Value

Record = TypeVar("Record", bound=Hashable)
Entity = TypeVar("Entity", bound=Hashable)
Person = TypeVar("Person", bound=Hashable)


class LinkScore(Value):
    """Pairwise agreement of a linkage with the truth; `false_merges` counts entities that mix true persons."""

    records: int
    true_pairs: int
    linked_pairs: int
    correct_pairs: int
    precision: float
    recall: float
    f1: float
    false_merges: int


def evaluate_links(links: Mapping[Record, Entity], truth: Mapping[Record, Person]) -> LinkScore:
    """Return how well `links` (record → entity) agrees with `truth` (record → true person).

    Only records that the truth knows are judged; a record of the truth without a link counts as an entity of its own.
    """
    entity_of: dict[Record, Hashable] = {record: links.get(record, ("unlinked", record)) for record in truth}
    true_pairs = _pairs(Counter(truth.values()).values())
    linked_pairs = _pairs(Counter(entity_of.values()).values())
    joint = Counter((entity_of[record], person) for record, person in truth.items())
    correct_pairs = _pairs(joint.values())
    persons_of_entity = Counter(entity for entity, _ in joint)
    precision = correct_pairs / linked_pairs if linked_pairs else 1.0
    recall = correct_pairs / true_pairs if true_pairs else 1.0
    return LinkScore(
        records=len(truth),
        true_pairs=true_pairs,
        linked_pairs=linked_pairs,
        correct_pairs=correct_pairs,
        precision=precision,
        recall=recall,
        f1=2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        false_merges=sum(1 for persons in persons_of_entity.values() if persons > 1),
    )


def _pairs(counts: Iterable[int]) -> int:
    return sum(count * (count - 1) // 2 for count in counts)
