"""Signals for and against an element: none decides alone."""

from datong.catalogue import ColumnMapper, ColumnProfile, SourceReference, TableProfile
from datong.norms import IdentifierKind, NormPack


def column(name: str, comment: str = "", kind: str = "varchar(64)", **measured: object) -> ColumnProfile:
    known: dict[str, object] = {"null_ratio": 1.0, "distinct": 0, "unique": False, "length_min": 0, "length_max": 0}
    return ColumnProfile.model_validate({"name": name, "type": kind, "comment": comment, **known, **measured})


def table(name: str, *columns: ColumnProfile, **more: object) -> TableProfile:
    return TableProfile.model_validate(
        {"table": name, "comment": "", "rows": 0, "rows_total": None, "columns": columns, **more}
    )


def mapped(pack: NormPack, *columns: ColumnProfile) -> dict[str, str]:
    return {name: found.element for name, found in ColumnMapper(pack).map_table(table("t", *columns)).items()}


def test_names_in_every_spelling(pack: NormPack) -> None:
    found = mapped(
        pack,
        column("gmsfhm"),
        column("xingming"),
        column("AAC006", "出生日期", "date"),
        column("contact_phone"),
        column("maritalStatus", kind="char(2)"),
    )
    assert found == {
        "gmsfhm": "citizen_id",
        "xingming": "person_name",
        "AAC006": "birth_date",
        "contact_phone": "phone",
        "maritalStatus": "marital_status",
    }


def test_a_type_that_cannot_hold_the_element_speaks_against_it(pack: NormPack) -> None:
    assert mapped(pack, column("sfzh", kind="boolean")) == {}
    assert mapped(pack, column("sfzh", kind="varchar(4)")) == {}
    assert mapped(pack, column("csrq", kind="boolean")) == {}


def test_values_that_contradict_a_name_win_but_not_over_name_and_comment(pack: NormPack) -> None:
    named = column("sfzh", null_ratio=0.0, distinct=90, identifiers={IdentifierKind.CITIZEN_ID: 0.0})
    assert mapped(pack, named) == {}
    both = ColumnMapper(pack).map_table(table("t", named.model_copy(update={"comment": "身份证号"})))
    right = ColumnMapper(pack).map_table(table("t", column("sfzh", "身份证号")))
    assert both.get("sfzh") is None or both["sfzh"].confidence < 80 < right["sfzh"].confidence


def test_codes_in_the_comment_speak_for_their_list_and_against_others(pack: NormPack) -> None:
    found = ColumnMapper(pack).map_table(table("t", column("f07", "1男2女", "int"), column("xb", "0停用 1启用", "int")))
    assert "xb" not in found or found["xb"].confidence < 60
    named = ColumnMapper(pack).map_table(table("t", column("xb", "性别(1男2女)", "int")))
    assert named["xb"].element == "sex"
    assert named["xb"].confidence >= 90
    assert any("代码表" in text.zh for text in named["xb"].evidence)


def test_a_foreign_key_takes_the_element_that_it_refers_to(pack: NormPack) -> None:
    person = table("person", column("gmsfhm", "公民身份号码", "char(18)"), key_columns=("gmsfhm",))
    visit = table(
        "visit",
        column("who", kind="char(18)"),
        references=(SourceReference(columns=("who",), table="person", other_columns=("gmsfhm",)),),
    )
    found = ColumnMapper(pack).map_tables([person, visit])
    assert found["visit"]["who"].element == "citizen_id"
    assert any("person.gmsfhm" in text.en for text in found["visit"]["who"].evidence)


def test_a_bare_name_is_a_person_s_only_among_persons(pack: NormPack) -> None:
    alone = mapped(pack, column("name"), column("price", kind="numeric"))
    among = mapped(pack, column("name"), column("sex", kind="char(1)"), column("birthday", kind="date"))
    assert "name" not in alone
    assert among["name"] == "person_name"


def test_a_bare_code_or_name_means_what_its_table_is_about(pack: NormPack) -> None:
    columns = (column("code"), column("name"), column("level", kind="int"), column("price", kind="numeric"))
    wanted = {"code": "division_code", "name": "division_name"}
    for called, comment in (("xingzhengquhua", ""), ("gis.t_division", ""), ("q1", "行政区划信息表")):
        described = table(called, *columns).model_copy(update={"comment": comment})
        found = {name: one.element for name, one in ColumnMapper(pack).map_table(described).items()}
        assert {name: found.get(name) for name in wanted} == wanted, called
    other = {name: one.element for name, one in ColumnMapper(pack).map_table(table("price_list", *columns)).items()}
    assert not {"code", "name"} & set(other)


def test_a_common_word_needs_more_than_being_said_twice(pack: NormPack) -> None:
    related = table(
        "party_address", column("relation", "关系"), column("name", "建筑名称"), column("area_size", kind="int")
    )
    found = ColumnMapper(pack).map_table(related)
    twice = found.get("relation")
    once = ColumnMapper(pack).map_table(table("party_address", column("relation"))).get("relation")
    assert "name" not in found
    assert (twice.confidence if twice else 0) <= (once.confidence if once else 0)


def test_a_column_called_like_its_table_is_what_the_table_is(pack: NormPack) -> None:
    found = ColumnMapper(pack).map_table(table("ir_email_address", column("address", "地址"), column("street", "住址")))
    assert {name for name, one in found.items() if one.element == "address"} == {"street"}


def test_what_is_asked_about_a_thing_is_not_the_thing(pack: NormPack) -> None:
    assert mapped(pack, column("c1", "身份证照片"), column("c2", "是否低保", "char(1)")) == {}


def test_an_address_of_a_network_or_of_mail_is_no_place(pack: NormPack) -> None:
    found = mapped(
        pack, column("ip_address"), column("c1", "邮箱地址"), column("addr2", "IP地址"), column("dz", "住址")
    )
    assert {name for name, element in found.items() if element == "address"} == {"dz"}


def test_a_bare_code_numbers_records_only_where_a_table_refers_to_several_others(pack: NormPack) -> None:
    refers = tuple(
        SourceReference(columns=(name,), table=f"t_{name}", other_columns=("id",)) for name in ("a", "b", "c")
    )
    columns = (column("code", "代码"), *(column(name, kind="integer") for name in ("a", "b", "c")))
    event = ColumnMapper(pack).map_table(table("visit", *columns, references=refers))
    codes = ColumnMapper(pack).map_table(table("kinds", column("code", "代码"), column("label")))
    assert event["code"].element == "record_id"
    assert "code" not in codes


def test_what_ends_like_the_number_of_a_record_is_one(pack: NormPack) -> None:
    found = mapped(pack, column("f1", "处方编号"), column("f2", "原始凭证号"), column("f3", "住院流水号"))
    assert set(found.values()) == {"record_id"}


def test_the_exact_name_of_another_element_and_proven_values_decide(pack: NormPack) -> None:
    """People's numbers that are somebody else's, or are called by another card's name."""

    def proven(name: str, comment: str) -> ColumnProfile:
        return column(name, comment, null_ratio=0.0, distinct=900, identifiers={IdentifierKind.CITIZEN_ID: 0.96})

    found = mapped(
        pack,
        proven("id_card", "身份证号"),
        proven("spouse_id_card", "配偶身份证号"),
        proven("guardian_no", "监护人身份证号"),
        proven("AAC002", "社会保障卡号"),
    )
    assert found == {
        "id_card": "citizen_id",
        "spouse_id_card": "spouse_citizen_id",
        "guardian_no": "guardian_citizen_id",
        "AAC002": "citizen_id",
    }
