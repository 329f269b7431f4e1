"""Masks by the column against masks by the value, on the same texts."""

from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datong.norms import citizen_check_character, validate_citizen_id
from datong.sharing.mask_columns import mask_columns
from datong.sharing.masks import SPACES, ColumnMask, MaskKind

KEY = bytes(range(32))
MASKS = {kind: ColumnMask(kind, KEY if kind.keyed else None) for kind in MaskKind}
KNOWN = (
    None, "", "　 ", "张三", "欧阳修", "欧阳", "张", "买买提·吐尔逊", "John", "é", "😀张三", "110101199003070011",
    "11010519491231002x", "110101199003070012", "110101199002300011", "110101900307001", "11010119900307001X",
    "13812345678", " 13812345678\n", "138123456789\n0", "0757-82221234", "12345", "123456", "12345678901", "1" * 18,
    "1" * 19, "1" * 57, "编号123456号", "广东省佛山市顺德区大良街道文秀路1号", "北京市朝阳区1号", "4200.50", "3,000",
    "-5",
    "-0.00", "+.5", ".", "00000000000000001", "99999999", "1e3", "１２３", "1990-03-07", "19900307", "1990年3月",
    "1990-03-07 00:00\n", "3990-01-01", "a'b\"c", "\x1c\x00", "İß",
)  # fmt: skip


def citizen(first_17: str) -> str:
    return first_17 + citizen_check_character(first_17)


IDS = st.from_regex(r"[1-9][0-9]{5}(19|20)[0-9]{2}(0[1-9]|1[0-2])[0-3][0-9][0-9]{3}", fullmatch=True).map(citizen)
TEXTS = st.one_of(
    st.text(max_size=12),
    st.text("张三欧阳省市区县镇街道路0123456789.-+,X年 ", max_size=24),
    st.from_regex(r"[0-9]{5,20}", fullmatch=True),
    st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True),
    st.from_regex(r"[+-]?[0-9]{0,9}(\.[0-9]{0,3})?", fullmatch=True),
    IDS,
)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("SET threads = 1")
        yield opened


@pytest.fixture(scope="module")
def shown(connection: duckdb.DuckDBPyConnection) -> str:
    """Every mask of the column `value`, as one select list."""
    expressions = {kind: mask_columns(connection, {"value": mask})["value"] for kind, mask in MASKS.items()}
    return ", ".join(f'{expression} AS "{kind.value}"' for kind, expression in expressions.items())


def agree(connection: duckdb.DuckDBPyConnection, shown: str, values: list[str | None]) -> None:
    connection.register("told", pa.table({"value": pa.array(values, pa.string())}))
    found = connection.execute(f"SELECT {shown} FROM told").to_arrow_table()
    for kind, mask in MASKS.items():
        assert found.column(kind.value).to_pylist() == [mask.apply(value) for value in values], kind


def test_known_values_are_masked_alike(connection: duckdb.DuckDBPyConnection, shown: str) -> None:
    agree(connection, shown, [*KNOWN, *(f"{SPACES}{value}" for value in KNOWN if value)])


@settings(max_examples=8, deadline=None)
@given(values=st.lists(st.none() | TEXTS, min_size=20, max_size=60))
def test_any_value_is_masked_alike(connection: duckdb.DuckDBPyConnection, shown: str, values: list[str | None]) -> None:
    agree(connection, shown, values)


def test_a_number_and_a_date_are_masked_as_their_texts(connection: duckdb.DuckDBPyConnection) -> None:
    columns = mask_columns(connection, {"n": ColumnMask(MaskKind.AMOUNT), "d": ColumnMask(MaskKind.DATE)})
    row = connection.execute(
        f"SELECT {columns['n']}, {columns['d']} FROM (SELECT 4200.5::DECIMAL(9, 2) n, DATE '1990-03-07' d)"
    ).fetchone()
    assert row == ("3000-5000", "1990-**-**")


def test_no_key_stands_in_sql(connection: duckdb.DuckDBPyConnection) -> None:
    key = b"a key that can be told by looking"[:32]
    for kind in (kind for kind in MaskKind if kind.keyed):
        mask = ColumnMask(kind, key)
        sql = mask_columns(connection, {"value": mask})["value"]
        assert key.decode() not in sql + repr(mask)
        assert key.hex() not in sql.lower() + repr(mask)


def test_a_keyed_mask_without_its_key_hides(connection: duckdb.DuckDBPyConnection) -> None:
    for kind in (kind for kind in MaskKind if kind.keyed):
        sql = mask_columns(connection, {"value": ColumnMask(kind)})["value"]
        assert connection.execute(f"SELECT {sql} FROM (SELECT '110101199003070011' AS value)").fetchone() == ("***",)


def test_an_enciphered_id_is_a_valid_id_of_nobody_in_particular() -> None:
    born = [f"{year}{month:02}15" for year in range(1900, 2100, 20) for month in range(1, 13)]
    people = [citizen(f"110101{day}{order:03}") for day in born for order in (1, 2)]
    become = [MASKS[MaskKind.CIPHER_ID].apply(one) or "" for one in people]
    assert len(set(become)) == len(people)
    assert all(validate_citizen_id(one).valid for one in become)
    assert not set(become) & set(people)
    assert len({one[:6] for one in become}) > len(people) // 2
