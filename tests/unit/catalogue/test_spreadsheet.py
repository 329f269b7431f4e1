import io
import zipfile
from datetime import UTC, date, datetime

import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.reader.excel import load_workbook

from datong.catalogue import (
    Assessment,
    AssessmentConclusion,
    Binding,
    Contact,
    Distribution,
    Item,
    Resource,
    ResourceContent,
    ResourceState,
)
from datong.catalogue.spreadsheet import (
    MAIN,
    SheetReading,
    annotated_copy,
    read_spreadsheet,
    write_spreadsheet,
)
from datong.catalogue.spreadsheet_guard import COLUMNS_MAX, ROWS_MAX
from datong.kernel import Invalid, NodeId, ResourceId, Text
from datong.norms import DataType, Grade, NormPack, ResourceFormat, ShareMode, ShareType, UpdateCycle, load_pack
from tests.unit.catalogue.conftest import POLICE, content

PACK = load_pack()
NOW = datetime(2026, 11, 24, tzinfo=UTC)
# XML cannot hold noncharacters and lone surrogates; everything else must come back.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff"), max_size=30)
filled = texts.filter(bool)
labels = st.builds(Text, zh=texts, en=texts)
addresses = st.sampled_from(["", "https://data.example.cn/a?b=1&c=%20"])
days = st.none() | st.dates(date(1900, 1, 1), date(2100, 1, 1))
terms = {
    "share_type": st.sampled_from(ShareType),
    "share_condition": texts,
    "share_modes": st.lists(st.sampled_from(ShareMode), unique=True, max_size=3).map(tuple),
    "legal_basis": texts,
    "open": st.booleans(),
    "open_condition": texts,
}
items = st.builds(
    Item,
    name=labels,
    column=filled,
    element=st.sampled_from([None, "citizen_id", "unknown_element"]),
    data_type=st.sampled_from(DataType),
    length=st.integers(0, 1_000_000),
    grade=st.sampled_from(Grade),
    key=st.booleans(),
    mapping_confidence=st.integers(0, 100),
    mapping_evidence=st.lists(labels, max_size=2).map(tuple),
    **terms,
)
contents = st.builds(
    ResourceContent,
    title=labels,
    summary=labels,
    classification=st.sampled_from(["", "1", "101001", "101001ab", "不合规"]),
    format=st.sampled_from(ResourceFormat),
    items=st.lists(items, max_size=4).map(tuple),
    update_cycle=st.sampled_from(UpdateCycle),
    binding=st.none()
    | st.builds(
        Binding,
        node_id=filled.map(NodeId),
        source=filled,
        table=filled,
        cursor_column=st.none() | filled,
        key_columns=st.lists(texts, max_size=3).map(tuple),
    ),
    theme=st.sampled_from(["", "population", "没有的主题"]),
    keywords=st.lists(texts, max_size=3).map(tuple),
    related_codes=st.lists(texts, max_size=2).map(tuple),
    use_condition=texts,
    data_category=st.sampled_from(["", *(known.key for known in PACK.data_categories)]),
    source_system=texts,
    contact=st.none() | st.builds(Contact, unit=filled, person=texts, phone=texts, email=texts),
    licence=st.sampled_from(["", "cc-by-4.0", "others"]),
    spatial=st.sampled_from(["", "440604"]),
    temporal_start=days,
    temporal_end=days,
    distributions=st.lists(
        st.builds(
            Distribution,
            id=st.from_regex(r"[a-z0-9.-]{1,8}", fullmatch=True),
            title=labels,
            media_type=texts,
            access_url=addresses,
            download_url=addresses,
            bytes=st.none() | st.integers(0, 2**60),
            open=st.booleans(),
        ),
        max_size=2,
    ).map(tuple),
    assessment=st.none()
    | st.builds(
        Assessment,
        secrecy=texts,
        personal_information=texts,
        conclusion=st.sampled_from(AssessmentConclusion),
        assessed_by=texts,
        assessed_on=days,
    ),
    **terms,
)


def resource(given: ResourceContent, number: int = 1) -> Resource:
    return Resource(
        id=ResourceId(f"r{number}"),
        code=None,
        department=POLICE,
        state=ResourceState.DRAFT,
        version=1,
        published_version=None,
        content=given,
        created_at=NOW,
        updated_at=NOW,
    )


def written(*given: ResourceContent) -> bytes:
    target = io.BytesIO()
    made = [resource(one, number) for number, one in enumerate(given, start=1)]
    assert write_spreadsheet(target, made, PACK, {POLICE: "公安局"}) == len(given)
    return target.getvalue()


def by_hand(rows: list[list[object]]) -> bytes:
    """A file as somebody makes it, without our template."""
    target = io.BytesIO()
    book = xlsxwriter.Workbook(target, {"in_memory": True})
    sheet = book.add_worksheet("目录")
    for number, cells in enumerate(rows):
        sheet.write_row(number, 0, cells)
    book.close()
    return target.getvalue()


@settings(max_examples=60)
@given(st.lists(contents, min_size=1, max_size=3))
def test_what_is_written_is_read_back_without_loss(given: list[ResourceContent]) -> None:
    reading = read_spreadsheet(written(*given), PACK)
    assert [problem for problem in reading.problems if problem.error] == []
    assert [found.content for found in reading.resources] == given
    assert [found.resource_id for found in reading.resources] == [f"r{number}" for number in range(1, len(given) + 1)]


