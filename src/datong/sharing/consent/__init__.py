"""Consent of people where the law needs it: asked for, given, declined, withdrawn; looked at by every decision."""

from datong.sharing.consent.consents import Consents
from datong.sharing.consent.rules import Consent, ConsentAction, ConsentState, ConsentWay, follow, possible_actions

__all__ = [
    "Consent",
    "ConsentAction",
    "ConsentState",
    "ConsentWay",
    "Consents",
    "follow",
    "possible_actions",
]
