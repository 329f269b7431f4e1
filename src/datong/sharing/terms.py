"""The values of a request and of the agreement that grows out of it."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from datong.kernel import (
    CHINA,
    AgreementId,
    DepartmentCode,
    JsonValue,
    PersonId,
    RequestId,
    ResourceId,
    Text,
    Value,
    canonical_json,
    sha256_hex,
)
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.norms import ShareMode, ShareType, UpdateCycle
from datong.sharing.masks import MaskKind
from datong.sharing.obligations import AgreementSide, Obligation
from datong.sharing.quotas import CallQuota
from datong.sharing.row_filters import RowCondition

TOLD_AFTER_DAYS_MAX = 365
SIGNING_PREFIX = b"datong sharing agreement v1\n"
"""Separates agreements from everything else that a department's key signs."""


class Purpose(Value):
    """What the data is for (使用依据 场景 范围 方式 时限, Order 809 Art. 20), and the service item it serves."""

    legal_basis: str = Field(max_length=TEXT_CHARS_MAX)
    scene: str = Field(max_length=TEXT_CHARS_MAX)
    scope: str = Field(max_length=TEXT_CHARS_MAX)
    modes: tuple[ShareMode, ...]
    valid_from: datetime
    valid_until: datetime
    service_item: str = Field(max_length=NAME_CHARS_MAX)
    consent: bool = False
    """Whether the use depends on the consent of each person (PIPL Art. 13)."""
    told_after_days: int = Field(0, ge=0, le=TOLD_AFTER_DAYS_MAX)
    """How many days after a use the person is told of it, where the law lets that wait (PIPL Arts. 18, 35)."""

    @model_validator(mode="after")
    def _aware(self) -> Self:
        if self.valid_from.tzinfo is None or self.valid_until.tzinfo is None:
            raise ValueError("valid_from and valid_until need a time zone")
        return self


class RequestState(StrEnum):
    """Where a request stands. Overdue is not a state: it follows from the deadline and the time."""

    SUBMITTED = "submitted"
    GRANTED = "granted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"

    @property
    def label(self) -> Text:
        """What the state is called."""
        return _REQUEST_LABELS[self]


_REQUEST_LABELS = {
    RequestState.SUBMITTED: Text(zh="待答复", en="awaiting reply"),
    RequestState.GRANTED: Text(zh="已同意", en="granted"),
    RequestState.REFUSED: Text(zh="已拒绝", en="refused"),
    RequestState.WITHDRAWN: Text(zh="已撤回", en="withdrawn"),
}


class ExtensionState(StrEnum):
    """Where the one extension that Art. 21 admits stands."""

    NONE = "none"
    ASKED = "asked"
    CONSENTED = "consented"
    DENIED = "denied"


class RequestLine(Value):
    """Items of one resource that a consumer asks for; an item is named by its column, its name or its data element."""

    resource_id: ResourceId
    items: tuple[str, ...]
    rows: tuple[RowCondition, ...] = ()
    """Which rows are needed; empty: all of them."""
    calls: CallQuota | None = None
    """How many calls of the gateway are needed at most; None: no number is agreed."""


class PurposeDraft(Value):
    """A purpose as somebody filled it in so far; the completeness check says what is missing."""

    legal_basis: str = ""
    scene: str = ""
    scope: str = ""
    modes: tuple[ShareMode, ...] = ()
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    service_item: str = ""
    consent: bool = False
    told_after_days: int = Field(0, ge=0, le=TOLD_AFTER_DAYS_MAX)


class AgreementItem(Value):
    """One item that may be used, and how it is masked when it is shown."""

    column: str
    name: Text
    element: str | None
    data_type: str
    grade: str
    key: bool
    mask: MaskKind


