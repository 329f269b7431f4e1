"""What cases can be about besides findings: refused requests, agreements, reports, sources, needs, wishes."""

from collections.abc import Callable
from typing import NamedTuple

from datong.catalogue import Catalogue, ObjectionState, Sources
from datong.governance import CaseOrigin, Contested
from datong.kernel import AgreementId, Conflict, CorrectionId, DepartmentCode, NotFound, RequestId, Text
from datong.library import Corrections, CorrectionState
from datong.norms import NormPack
from datong.sharing import Agreements, Requests, RequestState
from datong.sharing.wishes import Wishes


class _Matter(NamedTuple):
    title: Text
    provider: DepartmentCode | None
    consumer: DepartmentCode | None
    contestable: bool


class HubOrigins:
    """The matters of one hub, by the services that own them."""

    def __init__(
        self,
        *,
        requests: Requests,
        agreements: Agreements,
        corrections: Corrections,
        sources: Sources,
        catalogue: Catalogue,
        wishes: Wishes,
        pack: NormPack,
    ) -> None:
        self._requests, self._agreements, self._corrections = requests, agreements, corrections
        self._sources, self._catalogue, self._wishes, self._pack = sources, catalogue, wishes, pack

    def contested(self, origin: CaseOrigin, origin_id: str) -> Contested:
        """Return the parties of a matter and what it is called.

        Raises:
            NotFound: there is no such thing. Conflict: it is not in a state in which it can be contested.
        """
        found = self._matter(origin, origin_id)
        if not found.contestable or found.provider is None:
            raise Conflict(
                "governance.not_contestable",
                what=Text(zh="这件事现在还不能提请协调。", en="No case can be opened about this as it stands."),
                remedy=Text(
                    zh="申请须已被拒绝，校核须已答复不予更正，数源异议须已被驳回，需求须已指定部门。",
                    en="A request must be refused, a report rejected, an objection to a source dismissed, a need or "
                    "wish be given to a department.",
                ),
                field="/origin_id",
            )
        return Contested(
            origin=origin, origin_id=origin_id, title=found.title, provider=found.provider, consumer=found.consumer
        )

    def title(self, origin: CaseOrigin, origin_id: str) -> Text:
        """Return what a matter is called; raises NotFound."""
        return self._matter(origin, origin_id).title

    def _matter(self, origin: CaseOrigin, origin_id: str) -> _Matter:
        finders: dict[CaseOrigin, Callable[[str], _Matter]] = {
            CaseOrigin.REFUSAL: self._refusal,
            CaseOrigin.AGREEMENT: self._agreement,
            CaseOrigin.CORRECTION: self._correction,
            CaseOrigin.SOURCE: self._source,
            CaseOrigin.DEMAND: self._demand,
            CaseOrigin.WISH: self._wish,
        }
        return finders[origin](origin_id)

    def _refusal(self, origin_id: str) -> _Matter:
        request = self._requests.get(RequestId(origin_id))
        refused = request.state is RequestState.REFUSED
        return _Matter(request.resource_title, request.provider, request.consumer, refused)

    def _agreement(self, origin_id: str) -> _Matter:
        agreement = self._agreements.get(AgreementId(origin_id))
        return _Matter(agreement.resource_title, agreement.provider, agreement.consumer, contestable=True)

    def _correction(self, origin_id: str) -> _Matter:
        report = self._corrections.get(CorrectionId(origin_id))
        rejected = report.state is CorrectionState.REJECTED
        return _Matter(self._element(report.element), report.provider, report.consumer, rejected)

    def _source(self, origin_id: str) -> _Matter:
        source, objection = self._sources.objection(origin_id)
        dismissed = objection.state is ObjectionState.DISMISSED
        return _Matter(self._element(source.element), source.department, objection.department, dismissed)

    def _demand(self, origin_id: str) -> _Matter:
        words, department = self._catalogue.discovery.demand_asked(origin_id)
        return _Matter(Text(zh=words, en=words), department, None, contestable=True)

    def _wish(self, origin_id: str) -> _Matter:
        wish = self._wishes.get(origin_id)
        return _Matter(Text(zh=wish.draft.title, en=wish.draft.title), wish.department, None, contestable=True)

    def _element(self, code: str) -> Text:
        try:
            return self._pack.element(code).name
        except NotFound:
            return Text(zh=code, en=code)
