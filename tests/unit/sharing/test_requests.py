import threading
from datetime import timedelta

import pytest

from datong.kernel import Conflict, DatongError, Invalid, NotFound, Refused, RequestId, ResourceId
from datong.ledger import EntryKind
from datong.norms import ShareType
from datong.sharing.request_rules import RequestAction
from datong.sharing.terms import AgreementState, ExtensionState, PurposeDraft, RequestLine, RequestState
from tests.unit.sharing.samples import BUREAU, EDUCATION, NOW, POLICE, PURPOSE, RESOURCE, SOCIAL, person
from tests.unit.sharing.world import World


def test_unconditional_items_are_granted_at_once_and_conditional_ones_wait(world: World) -> None:
    granted, waiting = world.submit(["姓名", "hh", "户籍地址"])
    assert (granted.share_type, granted.state) == (ShareType.UNCONDITIONAL, RequestState.GRANTED)
    assert granted.decided_at == NOW
    assert granted.agreement_id is not None
    assert world.agreements.get(granted.agreement_id).state is AgreementState.DRAFT
    assert (waiting.share_type, waiting.state) == (ShareType.CONDITIONAL, RequestState.SUBMITTED)
    assert waiting.due_at == world.calendar.deadline(NOW, 10)
    assert waiting.agreement_id is None
    assert world.requests.bundle(granted.bundle_id) == (granted, waiting)
    assert world.requests.get(waiting.id) == waiting


def test_every_step_leaves_evidence_with_the_facts_of_its_duty(world: World) -> None:
    (waiting,) = world.submit(["户籍地址"])
    world.requests.act(waiting.id, RequestAction.EXTEND, person(POLICE), "系统改造")
    world.requests.act(waiting.id, RequestAction.CONSENT_EXTENSION, person(BUREAU))
    world.requests.act(waiting.id, RequestAction.REFUSE, person(POLICE), "姓名张三，材料不符")
    entries = world.ledger.entries(subject=waiting.id).rows
    assert [entry.facts["step"] for entry in reversed(entries)] == [
        "submit",
        "extend",
        "consent_extension",
        "refuse",
    ]
    assert entries[0].kind is EntryKind.DECISION
    assert entries[0].facts["consumer"] == EDUCATION
    assert entries[1].facts["due_at"] > entries[3].facts["due_at"]
    assert "张三" not in str([entry.facts for entry in entries])


def test_approval_draws_up_the_agreement_in_the_same_transaction(world: World) -> None:
    (waiting,) = world.submit(["户籍地址"])
    approved = world.requests.decide(waiting.id, RequestAction.APPROVE, person(POLICE))
    assert approved.agreement_id is not None
    agreement = world.agreements.of_request(waiting.id)
    assert agreement is not None
    assert agreement.id == approved.agreement_id
    assert agreement.items == waiting.items
    with pytest.raises(Conflict):
        world.requests.act(waiting.id, RequestAction.WITHDRAW, person(EDUCATION))


def test_everything_missing_comes_in_one_answer(world: World) -> None:
    with pytest.raises(Invalid) as refused:
        world.requests.submit(
            consumer=EDUCATION,
            lines=[RequestLine(resource_id=ResourceId("nothing"), items=("a",))],
            purpose=PurposeDraft(),
            actor=person(EDUCATION),
        )
    problems = refused.value.context["problems"]
    assert isinstance(problems, list)
    assert len(problems) == 8
    with pytest.raises(Invalid):
        world.requests.submit(consumer=EDUCATION, lines=[], purpose=PurposeDraft(), actor=person(EDUCATION))
    assert world.requests.find().total == 0


def test_a_department_that_is_not_a_party_cannot_act(world: World) -> None:
    (waiting,) = world.submit(["户籍地址"])
    for actor in (person(SOCIAL), person(EDUCATION), person(BUREAU), person(None)):
        with pytest.raises(Refused):
            world.requests.act(waiting.id, RequestAction.APPROVE, actor)
    assert world.requests.possible_actions(waiting, EDUCATION) == (RequestAction.WITHDRAW,)
    assert world.requests.possible_actions(waiting, None) == ()


