from datetime import timedelta

from datong.catalogue import NewServiceField, ServiceField, ServiceItem
from datong.catalogue.service_values import FieldState
from datong.kernel import RequestId, ResourceId
from datong.norms import ShareMode
from datong.sharing.request_prefill import SIMILAR_MAX, Prefill, prefill
from datong.sharing.terms import Request, RequestState
from tests.unit.sharing.samples import EDUCATION, NOW, PURPOSE, SOCIAL, request, resource, text

OTHER = ResourceId("0198c000-0000-7000-8000-000000000002")


def item(*elements: str) -> ServiceItem:
    fields = tuple(
        ServiceField(
            **NewServiceField(name=text(element), element=element).model_dump(),
            position=position,
            mapping_confidence=100,
            state=FieldState.ASKED,
            request_id=None,
            changed_at=NOW,
        )
        for position, element in enumerate(elements)
    )
    return ServiceItem(
        id="item-1",
        code="RX-1",
        name=text("入学报名"),
        department=EDUCATION,
        legal_basis="《义务教育法》第九条",
        annual_cases=10,
        retired=False,
        registered_at=NOW,
        updated_at=NOW,
        fields=fields,
    )


def filled(*earlier: Request, service_item: str = "", registered: ServiceItem | None = None) -> Prefill:
    return prefill(
        consumer=EDUCATION,
        resources=[resource()],
        service_item=service_item,
        registered=registered,
        earlier=earlier,
        now=NOW,
    )


def test_nothing_known_leaves_everything_to_the_requester() -> None:
    known = filled()
    assert (known.purpose.legal_basis, known.purpose.scene, known.purpose.scope) == ("", "", "")
    assert known.purpose.modes == (ShareMode.INTERFACE,)
    assert known.purpose.valid_until == NOW + timedelta(days=365)
    assert known.lines[0].items == ()
    assert set(known.origins) == {"modes", "valid_from", "valid_until"}


def test_the_service_item_gives_basis_scene_and_items_with_their_key() -> None:
    known = filled(service_item="RX-1", registered=item("person_name", "household_id", "fingerprint"))
    assert known.purpose.legal_basis == "《义务教育法》第九条"
    assert "入学报名" in known.purpose.scene
    assert known.lines[0].items == ("gmsfhm", "xm", "hh")
    assert known.origins["legal_basis"] == known.origins["service_item"]


def test_the_most_alike_request_of_the_same_department_is_followed() -> None:
    def earlier(name: str, **change: object) -> Request:
        purpose = PURPOSE.model_copy(update={"scene": name, "service_item": change.pop("service_item", "other")})
        return request(id=RequestId(name), purpose=purpose, state=RequestState.GRANTED, **change)

    same_item = earlier("同事项", resource_id=OTHER, service_item="RX-1")
    same_resource = earlier("同资源", submitted_at=NOW + timedelta(days=9))
    unlike = earlier("无关", resource_id=OTHER)
    foreign = earlier("外部门", consumer=SOCIAL, service_item="RX-1")
    refused = earlier("被拒", service_item="RX-1").model_copy(update={"state": RequestState.REFUSED})
    known = filled(same_resource, same_item, unlike, foreign, refused, service_item="RX-1")
    assert known.purpose.scene == "同事项"
    assert known.purpose.service_item == "RX-1"
    assert [one.request_id for one in known.similar] == ["同事项", "同资源"]
    # Which items were asked of this very resource is known from the other one.
    assert known.lines[0].items == same_resource.columns
    assert known.origins["legal_basis"] != known.origins["service_item"]
    many = [earlier(f"{number}") for number in range(SIMILAR_MAX + 3)]
    assert len(filled(*many).similar) == SIMILAR_MAX


def test_what_is_not_shared_is_never_ticked() -> None:
    secret = request(items=(request().items[0].model_copy(update={"column": "zw"}), request().items[0]))
    assert filled(secret).lines[0].items == ("xm",)
