"""What calls of the gateway need to know, kept read: resources, agreements, callers, bindings, who answers by a node.

Each thing is kept under a stamp of the control database and read again only when that changes (ADR 0140).
"""

from collections.abc import Sequence

from datong.catalogue import Resource
from datong.kernel import ActorKind, AgreementId, Database, Remembered, ResourceId
from datong.sharing.agreements import Agreements
from datong.sharing.applications.registrations import Registrations
from datong.sharing.gateway_calls import FRESH_SECONDS, Asked
from datong.sharing.live import LiveServices
from datong.sharing.machines import Caller, caller_of
from datong.sharing.ports import CallersInForce, PublishedResources
from datong.sharing.principals import Principal
from datong.sharing.revisions import Parties, revisions_between
from datong.sharing.terms import Agreement

KEPT_MAX = 10_000
"""Resources, pairs of parties and callers that a process keeps read."""


class GatewayFacts:
    """Facts about calls, up to FRESH_SECONDS old; `refresh` first, for all calls that are answered together."""

    def __init__(
        self,
        *,
        database: Database,
        catalogue: PublishedResources,
        agreements: Agreements,
        live: LiveServices | None,
        callers: CallersInForce | None,
        registrations: Registrations | None,
    ) -> None:
        self._database = database
        self._resources: Remembered[ResourceId, Resource] = Remembered(
            catalogue.published_stamps, catalogue.published, most=KEPT_MAX, fresh_seconds=FRESH_SECONDS
        )
        self._candidates: Remembered[Parties, tuple[Agreement, ...]] = Remembered(
            lambda pairs: revisions_between(database, pairs),
            lambda pair: agreements.candidates(*pair),
            most=KEPT_MAX,
            fresh_seconds=FRESH_SECONDS,
        )
        self._at_node: Remembered[ResourceId, bool] | None = None
        if live is not None:
            self._at_node = Remembered(
                live.offered, lambda one: live.offered([one])[one], most=KEPT_MAX, fresh_seconds=FRESH_SECONDS
            )
        self._bound: Remembered[str, frozenset[AgreementId] | None] | None = None
        if registrations is not None:
            self._bound = Remembered(
                # One that is not narrowed has a stamp, too: without one it would be read anew in every call.
                lambda ones: {one: (bound,) for one, bound in registrations.bound(ones).items()},
                lambda one: registrations.bound([one])[one],
                most=KEPT_MAX,
                fresh_seconds=FRESH_SECONDS,
            )
        self._callers: Remembered[Caller, bool] | None = None
        if callers is not None:
            self._callers = Remembered(
                callers.callers_in_force,
                lambda one: callers.callers_in_force([one])[one],
                most=KEPT_MAX,
                fresh_seconds=FRESH_SECONDS,
            )

    def refresh(self, calls: Sequence[Asked], *, at_once: bool = False) -> None:
        """Look up what has changed of all that some calls need, in one statement for each kind of thing."""
        resources = {asked.resource_id for asked in calls}
        pairs = [(one.principal.department, one.resource_id) for one in calls if one.principal.department]
        with self._database.reading_together():
            self._resources.refresh(resources, at_once=at_once)
            self._candidates.refresh(pairs, at_once=at_once)
            if self._at_node is not None:
                self._at_node.refresh(resources, at_once=at_once)
            if self._bound is not None:
                applications = (_application(one.principal) for one in calls)
                self._bound.refresh(filter(None, applications), at_once=at_once)
            if self._callers is not None:
                self._callers.refresh(
                    [caller_of(asked.principal) for asked in calls if not asked.proved], at_once=at_once
                )

    def resource(self, resource_id: ResourceId) -> Resource:
        """Return a published resource, or raise NotFound."""
        return self._resources.get(resource_id)

    def resource_now(self, resource_id: ResourceId) -> Resource:
        """Return a published resource as it is at this moment, or raise NotFound."""
        self._resources.refresh([resource_id], at_once=True)
        return self._resources.get(resource_id)

    def candidates(self, asked: Asked) -> tuple[Agreement, ...]:
        """Return the agreements of the caller's department about the resource."""
        department = asked.principal.department
        return self._candidates.get((department, asked.resource_id)) if department else ()

    def is_at_node(self, resource_id: ResourceId) -> bool:
        """Return whether the provider's node answers for a resource."""
        return self._at_node is not None and self._at_node.get(resource_id)

    def is_in_force(self, asked: Asked) -> bool:
        """Return whether the caller, or the key with which it proved who it is, still stands."""
        return asked.proved or (self._callers is not None and self._callers.get(caller_of(asked.principal)))

    def bound_to(self, principal: Principal) -> frozenset[AgreementId] | None:
        """Return the agreements to which a calling application is bound; None if to none in particular."""
        application = _application(principal)
        return self._bound.get(application) if self._bound is not None and application else None

    def bound_now(self, principal: Principal) -> frozenset[AgreementId] | None:
        """Return what `bound_to` does, as it is at this moment."""
        application = _application(principal)
        if self._bound is not None and application:
            self._bound.refresh([application], at_once=True)
        return self.bound_to(principal)


def _application(principal: Principal) -> str:
    """Return the id of the application that calls; empty if somebody else does."""
    actor = principal.actor
    return actor.id if actor.kind is ActorKind.APPLICATION else ""
