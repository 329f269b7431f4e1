"""Service items (事项) and what they ask of citizens and firms: the values of 重复采集, the same datum asked again."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from datong.kernel import DepartmentCode, RequestId, ResourceId, Text, Value
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX

FIELDS_MAX = 500
CASES_MAX = 100_000_000
SECONDS_DEFAULT = 30
"""What it takes to write one answer into a form, unless the item says otherwise."""
SECONDS_MAX = 86_400
SHEETS_MAX = 100


class FieldState(StrEnum):
    """How a service item comes by one of its fields."""

    ASKED = "asked"
    REQUESTED = "requested"
    SHARED = "shared"
    KEPT = "kept"

    @property
    def label(self) -> Text:
        """The state's name."""
        return _STATES[self]


class ServiceAction(StrEnum):
    """What is done to a service item."""

    REGISTER = "register"
    CHANGE = "change"
    REQUEST = "request"
    SHARE = "share"
    KEEP = "keep"
    ASK = "ask"
    RETIRE = "retire"

    @property
    def label(self) -> Text:
        """The act's name."""
        return _ACTIONS[self]


_STATES = {
    FieldState.ASKED: Text(zh="向群众收取", en="Asked of citizens"),
    FieldState.REQUESTED: Text(zh="已申请共享", en="Sharing requested"),
    FieldState.SHARED: Text(zh="已改为共享获取", en="Obtained by sharing"),
    FieldState.KEPT: Text(zh="须由本人提供", en="Must be given in person"),
}
_ACTIONS = {
    ServiceAction.REGISTER: Text(zh="登记", en="Register"),
    ServiceAction.CHANGE: Text(zh="修改", en="Change"),
    ServiceAction.REQUEST: Text(zh="申请共享", en="Request sharing"),
    ServiceAction.SHARE: Text(zh="改为共享获取", en="Obtain by sharing"),
    ServiceAction.KEEP: Text(zh="保留由本人提供", en="Keep asking"),
    ServiceAction.ASK: Text(zh="恢复收取", en="Ask again"),
    ServiceAction.RETIRE: Text(zh="注销", en="Retire"),
}


class NewServiceField(Value):
    """One thing that a service item asks for: on which material, how long it takes, how many sheets it costs."""

    name: Text
    material: str = Field("", max_length=NAME_CHARS_MAX)
    element: str | None = Field(None, max_length=64)
    seconds: int = Field(SECONDS_DEFAULT, ge=0, le=SECONDS_MAX)
    sheets: int = Field(0, ge=0, le=SHEETS_MAX)


class NewServiceItem(Value):
    """A service item as a department declares it; a field without an element is mapped by its name."""

    code: str = Field(min_length=1, max_length=64, pattern=r"^\S+$")
    name: Text
    department: DepartmentCode
    legal_basis: str = Field("", max_length=TEXT_CHARS_MAX)
    annual_cases: int = Field(ge=0, le=CASES_MAX)
    fields: tuple[NewServiceField, ...] = Field(min_length=1, max_length=FIELDS_MAX)


class ServiceField(NewServiceField):
    """A field as the register keeps it; `mapping_confidence` is a percentage, 100 where a person chose."""

    position: int
    mapping_confidence: int
    state: FieldState
    request_id: RequestId | None
    changed_at: datetime


class ServiceItem(Value):
    """A service item of a department and everything it asks for."""

    id: str
    code: str
    name: Text
    department: DepartmentCode
    legal_basis: str
    annual_cases: int
    retired: bool
    registered_at: datetime
    updated_at: datetime
    fields: tuple[ServiceField, ...] = ()


class ServiceStep(Value):
    """One act about a service item, with its evidence."""

    action: ServiceAction
    elements: tuple[str, ...]
    actor_id: str
    actor_name: str
    actor_department: DepartmentCode | None
    reason: str
    at: datetime
    entry_id: str


class RepeatCollection(Value):
    """A field that is asked although somebody holds it: from whom it should be obtained instead.

    `designated`: the source department of the element; else whoever shares it most freely. `own`: the asking department
    holds the element itself and need not even request it.
    """

    item_id: str
    code: str
    item_name: Text
    department: DepartmentCode
    position: int
    field_name: Text
    material: str
    element: str
    state: FieldState
    request_id: RequestId | None
    annual_cases: int
    seconds: int
    sheets: int
    source: DepartmentCode
    resource_id: ResourceId | None
    designated: bool
    own: bool


class Burden(Value):
    """What asking again costs in a year: answers given, hours spent, sheets handed in."""

    answers: int = 0
    hours: float = 0.0
    sheets: int = 0
    fields: int = 0
    items: int = 0


class DepartmentBurden(Value):
    """What one department's asking costs."""

    department: DepartmentCode
    burden: Burden


class ElementBurden(Value):
    """What asking for one element costs, over all departments."""

    element: str
    source: DepartmentCode
    burden: Burden


class RepeatReport(Value):
    """Repeat collection of the whole city or of one department: the list, and who and what weighs most."""

    total: Burden
    relieved: Burden
    """What is no longer asked because it is obtained by sharing."""
    departments: tuple[DepartmentBurden, ...]
    elements: tuple[ElementBurden, ...]
    repeats: tuple[RepeatCollection, ...]


class Progress(Value):
    """Where the repeatedly asked fields stood at the end of a month."""

    month: str
    asked: int
    requested: int
    shared: int
    kept: int
