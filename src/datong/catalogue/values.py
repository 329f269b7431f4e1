"""The values of the catalogue: what a department holds, under which norm, and on which terms.

Field names follow the core metadata of 《政务信息资源目录编制指南(试行)》 (发改高技〔2017〕1272号) in English.
"""

from datetime import date, datetime
from enum import StrEnum

from pydantic import Field

from datong.kernel import Base64Bytes, DepartmentCode, NodeId, ResourceId, Text, Value
from datong.kernel.limits import ITEMS_PER_RESOURCE_MAX, NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.norms import DataType, Grade, ResourceFormat, ShareMode, ShareType, UpdateCycle

KEYWORDS_MAX = 50
DISTRIBUTIONS_MAX = 50
DISTRIBUTION_ID_CHARS_MAX = 64
"""Widths are limits of their own: a pattern that counted them took 30 ms of every program's start to compile."""
ADDRESS_CHARS_MAX = 2000
HUBS_MAX = 8
"""Hubs through which an entry may come: nation, province, city, county, and as many again."""
WEB_ADDRESS = r"^$|^https?://[^\s<>\"]+$"
"""Nothing or an address of the web: what stands in a link must never be a script."""


class Department(Value):
    """A department of the government; `is_authority` marks the 主管部门 of the same level."""

    code: DepartmentCode
    name: Text
    short_name: Text
    is_authority: bool = False


class DepartmentKey(Value):
    """A public key with which a department's node signs; `key_id` is the first 16 hex digits of its SHA-256."""

    key_id: str
    department: DepartmentCode
    public_key: bytes
    node_id: NodeId | None
    registered_at: datetime
    revoked_at: datetime | None = None


class RecipientKey(Value):
    """A node's X25519 key to which payloads are sealed; `signature` of its `signing_key` vouches for it (raw bytes)."""

    key_id: str
    department: DepartmentCode
    node_id: NodeId
    public_key: Base64Bytes
    signature: Base64Bytes
    signing_key: Base64Bytes
    registered_at: datetime
    revoked_at: datetime | None = None


class ResourceState(StrEnum):
    """Where the working version of a resource stands."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    REGISTERED = "registered"
    PUBLISHED = "published"
    RETURNED = "returned"
    REJECTED = "rejected"
    SUSPENDED = "suspended"
    RETIRED = "retired"

    @property
    def label(self) -> Text:
        """The state's name."""
        return _STATES[self]


class ResourceAction(StrEnum):
    """What can be done to a resource."""

    SIGN_OFF = "sign_off"
    SUBMIT = "submit"
    WITHDRAW = "withdraw"
    APPROVE = "approve"
    RETURN = "return"
    REJECT = "reject"
    PUBLISH = "publish"
    UNPUBLISH = "unpublish"
    SUSPEND = "suspend"
    RESUME = "resume"
    RETIRE = "retire"
    REVISE = "revise"
    DISCARD = "discard"
    DROP = "drop"

    @property
    def label(self) -> Text:
        """The action's name."""
        return _ACTIONS[self]


class Party(StrEnum):
    """Who may take an action: the providing department, the authority, or either of them."""

    PROVIDER = "provider"
    AUTHORITY = "authority"
    EITHER = "either"

    @property
    def label(self) -> Text:
        """The party's name."""
        return _PARTIES[self]


_STATES = {
    ResourceState.DRAFT: Text(zh="草稿", en="Draft"),
    ResourceState.SUBMITTED: Text(zh="待审核", en="Awaiting review"),
    ResourceState.REGISTERED: Text(zh="已注册", en="Registered"),
    ResourceState.PUBLISHED: Text(zh="已发布", en="Published"),
    ResourceState.RETURNED: Text(zh="退回修改", en="Returned"),
    ResourceState.REJECTED: Text(zh="已拒绝", en="Rejected"),
    ResourceState.SUSPENDED: Text(zh="已停用", en="Suspended"),
    ResourceState.RETIRED: Text(zh="已注销", en="Retired"),
}
_ACTIONS = {
    ResourceAction.SIGN_OFF: Text(zh="负责人签批", en="Sign off"),
    ResourceAction.SUBMIT: Text(zh="提交审核", en="Submit"),
    ResourceAction.WITHDRAW: Text(zh="撤回", en="Withdraw"),
    ResourceAction.APPROVE: Text(zh="审核通过", en="Approve"),
    ResourceAction.RETURN: Text(zh="退回修改", en="Return"),
    ResourceAction.REJECT: Text(zh="拒绝", en="Reject"),
    ResourceAction.PUBLISH: Text(zh="发布", en="Publish"),
    ResourceAction.UNPUBLISH: Text(zh="取消发布", en="Cancel publication"),
    ResourceAction.SUSPEND: Text(zh="停用", en="Suspend"),
    ResourceAction.RESUME: Text(zh="恢复", en="Resume"),
    ResourceAction.RETIRE: Text(zh="注销", en="Retire"),
    ResourceAction.REVISE: Text(zh="修订", en="Revise"),
    ResourceAction.DISCARD: Text(zh="放弃修订", en="Discard the revision"),
    ResourceAction.DROP: Text(zh="删除草稿", en="Drop the draft"),
}
_PARTIES = {
    Party.PROVIDER: Text(zh="提供部门", en="the providing department"),
    Party.AUTHORITY: Text(zh="主管部门", en="the authority"),
    Party.EITHER: Text(zh="提供部门或主管部门", en="the providing department or the authority"),
}


