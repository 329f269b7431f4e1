"""The form of a case, filled in from what departments may be asked: which calls are needed, what each field holds.

Pure. A field's value is what the gateway answered, masked as agreed; its origin says under which agreement it came.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from datong.catalogue import Resource, ServiceItem
from datong.kernel import AccessId, AgreementId, DepartmentCode, EntryId, ResourceId, Text, Value
from datong.norms import ShareMode
from datong.sharing.masks import MaskKind
from datong.sharing.request_rules import find_item
from datong.sharing.terms import Agreement, AgreementState


class FilledState(StrEnum):
    """What became of a field."""

    FILLED = "filled"
    MASKED = "masked"
    EMPTY = "empty"
    REFUSED = "refused"
    NOT_AGREED = "not_agreed"
    BROUGHT = "brought"

    @property
    def label(self) -> Text:
        """The state in words."""
        return _STATES[self]

    @property
    def is_obtained(self) -> bool:
        """Whether a department said what the field is."""
        return self in {FilledState.FILLED, FilledState.MASKED}


_STATES = {
    FilledState.FILLED: Text(zh="已填", en="filled in"),
    FilledState.MASKED: Text(zh="已填（按约定脱敏）", en="filled in, masked as agreed"),
    FilledState.EMPTY: Text(zh="没有登记", en="nothing on record"),
    FilledState.REFUSED: Text(zh="未能获取", en="not obtained"),
    FilledState.NOT_AGREED: Text(zh="没有共享协议", en="no agreement"),
    FilledState.BROUGHT: Text(zh="由本人提供", en="given in person"),
}


class Fetch(Value):
    """One call that the form needs: by element, the column to ask for."""

    resource_id: ResourceId
    provider: DepartmentCode
    title: Text
    columns: dict[str, str]


class Fetched(Value):
    """What came of a call: rows and masks by column, or why there is none."""

    rows: tuple[dict[str, str | None], ...] = ()
    masks: dict[str, MaskKind] = Field(default_factory=dict)
    access_id: AccessId | None = None
    entry_id: EntryId | None = None
    problem: Text | None = None


class FieldOrigin(Value):
    """Where a field's value came from, and the evidence of it."""

    provider: DepartmentCode
    resource_id: ResourceId
    resource_title: Text
    agreement_id: AgreementId
    agreement_version: int
    mask: MaskKind
    access_id: AccessId | None
    entry_id: EntryId | None


class FilledField(Value):
    """One field of the form; several records of a person give several values."""

    position: int
    name: Text
    material: str
    element: str | None
    state: FilledState
    values: tuple[str, ...] = ()
    origin: FieldOrigin | None = None
    reason: Text | None = None


class FormMaterial(Value):
    """A material and whether the applicant still has to bring it."""

    name: str
    sheets: int
    obtained: bool
    providers: tuple[DepartmentCode, ...]
    fields: tuple[FilledField, ...]


class CaseBenefit(Value):
    """What one case, or many, spared people: documents and sheets not brought, trips not made."""

    cases: int = 0
    documents: int = 0
    sheets: int = 0
    trips: int = 0


class CaseForm(Value):
    """The form of one case."""

    item_id: str
    code: str
    case_number: str
    at: datetime
    materials: tuple[FormMaterial, ...]
    benefit: CaseBenefit
    entry_id: EntryId | None = None

    @property
    def to_bring(self) -> tuple[FormMaterial, ...]:
        """What the applicant still has to bring."""
        return tuple(material for material in self.materials if not material.obtained)

    @property
    def fields(self) -> tuple[FilledField, ...]:
        """Every field of the form."""
        return tuple(field for material in self.materials for field in material.fields)


def usable(agreement: Agreement, item: ServiceItem, now: datetime) -> bool:
    """Whether an agreement is one for this item that calls may be made under now; the policy decides again."""
    return (
        agreement.state is AgreementState.ACTIVE
        and agreement.consumer == item.department
        and agreement.purpose.service_item == item.code
        and ShareMode.INTERFACE in agreement.purpose.modes
        and agreement.valid_from <= now < agreement.valid_until
    )


