"""Substitutes at work: sessions, evidence, and an end that holds at once."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from datong.kernel import CHINA, Conflict, DepartmentCode, Invalid, NotFound, PersonId, Refused
from datong.ledger import EntryKind
from datong.sharing import tables
from datong.sharing.accounts import Account
from datong.sharing.delegation_rules import Delegation, DelegationAction, DelegationState
from datong.sharing.delegations import Delegations
from datong.sharing.principals import Principal, Role
from datong.sharing.state_audit import SHARING_AREAS
from tests.new_control import new_control
from tests.unit.sharing.accounts import PASSWORD, open_account
from tests.unit.sharing.samples import BUREAU, EDUCATION, NOW, POLICE, person
from tests.unit.sharing.world import World

ACCEPT, DECLINE, WITHDRAW = DelegationAction.ACCEPT, DelegationAction.DECLINE, DelegationAction.WITHDRAW
TODAY = NOW.astimezone(CHINA).date()


class Office(World):
    """A department with a head, an officer, two clerks, and somebody of another department."""

    def __init__(self, folder: Path) -> None:
        super().__init__(new_control(folder))
        self.delegations = Delegations(database=self.database, clock=self.clock, ledger=self.ledger)
        self.head = self.opened("head", Role.DEPARTMENT_HEAD)
        self.officer = self.opened("officer", Role.DATA_OFFICER)
        self.clerk = self.opened("clerk", Role.BUSINESS)
        self.second = self.opened("second", Role.BUSINESS)
        self.stranger = self.opened("stranger", Role.DATA_OFFICER, department=POLICE)

    def opened(self, username: str, role: Role, *, department: DepartmentCode = EDUCATION) -> Account:
        return open_account(self, username, name=username, roles=frozenset({role}), department=department)

    def signed_in(self, account: Account) -> str:
        return self.identity.authenticate(account.username, PASSWORD).token

    def caller(self, token: str) -> Principal:
        return self.identity.session(token)

    def appointed(self, away: Account, instead: Account, *, days: int = 3, ahead: int = 0) -> Delegation:
        first = self.clock.now().astimezone(CHINA).date() + timedelta(days=ahead)
        return self.delegations.appoint(
            substitute=instead.id,
            first_day=first,
            last_day=first + timedelta(days=days - 1),
            actor=away.principal.actor,
        )

    def accepted(self, away: Account, instead: Account, *, days: int = 3) -> Delegation:
        made = self.appointed(away, instead, days=days)
        return self.delegations.act(made.id, ACCEPT, instead.principal.actor)

    def acting(self, away: Account, instead: Account) -> str:
        made, token = self.accepted(away, instead), self.signed_in(instead)
        self.delegations.act_for(token, self.caller(token), made.id)
        return token


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    assert made.ledger.fsck(SHARING_AREAS).faults == ()
    made.database.close()


def test_a_substitute_has_the_others_roles_and_every_act_says_so(office: Office) -> None:
    made, token = office.appointed(office.officer, office.clerk), office.signed_in(office.clerk)
    own = office.caller(token)
    with pytest.raises(Refused):  # It waits for the substitute's word.
        office.delegations.act_for(token, own, made.id)
    office.delegations.act(made.id, ACCEPT, own.actor)
    assert [one.id for one in office.delegations.lent_to(own)] == [made.id]
    assert office.caller(token) == own  # Nothing happens by itself.
    office.delegations.act_for(token, own, made.id)
    acting = office.caller(token)
    assert (acting.actor.id, acting.actor.acting_for) == (office.clerk.id, office.officer.id)
    assert acting.roles == {Role.DATA_OFFICER}
    assert acting.acting_for is not None
    assert (acting.acting_for.name, acting.acting_for.until) == ("officer", made.ends_at)
    assert acting == office.delegations.as_substitute(own, made)
    assert office.caller(office.signed_in(office.clerk)) == own  # Another session is in the own name.
    assert office.delegations.standing_in(EDUCATION) == {office.officer.id: office.clerk.id}
    with office.database.transaction() as connection:
        office.ledger.append(connection, kind=EntryKind.CASE, subject="x", actor=acting.actor, facts={})
    assert office.ledger.entries(subject="x").rows[0].facts == {"acting_for": office.officer.id}
    office.delegations.act_for(token, acting, None)
    assert office.caller(token) == own
    steps = [entry.facts["step"] for entry in office.ledger.entries(kind=EntryKind.DELEGATION).rows]
    assert steps == ["accept", "propose"]


def test_it_ends_at_once_by_withdrawal_by_itself_and_with_either_account(office: Office) -> None:
    token = office.acting(office.officer, office.clerk)
    made = office.delegations.find(person=office.clerk.id).rows[0]
    office.identity.set_disabled(office.officer.id, disabled=True, actor=person(BUREAU))
    assert office.caller(token).acting_for is None
    assert office.delegations.lent_to(office.caller(token)) == ()
    office.identity.set_disabled(office.officer.id, disabled=False, actor=person(BUREAU))
    assert office.caller(token).acting_for is not None
    office.clock.advance(made.ends_at - office.clock.now())
    token = office.signed_in(office.clerk)
    with office.database.transaction() as connection:
        connection.execute(update(tables.session).values(delegation_id=made.id))
    assert office.caller(token).roles == {Role.BUSINESS}
    for end in (office.officer, office.clerk, office.head):
        token = office.acting(office.officer, office.clerk)
        made = office.delegations.find(person=office.clerk.id).rows[0]
        assert office.caller(token).roles == {Role.DATA_OFFICER}
        office.delegations.act(made.id, WITHDRAW, end.principal.actor)
        assert office.caller(token) == office.clerk.principal
        with pytest.raises(Conflict):
            office.delegations.act(made.id, ACCEPT, office.clerk.principal.actor)


def test_nothing_is_lent_on(office: Office) -> None:
    token = office.acting(office.officer, office.clerk)
    acting = office.caller(token)
    made = office.delegations.find(person=office.clerk.id).rows[0]
    with pytest.raises(Refused) as caught:
        office.delegations.appoint(substitute=office.second.id, first_day=TODAY, last_day=TODAY, actor=acting.actor)
    assert caught.value.code == "sharing.delegation_not_lent"
    assert office.delegations.possible(made, acting.actor) == ()
    with pytest.raises(Refused):
        office.delegations.act(made.id, WITHDRAW, acting.actor)
    # The clerk's own substitute gets the clerk's roles, later; on the same days there is none.
    with pytest.raises(Conflict) as conflict:
        office.appointed(office.head, office.officer, days=1)
    assert conflict.value.code == "sharing.substitute_away"
    second = office.acting(office.clerk, office.second)
    assert office.caller(second).roles == {Role.BUSINESS}
    assert office.delegations.lent_to(office.second.principal)[0].delegator == office.clerk.id
    with pytest.raises(Refused):
        office.delegations.act_for(second, office.caller(second), made.id)


def test_the_head_appoints_without_acceptance_and_only_in_the_own_department(office: Office) -> None:
    def appoint(by: Account, away: Account, instead: PersonId) -> Delegation:
        return office.delegations.appoint(
            substitute=instead, first_day=TODAY, last_day=TODAY, delegator=away.id, actor=by.principal.actor
        )

    made = appoint(office.head, office.officer, office.clerk.id)
    assert made.state is DelegationState.ACCEPTED
    assert office.delegations.lent_to(office.clerk.principal) == (made,)
    for by, away, instead, error in (
        (office.clerk, office.second, office.officer.id, Refused),
        (office.head, office.stranger, office.clerk.id, Refused),
        (office.head, office.second, office.head.id, Refused),
        (office.head, office.second, office.stranger.id, Invalid),
        (office.head, office.second, PersonId("nobody"), NotFound),
    ):
        with pytest.raises(error):
            appoint(by, away, instead)
    with pytest.raises(Refused):
        office.delegations.act(made.id, WITHDRAW, office.stranger.principal.actor)
    declined = office.appointed(office.second, office.clerk)
    office.delegations.act(declined.id, DECLINE, office.clerk.principal.actor)
    assert [one.name for one in office.delegations.colleagues(EDUCATION)] == ["clerk", "head", "officer", "second"]
    assert office.delegations.find(department=EDUCATION).total == 2
