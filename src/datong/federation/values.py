"""The values of harvesting: a source, a run, what came of each dataset, and a dataset as a remote catalogue gave it."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any, NewType

from pydantic import Field, field_validator

from datong.catalogue import Contact, Distribution
from datong.kernel import DepartmentCode, ResourceId, Text, Value, sha256_hex
from datong.kernel.limits import NAME_CHARS_MAX

SourceId = NewType("SourceId", str)
RunId = NewType("RunId", str)

ADDRESS_CHARS_MAX = 2000
PUBLISHERS_MAX = 2000
EXCLUDED_MAX = 10_000
INTERVAL_HOURS_MAX = 24 * 366


class SourceKind(StrEnum):
    """How a remote catalogue is read."""

    CKAN = "ckan"
    DCAT = "dcat"

    @property
    def label(self) -> Text:
        """The kind's name."""
        return _KINDS[self]


class SourceState(StrEnum):
    """Whether a source is harvested on schedule; an ended one has had its entries retired."""

    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"

    @property
    def label(self) -> Text:
        """The state's name."""
        return _STATES[self]


class RunMode(StrEnum):
    """Everything, or what changed since the last complete run."""

    FULL = "full"
    INCREMENTAL = "incremental"

    @property
    def label(self) -> Text:
        """The mode's name."""
        return _MODES[self]


class RunState(StrEnum):
    """Where a run stands; `incomplete`: the origin sent less than it announced, so nothing was retired."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    INCOMPLETE = "incomplete"
    FAILED = "failed"

    @property
    def label(self) -> Text:
        """The state's name."""
        return _RUN_STATES[self]


class Outcome(StrEnum):
    """What came of one dataset in a run."""

    ADDED = "added"
    CHANGED = "changed"
    ADJUSTED = "adjusted"
    REMOVED = "removed"
    HELD = "held"
    REJECTED = "rejected"

    @property
    def label(self) -> Text:
        """The outcome's name."""
        return _OUTCOMES[self]


_KINDS = {
    SourceKind.CKAN: Text(zh="CKAN 接口", en="CKAN Action API"),
    SourceKind.DCAT: Text(zh="DCAT 目录", en="DCAT catalogue"),
}
_STATES = {
    SourceState.ACTIVE: Text(zh="按计划采集", en="On schedule"),
    SourceState.PAUSED: Text(zh="已暂停", en="Paused"),
    SourceState.ENDED: Text(zh="已终止", en="Ended"),
}
_MODES = {
    RunMode.FULL: Text(zh="全量", en="Full"),
    RunMode.INCREMENTAL: Text(zh="增量", en="Incremental"),
}
_RUN_STATES = {
    RunState.QUEUED: Text(zh="等待执行", en="Queued"),
    RunState.RUNNING: Text(zh="正在采集", en="Running"),
    RunState.SUCCEEDED: Text(zh="完成", en="Complete"),
    RunState.INCOMPLETE: Text(zh="来源未给全", en="Origin incomplete"),
    RunState.FAILED: Text(zh="失败", en="Failed"),
}
_OUTCOMES = {
    Outcome.ADDED: Text(zh="新增", en="Added"),
    Outcome.CHANGED: Text(zh="更新", en="Changed"),
    Outcome.ADJUSTED: Text(zh="有调整", en="Adjusted"),
    Outcome.REMOVED: Text(zh="注销", en="Retired"),
    Outcome.HELD: Text(zh="暂缓注销", en="Held"),
    Outcome.REJECTED: Text(zh="未收录", en="Rejected"),
}


class PublisherMapping(Value):
    """A remote publisher, by its id or name, and the department that answers for its entries here."""

    publisher: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    department: DepartmentCode


class SourceSettings(Value):
    """What an operator decides about a source.

    `fallback_department` takes the entries of publishers that are not mapped; without it they are rejected by name.
    `removed_percent_max` holds a retirement back when more than this share of the source's entries vanished at once:
    an emptied origin is more often a fault than a decision.
    """

    name: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    kind: SourceKind
    address: str = Field(max_length=ADDRESS_CHARS_MAX, pattern=r"^https?://[^\s<>\"]+$")
    interval_hours: int = Field(24, ge=1, le=INTERVAL_HOURS_MAX)
    publishers: tuple[PublisherMapping, ...] = Field((), max_length=PUBLISHERS_MAX)
    fallback_department: DepartmentCode | None = None
    default_theme: str = Field("", max_length=64)
    default_licence: str = Field("", max_length=64)
    default_classification: str = Field("", max_length=64)
    open_here: bool = True
    allow_private: bool = False
    follow_robots: bool = True
    requests_per_minute: int = Field(60, ge=1, le=6000)
    page_rows: int = Field(100, ge=1, le=1000)
    removed_percent_max: int = Field(30, ge=0, le=100)
    excluded: tuple[str, ...] = Field((), max_length=EXCLUDED_MAX)

    @field_validator("fallback_department", mode="before")
    @classmethod
    def _no_empty_department(cls, value: object) -> object:
        return None if value == "" else value


class HarvestRun(Value):
    """One run over a source; `expected` is how many datasets the origin announced, `seen` how many were read."""

    id: RunId
    source_id: SourceId
    mode: RunMode
    state: RunState
    requested_by: str
    queued_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expected: int | None = None
    seen: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    rejected: int = 0
    adjusted: int = 0
    held: int = 0
    failure_code: str = ""
    failure: Text | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen in this run."""
        return self.state not in (RunState.QUEUED, RunState.RUNNING)


class RunNote(Value):
    """What came of one dataset, and why; only what is not simply unchanged is noted."""

    remote_id: str
    title: str
    outcome: Outcome
    reason: Text
    resource_id: ResourceId | None = None


class HarvestSource(Value):
    """A remote catalogue that is harvested; `entries` counts what of it is visible here now."""

    id: SourceId
    settings: SourceSettings
    state: SourceState
    created_at: datetime
    updated_at: datetime
    next_due_at: datetime | None
    entries: int = 0
    last_run: HarvestRun | None = None


class RemoteDataset(Value):
    """A dataset as a remote catalogue describes it, read but not yet judged.

    `declared` is the content that another Datong hub published, as JSON; it is empty for every other catalogue.
    `remarks` say what had to be left out or shortened while reading.
    """

    remote_id: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    name: str = ""
    address: str = ""
    title: Text
    summary: Text = Text(zh="", en="")
    publisher_id: str = ""
    publisher_name: str = ""
    keywords: tuple[str, ...] = ()
    themes: tuple[str, ...] = ()
    licence: tuple[str, ...] = ()
    modified_at: datetime | None = None
    frequency: str = ""
    spatial: str = ""
    temporal_start: date | None = None
    temporal_end: date | None = None
    contact: Contact | None = None
    distributions: tuple[Distribution, ...] = ()
    code: str = ""
    declared: dict[str, Any] = Field(default_factory=dict)
    remarks: tuple[Text, ...] = ()


class Rejected(Value):
    """A dataset that was not taken, and why; `withdraw`: what was taken of it earlier goes as well."""

    remote_id: str
    title: str
    reason: Text
    withdraw: bool = False


def usable_id(given: str) -> str:
    """Return a remote id that fits its column: a longer one is replaced by its digest."""
    return given if len(given) <= NAME_CHARS_MAX else f"sha256:{sha256_hex(given.encode())}"


class RemotePage(Value):
    """One page of a remote catalogue: what could be read, what could not, what is deleted, and where it goes on."""

    datasets: tuple[RemoteDataset, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    deleted: tuple[str, ...] = ()
    total: int | None = None
    next_address: str | None = None
