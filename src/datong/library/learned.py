"""A definition with learned weights in the place of its own."""

from collections.abc import Iterable, Mapping

from datong.library.definition import Comparison, Definition


def with_weights(definition: Definition, comparisons: Iterable[Comparison | Mapping[str, object]]) -> Definition:
    """Return `definition` with `comparisons`; its features, blocking, threshold and limits stay."""
    if definition.linkage is None:
        raise AssertionError("only a linked library has weights")
    learned = tuple(Comparison.model_validate(one) for one in comparisons)
    return definition.model_copy(update={"linkage": definition.linkage.model_copy(update={"comparisons": learned})})
