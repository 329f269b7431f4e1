"""Amendments, renewals and what happens by rule, over a real control database and ledger."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from datong.kernel import PLATFORM_ACTOR, AgreementId, Conflict, Corrupt, Invalid, Refused
from datong.ledger import EntryKind
from datong.sharing import tables
from datong.sharing.agreement_watch import BREACH_REFUSALS_MAX, AgreementWatch, EndedItem
from datong.sharing.amendment_rules import AmendmentAction, AmendmentState, TermsChange
from datong.sharing.terms import Agreement, AgreementState, EndCause
from tests.unit.sharing.samples import BUREAU, EDUCATION, NOW, POLICE, RESOURCE, application, person
from tests.unit.sharing.world import World

LATER = NOW + timedelta(days=700)


def in_force(world: World) -> Agreement:
    (granted,) = world.submit(["姓名", "户号"])
    return world.put_in_force(granted.agreement_id)


def watch(world: World) -> AgreementWatch:
    return AgreementWatch(database=world.database, clock=world.clock, ledger=world.ledger, agreements=world.agreements)


def steps(world: World, agreement_id: AgreementId) -> list[object]:
    """Return the newest steps on record about an agreement, oldest first, without how it came into force."""
    entries = world.ledger.entries(kind=EntryKind.AGREEMENT, subject=agreement_id).rows
    return [entry.facts["step"] for entry in reversed(entries)][5:]


def test_a_renewal_is_signed_by_both_and_keeps_the_id(world: World) -> None:
    before = in_force(world)
    amendment = world.agreements.propose(before.id, TermsChange(valid_until=LATER), person(EDUCATION), "仍需使用")
    assert world.agreements.get(before.id) == before
    assert [one.version for one in world.agreements.amendments.to_confirm(POLICE)] == [2]
    with pytest.raises(Conflict):
        world.agreements.propose(before.id, TermsChange(columns=("xm",)), person(POLICE), "另一份")
    world.clock.advance(timedelta(minutes=1))
    world.agreements.act_on_amendment(before.id, 2, AmendmentAction.CONFIRM, person(POLICE))
    (waiting,) = world.agreements.to_sign(POLICE)
    assert world.agreements.may_sign([POLICE, EDUCATION]) == {POLICE, EDUCATION}
    assert waiting.signing_bytes() == world.agreements.unsigned(before.id).signing_bytes() != before.signing_bytes()
    assert world.sign(waiting, POLICE) == before
    assert world.agreements.to_sign(POLICE) == ()
    world.clock.advance(timedelta(minutes=1))
    after = world.sign(waiting, EDUCATION)
    assert (after.id, after.version, after.valid_until, after.state) == (before.id, 2, LATER, AgreementState.ACTIVE)
    assert world.agreements.get(before.id) == after
    assert world.agreements.candidates(EDUCATION, RESOURCE) == (after,)
    assert [one.state for one in world.agreements.amendments.of(before.id)] == [
        AmendmentState.IN_FORCE,
        AmendmentState.SUPERSEDED,
    ]
    assert world.agreements.amendments.of(before.id)[1].proposal == before
    assert steps(world, before.id) == ["propose", "confirm_amendment", "sign_amendment", "sign_amendment", "amend"]
    for code, version, state in (
        (before.code, 1, AmendmentState.SUPERSEDED),
        (amendment.proposal.code, 2, AmendmentState.IN_FORCE),
    ):
        facts = world.documents.check(code)
        assert (facts.version, facts.version_state, facts.on_record) == (version, state, True)


def test_a_signature_over_the_old_terms_is_not_one_over_the_new(world: World) -> None:
    before = in_force(world)
    world.agreements.propose(before.id, TermsChange(valid_until=LATER), person(EDUCATION), "续签")
    world.agreements.act_on_amendment(before.id, 2, AmendmentAction.CONFIRM, person(POLICE))
    with pytest.raises(Corrupt):
        world.sign(before, POLICE)


def test_what_was_declined_keeps_its_number(world: World) -> None:
    agreement = in_force(world)
    world.agreements.propose(agreement.id, TermsChange(columns=("xm",)), person(EDUCATION), "不再需要户号")
    with pytest.raises(Invalid):
        world.agreements.act_on_amendment(agreement.id, 2, AmendmentAction.DECLINE, person(POLICE))
    world.agreements.act_on_amendment(agreement.id, 2, AmendmentAction.DECLINE, person(POLICE), "需核对")
    again = world.agreements.propose(agreement.id, TermsChange(columns=("xm",)), person(POLICE), "已核对")
    assert (again.version, again.proposal.version) == (3, 3)
    world.agreements.act_on_amendment(agreement.id, 3, AmendmentAction.CONFIRM, person(EDUCATION))
    for code in (POLICE, EDUCATION):
        agreement = world.sign(again.proposal, code)
    assert (agreement.version, sorted(agreement.columns)) == (3, ["xm"])


def test_an_open_amendment_lapses_with_its_agreement(world: World) -> None:
    agreement = in_force(world)
    world.agreements.propose(agreement.id, TermsChange(valid_until=LATER), person(EDUCATION), "续签")
    world.agreements.withdraw(agreement.id, person(EDUCATION), "改用其他来源")
    assert world.agreements.amendments.of(agreement.id)[0].state is AmendmentState.LAPSED
    ended = world.agreements.get(agreement.id)
    assert (ended.state, ended.cause) == (AgreementState.TERMINATED, EndCause.WITHDRAWN)
    assert steps(world, agreement.id) == ["propose", "withdraw", "lapse_amendment"]
    with pytest.raises(Conflict):
        world.agreements.act_on_amendment(agreement.id, 2, AmendmentAction.CONFIRM, person(POLICE))


def test_the_hub_signs_amendments_for_the_authority(world: World) -> None:
    (granted,) = world.submit(["姓名"], consumer=BUREAU)
    agreement = world.put_in_force(granted.agreement_id)
    world.agreements.propose(agreement.id, TermsChange(valid_until=LATER), person(BUREAU), "续签")
    amendment = world.agreements.act_on_amendment(agreement.id, 2, AmendmentAction.CONFIRM, person(POLICE))
    assert world.sign(amendment.proposal, POLICE).version == 2


def test_only_the_consumer_gives_up(world: World) -> None:
    agreement = in_force(world)
    for actor in (person(POLICE), person(BUREAU)):
        with pytest.raises(Refused):
            world.agreements.withdraw(agreement.id, actor, "理由")
    with pytest.raises(Invalid):
        world.agreements.withdraw(agreement.id, person(EDUCATION), " ")


def test_a_breach_suspends_before_it_ends(world: World) -> None:
    agreement = in_force(world)
    with pytest.raises(Refused):
        world.agreements.suspend(agreement.id, person(EDUCATION), "他们违约", EndCause.BREACH)
    with pytest.raises(Conflict):
        world.agreements.terminate(agreement.id, person(POLICE), "超范围使用", EndCause.BREACH)
    with pytest.raises(Invalid):
        world.agreements.terminate(agreement.id, person(POLICE), "到期", EndCause.TERM_OVER)
    world.agreements.suspend(agreement.id, person(POLICE), "超范围使用", EndCause.BREACH)
    ended = world.agreements.terminate(agreement.id, person(POLICE), "逾期未整改", EndCause.BREACH)
    assert (ended.state, ended.cause) == (AgreementState.TERMINATED, EndCause.BREACH)


def test_terms_are_brought_to_mind_once_and_end_by_themselves(world: World) -> None:
    agreement = in_force(world)
    assert watch(world).run() == 0
    world.clock.advance(timedelta(days=340))
    assert (watch(world).run(), watch(world).run()) == (1, 0)
    assert world.agreements.find(consumer=EDUCATION, reminded=True).total == 1
    world.clock.advance(timedelta(days=30))
    assert watch(world).run() == 1
    assert world.agreements.get(agreement.id).cause is EndCause.TERM_OVER
    assert steps(world, agreement.id) == ["remind", "expire"]


def test_an_agreement_ends_with_its_service_item(world: World) -> None:
    agreement = in_force(world)
    assert watch(world).run([EndedItem(department=EDUCATION, code="another")]) == 0
    assert watch(world).run([EndedItem(department=POLICE, code="school-admission")]) == 0
    gone = EndedItem(department=EDUCATION, code="school-admission")
    assert (watch(world).run([gone]), watch(world).run([gone])) == (1, 0)
    ended = world.agreements.get(agreement.id)
    assert (ended.state, ended.cause) == (AgreementState.TERMINATED, EndCause.PURPOSE_GONE)
    assert world.ledger.entries(subject=agreement.id, limit=1).rows[0].actor.id == PLATFORM_ACTOR.id


def test_who_keeps_asking_for_more_is_suspended_until_the_provider_resumes(world: World) -> None:
    agreement = in_force(world)

    def ask(purpose: str) -> None:
        with pytest.raises(Refused):
            world.gateway.query(
                application(EDUCATION),
                RESOURCE,
                key={"citizen_id": "110101199003070011"},
                items=["姓名"],
                purpose=purpose,
                case_number="1",
            )

    ask("marketing")
    assert watch(world).suspend_breaches() == 0
    # The same refusal, so often as it takes.
    table = tables.access
    with world.database.transaction() as connection:
        row = dict(connection.execute(select(table)).mappings().one())
        connection.execute(table.insert(), [{**row, "id": f"again-{n}"} for n in range(BREACH_REFUSALS_MAX - 1)])
        connection.execute(update(table).values(at=world.clock.now() + timedelta(seconds=1)))
    world.clock.advance(timedelta(minutes=1))
    assert (watch(world).run(), watch(world).run()) == (1, 0)
    suspended = world.agreements.get(agreement.id)
    assert (suspended.state, suspended.cause) == (AgreementState.SUSPENDED, EndCause.BREACH)
    with pytest.raises(Refused):
        world.agreements.resume(agreement.id, person(EDUCATION))
    world.agreements.resume(agreement.id, person(POLICE))
    assert watch(world).run() == 0


def test_nodes_see_proposed_terms_only_when_both_officers_have_confirmed(world: World) -> None:
    agreement = in_force(world)
    proposal = world.agreements.propose(agreement.id, TermsChange(valid_until=LATER), person(POLICE), "续签").proposal
    assert world.agreements.to_sign(POLICE) == ()
    assert world.agreements.may_sign([POLICE, EDUCATION]) == frozenset()
    with pytest.raises(Conflict):
        world.sign(proposal, POLICE)
