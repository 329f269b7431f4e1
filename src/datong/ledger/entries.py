"""What an entry says: its kind, subject, actor, time and facts, and the exact bytes that become a leaf of the log.

`docs/ledger.md` lists the facts of each kind. A leaf never holds a personal value: where a person is concerned it holds
a salted commitment, whose salt stays with the owner of the fact.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime

from datong.kernel import Actor, CommonMembers, DepartmentCode, EntryId, Invalid, JsonValue, Text, TooLarge, Value
from datong.kernel import canonical_json as canonical
from datong.kernel.limits import LEDGER_ENTRY_BYTES_MAX
from datong.ledger.faults import corrupt

LEAF_VERSION = 1
SALT_BYTES_MIN = 16
BACKDATED_AFTER = timedelta(hours=1)
"""An entry stands behind those made before it; one that claims so much less is back-dated, or a clock was wrong."""
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
_LEAF_FIELDS = frozenset({"v", "kind", "at", "subject", "actor", "facts"})
_ACTOR_FIELDS = frozenset({"kind", "id", "department"})
ACTING_FOR = "acting_for"
"""The fact that names the account for which a substitute acted."""
_DEPARTMENT_FACTS = ("department", "provider", "consumer", "authority")


class EntryKind(StrEnum):
    """What kind of act an entry is evidence of: the package that wrote it, and the act."""

    CATALOGUE_STEP = "catalogue.step"
    DEPARTMENT_KEY = "catalogue.key"
    SKETCH_KEY = "catalogue.sketch_key"
    SKETCH = "catalogue.sketch"
    SOURCE = "catalogue.source"
    SERVICE_ITEM = "catalogue.service_item"
    FOREIGN = "catalogue.foreign"
    HARVEST = "federation.harvest"
    CASCADE = "federation.cascade"
    INVENTORY = "catalogue.inventory"
    DRIFT = "catalogue.drift"
    VOCABULARY = "catalogue.vocabulary"
    DEMAND = "catalogue.demand"
    REQUEST = "sharing.request"
    DECISION = "sharing.decision"
    AGREEMENT = "sharing.agreement"
    TASK = "exchange.task"
    BATCH = "exchange.batch"
    RECEIPT = "exchange.receipt"
    DEAD_LETTERS = "exchange.dead_letters"
    RECONCILIATION = "exchange.reconciliation"
    FILE = "exchange.file"
    DATASET = "library.dataset"
    LIBRARY_DEFINITION = "library.definition"
    CORRECTION = "library.correction"
    LINK_DECISION = "library.link_decision"
    WEIGHTS = "library.weights"
    RETENTION = "library.retention"
    ACCESS = "sharing.access"
    ACCOUNT = "sharing.account"
    REFUSAL = "sharing.refusal"
    FAILURE = "sharing.failure"
    LIVE = "sharing.live"
    MASK_KEY = "sharing.mask_key"
    PROFILE = "sharing.profile"
    OUTAGE = "sharing.outage"
    RELEASE = "sharing.release"
    STATISTIC = "sharing.statistic"
    SERVICE_CASE = "sharing.service_case"
    APPLICATION = "sharing.application"
    CONSENT = "sharing.consent"
    DELEGATION = "sharing.delegation"
    DISCLOSURE = "sharing.disclosure"
    OBJECTION = "sharing.objection"
    WISH = "sharing.wish"
    SUBSCRIPTION = "sharing.subscription"
    MATCHING = "sharing.matching"
    FINDING = "governance.finding"
    CASE = "governance.case"
    INDICATOR = "governance.indicator"
    ALARM = "governance.alarm"
    NOTIFICATION = "governance.notification"
    SHARD = "ledger.shard"
    LOG_KEY = "ledger.key"
    MEETING = "governance.meeting"
    ASSIGNMENT = "governance.assignment"
    INCIDENT = "governance.incident"
    RATING = "governance.rating"
    STAFF = "governance.staff"


class EntryContent(Value):
    """What the bytes of a leaf say. The actor has no name: names of people do not enter the log."""

    kind: EntryKind
    at: AwareDatetime
    subject: str
    actor: Actor
    facts: dict[str, Any]


class RecordedEntry(EntryContent):
    """An entry as the log keeps it; `index` is None until a published checkpoint covers it."""

    entry_id: EntryId
    index: int | None
    leaf_hash: str


def leaf_bytes(*, kind: EntryKind, at: datetime, subject: str, actor: Actor, facts: Mapping[str, JsonValue]) -> bytes:
    """Return the bytes of a leaf: canonical JSON, the time in UTC with microseconds.

    Raises:
        Invalid: a text in it cannot be written as UTF-8.
        TooLarge: the leaf is longer than C2SP tlog-tiles can frame.
    """
    leaf = {
        "v": LEAF_VERSION,
        "kind": kind.value,
        "at": _written(at),
        "subject": subject,
        "actor": _named(actor),
        "facts": _marked(actor, facts),
    }
    return _bounded(lambda: canonical(leaf))


class TimeOrder:
    """Watches the times of entries in the log's order."""

    def __init__(self) -> None:
        self._newest: datetime | None = None

    def behind(self, at: datetime) -> datetime | None:
        """Take the next entry's time; return the newest before it if it claims so much less (`BACKDATED_AFTER`)."""
        newest = self._newest
        self._newest = at if newest is None else max(newest, at)
        return newest if newest is not None and at < newest - BACKDATED_AFTER else None


