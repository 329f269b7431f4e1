import pytest

from datong.norms import Division, load_pack
from datong.norms.divisions import Divisions, national_divisions


@pytest.mark.parametrize(
    ("code", "year", "name"),
    [
        ("110101", 2003, "东城区"),
        ("110103", 2005, "崇文区"),
        ("110103", 2015, None),
        ("110118", 2020, "密云区"),
        ("110118", 2010, None),
        ("440604001001", 2026, "禅城区"),
        ("999999", 2026, None),
    ],
)
def test_a_code_is_looked_up_by_year(code: str, year: int, name: str | None) -> None:
    found = load_pack().division_register.lookup(code, year)
    assert (found.name if found else None) == name


def test_an_abolished_code_is_still_known() -> None:
    register = load_pack().division_register
    assert [division.name for division in register.known("110103")] == ["崇文区"]
    assert register.known("999999") == ()
    assert [division.name for division in register.path("440604", 2026)] == ["广东省", "佛山市", "禅城区"]


def test_the_register_is_whole_and_takes_local_divisions() -> None:
    assert len(national_divisions()) > 4000
    provinces = {division.code[:2] for division in national_divisions()}
    assert len(provinces) == 35, "31 provinces, Taiwan, Hong Kong, Macao, and the code of Taiwan residents' permits"
    register = Divisions([Division(code="440699", name="示例新区", since=2025)])
    assert register.lookup("440699", 2025) is not None
    assert len(register) == len(national_divisions()) + 1
    assert "440699" in register.codes()
    assert [division.code for division in register.all()] == sorted(division.code for division in register.all())