def test_overdue_requests_are_found_by_time_alone(world: World) -> None:
    _, waiting = world.submit(["姓名", "户籍地址"])
    assert world.requests.find(overdue=True).rows == ()
    world.clock.advance(timedelta(days=20))
    assert world.requests.find(overdue=True).rows == (waiting,)
    assert world.requests.find(department=POLICE).total == 2
    assert world.requests.find(consumer=POLICE).total == 0
    assert world.requests.find(provider=POLICE, state=RequestState.GRANTED).total == 1
    page = world.requests.find(limit=1)
    assert (len(page.rows), page.next_offset) == (1, 1)


def test_unknown_requests_are_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        world.requests.get(RequestId("nothing"))


def test_two_officers_at_once_decide_once(world: World) -> None:
    (waiting,) = world.submit(["户籍地址"])
    outcomes: list[str] = []
    start = threading.Barrier(2)

    def decide(action: RequestAction) -> None:
        start.wait()
        try:
            world.requests.act(waiting.id, action, person(POLICE), "理由")
            outcomes.append(action.value)
        except DatongError as error:
            outcomes.append(error.code)

    threads = [
        threading.Thread(target=decide, args=(action,)) for action in (RequestAction.APPROVE, RequestAction.REFUSE)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({"approve", "refuse"} & set(outcomes)) == 1
    assert {"sharing.request_closed", "sharing.request_changed"} & set(outcomes)
    assert len(world.ledger.entries(kind=EntryKind.DECISION).rows) == 1


def test_a_waiting_request_can_change_its_purpose_and_the_reply_gets_its_whole_time(world: World) -> None:
    (request,) = world.submit(["户籍地址"])
    world.requests.act(request.id, RequestAction.EXTEND, person(POLICE), "核实中")
    world.clock.advance(timedelta(days=3))
    changed = PurposeDraft.model_validate({**request.purpose.model_dump(), "scene": "转学资格核验"})
    after = world.requests.amend(request.id, changed, person(EDUCATION))
    assert world.requests.get(request.id) == after
    assert (after.purpose.scene, after.extension, after.state) == (
        "转学资格核验",
        ExtensionState.NONE,
        RequestState.SUBMITTED,
    )
    assert after.due_at == world.calendar.deadline(world.clock.now(), 10) > request.due_at
    assert world.ledger.entries(subject=request.id, limit=1).rows[0].facts["step"] == "amend"
    with pytest.raises(Refused):
        world.requests.amend(request.id, changed, person(POLICE))
    with pytest.raises(Invalid):
        world.requests.amend(request.id, PurposeDraft(), person(EDUCATION))
    granted = world.requests.act(request.id, RequestAction.APPROVE, person(POLICE))
    assert granted.agreement_id is not None
    assert world.agreements.get(granted.agreement_id).purpose.scene == "转学资格核验"
    with pytest.raises(Conflict):
        world.requests.amend(request.id, changed, person(EDUCATION))


def test_of_unconditional_items_only_the_consumer_has_to_confirm(world: World) -> None:
    (granted,) = world.submit(["姓名"])
    assert granted.agreement_id is not None
    agreement = world.agreements.get(granted.agreement_id)
    assert [done.department for done in agreement.confirmations] == [POLICE]
    confirmed = world.agreements.confirm(agreement.id, EDUCATION, person(EDUCATION))
    assert world.agreements.to_sign(POLICE) == world.agreements.to_sign(EDUCATION) == (confirmed,)


def test_a_new_request_is_filled_in_after_the_last_one(world: World) -> None:
    world.submit(["姓名", "户号"])
    known = world.requests.prefill(EDUCATION, [RESOURCE, ResourceId("nothing")])
    assert known.purpose.legal_basis == PURPOSE.legal_basis
    assert [line.items for line in known.lines] == [("xm", "hh")]
    assert world.requests.prefill(SOCIAL, [RESOURCE]).similar == ()