def plan(
    item: ServiceItem, agreements: Sequence[Agreement], resources: Mapping[ResourceId, Resource], key_element: str
) -> tuple[Fetch, ...]:
    """Return as few calls as will do: each time the resource that covers most of what is still wanted.

    Only a resource that is looked up by `key_element` can be asked about one applicant.
    """
    wanted = {field.element for field in item.fields if field.element}
    offers: dict[ResourceId, dict[str, str]] = {}
    for agreement in agreements:
        resource = resources.get(agreement.resource_id)
        if resource is None or find_item(resource, key_element) is None:
            continue
        offered = offers.setdefault(resource.id, {})
        for one in agreement.items:
            if one.element is not None and one.element in wanted:
                offered.setdefault(one.element, one.column)
    fetches = []
    while wanted:
        best = max(offers, key=lambda one: (len(wanted & offers[one].keys()), one), default=None)
        covered = set() if best is None else wanted & offers[best].keys()
        if best is None or not covered:
            break
        resource = resources[best]
        fetches.append(
            Fetch(
                resource_id=best,
                provider=resource.department,
                title=resource.content.title,
                columns={element: offers[best][element] for element in sorted(covered)},
            )
        )
        wanted -= covered
    return tuple(fetches)


def fill(
    item: ServiceItem,
    *,
    case_number: str,
    fetches: Sequence[Fetch],
    fetched: Sequence[Fetched],
    agreements: Sequence[Agreement],
    now: datetime,
) -> CaseForm:
    """Return the form: each field with its value and origin, each material obtained or to be brought."""
    by_element = {
        element: (fetch, told) for fetch, told in zip(fetches, fetched, strict=True) for element in fetch.columns
    }
    fields = [
        _field(field.position, field.name, field.material, field.element, by_element, agreements)
        for field in item.fields
    ]
    sheets: dict[str, int] = {}
    groups: dict[str, list[FilledField]] = {}
    for field, declared in zip(fields, item.fields, strict=True):
        # What is asked on no material is answered in person, one thing at a time.
        name = field.material or field.name.zh
        groups.setdefault(name, []).append(field)
        sheets[name] = sheets.get(name, 0) + declared.sheets
    materials = tuple(_material(name, sheets[name], parts) for name, parts in groups.items())
    return CaseForm(
        item_id=item.id, code=item.code, case_number=case_number, at=now, materials=materials, benefit=saved(materials)
    )


def saved(materials: Sequence[FormMaterial]) -> CaseBenefit:
    """Return what was saved: each obtained material is a document, each department that said it is a trip to it.

    A material counts only if every one of its fields was obtained: what must be brought for one field is brought.
    """
    obtained = [material for material in materials if material.obtained]
    return CaseBenefit(
        cases=1,
        documents=sum(1 for material in obtained if material.sheets),
        sheets=sum(material.sheets for material in obtained),
        trips=len({provider for material in obtained if material.sheets for provider in material.providers}),
    )


def _field(
    position: int,
    name: Text,
    material: str,
    element: str | None,
    known: Mapping[str, tuple[Fetch, Fetched]],
    agreements: Sequence[Agreement],
) -> FilledField:
    base = FilledField(position=position, name=name, material=material, element=element, state=FilledState.BROUGHT)
    if element is None:
        return base
    if element not in known:
        return base.model_copy(update={"state": FilledState.NOT_AGREED})
    fetch, told = known[element]
    column = fetch.columns[element]
    agreement = next(one for one in agreements if one.resource_id == fetch.resource_id and column in one.columns)
    origin = FieldOrigin(
        provider=fetch.provider,
        resource_id=fetch.resource_id,
        resource_title=fetch.title,
        agreement_id=agreement.id,
        agreement_version=agreement.version,
        mask=told.masks.get(column, MaskKind.NONE),
        access_id=told.access_id,
        entry_id=told.entry_id,
    )
    if told.problem is not None:
        return base.model_copy(update={"state": FilledState.REFUSED, "origin": origin, "reason": told.problem})
    values = tuple(dict.fromkeys(value for row in told.rows if (value := row.get(column))))
    if not values:
        return base.model_copy(update={"state": FilledState.EMPTY, "origin": origin})
    state = FilledState.FILLED if origin.mask is MaskKind.NONE else FilledState.MASKED
    return base.model_copy(update={"state": state, "values": values, "origin": origin})


def _material(name: str, sheets: int, fields: Sequence[FilledField]) -> FormMaterial:
    providers = tuple(dict.fromkeys(field.origin.provider for field in fields if field.origin is not None))
    return FormMaterial(
        name=name,
        sheets=sheets,
        obtained=all(field.state.is_obtained for field in fields),
        providers=providers,
        fields=tuple(fields),
    )
