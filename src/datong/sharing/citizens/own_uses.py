"""A citizen's own view of the uses of their data: what may be told now, page by page, as people and programs read it.

`find_usage` has the shape of `findUsage` of Estonia's Data Tracker (Andmejälgija): who, when, for what, under what.
"""

from datetime import datetime
from typing import Any

from datong.kernel import AccessId, AgreementId, Clock, DepartmentCode, NotFound, Text, Value
from datong.sharing.citizens.holds import DisclosureHolds, HoldGround
from datong.sharing.usage import USES_MAX, Usage, Use

USAGE_ROWS_MAX = 200


class ShownUse(Value):
    """A use, and if it was told later than it happened: since when, and on what ground it had waited."""

    use: Use
    told_at: datetime | None = None
    ground: HoldGround | None = None


class UsageLine(Value):
    """One use in `findUsage`: names as in the Data Tracker's interface where it has them."""

    id: AccessId
    logtime: datetime
    receiver: DepartmentCode
    sender: DepartmentCode | None
    action: str
    purpose: str
    service_item: str
    legal_basis: str
    case_number: str
    agreements: tuple[AgreementId, ...]
    resource: Text
    items: tuple[Text, ...]
    told_at: datetime | None = None
    told_later_because: Text | None = None


class UsagePage(Value):
    """A page of uses, newest first."""

    total: int
    offset: int
    limit: int
    usages: tuple[UsageLine, ...]


class OwnUses:
    """What a citizen may be told now; uses that an order holds back are not there, and leave no gap to be seen."""

    def __init__(self, *, usage: Usage, holds: DisclosureHolds, clock: Clock) -> None:
        self._usage, self._holds, self._clock = usage, holds, clock

    def of(self, citizen_id: str) -> tuple[ShownUse, ...]:
        """Return the uses of a citizen's record that may be told now, newest first, at most USES_MAX."""
        uses, now = self._usage.uses_of(citizen_id, limit=USES_MAX), self._clock.now()
        told = self._holds.about(uses)
        shown = []
        for use in uses:
            at, ground = told.get(use.access_id, (None, None))
            if at is None or at <= now:
                shown.append(ShownUse(use=use, told_at=at, ground=ground))
        return tuple(shown)

    def find_usage(
        self,
        citizen_id: str,
        *,
        offset: int = 0,
        limit: int = USAGE_ROWS_MAX,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> UsagePage:
        """Return a page of uses between two times."""
        found = [
            one
            for one in self.of(citizen_id)
            if (since is None or one.use.at >= since) and (until is None or one.use.at < until)
        ]
        limit = min(limit, USAGE_ROWS_MAX)
        lines = tuple(_line(one) for one in found[offset : offset + limit])
        return UsagePage(total=len(found), offset=offset, limit=limit, usages=lines)

    def get(self, access_id: AccessId, citizen_id: str) -> Use:
        """Return one use that may be told.

        Raises:
            NotFound: it does not concern this citizen, or is not told yet: nobody can tell which.
        """
        for one in self.of(citizen_id):
            if one.use.access_id == access_id:
                return one.use
        raise NotFound(
            "sharing.use_unknown",
            what=Text(zh="没有这条使用记录。", en="There is no such use of your record."),
            remedy=Text(zh="请在“我的数据”中选择记录。", en="Choose one on the page of your data."),
        )

    def proof(self, access_id: AccessId, citizen_id: str) -> dict[str, Any]:
        """Return the proof bundle of one use that may be told; see `Usage.proof`.

        Raises:
            NotFound, Conflict: as `get`, and as `Usage.proof`.
        """
        self.get(access_id, citizen_id)
        return self._usage.proof(access_id, citizen_id=citizen_id)


def _line(one: ShownUse) -> UsageLine:
    use = one.use
    return UsageLine(
        id=use.access_id,
        logtime=use.at,
        receiver=use.consumer,
        sender=use.provider,
        action=use.kind,
        purpose=use.scene,
        service_item=use.service_item,
        legal_basis=use.legal_basis,
        case_number=use.case_number,
        agreements=use.agreement_ids,
        resource=use.resource_title,
        items=use.items,
        told_at=one.told_at,
        told_later_because=one.ground.label if one.ground else None,
    )
