"""Pieces of rows that make up batches: none lost, none too large, and the last one known as such."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from datong.exchange import cursor_at_end
from datong.node.groups import grouped


def piece(first: int, rows: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(range(first, first + rows), pa.int64())], names=["n"])


@given(st.lists(st.integers(1, 5), max_size=12), st.integers(5, 12), st.integers(1, 12))
def test_groups_hold_every_row_once_within_both_limits(sizes: list[int], rows_max: int, pieces_max: int) -> None:
    pieces = [piece(sum(sizes[:number]), size) for number, size in enumerate(sizes)]
    bytes_max = pieces_max * 8
    groups = grouped(iter(pieces), rows_max=rows_max, bytes_max=bytes_max)
    found = [(list(group), *group.end(("n",))) for group in groups]
    assert [last for _, _, last in found] == [False] * (len(found) - 1) + [True]
    assert [row for group, _, _ in found for one in group for row in one.column(0).to_pylist()] == list(
        range(sum(sizes))
    )
    for group, cursor, _ in found:
        assert cursor == cursor_at_end(group[-1], ("n",)) if group else cursor is None
        assert sum(one.num_rows for one in group) <= rows_max
        assert sum(one.nbytes for one in group) <= bytes_max or len(group) == 1
    assert all(group for group, _, _ in found) or not sizes
