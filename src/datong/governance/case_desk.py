"""The desk where people open cases and object to findings; an objection is answered by judging again."""

from collections.abc import Sequence
from typing import Protocol

from datong.governance.cases import Cases, Contested
from datong.governance.monitor import Monitor
from datong.governance.stages import ORIGIN_NAMES, Case, CaseAction, CaseOrigin, Ruling
from datong.kernel import Actor, CaseId, EntryId, FindingId, NotFound, Text


class CaseOrigins(Protocol):
    """What cases can be about besides findings."""

    def contested(self, origin: CaseOrigin, origin_id: str) -> Contested:
        """Return the parties of a matter and what it is called.

        Raises:
            NotFound: there is no such thing. Conflict: it is not in a state in which it can be contested.
        """
        ...

    def title(self, origin: CaseOrigin, origin_id: str) -> Text:
        """Return what a matter is called, whatever its state.

        Raises:
            NotFound: there is no such thing (any more).
        """
        ...


class GivenOrigins:
    """Origins that are what they are given, by kind and id: for tests."""

    def __init__(self, *given: Contested) -> None:
        self._given = {(one.origin, one.origin_id): one for one in given}

    def contested(self, origin: CaseOrigin, origin_id: str) -> Contested:
        """Return a matter that was given; raises NotFound."""
        found = self._given.get((origin, origin_id))
        if found is None:
            raise NotFound(
                "governance.origin_not_found",
                what=Text(zh=f"没有 {origin_id}。", en=f"There is no {origin_id}."),
                remedy=Text(zh="请核对编号。", en="Check the id."),
            )
        return found

    def title(self, origin: CaseOrigin, origin_id: str) -> Text:
        """Return what it was called when given; raises NotFound."""
        return self.contested(origin, origin_id).title


class CaseDesk:
    """Opens cases by people, and judges a finding again for whoever objects to it."""

    def __init__(self, *, cases: Cases, monitor: Monitor, origins: CaseOrigins) -> None:
        self._cases, self._monitor, self._origins = cases, monitor, origins

    def contested(self, origin: CaseOrigin, origin_id: str) -> Contested:
        """Return the parties of a matter and what it is called.

        Raises:
            NotFound: there is no such thing. Conflict: it is not in a state in which it can be contested.
        """
        if origin is not CaseOrigin.FINDING:
            return self._origins.contested(origin, origin_id)
        finding = self._monitor.finding(FindingId(origin_id)).finding
        return Contested(
            origin=origin,
            origin_id=finding.id,
            title=finding.title,
            provider=finding.provider,
            consumer=finding.consumer,
            owed_by=finding.authority,
        )

    def open(
        self,
        origin: CaseOrigin,
        origin_id: str,
        *,
        actor: Actor,
        statement: str,
        evidence: Sequence[EntryId] = (),
    ) -> Case:
        """Open a case; about a finding the rules judge again at once, and what came of it stands in the case.

        Raises:
            NotFound, Conflict: as in `contested`. Invalid, Conflict, Refused: as in `Cases.open_by`.
        """
        about = self.contested(origin, origin_id)
        case_id = self._cases.open_by(about, actor=actor, statement=statement, evidence=evidence)
        if origin is CaseOrigin.FINDING:
            self._recheck(case_id, FindingId(origin_id), evidence)
        return self._cases.get(case_id)

    def act(
        self,
        case_id: CaseId,
        action: CaseAction,
        *,
        actor: Actor,
        statement: str,
        evidence: Sequence[EntryId] = (),
        ruling: Ruling | None = None,
    ) -> Case:
        """Do `action` in a case; an objection lets the rules judge again.

        Raises:
            NotFound, Invalid, Conflict, Refused: as in `Cases.act`.
        """
        case = self._cases.act(case_id, action, actor=actor, statement=statement, evidence=evidence, ruling=ruling)
        if action is CaseAction.OBJECT and case.finding_id is not None:
            self._recheck(case_id, case.finding_id, evidence)
            case = self._cases.get(case_id)
        return case

    def title_of(self, case: Case) -> Text:
        """Return what a case is about; where that is gone, of which kind it was."""
        try:
            if case.finding_id is not None:
                return self._monitor.finding(case.finding_id).finding.title
            return self._origins.title(case.origin, case.origin_id)
        except NotFound:
            return ORIGIN_NAMES[case.origin]

    def _recheck(self, case_id: CaseId, about: FindingId, evidence: Sequence[EntryId]) -> None:
        self._cases.record_recheck(case_id, self._monitor.recheck(about, evidence))