def test_codes_may_be_written_as_code_or_name_and_terms_once_for_all_items() -> None:
    titles: list[object] = [
        "信息资源名称",
        "信息资源分类代码",
        "资源共享类型",
        "资源共享条件",
        "信息项名称",
        "数据类型",
        "数据长度",
        "更新周期",
    ]
    body = by_hand(
        [
            titles,
            ["户籍人口", 101001, "有条件共享", "依法履职", "姓名", "C", 50, "每日"],
            ["", "", "", "", "性别", "字符型", 1.0, ""],
            ["婚姻登记", "101003", "1", "", "登记日期", "D", "", "daily"],
        ]
    )
    reading = read_spreadsheet(body, PACK)
    first, second = [found.content for found in reading.resources]
    assert first is not None
    assert second is not None
    assert first.classification == "101001"
    assert [(item.column, item.data_type, item.length) for item in first.items] == [
        ("姓名", DataType.CHARACTER, 50),
        ("性别", DataType.CHARACTER, 1),
    ]
    assert {item.share_condition for item in first.items} == {"依法履职"}
    assert second.share_type is ShareType.UNCONDITIONAL
    assert second.update_cycle is UpdateCycle.DAILY


def test_every_bad_cell_is_named_with_its_column_problem_and_remedy() -> None:
    body = by_hand(
        [
            ["信息资源名称", "资源共享类型", "信息项名称", "数据长度", "更新周期", "是否向社会开放"],
            ["户籍人口", "随便", "姓名", "很长", "每日", "也许"],
            ["婚姻登记", "1", "日期", -1, "", ""],
        ]
    )
    reading = read_spreadsheet(body, PACK)
    errors = {problem.cell: problem for problem in reading.problems if problem.error}
    assert set(errors) == {"目录!B2", "目录!D2", "目录!F2", "目录!D3"}
    assert errors["目录!B2"].column == "资源共享类型"
    assert "无条件共享" in errors["目录!B2"].remedy.zh
    assert "Choose one of" in errors["目录!B2"].remedy.en
    assert [found.content for found in reading.resources] == [None, None]


def test_what_a_submission_would_lack_is_told_at_its_cell(pack: NormPack) -> None:
    lacking = content(share_condition="", use_condition="")
    problems = {problem.column: problem for problem in read_spreadsheet(written(lacking), pack).problems}
    assert not any(problem.error for problem in problems.values())
    assert set(problems) == {"资源共享条件", "扩展·使用条件"}
    assert problems["资源共享条件"].cell.startswith(f"{MAIN}!")


def test_the_annotated_copy_carries_the_comments_at_the_cells() -> None:
    body = by_hand([["信息资源名称", "资源共享类型"], ["户籍人口", "随便"]])
    copy = load_workbook(io.BytesIO(annotated_copy(body, read_spreadsheet(body, PACK).problems)))
    cell = copy["目录"]["B2"]
    assert cell.value == "随便"
    assert cell.comment is not None
    assert "没有“随便”这个取值" in cell.comment.text
    assert "there is no value" in cell.comment.text


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_no_text_becomes_a_formula(start: str) -> None:
    book = load_workbook(
        io.BytesIO(written(content(start, use_condition=start, summary=Text(zh="", en=""), table="t")))
    )
    cells = [cell for row in book[MAIN].iter_rows() for cell in row if cell.value == start]
    assert len(cells) == 2
    assert all(cell.data_type in ("s", "inlineStr") or cell.data_type != "f" for cell in cells)
    assert all(cell.quotePrefix for cell in cells)


def test_a_text_longer_than_a_cell_is_refused_not_cut() -> None:
    with pytest.raises(Invalid, match="cell"):
        written(content("长" * 40_000, table="t"))


def archive(members: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
        for name, body in members.items():
            made.writestr(name, body)
    return target.getvalue()


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    with pytest.raises(Invalid) as raised:
        read_spreadsheet(archive({"xl/media/a.bin": b"\0" * (300 * 1024 * 1024)}), PACK)
    assert raised.value.code == "catalogue.spreadsheet_too_large"


@pytest.mark.parametrize("reference", [f"A{ROWS_MAX + 1}", "XFD1", "A99999999999", "ZZZZZZZZZ1", "中1"])
def test_a_cell_far_away_does_not_make_the_reader_allocate_the_grid(reference: str) -> None:
    sheet = f'<worksheet><sheetData><row><c r="{reference}"/></row></sheetData></worksheet>'.encode()
    with pytest.raises(Invalid) as raised:
        read_spreadsheet(archive({"xl/worksheets/sheet1.xml": sheet}), PACK)
    assert raised.value.code == "catalogue.spreadsheet_too_large"
    assert COLUMNS_MAX < 16384


def test_entities_are_not_expanded() -> None:
    sheet = b'<!DOCTYPE a [<!ENTITY b "c">]><worksheet/>'
    with pytest.raises(Invalid) as raised:
        read_spreadsheet(archive({"xl/worksheets/sheet1.xml": sheet}), PACK)
    assert raised.value.code == "catalogue.not_a_spreadsheet"


WHOLE = written(content())


@given(st.binary(max_size=200))
def test_any_bytes_get_our_words(body: bytes) -> None:
    with pytest.raises(Invalid):
        read_spreadsheet(body, PACK)


@settings(max_examples=150)
@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255), st.booleans())
def test_a_damaged_file_gets_our_words_or_is_read(place: int, byte: int, cut: bool) -> None:
    damaged = WHOLE[:place] if cut else WHOLE[:place] + bytes([byte]) + WHOLE[place + 1 :]
    try:
        found = read_spreadsheet(damaged, PACK)
    except Invalid:
        return
    assert isinstance(found, SheetReading)
