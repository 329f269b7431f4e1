"""Files of service items: read as written, and every fault named by its cell."""

import io
import zipfile
from collections.abc import Callable, Sequence

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.workbook.workbook import Workbook

from datong.catalogue import NewServiceItem, read_service_items
from datong.catalogue.service_files import ROWS_MAX
from datong.kernel import DatongError, DepartmentCode, Invalid, TooLarge
from datong.norms import NormPack, load_pack
from tests.unit.catalogue.conftest import CIVIL, POLICE

NAMES = {POLICE: POLICE, "公安局": POLICE, CIVIL: CIVIL, "民政局": CIVIL}
PACK = load_pack()
Rows = list[list[object]]
ITEMS: Rows = [["事项代码", "事项名称", "部门", "设定依据", "年办件量"], ["A1", "入学", "公安局", "教育法", 1200]]
FIELDS: Rows = [
    ["事项代码", "字段名称", "材料", "数据元", "填写秒数", "份数"],
    ["A1", "家庭住址", "户口簿", "address", 20, 1],
    ["A1", "性别", "", "性别", None, None],
    ["A1", "特长", "", "", "", ""],
]


def workbook(
    items: Sequence[Sequence[object]], fields: Sequence[Sequence[object]], names: tuple[str, str] = ("事项", "字段")
) -> bytes:
    book = Workbook()
    book.remove(book.worksheets[0])
    for name, rows in zip(names, (items, fields), strict=True):
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def read(content: bytes, own: DepartmentCode | None = CIVIL) -> tuple[NewServiceItem, ...]:
    return read_service_items(content, pack=PACK, departments=NAMES, own=own)


def code_of(act: Callable[[], object]) -> str:
    """Return the code of the platform's error that `act` raises; empty if it raises none."""
    try:
        act()
    except DatongError as error:
        return error.code
    return ""


def problems(content: bytes) -> dict[str, str]:
    with pytest.raises(Invalid) as raised:
        read(content)
    found = raised.value.context["problems"]
    assert isinstance(found, list)
    return {problem["place"]: problem["zh"] for problem in found}


def test_a_workbook_and_yaml_say_the_same(pack: NormPack) -> None:
    (from_book,) = read(workbook(ITEMS, FIELDS))
    document = {
        "items": [
            {
                "code": "A1",
                "name": "入学",
                "department": "公安局",
                "legal_basis": "教育法",
                "annual_cases": 1200,
                "fields": [
                    {"name": "家庭住址", "material": "户口簿", "element": "address", "seconds": 20, "sheets": 1},
                    {"name": {"zh": "性别", "en": "性别"}, "element": "sex"},
                    {"name": "特长"},
                ],
            }
        ]
    }
    (from_yaml,) = read(yaml.safe_dump(document, allow_unicode=True).encode())
    assert from_book == from_yaml
    assert from_book.department == POLICE
    assert [field.element for field in from_book.fields] == ["address", "sex", None]
    assert [field.seconds for field in from_book.fields] == [20, 30, 30]
    assert pack.has_element("sex")


def test_columns_in_any_order_and_in_english() -> None:
    items: Rows = [["annual_cases", "note", "name", "code"], ["1,200", "x", "Admission", "A1"]]
    fields: Rows = [["name", "code"], ["Address", "A1"]]
    (found,) = read(workbook(items, fields, ("Items", "Fields")))
    assert (found.annual_cases, found.department, found.name.en) == (1200, CIVIL, "Admission")


