import pytest

from datong.norms import find_elements, load_pack

PACK = load_pack()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("sfzh", "citizen_id"),
        ("身份证号", "citizen_id"),
        ("Sex", "sex"),
        ("车牌", "plate_number"),
        ("GB 16735", "vin"),
        ("最高学历", "education_level"),
    ],
)
def test_the_closest_comes_first(text: str, code: str) -> None:
    assert find_elements(PACK, text)[0].code == code


def test_it_narrows_to_a_domain_and_finds_nothing_for_nonsense() -> None:
    assert {element.domain for element in find_elements(PACK, domain="health")} == {"health"}
    assert find_elements(PACK, "不存在的东西") == ()
    assert len(find_elements(PACK)) == len(PACK.elements)
