"""The simulator says what the gateway would: asked about the same thing, both come to the same end."""

from datetime import timedelta

import pytest

from datong.kernel import ActorKind, NotFound, Refused
from datong.norms import ShareMode
from datong.sharing.masks import MaskKind
from datong.sharing.row_filters import RowCondition, RowOperator
from datong.sharing.simulator import SimulatedCall, Simulator
from datong.sharing.terms import AgreementState, PurposeDraft, RequestLine
from tests.unit.sharing.samples import EDUCATION, PURPOSE, RESOURCE, SOCIAL, application, person
from tests.unit.sharing.world import POLICY, World


def simulator(world: World) -> Simulator:
    return Simulator(
        database=world.database,
        clock=world.clock,
        catalogue=world.resources,
        policy=POLICY,
        identity=world.identity,
    )


def agree(world: World, *rows: RowCondition) -> None:
    line = RequestLine(resource_id=RESOURCE, items=("姓名", "户号"), rows=rows)
    purpose = PurposeDraft.model_validate(PURPOSE.model_dump())
    (request,) = world.requests.submit(consumer=EDUCATION, lines=[line], purpose=purpose, actor=person(EDUCATION))
    world.put_in_force(request.agreement_id)


def test_who_could_see_a_column_how_and_until_when(world: World) -> None:
    agree(world)
    world.identity.create_application(name="入学平台", department=EDUCATION, actor=person(EDUCATION))
    (pending,) = world.submit(["姓名"], consumer=SOCIAL)
    view = simulator(world).column(RESOURCE, "xm")
    assert [(one.department, one.allowed) for one in view.viewers] == [(EDUCATION, True), (SOCIAL, False)]
    seer, waiting = view.viewers
    assert (seer.mask, seer.modes, seer.applications) == (MaskKind.NAME, PURPOSE.modes, ("入学平台",))
    assert seer.valid_until == PURPOSE.valid_until
    assert (waiting.agreement_id, waiting.policy_ids) == (pending.agreement_id, ("data.not_in_force",))
    assert waiting.state is AgreementState.DRAFT
    later = simulator(world).column(RESOURCE, "xm", at=PURPOSE.valid_until + timedelta(days=1))
    assert [one.allowed for one in later.viewers] == [False, False]
    assert "data.expired" in later.viewers[0].policy_ids + later.viewers[1].policy_ids
    assert simulator(world).column(RESOURCE, "hjdz").viewers == ()
    with pytest.raises(NotFound):
        simulator(world).column(RESOURCE, "nothing")


def test_rows_close_what_cannot_filter_them(world: World) -> None:
    agree(world, RowCondition(column="hh", operator=RowOperator.IS, values=("H1",)))
    (seer,) = simulator(world).column(RESOURCE, "xm").viewers
    assert seer.modes == (ShareMode.INTERFACE, ShareMode.BULK)
    assert seer.row_filter[0].values == ("H1",)
    question = SimulatedCall(
        resource_id=RESOURCE, columns=("xm",), department=EDUCATION, mode=ShareMode.FILE, purpose="school-admission"
    )
    assert "data.rows_unfiltered" in simulator(world).ask(question).verdicts[0].policy_ids


@pytest.mark.parametrize(
    ("change", "policy"),
    [
        ({}, "data.agreed"),
        ({"purpose": "marketing"}, "data.other_purpose"),
        ({"case_number": ""}, "data.no_case_number"),
        ({"columns": ("xm", "hjdz")}, "data.no_agreement"),
        ({"department": SOCIAL}, "data.no_agreement"),
        ({"columns": ()}, "data.no_items"),
    ],
)
def test_the_simulator_and_the_gateway_agree(world: World, change: dict[str, object], policy: str) -> None:
    agree(world)
    question = SimulatedCall(
        resource_id=RESOURCE, columns=("xm",), department=EDUCATION, purpose="school-admission", case_number="1"
    ).model_copy(update=change)
    answer = simulator(world).ask(question)
    try:
        world.gateway.query(
            application(question.department),
            RESOURCE,
            key={"citizen_id": "110101199003070011"},
            items=question.columns,
            purpose=question.purpose,
            case_number=question.case_number,
        )
        let_through = True
    except Refused:
        let_through = False
    assert answer.allowed == let_through
    assert policy in {one for verdict in answer.verdicts for one in verdict.policy_ids}
    assert all(reason.zh and reason.en for verdict in answer.verdicts for reason in verdict.reasons)


def test_a_person_without_a_role_is_told_so(world: World) -> None:
    agree(world)
    question = SimulatedCall(
        resource_id=RESOURCE,
        columns=("xm",),
        department=EDUCATION,
        kind=ActorKind.PERSON,
        purpose="school-admission",
        case_number="1",
    )
    answer = simulator(world).ask(question)
    assert (answer.allowed, answer.granted) == (False, {})
