"""Who may use what, why, until when; one way out."""

from datong.sharing.actions import Action, DataAccess, Decision, Target
from datong.sharing.masks import MaskKind, apply_mask, mask_for
from datong.sharing.policy import PolicyEngine
from datong.sharing.principals import Principal, Role
from datong.sharing.terms import (
    Agreement,
    AgreementItem,
    AgreementState,
    Confirmation,
    ExtensionState,
    LiabilityWeights,
    PartySignature,
    Purpose,
    Request,
    RequestLine,
    RequestState,
    ServiceLevels,
)

__all__ = [
    "Action",
    "Agreement",
    "AgreementItem",
    "AgreementState",
    "Confirmation",
    "DataAccess",
    "Decision",
    "ExtensionState",
    "LiabilityWeights",
    "MaskKind",
    "PartySignature",
    "PolicyEngine",
    "Principal",
    "Purpose",
    "Request",
    "RequestLine",
    "RequestState",
    "Role",
    "ServiceLevels",
    "Target",
    "apply_mask",
    "mask_for",
]
