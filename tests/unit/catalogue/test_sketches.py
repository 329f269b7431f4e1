import base64
import random

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from datong.catalogue import ColumnSketch, SketchKey, SketchKind, SketchRequest, folded, merged
from datong.catalogue import sketch_columns as columns
from datong.catalogue.sketches import level_of, sketch_requests
from datong.norms import NormPack
from tests.unit.catalogue.sketching import (
    KEY,
    OTHER_KEY,
    citizen_ids,
    item,
    one_sketch,
    registers_by_definition,
    sketch,
    table,
)

HOUSEHOLD = SketchRequest(column="v", element="household_id")


def households(start: int, stop: int) -> list[str | None]:
    return [f"H{number:08}" for number in range(start, stop)]


def test_registers_are_what_the_definition_says(pack: NormPack) -> None:
    values = households(0, 30_000)
    expected = registers_by_definition({value or "" for value in values}, KEY, HOUSEHOLD)
    assert sketch(values, pack) == expected
    fewer = {value or "" for value in values[:3000]}
    assert sketch(values[:3000], pack) == folded(registers_by_definition(fewer, KEY, HOUSEHOLD), 1024)


@given(st.integers(0, 2**64 - 1))
def test_a_level_is_the_logarithm_of_a_rank(rank: int) -> None:
    level = level_of(rank)
    # Level x says: rank < 2^(64 - (x-1)/10), and not below the next threshold. Tenth powers keep it exact.
    assert 1 <= level <= 255
    assert rank**10 < 2 ** (640 - (level - 1))
    assert level == 255 or (rank + 1) ** 10 > 2 ** (640 - level)


def test_neither_order_nor_repetition_nor_batches_matter(pack: NormPack) -> None:
    values = households(0, 4000)
    dice = random.Random(1)
    once = sketch(values, pack)
    repeated = values + dice.choices(values, k=3000)
    dice.shuffle(repeated)
    assert sketch(repeated, pack) == once
    whole = pa_slices(repeated)
    in_pieces = columns(whole, (HOUSEHOLD,), pack=pack, key=KEY, chunk_rows=500)[0]
    assert in_pieces.levels == once
    assert in_pieces.rows == len(repeated)


def pa_slices(values: list[str | None]) -> list[pa.RecordBatch]:
    batch = table(v=values)[0]
    return [batch.slice(start, 333) for start in range(0, batch.num_rows, 333)]


@given(st.integers(0, 6000), st.integers(1000, 6000), st.integers(0, 6000), st.integers(1000, 6000))
def test_the_sketch_of_a_union_is_the_union_of_sketches(start: int, size: int, other: int, other_size: int) -> None:
    def registers(values: set[int]) -> bytes:
        return registers_by_definition({str(value) for value in values}, KEY, HOUSEHOLD)

    one, two = set(range(start, start + size)), set(range(other, other + other_size))
    assert merged(registers(one), registers(two)) == registers(one | two)
    assert merged(folded(registers(one), 1024), registers(two)) == folded(registers(one | two), 1024)


def test_values_are_compared_in_their_standard_form(pack: NormPack) -> None:
    dice = random.Random(2)
    ids = citizen_ids(dice, 2000)
    as_15 = [number[:6] + number[8:17] for number in ids]
    spaced = [f" {number[:6]} {number[6:]} " if at % 2 else number.lower() for at, number in enumerate(ids)]
    expected = one_sketch(list(ids), pack, element="citizen_id")
    for spelling in (as_15, spaced):
        assert one_sketch(list(spelling), pack, element="citizen_id").levels == expected.levels


def test_a_small_crowd_tells_nothing_but_that_it_is_small(pack: NormPack) -> None:
    found = one_sketch(households(0, 700) * 5, pack, element="household_id")
    assert found.too_few
    assert found.registers == ""
    assert found.rows == 3500
    assert not one_sketch(households(0, 1300), pack, element="household_id").too_few


def test_what_is_unknown_is_not_counted(pack: NormPack) -> None:
    values = households(0, 1500)
    found = one_sketch([*values, None, "", "不详", "无"], pack, element="household_id")
    assert found.rows == 1500
    assert found.levels == sketch(values, pack)


def test_another_key_epoch_or_element_gives_another_sketch(pack: NormPack) -> None:
    values = households(0, 5000)
    sketches = {
        sketch(values, pack),
        sketch(values, pack, OTHER_KEY),
        sketch(values, pack, SketchKey(epoch="later", secret=KEY.secret)),
        sketch(values, pack, element="address"),
    }
    assert len(sketches) == 4


