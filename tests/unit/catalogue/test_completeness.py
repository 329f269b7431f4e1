from datetime import date

import pytest
from pydantic import ValidationError

from datong.catalogue import (
    Assessment,
    AssessmentConclusion,
    Contact,
    Distribution,
    ResourceContent,
    content_problems,
)
from datong.kernel import Text
from datong.norms import NormPack, ShareType
from tests.unit.catalogue.conftest import content

NAME = Text(zh="数据文件", en="File")


def fields(given: ResourceContent, pack: NormPack) -> list[str]:
    """The JSON pointers of what is wrong."""
    return [field for field, _ in content_problems(given, pack)]


def test_a_whole_content_has_no_problem(pack: NormPack) -> None:
    assert content_problems(content(), pack) == ()


def test_nothing_is_catalogued_without_an_assessment_that_was_passed(pack: NormPack) -> None:
    assert fields(content(assessment=None), pack) == ["/assessment"]
    empty = Assessment(conclusion=AssessmentConclusion.NOT_PASSED)
    assert fields(content(assessment=empty), pack) == [
        "/assessment/conclusion",
        "/assessment/secrecy",
        "/assessment/personal_information",
        "/assessment/assessed_by",
        "/assessment/assessed_on",
    ]
    whole = content().assessment
    assert whole is not None
    conditional = whole.model_copy(update={"conclusion": AssessmentConclusion.PASSED_WITH_CONDITIONS})
    assert fields(content(assessment=conditional), pack) == []


def test_the_condition_of_use_is_needed_where_something_is_shared(pack: NormPack) -> None:
    assert fields(content(use_condition=" "), pack) == ["/use_condition"]
    unshared = content(use_condition="", share_type=ShareType.NONE, legal_basis="《统计法》第九条")
    assert fields(unshared, pack) == []


def test_what_need_not_be_said_must_be_right(pack: NormPack) -> None:
    wrong = content(
        spatial="44A",
        temporal_start=date(2026, 1, 2),
        temporal_end=date(2026, 1, 1),
        contact=Contact(email="nobody"),
        distributions=(Distribution(id="a", title=NAME, open=True), Distribution(id="a", title=NAME)),
    )
    assert fields(wrong, pack) == [
        "/spatial",
        "/temporal_end",
        "/contact/email",
        "/distributions/0/access_url",
        "/distributions/0/open",
        "/distributions/1/access_url",
        "/distributions",
    ]
    right = content(
        spatial="440604",
        temporal_start=date(2026, 1, 1),
        temporal_end=date(2026, 1, 1),
        contact=Contact(unit="数据科", email="data@example.gov.cn"),
        distributions=(Distribution(id="a", title=NAME, download_url="https://example.gov.cn/a.csv"),),
    )
    assert fields(right, pack) == []


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "https://a b", 'https://a"onclick='])
def test_an_address_is_one_of_the_web(address: str) -> None:
    with pytest.raises(ValidationError, match="access_url"):
        Distribution(id="a", title=NAME, access_url=address)
