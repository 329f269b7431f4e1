"""What a caller may be told, decided once for calls at about the same time that differ only in the record.

A decision looks at the caller, the resource as published, the agreements between the two sides with their state, the
items, the purpose, whether a case is stated, whether rows are filtered, and the time in seconds
(`PolicyEngine.authorise_data`). A grant is kept for just these: any other value is decided anew, and so is each second.
Its masks are looked up again with whatever else a call needs, since their keys may be renewed.
"""

import time
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from datong.catalogue import Item, Resource
from datong.kernel import AgreementId
from datong.norms import ShareMode
from datong.sharing.access_evidence import Alike, alike
from datong.sharing.actions import DataAccess, Decision
from datong.sharing.agreed_cells import SUBJECT_ELEMENTS
from datong.sharing.gateway_calls import FRESH_SECONDS, Asked, Shape, person_items, require_call, resolve
from datong.sharing.mask_keys import MaskKeys
from datong.sharing.masks import UNSHOWN, ColumnMask
from datong.sharing.policy import PolicyEngine
from datong.sharing.row_filters import RowCondition
from datong.sharing.terms import Agreement

GRANTS_MAX = 10_000
"""Grants that a process keeps."""
AGREED = "data.agreed"


class Asks(NamedTuple):
    """What else a decision looks at: whether a case is stated, rows outside are left out, what a person consents to."""

    case_stated: bool
    filters_rows: bool
    bound: frozenset[AgreementId] | None = None
    """The agreements that the caller may use; None: all of its department."""
    consented: frozenset[str] = frozenset()
    """The columns whose use the person concerned consents to."""


class Grant(NamedTuple):
    """A shape that is allowed: by column its agreement, by name its mask, the items that name people, which rows."""

    shape: Shape
    agreements: Mapping[str, Agreement]
    used: tuple[Agreement, ...]
    masks: Mapping[str, ColumnMask]
    people: tuple[Item, ...]
    conditions: frozenset[RowCondition]
    alike: Alike


class Denial(NamedTuple):
    """A shape that is refused: why, and for which columns."""

    shape: Shape
    decision: Decision
    columns: frozenset[str]
    alike: Alike


class _Kept(NamedTuple):
    grant: Grant
    facts: object
    since: float


class Grants:
    """Decides about calls; one thread at a time or several."""

    def __init__(self, policy: PolicyEngine, mask_keys: MaskKeys) -> None:
        self._policy = policy
        self._mask_keys = mask_keys
        self._kept: dict[object, _Kept] = {}
        self._second = 0

    def of(
        self,
        asked: Asked,
        resource: Resource,
        candidates: tuple[Agreement, ...],
        asks: Asks,
        now: datetime,
        *,
        anew: bool,
    ) -> Grant | Denial:
        """Return what the policy says of a call under the agreements between its two sides.

        Raises:
            Invalid, TooLarge: the call is not one; see `resolve`.
        """
        key_name, _ = require_call(asked)
        ticks = time.monotonic()
        # Objects stand for their content: they never change, and what is kept holds them, so that no id is used again.
        facts = (asked.principal, resource, candidates)
        second = int(now.timestamp())
        if second != self._second:
            # What was decided for another second serves nobody any more: a grant is some kilobytes.
            self._second, self._kept = second, {}
        key = (*map(id, facts), asked.action, asked.names, key_name, asked.purpose, asks, second)
        kept = self._kept
        known = None if anew else kept.get(key)
        if known is not None and ticks - known.since <= FRESH_SECONDS:
            return known.grant
        if known is not None:
            found: Grant | Denial = self._masked_anew(known.grant)
        else:
            found = self.decide(resolve(asked, resource, key_name), candidates, asks, now)
        if isinstance(found, Grant):
            if len(kept) >= GRANTS_MAX:
                kept.clear()
            kept[key] = _Kept(found, facts, ticks)
        return found

    def decide(self, shape: Shape, candidates: tuple[Agreement, ...], asks: Asks, now: datetime) -> Grant | Denial:
        """Decide anew.

        Items of one resource may stand in several agreements (one per share type), so each column takes the first
        agreement that the policy lets it have. A key must be agreed, too, unless it is the number of whom the call is
        about: whoever could try values of an item that is not agreed would learn it.
        """
        chosen: dict[str, Agreement] = {}
        denials: list[Decision] = []
        wanted = shape.columns if shape.key.element in SUBJECT_ELEMENTS else shape.columns | {shape.key.column}
        for agreement in candidates:
            part = (wanted - chosen.keys()) & agreement.columns
            if not part:
                continue
            decision = self._ask(shape, part, agreement, asks, now)
            if decision.allowed:
                chosen.update(dict.fromkeys(part, agreement))
            else:
                denials.append(decision)
        left = wanted - chosen.keys()
        if shape.columns and not left:
            return self._grant(shape, chosen)
        if not denials or not any(left & agreement.columns for agreement in candidates):
            # Nothing was refused under an agreement of its own: say why the rest has none.
            denials = [self._ask(shape, left, one, asks, now) for one in candidates[:1] or (None,)]
        denial = min(denials, key=lambda decision: len(decision.policy_ids))
        said = alike(shape, candidates[:1], allowed=False, policy_ids=denial.policy_ids)
        return Denial(shape, denial, left, said)

    def _ask(
        self, shape: Shape, columns: frozenset[str], agreement: Agreement | None, asks: Asks, now: datetime
    ) -> Decision:
        access = DataAccess(
            resource_id=shape.resource.id,
            provider=shape.resource.department,
            items=columns,
            mode=ShareMode.INTERFACE,
            purpose=shape.purpose,
            case_stated=asks.case_stated,
            rows_filtered=asks.filters_rows and agreement is not None and bool(agreement.row_filter),
            bound=asks.bound is None or agreement is None or agreement.id in asks.bound,
            consented=columns <= asks.consented,
        )
        return self._policy.authorise_data(shape.principal, shape.action, access, agreement, now)

    def _grant(self, shape: Shape, agreements: Mapping[str, Agreement]) -> Grant:
        agreed = tuple({agreement.id: agreement for agreement in agreements.values()}.values())
        said = alike(shape, agreed, allowed=True, policy_ids=(AGREED,))
        conditions = frozenset(condition for agreement in agreed for condition in agreement.row_filter)
        masks = self._masks(shape, agreements, agreed)
        return Grant(shape, agreements, agreed, masks, person_items(shape), conditions, said)

    def _masks(
        self, shape: Shape, agreements: Mapping[str, Agreement], used: tuple[Agreement, ...]
    ) -> Mapping[str, ColumnMask]:
        told = {agreement.id: self._mask_keys.of(agreement) for agreement in used}
        # What its agreement does not name is hidden.
        return {name: told[agreements[item.column].id].get(item.column, UNSHOWN) for name, item in shape.items.items()}

    def _masked_anew(self, grant: Grant) -> Grant:
        return grant._replace(masks=self._masks(grant.shape, grant.agreements, grant.used))
