from hypothesis import given
from hypothesis import strategies as st

from datong.catalogue import Change, ChangeKind, ColumnShape, TableShape, applied, changes_digest, compare

NAMES = st.text("abcd姓名", min_size=1, max_size=3)
SHAPES = st.builds(
    lambda columns, rows: TableShape(
        columns=tuple(ColumnShape(name=name, type=kind) for name, kind in columns.items()), rows=rows
    ),
    st.dictionaries(NAMES, st.sampled_from(["text", "bigint", "varchar(18)"]), max_size=6),
    st.one_of(st.none(), st.integers(0, 10_000)),
)


def shape(rows: int | None = None, **columns: str) -> TableShape:
    return TableShape(columns=tuple(ColumnShape(name=name, type=kind) for name, kind in columns.items()), rows=rows)


def test_each_change_is_named() -> None:
    changes = compare(shape(1000, a="text", b="int"), shape(10, a="varchar(9)", c="date"))
    assert [(one.kind, one.column) for one in changes] == [
        (ChangeKind.COLUMN_REMOVED, "b"),
        (ChangeKind.TYPE_CHANGED, "a"),
        (ChangeKind.COLUMN_ADDED, "c"),
        (ChangeKind.ROWS_COLLAPSED, ""),
    ]
    assert (changes[1].before, changes[1].after) == ("text", "varchar(9)")


def test_a_table_that_is_gone_is_one_change() -> None:
    (change,) = compare(shape(a="text"), None)
    assert change.kind.is_dead_binding


def test_few_rows_come_and_go() -> None:
    assert compare(shape(99, a="text"), shape(0, a="text")) == ()
    assert compare(shape(1000, a="text"), shape(600, a="text")) == ()
    assert compare(shape(None, a="text"), shape(0, a="text")) == ()


def test_a_type_that_nobody_declared_is_not_compared() -> None:
    assert compare(shape(a=""), shape(a="text")) == ()


@given(SHAPES)
def test_a_structure_does_not_drift_from_itself(one: TableShape) -> None:
    assert compare(one, one) == ()
    assert one.fingerprint == TableShape(columns=one.columns[::-1]).fingerprint


@given(SHAPES, SHAPES)
def test_the_changes_of_a_drift_lead_to_the_new_structure(before: TableShape, after: TableShape) -> None:
    changes = compare(before, after)
    reached = applied(before, changes)
    assert reached is not None
    assert reached.fingerprint == after.fingerprint
    assert not [one for one in compare(reached, after) if one.kind is not ChangeKind.ROWS_COLLAPSED]


@given(SHAPES, SHAPES)
def test_equal_changes_have_one_digest_and_structures_differ_by_them(before: TableShape, after: TableShape) -> None:
    changes = compare(before, after)
    assert changes_digest(changes) == changes_digest(changes[::-1])
    columns = [one for one in changes if one.kind is not ChangeKind.ROWS_COLLAPSED]
    assert bool(columns) == (before.fingerprint != after.fingerprint)


def test_a_table_that_goes_on_shrinking_is_one_drift() -> None:
    first = Change(kind=ChangeKind.ROWS_COLLAPSED, before="1000", after="10")
    assert changes_digest((first,)) == changes_digest((first.model_copy(update={"after": "9"}),))
