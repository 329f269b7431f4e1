"""A link between two hubs, one above the other: its settings, and what is sent over it. Rules without I/O.

The lower hub makes every connection. Both directions carry the same thing: batches of changed entries, numbered without
gaps by the sender, signed by the sending hub. Who has applied up to which number is all the state there is.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, NewType

from pydantic import Field, field_validator

from datong.catalogue import HUBS_MAX as PATH_MAX
from datong.catalogue import Origin, Resource, ResourceContent, public_part
from datong.kernel import (
    Base64Bytes,
    Conflict,
    Corrupt,
    DepartmentCode,
    Text,
    Value,
    canonical_json,
    sha256_hex,
)
from datong.kernel.limits import NAME_CHARS_MAX
from datong.ledger import verify_signature
from datong.norms import ShareType

PeerId = NewType("PeerId", str)
BATCH_MAX = 200
"""Entries in one batch: some megabytes at most, and one transaction at the receiver."""


class PeerSide(StrEnum):
    """Where the other hub stands."""

    SUPERIOR = "superior"
    SUBORDINATE = "subordinate"

    @property
    def label(self) -> Text:
        """The side's name."""
        return _SIDES[self]


class PeerState(StrEnum):
    """Whether entries go over a link; an ended one has had its entries retired."""

    WAITING = "waiting"
    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"

    @property
    def label(self) -> Text:
        """The state's name."""
        return _STATES[self]


class Scope(StrEnum):
    """Which entries the other hub is shown."""

    NOTHING = "nothing"
    OPEN = "open"
    SHARED = "shared"
    ALL = "all"

    @property
    def label(self) -> Text:
        """The scope's name."""
        return _SCOPES[self]


_SIDES = {
    PeerSide.SUPERIOR: Text(zh="上级平台", en="Higher hub"),
    PeerSide.SUBORDINATE: Text(zh="下级平台", en="Lower hub"),
}
_STATES = {
    PeerState.WAITING: Text(zh="等待接入", en="Waiting to join"),
    PeerState.ACTIVE: Text(zh="级联中", en="Linked"),
    PeerState.PAUSED: Text(zh="已暂停", en="Paused"),
    PeerState.ENDED: Text(zh="已终止", en="Ended"),
}
_SCOPES = {
    Scope.NOTHING: Text(zh="不发布", en="Nothing"),
    Scope.OPEN: Text(zh="仅开放目录", en="Open entries"),
    Scope.SHARED: Text(zh="共享目录（不含不予共享）", en="Shared entries"),
    Scope.ALL: Text(zh="全部已发布目录", en="Every published entry"),
}


class PeerSettings(Value):
    """What this side decides about a link: what it shows, and who answers here for what it receives."""

    name: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    department: DepartmentCode
    region: str = Field("", pattern=r"^([1-9]\d{5})?$")
    scope: Scope = Scope.SHARED
    only_departments: tuple[DepartmentCode, ...] = Field((), max_length=1000)
    open_here: bool = True

    @field_validator("only_departments", mode="before")
    @classmethod
    def _no_empty(cls, value: object) -> object:
        return [code for code in value if code] if isinstance(value, list | tuple) else value


class Standing(Value):
    """How far one direction has come, as one of the two hubs knows it; equal digests mean equal entries."""

    serial: int = 0
    entries: int = 0
    digest: str = ""


class Peer(Value):
    """Another hub. `sent` is what was offered to it and `acknowledged` what it has applied; `received` came from it."""

    id: PeerId
    side: PeerSide
    settings: PeerSettings
    state: PeerState
    address: str
    hub: str
    node_id: str
    public_key: Base64Bytes
    created_at: datetime
    sent_serial: int
    acknowledged_serial: int
    received_serial: int
    exchanged_at: datetime | None
    in_step: bool | None
    failure: Text | None

    @property
    def behind(self) -> int:
        """How many changes the other hub has not applied yet."""
        return self.sent_serial - self.acknowledged_serial


class CascadeEntry(Value):
    """One entry as it stands at the sender; `content` is None when it is withdrawn. `path` begins with its own hub."""

    serial: int
    remote_id: str = Field(min_length=1, max_length=64)
    digest: str = ""
    path: tuple[str, ...] = Field((), max_length=PATH_MAX)
    root_id: str = Field("", max_length=NAME_CHARS_MAX)
    code: str = Field("", max_length=NAME_CHARS_MAX)
    region: str = Field("", max_length=12)
    publisher: str = Field("", max_length=NAME_CHARS_MAX)
    publisher_name: str = Field("", max_length=NAME_CHARS_MAX)
    content: ResourceContent | None = None