class Item(Value):
    """信息项: one column of a resource, what it means and on which terms it is shared.

    `mapping_confidence` is a percentage (0–100) of the proposed `element`; a person's own choice has 100.
    """

    name: Text
    column: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    element: str | None = None
    data_type: DataType = DataType.CHARACTER
    length: int = Field(0, ge=0, le=1_000_000)
    grade: Grade = Grade.L2
    share_type: ShareType = ShareType.CONDITIONAL
    share_condition: str = Field("", max_length=TEXT_CHARS_MAX)
    share_modes: tuple[ShareMode, ...] = ()
    legal_basis: str = Field("", max_length=TEXT_CHARS_MAX)
    open: bool = False
    open_condition: str = Field("", max_length=TEXT_CHARS_MAX)
    key: bool = False
    mapping_confidence: int = Field(0, ge=0, le=100)
    mapping_evidence: tuple[Text, ...] = ()


class Binding(Value):
    """挂接: where the data really is, as the department's node names it."""

    node_id: NodeId
    source: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    table: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    cursor_column: str | None = None
    key_columns: tuple[str, ...] = ()


class Contact(Value):
    """Whom to ask about a resource; the public sees unit, phone and e-mail of open resources, never the person."""

    unit: str = Field("", max_length=NAME_CHARS_MAX)
    person: str = Field("", max_length=NAME_CHARS_MAX)
    phone: str = Field("", max_length=NAME_CHARS_MAX)
    email: str = Field("", max_length=NAME_CHARS_MAX)


class Distribution(Value):
    """One form in which the data can be had: a page or service (`access_url`), or a file (`download_url`)."""

    id: str = Field(min_length=1, max_length=DISTRIBUTION_ID_CHARS_MAX, pattern=r"^[\w.-]+$")
    title: Text
    media_type: str = Field("", max_length=NAME_CHARS_MAX)
    access_url: str = Field("", max_length=ADDRESS_CHARS_MAX, pattern=WEB_ADDRESS)
    download_url: str = Field("", max_length=ADDRESS_CHARS_MAX, pattern=WEB_ADDRESS)
    bytes: int | None = Field(None, ge=0)
    open: bool = False


class AssessmentConclusion(StrEnum):
    """What the assessment before cataloguing concluded."""

    PASSED = "passed"
    PASSED_WITH_CONDITIONS = "passed_with_conditions"
    NOT_PASSED = "not_passed"

    @property
    def label(self) -> Text:
        """The conclusion's name."""
        return _CONCLUSIONS[self]


_CONCLUSIONS = {
    AssessmentConclusion.PASSED: Text(zh="通过", en="passed"),
    AssessmentConclusion.PASSED_WITH_CONDITIONS: Text(zh="附条件通过", en="passed with conditions"),
    AssessmentConclusion.NOT_PASSED: Text(zh="不通过", en="not passed"),
}


class Assessment(Value):
    """保密审查和个人信息保护影响评估 before a resource is catalogued (《政务数据共享条例》 Art. 13).

    `secrecy` and `personal_information` are the two conclusions in words.
    """

    secrecy: str = Field("", max_length=TEXT_CHARS_MAX)
    personal_information: str = Field("", max_length=TEXT_CHARS_MAX)
    conclusion: AssessmentConclusion
    assessed_by: str = Field("", max_length=NAME_CHARS_MAX)
    assessed_on: date | None = None


class SignOff(Value):
    """The signature of the department's head under a content (Art. 13); only the life cycle sets it."""

    by: str = Field(max_length=NAME_CHARS_MAX)
    position: str = Field(max_length=NAME_CHARS_MAX)
    at: datetime


