"""The sandbox: the gateway's questions and answers over synthetic records, for applications that are not approved yet.

Names are resolved, agreements decide, masks apply and refusals explain themselves as at the gateway, by the same rules
and the same policies; but the records are made up, the masks have keys of their own, and nothing real is ever read. An
agreement to which the application is bound counts as being in force, so that a program can be written while it is drawn
up. Nothing goes on record: nobody's data was used.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from pydantic import Field

from datong.catalogue import Resource
from datong.kernel import Actor, ActorKind, AgreementId, Clock, NotFound, ResourceId, Text, Value
from datong.norms import NormPack, ShareMode
from datong.sharing.agreements import Agreements
from datong.sharing.applications.registrations import Registrations
from datong.sharing.applications.rules import Registration
from datong.sharing.applications.synthetic import RECORDS, records_of
from datong.sharing.gateway_calls import Asked, require_call, resolve, value_of, values_by_column
from datong.sharing.grants import Asks, Denial, Grant, Grants
from datong.sharing.mask_keys import MaskKeys
from datong.sharing.masks import MaskKind
from datong.sharing.matching import Match, best_answers
from datong.sharing.policy import PolicyEngine, refusal
from datong.sharing.ports import PublishedResources
from datong.sharing.principals import Principal
from datong.sharing.records import Record
from datong.sharing.row_filters import passes
from datong.sharing.terms import Agreement, AgreementState

TERM = timedelta(days=365)
_LABEL = b"datong sandbox masks v1\n"


def sandbox_secret(secret: bytes) -> bytes:
    """Return the secret of the sandbox's masks, from which that of the gateway's cannot be told."""
    return hashlib.sha256(_LABEL + secret).digest()


class SandboxTable(Value):
    """A resource of the sandbox: its columns, and its synthetic records as they are, for who writes a program."""

    resource_id: ResourceId
    title: Text
    service_items: tuple[str, ...]
    columns: tuple[str, ...]
    records: tuple[dict[str, str], ...]


class SandboxAnswer(Value):
    """What a query or a verification of the sandbox answers: rows and masks, or results, by the names used."""

    synthetic: bool = True
    at: datetime
    agreement_ids: tuple[AgreementId, ...]
    rows: tuple[dict[str, str | None], ...] = ()
    masks: dict[str, MaskKind] = Field(default_factory=dict)
    results: dict[str, Match] = Field(default_factory=dict)


class Sandbox:
    """Answers from synthetic records; `mask_keys` are not those of the gateway."""

    def __init__(
        self,
        *,
        clock: Clock,
        catalogue: PublishedResources,
        agreements: Agreements,
        registrations: Registrations,
        policy: PolicyEngine,
        mask_keys: MaskKeys,
        pack: NormPack,
    ) -> None:
        self._clock, self._catalogue, self._agreements = clock, catalogue, agreements
        self._registrations, self._pack = registrations, pack
        self._grants = Grants(policy, mask_keys)

    def tables(self, client_id: str) -> tuple[SandboxTable, ...]:
        """Return the resources of the agreements that an application is bound to, with their synthetic records.

        Raises:
            NotFound: there is no such application.
        """
        registration, now = self._registrations.get(client_id), self._clock.now()
        bound: dict[ResourceId, list[Agreement]] = {}
        for agreement in self._bound(registration, now):
            bound.setdefault(agreement.resource_id, []).append(agreement)
        tables = []
        for resource_id, agreements in bound.items():
            try:
                resource = self._catalogue.published(resource_id)
            except NotFound:
                # What is published no more has no shape to be shown in.
                continue
            tables.append(
                SandboxTable(
                    resource_id=resource_id,
                    title=resource.content.title,
                    service_items=tuple(sorted({one.purpose.service_item for one in agreements})),
                    columns=tuple(item.column for item in resource.content.items),
                    records=tuple(dict(record) for record in self._records(registration, resource)[:RECORDS]),
                )
            )
        return tuple(tables)

    def answer(
        self,
        client_id: str,
        resource_id: ResourceId,
        *,
        key: Mapping[str, str],
        names: Sequence[str],
        purpose: str,
        case_number: str,
        claims: Mapping[str, str] | None = None,
    ) -> SandboxAnswer:
        """Answer a query, or with `claims` a verification, as the gateway would.

        Raises:
            NotFound: no such application, or it is bound to no agreement about this resource. Invalid: as the gateway.
            Refused: `sharing.access_refused`, with every reason of the policy.
        """
        registration, now = self._registrations.get(client_id), self._clock.now()
        candidates = tuple(one for one in self._bound(registration, now) if one.resource_id == resource_id)
        if not candidates:
            raise NotFound(
                "sharing.sandbox_unbound",
                what=Text(zh="应用没有绑定关于该资源的协议。", en="It is bound to no agreement about this resource."),
                remedy=Text(zh="请先在应用页面绑定协议。", en="Bind an agreement on the application's page first."),
            )
        resource = self._catalogue.published(resource_id)
        actor = Actor(kind=ActorKind.APPLICATION, id=client_id, department=registration.department)
        asked = Asked(Principal(actor=actor), resource_id, key, tuple(names), purpose, case_number, claims)
        key_name, key_value = require_call(asked)
        shape = resolve(asked, resource, key_name)
        # Nobody stands behind a synthetic record: whoever it is consents to everything.
        consented = frozenset(item.column for item in resource.content.items)
        asks = Asks(case_stated=bool(case_number.strip()), filters_rows=True, consented=consented)
        found = self._grants.decide(shape, candidates, asks, now)
        if isinstance(found, Denial):
            raise refusal("sharing.access_refused", found.decision, items=sorted(found.columns))
        made = (Record(values=record) for record in self._records(registration, resource))
        records = [
            record
            for record in made
            if value_of(record, shape.key) == key_value
            and (not found.conditions or passes(found.conditions, values_by_column(record, shape)))
        ]
        return _answered(found, records, claims, now)

    def _bound(self, registration: Registration, now: datetime) -> list[Agreement]:
        """Return the agreements that an application is bound to as if they were in force, by calls."""
        return [
            agreement.model_copy(
                update={
                    "state": AgreementState.ACTIVE,
                    "valid_from": now,
                    "valid_until": now + TERM,
                    "purpose": agreement.purpose.model_copy(
                        update={"modes": tuple({*agreement.purpose.modes, ShareMode.INTERFACE})}
                    ),
                }
            )
            for agreement in map(self._agreements.get, registration.agreements)
        ]

    def _records(self, registration: Registration, resource: Resource) -> tuple[Mapping[str, str], ...]:
        return records_of(resource, self._pack, seed=registration.client_id)


def _answered(
    grant: Grant, records: Sequence[Record], claims: Mapping[str, str] | None, now: datetime
) -> SandboxAnswer:
    items, ids = grant.shape.items, grant.alike.agreement_ids
    if claims is not None:
        facts = [{name: value_of(record, item) for name, item in items.items()} for record in records]
        return SandboxAnswer(at=now, agreement_ids=ids, results=dict(best_answers(claims, facts)))
    rows = tuple(
        {name: grant.masks[name].apply(value_of(record, item)) for name, item in items.items()} for record in records
    )
    return SandboxAnswer(
        at=now, agreement_ids=ids, rows=rows, masks={name: mask.kind for name, mask in grant.masks.items()}
    )