class CascadeBatch(Value):
    """Changes after one number up to another, from one hub to another, in order."""

    sender: str
    receiver: str
    after: int = Field(ge=0)
    until: int = Field(ge=0)
    entries: tuple[CascadeEntry, ...] = Field((), max_length=BATCH_MAX)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of the whole batch."""
        return sha256_hex(canonical_json(self.model_dump(mode="json")))

    @property
    def message(self) -> bytes:
        """The bytes that the sender signs."""
        return f"datong.cascade/1\n{self.digest}\n".encode()


class SignedBatch(Value):
    """A batch with the signature of the sending hub's key."""

    batch: CascadeBatch
    signature: Base64Bytes

    def verify(self, public_key: bytes) -> None:
        """Check the signature, and that every entry has the digest that it is said to have.

        Raises:
            Corrupt: it is not this key's signature of this batch, or a digest is not that of its entry.
        """
        verify_signature(public_key, self.batch.message, self.signature)
        for entry in self.batch.entries:
            if entry.content is not None and entry_digest(entry) != entry.digest:
                raise Corrupt(
                    "federation.digest_wrong",
                    what=Text(
                        zh=f"条目 {entry.remote_id} 的摘要与内容不符。",
                        en=f"The digest of entry {entry.remote_id} is not that of its content.",
                    ),
                    remedy=Text(zh="请检查两端平台的版本。", en="Compare the versions of both hubs."),
                )


def is_shown(resource: Resource, settings: PeerSettings, peer_hub: str) -> bool:
    """Whether an entry goes to a peer: it is within the scope, and has not come through that very hub."""
    content = resource.content
    if content.origin is not None and peer_hub in content.origin.path:
        return False
    if content.origin is not None and len(content.origin.path) >= PATH_MAX:
        return False
    if settings.only_departments and resource.department not in settings.only_departments:
        return False
    if settings.scope is Scope.OPEN:
        return content.open
    if settings.scope is Scope.SHARED:
        return content.share_type is not ShareType.NONE
    return settings.scope is Scope.ALL


def entry_of(
    resource: Resource, settings: PeerSettings, *, hub: str, region: str, publisher_name: str, serial: int = 0
) -> CascadeEntry:
    """Return what a peer is told of a visible resource: never where its data lies, or who assessed it."""
    content, origin = resource.content, resource.content.origin
    kept = (
        public_part(content)
        if settings.scope is Scope.OPEN
        else content.model_copy(update={"binding": None, "assessment": None, "sign_off": None, "origin": None})
    )
    cascaded = origin if origin is not None and origin.path else None
    entry = CascadeEntry(
        serial=serial,
        remote_id=resource.id,
        path=(*(cascaded.path if cascaded else ()), hub),
        root_id=cascaded.root_id if cascaded else resource.id,
        code=(cascaded.code if cascaded else resource.code) or "",
        region=cascaded.region if cascaded else region,
        publisher=cascaded.publisher if cascaded else resource.department,
        publisher_name=cascaded.publisher_name if cascaded else publisher_name,
        content=kept,
    )
    return entry.model_copy(update={"digest": entry_digest(entry)})


def entry_digest(entry: CascadeEntry) -> str:
    """Return the SHA-256 of what an entry says, whatever its number."""
    values: dict[str, Any] = entry.model_dump(mode="json", exclude={"serial", "digest"})
    return sha256_hex(canonical_json(values))


def origin_of(entry: CascadeEntry, peer_id: PeerId) -> Origin:
    """Return the origin of a received entry."""
    return Origin(
        source_id=peer_id,
        remote_id=entry.remote_id,
        path=entry.path,
        root_id=entry.root_id,
        code=entry.code,
        region=entry.region,
        publisher=entry.publisher,
        publisher_name=entry.publisher_name,
    )


def root_of(entry: CascadeEntry) -> str:
    """Return what is the same of an entry, whichever way it came."""
    return sha256_hex(f"{entry.path[0] if entry.path else ''}\n{entry.root_id}".encode())


def require_next(batch: CascadeBatch, received: int) -> bool:
    """Return whether a batch is still to be applied; False: it was applied before.

    Raises:
        Conflict: it does not follow what was received.
    """
    if batch.until <= received:
        return False
    numbers = [entry.serial for entry in batch.entries]
    if batch.after != received or numbers != sorted(set(numbers)) or not _within(numbers, batch):
        raise Conflict(
            "federation.out_of_step",
            what=Text(
                zh=f"批次接在第 {batch.after} 号之后，而已收到第 {received} 号。",
                en=f"The batch follows number {batch.after}, but {received} was received.",
            ),
            remedy=Text(zh="请从已收到的号码继续。", en="Go on from the number that was received."),
            context={"received_serial": received},
        )
    return True


def _within(numbers: list[int], batch: CascadeBatch) -> bool:
    return not numbers or (numbers[0] > batch.after and numbers[-1] <= batch.until)
