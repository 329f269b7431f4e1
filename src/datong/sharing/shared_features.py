"""Features under agreements: an application reads the layers that are not open, as far as its agreements go.

A layer is made of several departments' records. Under an agreement about one of them, those entities are features whose
place comes from an agreed item of it; of their properties only the agreed items of agreed sources are there, masked as
agreed. Each request is an access on record per source, as a query of the gateway is, with its purpose and case number.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from datong.kernel import AccessId, EntityId, ResourceId
from datong.library import (
    PLACE_ELEMENTS,
    FeatureCollection,
    FeatureQuery,
    SharedFeature,
    shared_count,
    shared_page,
    sources_of,
)
from datong.sharing.gateway import Gateway
from datong.sharing.gateway_told import Permit
from datong.sharing.masks import UNSHOWN, ColumnMask, MaskKind
from datong.sharing.principals import Principal
from datong.sharing.subjects import CITIZEN_ELEMENT

if TYPE_CHECKING:
    from datong.library import Library

Masks = Mapping[tuple[ResourceId, str], ColumnMask]


class AgreedFeature(NamedTuple):
    """A feature with the properties that are agreed, masked."""

    entity_id: EntityId
    wkb: bytes
    properties: Mapping[str, object]


class AgreedPage(NamedTuple):
    """What a request for features answers, and the accesses that are on record for it."""

    features: tuple[AgreedFeature, ...]
    matched: int
    after: int | None
    accesses: tuple[AccessId, ...]


class SharedFeatures:
    """The layers of `library` that are not open, under the agreements that `gateway` knows."""

    def __init__(self, *, library: "Library", gateway: Gateway) -> None:
        self._library = library
        self._gateway = gateway

    def collections(self, caller: Principal) -> tuple[FeatureCollection, ...]:
        """Return the closed layers of which the caller's department may use something, as far as it may.

        Nothing of the data is in the descriptions but how many features there are; no access is recorded.
        """
        closed = (found for found in self._library.spatial.collections() if not found.open)
        return tuple(found for one in closed if (found := self._described(caller, one)) is not None)

    def collection(self, caller: Principal, name: str) -> FeatureCollection:
        """Return one of them, or raise NotFound."""
        found = self._described(caller, self._library.spatial.collection(name))
        if found is None:
            raise self._library.spatial.unknown(name)
        return found

    def _described(self, caller: Principal, collection: FeatureCollection) -> FeatureCollection | None:
        usable: dict[ResourceId, frozenset[str]] = {}
        for resource_id in sources_of(self._library, collection.name):
            usable[resource_id] = self._gateway.agreed_elements(caller, resource_id)
        count = shared_count(self._library, collection.name, usable)
        if not count:
            return None
        said = {element for elements in usable.values() for element in elements}
        return collection.model_copy(
            update={
                "features": count,
                "shapes": count,
                "box": None,
                "first_observed": None,
                "last_observed": None,
                "filters": tuple(element for element in collection.filters if element in said),
            }
        )

    def page(
        self,
        caller: Principal,
        name: str,
        query: FeatureQuery,
        *,
        purpose: str,
        case_number: str,
        entity_id: EntityId | None = None,
    ) -> AgreedPage:
        """Return a page of features (or the one with `entity_id`) and record the access to each source.

        Raises:
            NotFound: there is no such layer, or no agreement of the department's is about it.
            Refused: an agreement is, but not for this purpose, or without a case number; that is on record.
            Invalid: see `shared_page`.
        """
        self.collection(caller, name)
        permits = self._permits(caller, name, purpose=purpose, case_number=case_number)
        masks: Masks = {
            (permit.resource_id, element): mask
            for permit in permits
            for element, mask in permit.masks.items()
            # A masked place is no place, and a masked value is nothing to filter by.
            if mask.kind is MaskKind.NONE or element not in PLACE_ELEMENTS
        }
        usable = {
            permit.resource_id: frozenset(element for source, element in masks if source == permit.resource_id)
            for permit in permits
        }
        filterable = {element for (_, element), mask in masks.items() if mask.kind is MaskKind.NONE}
        if not set(query.equals) <= filterable:
            usable = {source: elements - (set(query.equals) - filterable) for source, elements in usable.items()}
        found = shared_page(self._library, name, query, usable, entity_id=entity_id)
        features = tuple(_agreed(feature, masks) for feature in found.features)
        accesses = tuple(
            self._gateway.note(
                permit,
                rows=[_own(feature, permit.resource_id, masks) for feature in found.features],
                people=_people(found.features, permit.resource_id),
            )
            for permit in permits
        )
        return AgreedPage(features=features, matched=found.matched, after=found.after, accesses=accesses)

    def _permits(self, caller: Principal, name: str, *, purpose: str, case_number: str) -> tuple[Permit, ...]:
        sources = [
            resource_id
            for resource_id in sources_of(self._library, name)
            if self._gateway.agreed_elements(caller, resource_id)
        ]
        if not sources:
            raise self._library.spatial.unknown(name)
        fitting = [one for one in sources if self._gateway.agreed_elements(caller, one, purpose=purpose)]
        return tuple(
            self._gateway.permit(caller, resource_id, purpose=purpose, case_number=case_number)
            for resource_id in fitting or sources
        )


def _agreed(feature: SharedFeature, masks: Masks) -> AgreedFeature:
    shown = {
        element: feature.properties.get(element, cell.value) if mask.kind is MaskKind.NONE else mask.apply(cell.value)
        for element, cell in feature.cells.items()
        for mask in [masks.get((cell.resource_id, element), UNSHOWN)]
        if element not in PLACE_ELEMENTS
    }
    return AgreedFeature(entity_id=feature.entity_id, wkb=feature.wkb, properties=shown)


def _own(feature: SharedFeature, resource_id: ResourceId, masks: Masks) -> dict[str, str | None]:
    """Return what an answer says of a feature from one source, for the commitment to the answer."""
    return {
        element: masks.get((cell.resource_id, element), UNSHOWN).apply(cell.value)
        for element, cell in sorted(feature.cells.items())
        if cell.resource_id == resource_id
    }


def _people(features: tuple[SharedFeature, ...], resource_id: ResourceId) -> list[str]:
    return [
        cell.value
        for feature in features
        for element, cell in feature.cells.items()
        if element.endswith(CITIZEN_ELEMENT) and cell.resource_id == resource_id and cell.value
    ]
