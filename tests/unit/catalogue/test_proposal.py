import json

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from datong.catalogue import (
    Department,
    Profiler,
    ResourceDraft,
    SourceColumn,
    SourceTable,
    TableProfile,
    content_problems,
    propose_source,
)
from datong.kernel import DepartmentCode, NodeId, Text
from datong.norms import Grade, IdentifierKind, NormPack, ShareType, citizen_check_character, load_pack

POLICE = Department(
    code=DepartmentCode("12440600456000017N"),
    name=Text(zh="示例市公安局", en="Police"),
    short_name=Text(zh="公安局", en="Police"),
)
ROWS = 200
PACK = load_pack()


def citizen_id(number: int) -> str:
    first_17 = f"44060419{50 + number % 50:02d}{number % 12 + 1:02d}{number % 28 + 1:02d}{number:03d}"
    return first_17 + citizen_check_character(first_17)


def table(columns: dict[str, tuple[str, list[str | None]]], **more: object) -> tuple[SourceTable, list[pa.RecordBatch]]:
    declared = tuple(SourceColumn(name=name, type="TEXT", comment=comment) for name, (comment, _) in columns.items())
    batch = pa.record_batch({name: pa.array(values, pa.string()) for name, (_, values) in columns.items()})
    return SourceTable.model_validate({"name": "t", "columns": declared, **more}), [batch]


def proposed(profile: TableProfile, pack: NormPack) -> ResourceDraft:
    (found,) = propose_source([profile], pack, POLICE, node_id=NodeId("n"), source="db")
    assert found.draft is not None
    return found.draft


def measured(pack: NormPack, described: SourceTable, batches: list[pa.RecordBatch]) -> TableProfile:
    with Profiler(pack) as profiler:
        return profiler.profile(described, batches)


def people() -> tuple[SourceTable, list[pa.RecordBatch]]:
    ids: list[str | None] = [citizen_id(number) for number in range(ROWS)]
    ids[:10] = [None] * 5 + ["1101019003070"] * 5
    return table(
        {
            "rid": ("", [str(number) for number in range(ROWS)]),
            "AAC003": ("姓名", ["王丽", "欧阳小明"] * (ROWS // 2)),
            "AAC002": ("公民身份号码", ids),
            "mystery": ("", ids),
            "xb": ("", ["男", "女"] * (ROWS // 2)),
            "dz": ("户籍地址", ["示例市一区人民路12号", "东平路3号2栋501室"] * (ROWS // 2)),
            "gxsj": ("", ["2026-01-02 03:04:05"] * ROWS),
            "hh": ("", [f"44060400{number:04d}" for number in range(ROWS)]),
            "beizhu": ("备注", ["某些只有本部门知道的话"] * ROWS),
        },
        comment="常住人口表",
        key_columns=("rid",),
    )


def test_a_profile_holds_ratios_and_no_values(pack: NormPack) -> None:
    profile = measured(pack, *people())
    column = profile.column("AAC002")
    assert column is not None
    assert column.null_ratio == 0.025
    assert column.identifiers[IdentifierKind.CITIZEN_ID] > 0.9
    sex = profile.column("xb")
    assert sex is not None
    assert sex.code_lists["sex"] == 1.0
    key = profile.column("rid")
    assert key is not None
    assert key.unique
    text = json.dumps(profile.model_dump(mode="json"), ensure_ascii=False)
    for value in ("王丽", "440604195", "人民路", "某些只有", "2026-01-02"):
        assert value not in text


def test_a_proposal_maps_grades_and_explains(pack: NormPack) -> None:
    profile = measured(pack, *people())
    draft = proposed(profile, pack)
    content = draft.content
    elements = {item.column: item.element for item in content.items}
    assert elements == {
        "rid": None,
        "AAC003": "person_name",
        "AAC002": "citizen_id",
        "mystery": None,
        "xb": "sex",
        "dz": "address",
        "gxsj": "updated_at",
        "hh": "household_id",
        "beizhu": "remark",
    }
    identity = content.item("AAC002")
    assert identity is not None
    assert identity.grade is Grade.L4
    assert identity.mapping_confidence > 90
    assert any("校验" in text.zh for text in identity.mapping_evidence)
    assert content.title.zh == "常住人口信息"
    assert content.theme == "population"
    assert content.share_type is ShareType.CONDITIONAL
    assert content.binding is not None
    assert content.binding.cursor_column == "gxsj"
    assert content.binding.key_columns == ("rid",)
    # What only a person can say is left to say.
    assert [field for field, _ in content_problems(content, pack)] == [
        "/assessment",
        "/data_category",
        "/use_condition",
    ]
    assert any("mystery" in text.en for text in draft.attention)


def test_an_identifier_is_recognised_by_its_checksum_alone(pack: NormPack) -> None:
    ids: list[str | None] = [citizen_id(number) for number in range(ROWS)]
    profile = measured(pack, *table({"c17": ("", ids)}))
    item = proposed(profile, pack).content.items[0]
    assert item.element == "citizen_id"


def test_a_name_that_the_values_contradict_is_not_believed(pack: NormPack) -> None:
    profile = measured(pack, *table({"sfzh": ("", ["甲", "乙"] * 50)}))
    item = proposed(profile, pack).content.items[0]
    assert item.element is None


def test_an_empty_table_is_proposed_by_its_names(pack: NormPack) -> None:
    described, _ = table({"姓名": ("", []), "csrq": ("出生日期", [])})
    draft = proposed(measured(pack, described, []), pack)
    assert [item.element for item in draft.content.items] == ["person_name", "birth_date"]
    assert any("没有数据" in text.zh for text in draft.attention)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=20)), min_size=1, max_size=10), st.text(min_size=1, max_size=10))
def test_any_column_can_be_profiled(values: list[str | None], name: str) -> None:
    described, batches = table({name: ("", values)})
    profile = measured(PACK, described, batches)
    assert profile.rows == len(values)