class Origin(Value):
    """Where a harvested or cascaded entry comes from; such an entry is read-only here.

    The rest is set by cascades only: the hubs through which it came, its own hub first, its id and code there, the
    division, and the department that answers for it there.
    """

    source_id: str = Field(max_length=64)
    remote_id: str = Field(max_length=NAME_CHARS_MAX)
    address: str = Field("", max_length=ADDRESS_CHARS_MAX, pattern=WEB_ADDRESS)
    modified_at: datetime | None = None
    path: tuple[str, ...] = Field((), max_length=HUBS_MAX)
    root_id: str = Field("", max_length=NAME_CHARS_MAX)
    code: str = Field("", max_length=NAME_CHARS_MAX)
    region: str = Field("", max_length=12)
    publisher: str = Field("", max_length=NAME_CHARS_MAX)
    publisher_name: str = Field("", max_length=NAME_CHARS_MAX)


class ResourceContent(Value):
    """Everything a department declares about a resource; a draft may still lack some of it.

    `sign_off` and `origin` are what happened to it, not declared: an edit never sets them.
    """

    title: Text
    summary: Text = Text(zh="", en="")
    classification: str = Field("", max_length=64)
    format: ResourceFormat = ResourceFormat.DATABASE
    items: tuple[Item, ...] = Field((), max_length=ITEMS_PER_RESOURCE_MAX)
    share_type: ShareType = ShareType.CONDITIONAL
    share_condition: str = Field("", max_length=TEXT_CHARS_MAX)
    share_modes: tuple[ShareMode, ...] = ()
    legal_basis: str = Field("", max_length=TEXT_CHARS_MAX)
    open: bool = False
    open_condition: str = Field("", max_length=TEXT_CHARS_MAX)
    update_cycle: UpdateCycle = UpdateCycle.IRREGULAR
    binding: Binding | None = None
    theme: str = Field("", max_length=64)
    keywords: tuple[str, ...] = Field((), max_length=KEYWORDS_MAX)
    related_codes: tuple[str, ...] = Field((), max_length=KEYWORDS_MAX)
    use_condition: str = Field("", max_length=TEXT_CHARS_MAX)
    data_category: str = Field("", max_length=64)
    source_system: str = Field("", max_length=NAME_CHARS_MAX)
    contact: Contact | None = None
    licence: str = Field("", max_length=64)
    spatial: str = Field("", max_length=12)
    temporal_start: date | None = None
    temporal_end: date | None = None
    distributions: tuple[Distribution, ...] = Field((), max_length=DISTRIBUTIONS_MAX)
    assessment: Assessment | None = None
    sign_off: SignOff | None = None
    origin: Origin | None = None

    def item(self, column: str) -> Item | None:
        """The item of the source column `column`, if the resource has it."""
        return next((item for item in self.items if item.column == column), None)

    @property
    def grade(self) -> Grade:
        """The grade of the resource: that of its most sensitive item."""
        return max((item.grade for item in self.items), key=lambda grade: grade.rank, default=Grade.L1)


class Resource(Value):
    """A resource as one version of it stands.

    `Catalogue.get` returns the working version; `published_version` names the one that everybody sees, which stays
    visible while a later version is being revised. `code` is 信息资源代码, given once, on first approval.
    """

    id: ResourceId
    code: str | None
    department: DepartmentCode
    state: ResourceState
    version: int
    published_version: int | None
    content: ResourceContent
    created_at: datetime
    updated_at: datetime
    published_at: datetime | None = None
    due_at: datetime | None = None


class ResourceVersion(Value):
    """One version of a resource: its content, and when it was the published one."""

    version: int
    state: ResourceState
    content: ResourceContent
    created_at: datetime
    updated_at: datetime
    published_at: datetime | None
    superseded_at: datetime | None


class FieldComment(Value):
    """What a reviewer says about one field; `field` is a JSON pointer into the content.

    `column` is that of the item that the pointer names, set when the comment is recorded: places change while the
    officer edits, columns seldom do.
    """

    field: str = Field(pattern=r"^(/[^/]+){1,6}$", max_length=NAME_CHARS_MAX)
    text: str = Field(min_length=1, max_length=TEXT_CHARS_MAX)
    column: str = Field("", max_length=NAME_CHARS_MAX)


class ResourceStep(Value):
    """One act in a resource's life, with its evidence in the ledger."""

    version: int
    action: str
    from_state: ResourceState | None
    to_state: ResourceState
    actor_id: str
    actor_name: str
    actor_department: DepartmentCode | None
    reason: str
    comments: tuple[FieldComment, ...] = ()
    at: datetime
    due_at: datetime | None
    entry_id: str


class ResourceDraft(Value):
    """A proposal made by profiling a table: the content, and what a data officer should look at."""

    content: ResourceContent
    attention: tuple[Text, ...] = ()


class CatalogueCounts(Value):
    """How many resources stand in each state, and what is visible."""

    by_state: dict[ResourceState, int]
    visible: int
    open: int
    items: int
    by_department: dict[DepartmentCode, int]
