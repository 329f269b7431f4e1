"""A node signs only what its own department's officer confirmed."""

from datetime import UTC, datetime

import pytest

from datong.kernel import AgreementId, DepartmentCode, PersonId, Refused, RequestId, ResourceId, Text
from datong.node.agreements import check_agreement
from datong.norms import ShareMode
from datong.sharing import Agreement
from datong.sharing.terms import Confirmation, LiabilityWeights, Purpose, ServiceLevels

POLICE, EDUCATION = DepartmentCode("police"), DepartmentCode("education")
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


def agreement_of(**changes: object) -> Agreement:
    agreement = Agreement(
        id=AgreementId("a"),
        request_id=RequestId("r"),
        provider=POLICE,
        consumer=EDUCATION,
        resource_id=ResourceId("s"),
        resource_version=1,
        resource_title=Text(zh="户籍", en="Households"),
        items=(),
        purpose=Purpose(
            legal_basis="法",
            scene="入学",
            scope="市",
            modes=(ShareMode.BULK,),
            valid_from=START,
            valid_until=END,
            service_item="入学",
        ),
        levels=ServiceLevels(
            provide_within_working_days=10,
            freshness_hours=24,
            latency_ms_p95=1000,
            availability_permille=990,
            completeness_permille=990,
        ),
        liability=LiabilityWeights(provider_permille=500, consumer_permille=300, platform_permille=200),
        valid_from=START,
        valid_until=END,
        provide_due_at=END,
        drawn_up_at=START,
        confirmations=(Confirmation(department=POLICE, by=PersonId("p"), at=START),),
    )
    return agreement.model_copy(update=changes)


@pytest.mark.parametrize(
    ("department", "changes", "code"),
    [
        (DepartmentCode("civil"), {}, "agreement_not_ours"),
        (EDUCATION, {}, "agreement_not_confirmed"),
        (POLICE, {"confirmations": ()}, "agreement_not_confirmed"),
        (POLICE, {}, "agreement_empty"),
    ],
)
def test_what_is_not_ours_not_confirmed_or_empty_is_not_signed(
    department: DepartmentCode, changes: dict[str, object], code: str
) -> None:
    with pytest.raises(Refused) as caught:
        check_agreement(agreement_of(**changes), department)
    assert caught.value.code == f"node.{code}"


def test_a_confirmed_agreement_with_items_may_be_signed() -> None:
    check_agreement(agreement_of(items=(object(),)), POLICE)