class CommonFacts:
    """What entries of one actor and kind have in common: most of their facts, written once."""

    def __init__(self, kind: EntryKind, actor: Actor, facts: Mapping[str, JsonValue]) -> None:
        self.kind = kind
        self.departments = departments_concerned(actor, facts)
        self._actor = CommonMembers(_named(actor)).text_with({})
        self._facts = CommonMembers(_marked(actor, facts))
        self._said = CommonMembers({"kind": kind.value, "v": LEAF_VERSION})

    def leaf_bytes(self, *, at: datetime, subject: str, facts: Mapping[str, str | int]) -> bytes:
        """Return the bytes of a leaf with `facts` of its own besides; none of these names a department.

        Raises:
            Invalid, TooLarge: see the function of this name.
        """
        rest = self._said.text_with({"subject": subject})
        begin = f'{{"actor":{self._actor},"at":"{_written(at)}","facts":{self._facts.text_with(facts)},'
        return _bounded((begin + rest[1:]).encode)


def _marked(actor: Actor, facts: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    """Return the facts of an act, which say for whom it was done if a substitute did it."""
    return {**facts, ACTING_FOR: actor.acting_for} if actor.acting_for else facts


def _named(actor: Actor) -> Mapping[str, JsonValue]:
    return {"kind": actor.kind.value, "id": actor.id, "department": actor.department}


def _written(at: datetime) -> str:
    return at.astimezone(UTC).strftime(_TIME_FORMAT)


def _bounded(write: Callable[[], bytes]) -> bytes:
    """Return the bytes of a leaf that can stand in the log."""
    try:
        leaf = write()
    except UnicodeEncodeError as error:
        raise Invalid(
            "ledger.text_unencodable",
            what=Text(
                zh="要存证的内容中有无法编码为 UTF-8 的字符。",
                en="A text to be recorded as evidence holds a character that cannot be written as UTF-8.",
            ),
            remedy=Text(zh="请删除该字符后重试。", en="Remove the character and try again."),
        ) from error
    if len(leaf) > LEDGER_ENTRY_BYTES_MAX:
        raise TooLarge(
            "ledger.entry_too_large",
            what=Text(
                zh=f"存证内容为 {len(leaf)} 字节，上限为 {LEDGER_ENTRY_BYTES_MAX} 字节。",
                en=f"The evidence has {len(leaf)} bytes; the limit is {LEDGER_ENTRY_BYTES_MAX}.",
            ),
            remedy=Text(zh="请缩短文字，或减少一次处理的项目。", en="Shorten the texts, or treat fewer items at once."),
            context={"bytes": len(leaf), "bytes_max": LEDGER_ENTRY_BYTES_MAX},
        )
    return leaf


def parse_leaf(leaf: bytes) -> EntryContent:
    """Return what a leaf says.

    Raises:
        Corrupt: it is not the canonical form of an entry of version 1.
    """
    try:
        content = _read_leaf(leaf)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise corrupt(
            "entry_malformed",
            zh="条目内容不是本平台第 1 版存证格式的规范 JSON。",
            en="The entry is not canonical JSON of the platform's evidence format, version 1.",
        ) from error
    return content


def _read_leaf(leaf: bytes) -> EntryContent:
    document = json.loads(leaf)
    if canonical(document) != leaf or document.keys() != _LEAF_FIELDS or document["v"] != LEAF_VERSION:
        raise ValueError("not an entry of this version in canonical form")
    actor = document["actor"]
    if actor.keys() != _ACTOR_FIELDS:
        raise ValueError("not an actor")
    at = datetime.strptime(document["at"], _TIME_FORMAT).replace(tzinfo=UTC)
    if at.strftime(_TIME_FORMAT) != document["at"]:
        raise ValueError("not the canonical form of a time")
    return EntryContent(
        kind=document["kind"],
        at=at,
        subject=document["subject"],
        actor=Actor(
            kind=actor["kind"],
            id=actor["id"],
            department=actor["department"],
            acting_for=document["facts"].get(ACTING_FOR, ""),
        ),
        facts=document["facts"],
    )


def departments_concerned(actor: Actor, facts: Mapping[str, JsonValue]) -> frozenset[DepartmentCode]:
    """Return the departments that an entry names: the actor's, and those under the well-known fact names."""
    named = [actor.department, *(facts.get(name) for name in _DEPARTMENT_FACTS)]
    several = facts.get("departments")
    if isinstance(several, list | tuple):
        named += several
    # Facts of a forged entry may be of any type.
    return frozenset(DepartmentCode(name) for name in named if isinstance(name, str) and name)


def commitment(salt: bytes, value: str) -> str:
    """Return the hiding, binding stand-in of a personal value: hex SHA-256 of u16 length of salt ‖ salt ‖ UTF-8 value.

    Raises:
        ValueError: the salt is shorter than 16 bytes, so that the value could be guessed.
    """
    if not SALT_BYTES_MIN <= len(salt) <= 0xFFFF:
        raise ValueError(f"a salt has {SALT_BYTES_MIN} to 65535 bytes")
    return hashlib.sha256(len(salt).to_bytes(2, "big") + salt + value.encode(errors="surrogatepass")).hexdigest()
