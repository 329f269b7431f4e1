"""Service items: definitions that ship, and cases whose forms are filled in through sharing."""

from datong.sharing.items.cases import HandledCase, ItemBenefit, ServiceBenefit, ServiceCases
from datong.sharing.items.definitions import (
    GROUPS,
    ItemDefinition,
    Material,
    definition_of,
    read_definitions,
    shipped_definitions,
)
from datong.sharing.items.forms import CaseBenefit, CaseForm, FieldOrigin, FilledField, FilledState, FormMaterial

__all__ = [
    "GROUPS",
    "CaseBenefit",
    "CaseForm",
    "FieldOrigin",
    "FilledField",
    "FilledState",
    "FormMaterial",
    "HandledCase",
    "ItemBenefit",
    "ItemDefinition",
    "Material",
    "ServiceBenefit",
    "ServiceCases",
    "definition_of",
    "read_definitions",
    "shipped_definitions",
]
