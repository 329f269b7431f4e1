"""How rows enter a target table: the mode, and the plan that a target follows."""

from enum import StrEnum

from pydantic import Field

from datong.kernel import Text, Value
from datong.kernel.limits import NAME_CHARS_MAX

DELETED = "_datong_deleted"
"""The first column of batches that carry deletes: true when the row with these keys was deleted at the source."""
VALID_FROM = "_datong_valid_from"
VALID_TO = "_datong_valid_to"
CURRENT = "_datong_current"
VERSION = "_datong_version"
"""Counts a key's versions from 1, so that several of one instant keep their order."""
HISTORY_COLUMNS = (VALID_FROM, VALID_TO, CURRENT, VERSION)
CURRENT_SUFFIX = "_current"
"""Appended to a history table's name: the view of every key's open version."""


class ApplyMode(StrEnum):
    """How a task's rows enter its target table."""

    REPLACE = "replace"
    UPSERT = "upsert"
    APPEND = "append"
    MIRROR = "mirror"
    HISTORY = "history"

    @property
    def label(self) -> Text:
        """The mode's name."""
        return _LABELS[self]

    @property
    def needs_keys(self) -> bool:
        """Whether rows must have key columns to be found again."""
        return self in {ApplyMode.UPSERT, ApplyMode.MIRROR, ApplyMode.HISTORY}

    @property
    def gathers_snapshots(self) -> bool:
        """Whether a snapshot counts only as a whole: its parts wait in a stage until the last has come."""
        return self in {ApplyMode.REPLACE, ApplyMode.MIRROR, ApplyMode.HISTORY}


_LABELS = {
    ApplyMode.REPLACE: Text(zh="整表替换", en="Replace"),
    ApplyMode.UPSERT: Text(zh="按主键更新", en="Upsert"),
    ApplyMode.APPEND: Text(zh="追加", en="Append"),
    ApplyMode.MIRROR: Text(zh="镜像（含删除）", en="Mirror, with deletes"),
    ApplyMode.HISTORY: Text(zh="保留历史", en="Keep history"),
}


class AddedColumn(Value):
    """A column of the target that no source column feeds: a constant, or the moment at which the row was applied."""

    name: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    type: str = "string"
    value: str | None = None
    """The constant's text, None for NULL."""
    now: bool = False
    """Whether it is the moment of application (`timestamp_utc`) instead."""


class TargetPlan(Value):
    """What a target does with a task's batches. Names of columns are those in the target."""

    table: str
    mode: ApplyMode = ApplyMode.REPLACE
    key_columns: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    """Source column and target column, where the two differ."""
    added: tuple[AddedColumn, ...] = ()
    first_sequence: int = 1
    """The batch with which this target's copy begins; a consumer that joined later begins later."""
    deletes: bool = False
    """Whether an upsert also deletes the rows that a batch marks as deleted: so does a repair's."""

    def name(self, column: str) -> str:
        """What a batch's column is called in the target."""
        return dict(self.renamed).get(column, column)