def test_pairs_tell_agreement_and_keyed_tells_of_whom(pack: NormPack) -> None:
    ids = citizen_ids(random.Random(3), 1500)
    addresses: list[str | None] = [f"示例路{number}号" for number in range(1500)]
    half = [*addresses[:750], *[None] * 750]
    requests = sketch_requests((item("id", "citizen_id"), item("dz", "address")), pack)
    assert [request.kind for request in requests] == [
        SketchKind.VALUES,
        SketchKind.VALUES,
        SketchKind.KEYED,
        SketchKind.PAIRS,
    ]
    key, values, keyed, pairs = columns(table(id=list(ids), dz=addresses), requests, pack=pack, key=KEY)
    assert {key.rows, values.rows, keyed.rows, pairs.rows} == {1500}
    assert len({found.registers for found in (key, values, keyed, pairs)}) == 4
    again = columns(table(id=list(ids), dz=list(reversed(addresses))), requests, pack=pack, key=KEY)
    assert again[1] == values
    assert again[2] == keyed
    assert again[3] != pairs
    fewer = columns(table(id=list(ids), dz=half), requests, pack=pack, key=KEY)
    assert [found.rows for found in fewer] == [1500, 750, 750, 750]


def test_a_pair_cannot_be_read_as_another_pair(pack: NormPack) -> None:
    request = SketchRequest(
        kind=SketchKind.PAIRS, column="b", element="household_id", key_column="a", key_element="household_id"
    )
    ones = [f"{number:06}" for number in range(2000)]
    left = columns(table(a=[f"{one}1" for one in ones], b=[*ones]), (request,), pack=pack, key=KEY)
    right = columns(table(a=[*ones], b=[f"1{one}" for one in ones]), (request,), pack=pack, key=KEY)
    assert left[0].registers != right[0].registers


def test_which_sketches_a_table_is_worth(pack: NormPack) -> None:
    requests = sketch_requests(
        (
            item("sfzh", "citizen_id", 60),
            item("zjhm", "citizen_id", 95),
            item("xb", "sex"),
            item("bz", None),
            item("dz", "address"),
        ),
        pack,
    )
    assert {(request.kind.value, request.column, request.key_column) for request in requests} == {
        ("values", "sfzh", ""),
        ("values", "zjhm", ""),
        ("keyed", "sfzh", "zjhm"),
        ("pairs", "sfzh", "zjhm"),
        ("keyed", "xb", "zjhm"),
        ("pairs", "xb", "zjhm"),
        ("values", "dz", ""),
        ("keyed", "dz", "zjhm"),
        ("pairs", "dz", "zjhm"),
    }
    assert sketch_requests((item("xb", "sex"), item("bz", None)), pack) == ()


def test_a_column_that_is_not_there_has_no_rows(pack: NormPack) -> None:
    found = columns(table(a=households(0, 2000)), (HOUSEHOLD,), pack=pack, key=KEY)
    assert found[0].rows == 0
    assert found[0].too_few
    assert columns([], (HOUSEHOLD,), pack=pack, key=KEY)[0].rows == 0


def test_odd_names_and_values_pass(pack: NormPack) -> None:
    values: list[str | None] = [f"\"'{chr(0x4E00 + number)}\\%?;" for number in range(2000)]
    batches = table(**{'a"b': values, 'A"B': [*reversed(values)]})
    requests = tuple(SketchRequest(column=name, element="address") for name in ('a"b', 'A"B'))
    one, other = columns(batches, requests, pack=pack, key=KEY)
    assert one.registers == other.registers != ""


@given(st.one_of(st.text(), st.binary(max_size=5000).map(lambda data: base64.b64encode(data).decode())))
def test_malformed_registers_are_refused(registers: str) -> None:
    try:
        found = ColumnSketch(column="v", element="address", epoch="e", rows=1, registers=registers)
    except ValidationError:
        return
    assert len(found.levels) in (0, 256, 512, 1024, 2048, 4096)


def test_a_secret_does_not_show() -> None:
    assert "kkk" not in repr(KEY)
    with pytest.raises(ValidationError):
        SketchKey(epoch="e", secret=b"short")
    with pytest.raises(ValueError, match="folded"):
        folded(bytes(4096), 3000)
