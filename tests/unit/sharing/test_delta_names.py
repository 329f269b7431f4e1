"""Names of shared tables, and hints that leave files out."""

import json
from typing import Any

from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from datong.kernel import AgreementId, ResourceId
from datong.sharing.delta_hints import kept_files
from datong.sharing.delta_names import find_table, names_of, readable, shared_tables
from datong.sharing.delta_values import Bound, ReleaseFile, SharedTableName
from tests.unit.sharing.samples import POLICE, PURPOSE, agreement, text

DEPARTMENTS = {POLICE: text("公安局")}
TYPES = {"n": "long", "d": "date", "s": "string", "m": "decimal(24,2)", "b": "binary"}


def file(name: str, **bounds: tuple[str | None, str | None]) -> ReleaseFile:
    return ReleaseFile(
        name=name,
        bytes=1,
        sha256="",
        rows=10,
        subjects=0,
        subjects_sha256="",
        bounds={column: Bound(least=least, greatest=greatest) for column, (least, greatest) in bounds.items()},
    )


FILES = (
    file("low", n=("1", "9"), d=("2026-01-01", "2026-01-31"), s=("丁", "丙"), m=("1.00", "9.50"), b=(None, None)),
    file("high", n=("10", "99"), d=("2026-02-01", "2026-02-28"), s=("天", "王"), m=("10.00", "99.00"), b=(None, None)),
)


def kept(*sql: str, tree: object = None, limit: int | None = None) -> list[str]:
    said = None if tree is None else json.dumps(tree)
    return [one.name for one in kept_files(FILES, TYPES, sql=sql, tree=said, limit=limit)]


def compared(op: str, column: str, value: object) -> dict[str, Any]:
    return {
        "op": op,
        "children": [{"op": "column", "name": column}, {"op": "literal", "value": value, "valueType": "string"}],
    }


def test_names_that_clients_can_split() -> None:
    assert readable(" 义务教育.入学/报名 #1 ") == "义务教育_入学_报名_1"
    assert readable("...") == "_"
    names = names_of({"a": "x y", "b": "X.Y", "c": "z"})
    assert names["c"] == "z"
    assert len({name.lower() for name in names.values()}) == 3


def test_a_table_keeps_its_name_when_another_agreement_ends() -> None:
    first = agreement()
    other = agreement(id=AgreementId("b"), resource_id=ResourceId("other"))
    purpose = PURPOSE.model_copy(update={"service_item": "低保.认定"})
    third = agreement(id=AgreementId("c"), purpose=purpose)
    tables = shared_tables([first, other, third], DEPARTMENTS)
    assert len({(table.name.schema_name, table.name.table) for table in tables}) == 3
    for table in tables:
        assert find_table(tables, table.name) == table
        by_id = SharedTableName(share=table.provider, schema_name=table.purpose.upper(), table=table.resource_id)
        assert find_table(tables, by_id) == table
    assert find_table(tables, SharedTableName(share="公安局", schema_name="x", table="常住人口")) is None


def test_files_that_no_row_of_can_meet_a_hint_are_left_out() -> None:
    assert kept("n > 9") == kept("n >= '10'") == kept("d >= '2026-02-01'") == kept("`m` > 9.50") == ["high"]
    assert kept("n < 10") == kept("n <= 9", "d = '2026-01-02'") == kept("s < '丙'") == ["low"]
    assert kept("n = 5", "n = 50") == []
    assert kept("n > 9 OR n < 3") == kept("b = 'x'") == kept("unknown = 1") == kept("n = 'x'") == ["low", "high"]
    assert kept(tree=compared("greaterThan", "n", "9")) == ["high"]
    turned = {"op": "lessThan", "children": list(reversed(compared("lessThan", "n", 9)["children"]))}
    assert kept(tree=turned) == ["high"]
    either = {"op": "or", "children": [compared("equal", "n", "5"), compared("equal", "n", "50")]}
    assert kept(tree=either) == ["low", "high"]
    assert kept(tree={"op": "and", "children": [either, compared("lessThanOrEqual", "n", "9")]}) == ["low"]
    assert kept(tree={"op": "not", "children": [compared("equal", "n", "5")]}) == ["low", "high"]
    assert kept("n > 0", limit=10) == ["low"]
    assert kept(limit=11) == ["low", "high"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["n", "column"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["op", "children", "name", "value", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@examples(max_examples=60)
@given(st.lists(st.text(max_size=12), max_size=3), JSON | st.text(max_size=10), st.none() | st.integers(0, 30))
def test_no_hint_breaks_a_query(sql: list[str], tree: object, limit: int | None) -> None:
    said = tree if isinstance(tree, str) else json.dumps(tree)
    found = kept_files(FILES, TYPES, sql=sql, tree=said, limit=limit)
    assert list(found) == [one for one in FILES if one in found]
