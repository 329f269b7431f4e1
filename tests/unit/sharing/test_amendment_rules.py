from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from datong.kernel import Conflict, DepartmentCode, Invalid, PersonId, Refused
from datong.norms import ShareMode
from datong.sharing import agreement_rules, amendment_rules
from datong.sharing.amendment_rules import Amendment, AmendmentAction, AmendmentKind, AmendmentState, TermsChange
from datong.sharing.row_filters import RowCondition, RowOperator
from datong.sharing.terms import Agreement, AgreementState
from tests.unit.sharing.samples import EDUCATION, NOW, POLICE, SOCIAL
from tests.unit.sharing.test_agreement_rules import EVERYBODY, acting, active, signature

OFFICER = PersonId("officer")
LATER = NOW + timedelta(days=500)


def proposed(change: TermsChange, agreement: Agreement | None = None, by: DepartmentCode = EDUCATION) -> Amendment:
    return amendment_rules.propose(
        agreement or active(), change, by=acting(by), officer=OFFICER, reason="理由", code="C" * 16, now=NOW
    )


def test_a_longer_term_is_a_renewal_and_anything_else_an_amendment() -> None:
    renewal = proposed(TermsChange(valid_until=LATER))
    assert (renewal.kind, renewal.state, renewal.version) == (AmendmentKind.RENEW, AmendmentState.OPEN, 2)
    assert renewal.proposal.purpose.valid_until == renewal.proposal.valid_until == LATER
    assert [done.department for done in renewal.proposal.confirmations] == [EDUCATION]
    assert renewal.proposal.signatures == ()
    shorter = proposed(TermsChange(valid_until=NOW + timedelta(days=1)))
    fewer = proposed(TermsChange(columns=("xm",), valid_until=LATER))
    assert {shorter.kind, fewer.kind} == {AmendmentKind.AMEND}
    assert fewer.proposal.columns == {"xm"}


@pytest.mark.parametrize(
    "change",
    [
        TermsChange(),
        TermsChange(scene=" "),
        TermsChange(columns=()),
        TermsChange(columns=("xm", "hjdz")),
        TermsChange(modes=()),
        TermsChange(modes=(ShareMode.FILE,)),
        TermsChange(valid_until=NOW),
        TermsChange(valid_until=LATER.replace(tzinfo=None)),
        TermsChange(row_filter=(RowCondition(column="hjdz", operator=RowOperator.IS, values=("1",)),)),
    ],
)
def test_what_goes_too_far_or_nowhere_is_refused(change: TermsChange) -> None:
    with pytest.raises(Invalid):
        proposed(change)


def test_only_parties_propose_and_only_while_it_holds() -> None:
    change = TermsChange(valid_until=LATER)
    with pytest.raises(Refused):
        proposed(change, by=SOCIAL)
    with pytest.raises(Conflict):
        proposed(change, agreement_rules.terminate(active(), acting(POLICE), "理由"))
    with pytest.raises(Conflict):
        proposed(change, active().model_copy(update={"valid_until": NOW}))


def test_a_suspension_survives_new_terms() -> None:
    suspended = agreement_rules.suspend(active(), acting(POLICE), "核查", NOW)
    amendment = proposed(TermsChange(valid_until=LATER), suspended)
    amendment = amendment_rules.confirm(amendment, acting(POLICE), OFFICER, NOW)
    for code in (POLICE, EDUCATION):
        amendment = amendment_rules.sign(amendment, signature(code), NOW)
    after = amendment_rules.take_effect(suspended, amendment)
    assert (after.state, after.suspended_by, after.state_reason) == (AgreementState.SUSPENDED, POLICE, "核查")
    assert (after.version, after.valid_until, after.revision) == (2, LATER, suspended.revision + 1)
    with pytest.raises(Conflict):
        amendment_rules.take_effect(agreement_rules.terminate(suspended, acting(POLICE), "理由"), amendment)


class AmendmentLife(RuleBasedStateMachine):
    """Any acts by anybody on a proposal: it holds only with everybody's word, and once closed nothing changes it."""

    def __init__(self) -> None:
        super().__init__()
        self.amendment = proposed(TermsChange(valid_until=LATER))
        self.terms = self.amendment.proposal.signing_bytes()

    def follow(self, after: Amendment) -> None:
        before, self.amendment = self.amendment, after
        assert before.state is AmendmentState.OPEN
        assert (after == before) == (after.revision == before.revision)

    @rule(code=st.sampled_from(EVERYBODY), what=st.sampled_from(["confirm", "sign"]))
    def agree(self, code: DepartmentCode, what: str) -> None:
        try:
            if what == "confirm":
                self.follow(amendment_rules.confirm(self.amendment, acting(code), OFFICER, NOW))
            else:
                self.follow(amendment_rules.sign(self.amendment, signature(code), NOW))
        except (Refused, Conflict):
            return

    @rule(
        code=st.sampled_from(EVERYBODY),
        action=st.sampled_from([AmendmentAction.WITHDRAW, AmendmentAction.DECLINE]),
        reason=st.sampled_from(["", "理由"]),
    )
    def close(self, code: DepartmentCode, action: AmendmentAction, reason: str) -> None:
        possible = amendment_rules.possible_actions(self.amendment, code)
        try:
            self.follow(amendment_rules.close(self.amendment, action, acting(code), reason))
        except (Refused, Conflict, Invalid):
            return
        assert action in possible
        assert (code == EDUCATION) == (action is AmendmentAction.WITHDRAW)

    @invariant()
    def holds_only_with_everybodys_word(self) -> None:
        assert self.amendment.proposal.signing_bytes() == self.terms
        if self.amendment.state is AmendmentState.IN_FORCE:
            assert {done.department for done in self.amendment.proposal.signatures} == {POLICE, EDUCATION}
            assert {done.department for done in self.amendment.proposal.confirmations} == {POLICE, EDUCATION}


TestAmendmentLife = AmendmentLife.TestCase
TestAmendmentLife.settings = settings(max_examples=40, stateful_step_count=15)