class Request(Value):
    """A request for the items of one resource that have one share type."""

    id: RequestId
    bundle_id: str
    consumer: DepartmentCode
    provider: DepartmentCode
    resource_id: ResourceId
    resource_version: int
    resource_title: Text
    items: tuple[AgreementItem, ...]
    row_filter: tuple[RowCondition, ...] = ()
    calls: CallQuota | None = None
    share_type: ShareType
    update_cycle: UpdateCycle
    purpose: Purpose
    state: RequestState
    submitted_by: str
    submitted_at: datetime
    due_at: datetime
    extension: ExtensionState = ExtensionState.NONE
    extension_reason: str = ""
    reason: str = ""
    decided_at: datetime | None = None
    agreement_id: AgreementId | None = None
    revision: int = 1

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the requested items."""
        return tuple(item.column for item in self.items)

    def is_overdue(self, now: datetime) -> bool:
        """Whether the reply is still missing after its deadline."""
        return self.state is RequestState.SUBMITTED and now >= self.due_at


class AgreementState(StrEnum):
    """Where an agreement stands."""

    DRAFT = "draft"
    CONFIRMED = "confirmed"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    TERMINATED = "terminated"
    EXPIRED = "expired"

    @property
    def label(self) -> Text:
        """What the state is called."""
        return _AGREEMENT_LABELS[self]


_AGREEMENT_LABELS = {
    AgreementState.DRAFT: Text(zh="待确认", en="drawn up"),
    AgreementState.CONFIRMED: Text(zh="待签署", en="confirmed, to be signed"),
    AgreementState.ACTIVE: Text(zh="生效", en="in force"),
    AgreementState.SUSPENDED: Text(zh="中止", en="suspended"),
    AgreementState.TERMINATED: Text(zh="终止", en="terminated"),
    AgreementState.EXPIRED: Text(zh="到期", en="expired"),
}


class EndCause(StrEnum):
    """Why an agreement was suspended or has ended."""

    TERM_OVER = "term_over"
    BREACH = "breach"
    PURPOSE_GONE = "purpose_gone"
    WITHDRAWN = "withdrawn"
    OTHER = "other"

    @property
    def label(self) -> Text:
        """The cause in words."""
        return _CAUSES[self]


_CAUSES = {
    EndCause.TERM_OVER: Text(zh="使用时限届满", en="the term is over"),
    EndCause.BREACH: Text(zh="违反约定使用", en="breach of the terms"),
    EndCause.PURPOSE_GONE: Text(zh="用途已结束", en="the purpose has ended"),
    EndCause.WITHDRAWN: Text(zh="需求部门不再使用", en="the consumer gave it up"),
    EndCause.OTHER: Text(zh="其他原因", en="another reason"),
}


class ServiceLevels(Value):
    """What the provider promises; whole numbers with units, so that they can be signed."""

    provide_within_working_days: int
    freshness_hours: int
    latency_ms_p95: int
    availability_permille: int
    completeness_permille: int


class LiabilityWeights(Value):
    """How a breach that both sides had a part in is divided when evidence alone does not decide; they sum to 1000."""

    provider_permille: int
    consumer_permille: int
    platform_permille: int

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.provider_permille + self.consumer_permille + self.platform_permille != 1000:
            raise ValueError("liability weights must sum to 1000")
        return self


class Confirmation(Value):
    """A data officer's confirmation in the name of a department."""

    department: DepartmentCode
    by: PersonId
    at: datetime


class PartySignature(Value):
    """A department's signature over `Agreement.signing_bytes()`."""

    department: DepartmentCode
    key_id: str
    signature: str = Field(description="Base64 of the 64 bytes of an Ed25519 signature.")
    at: datetime


