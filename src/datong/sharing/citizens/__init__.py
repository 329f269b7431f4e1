"""What citizens see of the use of their data, and what they can do: delayed disclosure, objections, findUsage."""

from datong.sharing.citizens.holds import DisclosureHold, DisclosureHolds, HoldGround, HoldOrder
from datong.sharing.citizens.objection_rules import Objection, ObjectionAction, ObjectionState
from datong.sharing.citizens.objections import Objections
from datong.sharing.citizens.own_uses import OwnUses, ShownUse, UsageLine, UsagePage

__all__ = [
    "DisclosureHold",
    "DisclosureHolds",
    "HoldGround",
    "HoldOrder",
    "Objection",
    "ObjectionAction",
    "ObjectionState",
    "Objections",
    "OwnUses",
    "ShownUse",
    "UsageLine",
    "UsagePage",
]
