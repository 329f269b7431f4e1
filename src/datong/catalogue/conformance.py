"""Conformance of catalogue entries with the norms: what an entry says of its items, measured by `norms`."""

from datong.catalogue.values import ResourceContent
from datong.norms import DeclaredItem, DescribedScore, NormPack, score_described


def declared_items(content: ResourceContent) -> tuple[DeclaredItem, ...]:
    """What an entry says of its items, in the words of the norms; a length of 0 means that none is given."""
    return tuple(
        DeclaredItem(
            name=item.name.zh or item.column,
            element=item.element,
            data_type=item.data_type,
            length=item.length or None,
            grade=item.grade,
        )
        for item in content.items
    )


def score_content(content: ResourceContent, pack: NormPack) -> DescribedScore:
    """Return how far an entry agrees with `pack`."""
    return score_described(declared_items(content), pack)
