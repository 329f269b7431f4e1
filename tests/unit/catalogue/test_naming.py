import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.catalogue.enumerations import enumerated, fitting_code_lists
from datong.catalogue.naming import Fit, Lexicon, asks_about, head_phrase, is_coded, words
from datong.norms import NormPack, load_pack

PACK = load_pack()
LEXICON = Lexicon(PACK, ("name",))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("contactPhone", ("contact", "phone")),
        ("ID_NO", ("id", "number")),
        ("date_of_birth", ("birthdate",)),
        ("XMLFileName", ("xml", "file", "name")),
        ("addresses", ("addresse",)),
        ("联系dh2", ("联系", "dh", "2")),
        ("", ()),
    ],
)
def test_names_are_cut_into_words(name: str, expected: tuple[str, ...]) -> None:
    assert words(name) == expected


@pytest.mark.parametrize(
    ("name", "element", "fit"),
    [
        ("gmsfhm", "citizen_id", Fit.EXACT),
        ("shenFenZhengHao", "citizen_id", Fit.EXACT),
        ("user_phone_number", "phone", Fit.HEAD),
        ("phone_verified", "phone", Fit.INSIDE),
        ("bdcdydm", "real_estate_unit", Fit.EXACT),
        ("dob", "birth_date", Fit.EXACT),
    ],
)
def test_latin_names_are_recognised(name: str, element: str, fit: Fit) -> None:
    found = {match.element: match.fit for match in LEXICON.matches(name)}
    assert found[element] is fit


@pytest.mark.parametrize(
    ("phrase", "element", "fit"),
    [
        ("公民身份号码", "citizen_id", Fit.EXACT),
        ("申请人联系电话", "phone", Fit.HEAD),
        ("身份证号校验状态", "citizen_id", Fit.INSIDE),
        ("配偶身份证号", "spouse_citizen_id", Fit.EXACT),
    ],
)
def test_chinese_names_are_recognised(phrase: str, element: str, fit: Fit) -> None:
    found = {match.element: match.fit for match in LEXICON.chinese_matches(phrase)}
    assert found[element] is fit


def test_a_coded_column_says_nothing_by_itself() -> None:
    assert is_coded("AAC002")
    assert LEXICON.matches("AAC002") == []


@pytest.mark.parametrize(
    ("comment", "head"),
    [
        ("性别（1:男 2:女）", "性别"),
        ("性别 1男2女", "性别"),
        ("姓名，必填", "姓名"),
        ("状态1启用0停用", "状态"),
        ("", ""),
    ],
)
def test_the_head_of_a_comment_names_the_column(comment: str, head: str) -> None:
    assert head_phrase(comment) == head


def test_what_asks_about_a_thing_is_not_the_thing() -> None:
    assert asks_about("是否低保")
    assert asks_about("身份证照片")
    assert not asks_about("身份证号")


@pytest.mark.parametrize(
    ("comment", "codes", "fits"),
    [
        ("1男2女", ["1", "2"], "sex"),
        ("性别（1:男 2:女）", ["1", "2"], "sex"),
        ("性别: 1-男性,2-女性,9-未说明", ["1", "2", "9"], "sex"),
        ("婚姻状况 10未婚 20已婚 40离婚", ["10", "20", "40"], "marital_status"),
        ("男:1，女:2", ["1", "2"], "sex"),
        ("状态(0正常 1停用)", ["0", "1"], None),
        ("第1章", [], None),
        ("出生日期", [], None),
    ],
)
def test_codes_in_comments_are_read(comment: str, codes: list[str], fits: str | None) -> None:
    pairs = enumerated(comment)
    assert [pair.code for pair in pairs] == codes
    found = fitting_code_lists(pairs, PACK)
    assert (fits in found) if fits else "sex" not in found


@given(st.text(max_size=60))
def test_any_name_and_comment_can_be_read(text: str) -> None:
    LEXICON.matches(text)
    LEXICON.chinese_matches(text)
    enumerated(text)
    assert head_phrase(text) in text


def test_a_lexicon_knows_every_element(pack: NormPack) -> None:
    for element in pack.elements:
        found = {match.element for match in LEXICON.chinese_matches(element.name.zh.lower())}
        assert element.code in found