def test_every_fault_is_named_by_its_cell() -> None:
    items: Rows = [
        ITEMS[0],
        ["A1", "入学", "公安局", "", 1200],
        ["A 2", "", "没有的局", "", -5],
        ["A1", "又一个", "", "", "许多"],
        ["A4", "没有字段", "", "", 1],
    ]
    fields: Rows = [
        FIELDS[0],
        ["A1", "住址", "", "没有的数据元", 20, 1],
        ["A1", "", "", "", 1.5, 1000],
        ["A9", "x", "", "", 1, 1],
        ["A 2", "长" * 201, "", "", 1, 1],
    ]
    found = problems(workbook(items, fields))
    assert set(found) == {
        "字段!D2",
        "字段!B3",
        "字段!E3",
        "字段!F3",
        "字段!A4",
        "字段!B5",
        "事项!A3",
        "事项!B3",
        "事项!C3",
        "事项!E3",
        "事项!A4",
        "事项!E4",
        "事项!5",
    }
    assert "没有的数据元" in found["字段!D2"]


def test_what_a_workbook_lacks() -> None:
    assert set(problems(workbook(ITEMS, FIELDS, ("事项", "别的")))) == {"字段", "事项!2"}
    assert "事项!1" in problems(workbook([["代号"], ["x"]], FIELDS))
    assert problems(workbook(ITEMS[:1], FIELDS[:1])) == {"": "文件里没有事项。"}


def test_what_yaml_gets_wrong() -> None:
    found = problems(
        yaml.safe_dump(
            {"items": [{"code": "A1", "name": ["x"], "annual_cases": True, "fields": [{"nom": 1}, 2]}, 3], "more": 1}
        ).encode()
    )
    assert {
        "/items/0/name",
        "/items/0/annual_cases",
        "/items/0/fields/0/nom",
        "/items/0/fields/0/name",
        "/items/0/fields/1",
        "/items/1",
        "/more",
    } <= set(found)
    assert problems(b"items: []") == {"": "文件里没有事项。"}
    assert problems(b"things: []").keys() == {"/items", "/things"}


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"PK", b"\xff\xfe\x00", b"items: &a [*a]", b"[1]", b"a: b: c", b"items: [" * 50]
)
def test_what_cannot_be_read(content: bytes) -> None:
    with pytest.raises(Invalid, match="service_file|not_a_spreadsheet"):
        read(content)


def test_a_small_workbook_that_hides_a_large_one_is_refused() -> None:
    hidden = io.BytesIO()
    with zipfile.ZipFile(hidden, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"<a>" + b" " * (300 * 1024 * 1024) + b"</a>")
    with pytest.raises(Invalid, match="spreadsheet_too_large"):
        read(hidden.getvalue())


def test_limits() -> None:
    with pytest.raises(TooLarge, match="service_file_too_large"):
        read(b"x" * (8 * 1024 * 1024 + 1))
    row: list[object] = ["A1"]
    rows = [FIELDS[0], *[row] * (ROWS_MAX + 1)]
    assert problems(workbook(ITEMS, rows)).keys() == {f"字段!{ROWS_MAX + 2}", "事项!2"}


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode) | st.binary(max_size=300).map(b"PK".__add__))
def test_any_bytes_give_items_or_our_error(content: bytes) -> None:
    code = code_of(lambda: read(content))
    assert code.startswith(("catalogue.service_file", "catalogue.not_a_spreadsheet")) or not code


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["items", "code", "name", "fields", "element", "annual_cases", "seconds", "zh", "en", "x"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(st.dictionaries(st.sampled_from(["items", "x"]), json, max_size=2))
def test_any_yaml_gives_items_or_our_error(document: dict[str, object]) -> None:
    code = code_of(lambda: read(yaml.safe_dump(document, allow_unicode=True).encode()))
    assert code.startswith("catalogue.service_file") or not code


cells = (
    st.none()
    | st.booleans()
    | st.integers(-10, 10**14)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=10)
)


@given(st.lists(st.lists(cells, min_size=1, max_size=6), max_size=4), st.lists(st.lists(cells, max_size=6), max_size=4))
def test_any_cells_give_items_or_our_error(
    items: Sequence[Sequence[object]], fields: Sequence[Sequence[object]]
) -> None:
    code = code_of(lambda: read(workbook([ITEMS[0], *items], [FIELDS[0], *fields])))
    assert code.startswith("catalogue.service_file") or not code
