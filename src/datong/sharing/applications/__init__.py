"""Applications (创新示范应用): registered, reviewed, bound to agreements, tried in a sandbox, with keys, shown."""

from datong.sharing.applications.keys import (
    KEY_DAYS_DEFAULT,
    KEY_DAYS_MAX,
    OVERLAP_HOURS_DEFAULT,
    OVERLAP_HOURS_MAX,
    ApplicationKey,
    IssuedKey,
    KeyKind,
)
from datong.sharing.applications.meter import ApplicationHealth, CallMeter, CallOutcome
from datong.sharing.applications.registrations import AGREEMENTS_MAX, Registrations
from datong.sharing.applications.rules import (
    ApplicationAction,
    ApplicationParty,
    ApplicationState,
    NewRegistration,
    Registration,
    possible_actions,
)
from datong.sharing.applications.sandbox import Sandbox, SandboxAnswer, SandboxTable, sandbox_secret

__all__ = [
    "AGREEMENTS_MAX",
    "KEY_DAYS_DEFAULT",
    "KEY_DAYS_MAX",
    "OVERLAP_HOURS_DEFAULT",
    "OVERLAP_HOURS_MAX",
    "ApplicationAction",
    "ApplicationHealth",
    "ApplicationKey",
    "ApplicationParty",
    "ApplicationState",
    "CallMeter",
    "CallOutcome",
    "IssuedKey",
    "KeyKind",
    "NewRegistration",
    "Registration",
    "Registrations",
    "Sandbox",
    "SandboxAnswer",
    "SandboxTable",
    "possible_actions",
    "sandbox_secret",
]