class Agreement(Value):
    """The machine-readable contract between a provider and a consumer about items of one resource."""

    id: AgreementId
    request_id: RequestId
    version: int = 1
    provider: DepartmentCode
    consumer: DepartmentCode
    resource_id: ResourceId
    resource_version: int
    resource_title: Text
    items: tuple[AgreementItem, ...]
    row_filter: tuple[RowCondition, ...] = ()
    calls: CallQuota | None = None
    """How many calls of the gateway the agreement covers; None: no number is agreed."""
    purpose: Purpose
    levels: ServiceLevels
    liability: LiabilityWeights
    obligations: tuple[Obligation, ...] = ()
    valid_from: datetime
    valid_until: datetime
    provide_due_at: datetime
    drawn_up_at: datetime
    state: AgreementState = AgreementState.DRAFT
    state_reason: str = ""
    cause: EndCause | None = None
    suspended_by: DepartmentCode | None = None
    code: str = ""
    """The verification code that the printed agreement bears."""
    reminded_at: datetime | None = None
    """When the consumer was reminded that the term ends."""
    disposed_at: datetime | None = None
    """When the consumer said that it disposed of what it had received, after the agreement had ended."""
    disposal: str = ""
    """How it did."""
    confirmations: tuple[Confirmation, ...] = ()
    signatures: tuple[PartySignature, ...] = ()
    revision: int = 1

    @property
    def columns(self) -> frozenset[str]:
        """The columns of the items that may be used."""
        return frozenset(item.column for item in self.items)

    @property
    def parties(self) -> tuple[DepartmentCode, DepartmentCode]:
        """Provider and consumer."""
        return (self.provider, self.consumer)

    def item(self, column: str) -> AgreementItem | None:
        """Return the item with that column, if it is in the agreement."""
        return next((item for item in self.items if item.column == column), None)

    def owed_by(self, side: AgreementSide) -> tuple[Obligation, ...]:
        """Return what one side owes."""
        return tuple(owed for owed in self.obligations if owed.side is side)

    def terms(self) -> Mapping[str, JsonValue]:
        """Return what the parties sign: every term, and nothing that changes while the agreement lives.

        What an agreement does not have is not in it, so that what was signed before there was such a term stays true.
        """
        limits: dict[str, JsonValue] = {}
        if self.row_filter:
            limits["rows"] = [
                {"column": one.column, "operator": one.operator.value, "values": list(one.values)}
                for one in self.row_filter
            ]
        if self.obligations:
            limits["obligations"] = [owed.value for owed in self.obligations]
        if self.calls is not None:
            limits["calls"] = self.calls.model_dump(exclude_none=True)
        return {
            **limits,
            "agreement_id": self.id,
            "version": self.version,
            "request_id": self.request_id,
            "provider": self.provider,
            "consumer": self.consumer,
            "resource": {
                "id": self.resource_id,
                "version": self.resource_version,
                "title": {"zh": self.resource_title.zh, "en": self.resource_title.en},
            },
            "items": [
                {
                    "column": item.column,
                    "name": {"zh": item.name.zh, "en": item.name.en},
                    "element": item.element,
                    "data_type": item.data_type,
                    "grade": item.grade,
                    "key": item.key,
                    "mask": item.mask.value,
                }
                for item in self.items
            ],
            "purpose": {
                "legal_basis": self.purpose.legal_basis,
                "scene": self.purpose.scene,
                "scope": self.purpose.scope,
                "modes": sorted(mode.value for mode in self.purpose.modes),
                "service_item": self.purpose.service_item,
                **({"consent": True} if self.purpose.consent else {}),
                **({"told_after_days": self.purpose.told_after_days} if self.purpose.told_after_days else {}),
            },
            "levels": self.levels.model_dump(),
            "liability": self.liability.model_dump(),
            "valid_from": _instant(self.valid_from),
            "valid_until": _instant(self.valid_until),
            "provide_due_at": _instant(self.provide_due_at),
        }

    def signing_bytes(self) -> bytes:
        """Return the bytes that both departments sign: a prefix of its own and the canonical JSON of `terms`."""
        return SIGNING_PREFIX + canonical_json(self.terms())

    @property
    def terms_digest(self) -> str:
        """SHA-256 of the signing bytes; what the ledger records."""
        return sha256_hex(self.signing_bytes())


def _instant(at: datetime) -> str:
    return at.astimezone(CHINA).isoformat(timespec="microseconds")
