import base64
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from datong.kernel import (
    AgreementId,
    Conflict,
    DepartmentCode,
    Invalid,
    PersonId,
    Refused,
    WorkingCalendar,
)
from datong.norms import load_pack
from datong.sharing import agreement_rules as rules
from datong.sharing.agreement_rules import ActingDepartment
from datong.sharing.request_rules import reply_limits
from datong.sharing.terms import Agreement, AgreementState, PartySignature
from tests.unit.sharing.samples import BUREAU, EDUCATION, NOW, POLICE, SOCIAL, agreement, request

OFFICER = PersonId("officer")
EVERYBODY = [POLICE, EDUCATION, SOCIAL, BUREAU]


def acting(code: DepartmentCode) -> ActingDepartment:
    return ActingDepartment(code=code, is_authority=code == BUREAU)


def signature(code: DepartmentCode) -> PartySignature:
    return PartySignature(department=code, key_id="0" * 16, signature=base64.b64encode(code.encode()).decode(), at=NOW)


def active() -> Agreement:
    drawn = agreement()
    for code in drawn.parties:
        drawn = rules.confirm(drawn, acting(code), OFFICER, NOW)
    for code in drawn.parties:
        drawn = rules.sign(drawn, signature(code), NOW)
    return drawn


def test_drawn_up_from_a_request() -> None:
    drawn = rules.draw_up(
        request(),
        agreement_id=AgreementId("a"),
        now=NOW,
        calendar=WorkingCalendar(),
        limits=reply_limits(load_pack()),
    )
    assert drawn.state is AgreementState.DRAFT
    assert drawn.levels.freshness_hours == 24
    assert drawn.provide_due_at == WorkingCalendar().deadline(NOW, 20)
    assert drawn.purpose == request().purpose


def test_both_confirm_then_both_sign() -> None:
    drawn = agreement()
    once = rules.confirm(drawn, acting(POLICE), OFFICER, NOW)
    assert once.state is AgreementState.DRAFT
    assert rules.confirm(once, acting(POLICE), OFFICER, NOW) is once
    with pytest.raises(Conflict):
        rules.sign(once, signature(POLICE), NOW)
    both = rules.confirm(once, acting(EDUCATION), OFFICER, NOW)
    assert both.state is AgreementState.CONFIRMED
    half = rules.sign(both, signature(EDUCATION), NOW)
    assert half.state is AgreementState.CONFIRMED
    assert rules.sign(half, signature(EDUCATION), NOW) is half
    assert rules.sign(half, signature(POLICE), NOW).state is AgreementState.ACTIVE


def test_only_parties_confirm_and_sign() -> None:
    with pytest.raises(Refused):
        rules.confirm(agreement(), acting(SOCIAL), OFFICER, NOW)
    with pytest.raises(Refused):
        rules.sign(agreement(state=AgreementState.CONFIRMED), signature(BUREAU), NOW)


def test_only_who_suspended_or_the_authority_resumes() -> None:
    suspended = rules.suspend(active(), acting(POLICE), "超范围使用", NOW)
    assert suspended.state_reason == "超范围使用"
    with pytest.raises(Refused):
        rules.resume(suspended, acting(EDUCATION), NOW)
    assert rules.resume(suspended, acting(BUREAU), NOW).state is AgreementState.ACTIVE
    resumed = rules.resume(suspended, acting(POLICE), NOW)
    assert (resumed.state_reason, resumed.suspended_by) == ("", None)


def test_suspending_and_ending_need_reasons() -> None:
    for act in (
        lambda: rules.suspend(active(), acting(POLICE), " ", NOW),
        lambda: rules.terminate(active(), acting(POLICE), ""),
    ):
        with pytest.raises(Invalid):
            act()


def test_the_signed_bytes_change_with_every_term_and_not_with_the_state() -> None:
    signed = agreement().signing_bytes()
    assert signed.startswith(b"datong sharing agreement v1\n")
    assert active().signing_bytes() == signed
    terms = (
        {"provider": SOCIAL},
        {"consumer": SOCIAL},
        {"items": agreement().items[:1]},
        {"valid_until": NOW + timedelta(days=1)},
        {"purpose": agreement().purpose.model_copy(update={"scope": "全市"})},
        {"resource_version": 2},
        {"id": AgreementId("b")},
    )
    others = {agreement(**change).signing_bytes() for change in terms}
    assert len(others) == len(terms)
    assert signed not in others


def test_the_signed_bytes_survive_json() -> None:
    again = Agreement.model_validate_json(active().model_dump_json())
    assert again == active()
    assert again.signing_bytes() == active().signing_bytes()


class AgreementLife(RuleBasedStateMachine):
    """Any acts by anybody: in force only once both sides confirmed and signed, and never again once ended."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.agreement = agreement()
        self.ended = False

    def follow(self, after: Agreement) -> None:
        before, self.agreement = self.agreement, after
        if before.state in rules.ENDED:
            assert after == before
        if after.state is AgreementState.ACTIVE and before.state is not AgreementState.ACTIVE:
            assert before.state in {AgreementState.CONFIRMED, AgreementState.SUSPENDED}
        assert after.signing_bytes() == before.signing_bytes()
        assert after.revision in {before.revision, before.revision + 1}
        assert (after == before) == (after.revision == before.revision)

    @rule(days=st.integers(1, 60))
    def wait(self, days: int) -> None:
        self.now += timedelta(days=days)

    @rule(code=st.sampled_from(EVERYBODY), what=st.sampled_from(["confirm", "sign"]))
    def agree(self, code: DepartmentCode, what: str) -> None:
        try:
            if what == "confirm":
                self.follow(rules.confirm(self.agreement, acting(code), OFFICER, self.now))
            else:
                self.follow(rules.sign(self.agreement, signature(code), self.now))
        except (Refused, Conflict):
            return

    @rule(
        code=st.sampled_from(EVERYBODY),
        what=st.sampled_from(["suspend", "resume", "terminate"]),
        reason=st.sampled_from(["", "理由"]),
    )
    def interrupt(self, code: DepartmentCode, what: str, reason: str) -> None:
        by = acting(code)
        try:
            if what == "suspend":
                self.follow(rules.suspend(self.agreement, by, reason, self.now))
            elif what == "resume":
                self.follow(rules.resume(self.agreement, by, self.now))
            else:
                self.follow(rules.terminate(self.agreement, by, reason))
        except (Refused, Conflict, Invalid):
            return
        assert code != SOCIAL

    @rule()
    def expire(self) -> None:
        self.follow(rules.expire(self.agreement, self.now))

    @invariant()
    def in_force_only_with_everybodys_word(self) -> None:
        if self.agreement.state in {AgreementState.ACTIVE, AgreementState.SUSPENDED}:
            assert {done.department for done in self.agreement.confirmations} == {POLICE, EDUCATION}
            assert {done.department for done in self.agreement.signatures} == {POLICE, EDUCATION}
        if self.agreement.state is AgreementState.DRAFT:
            assert self.agreement.signatures == ()


TestAgreementLife = AgreementLife.TestCase
TestAgreementLife.settings = settings(max_examples=150, stateful_step_count=30)
