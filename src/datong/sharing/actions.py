"""Everything that can be done on the platform, and the facts about its object that a decision may look at."""

from enum import StrEnum
from typing import Self

from datong.kernel import DepartmentCode, NodeId, ResourceId, Text, Value
from datong.norms import ShareMode
from datong.sharing.principals import Role
from datong.sharing.terms import Agreement, Request


class Action(StrEnum):
    """An act that the policy decides about. The names are the ids of the Cedar actions in `schema.cedarschema`."""

    ACCOUNT_READ = "account.read"
    ACCOUNT_CREATE = "account.create"
    APPLICATION_CREATE = "application.create"
    APPLICATION_READ = "application.read"
    APPLICATION_REVIEW = "application.review"
    SANDBOX_CALL = "sandbox.call"
    ENROLMENT_CREATE = "enrolment.create"
    DEPARTMENT_READ = "department.read"
    DEPARTMENT_CREATE = "department.create"
    NORM_READ = "norm.read"
    NODE_WORK = "node.work"
    RESOURCE_READ = "resource.read"
    RESOURCE_READ_UNPUBLISHED = "resource.read_unpublished"
    RESOURCE_DRAFT = "resource.draft"
    RESOURCE_EDIT = "resource.edit"
    RESOURCE_SIGN_OFF = "resource.sign_off"
    RESOURCE_REVIEW = "resource.review"
    SKETCH_SEND = "sketch.send"
    SKETCH_END_EPOCH = "sketch.end_epoch"
    SOURCE_READ = "source.read"
    SOURCE_DESIGNATE = "source.designate"
    SOURCE_OBJECT = "source.object"
    SERVICE_ITEM_READ = "service_item.read"
    SERVICE_ITEM_EDIT = "service_item.edit"
    SERVICE_CASE_HANDLE = "service_case.handle"
    HARVEST_READ = "harvest.read"
    HARVEST_MANAGE = "harvest.manage"
    HARVEST_ALLOW_PRIVATE = "harvest.allow_private"
    INVENTORY_RECORD = "inventory.record"
    VOCABULARY_EDIT = "vocabulary.edit"
    DEMAND_READ = "demand.read"
    DEMAND_HANDLE = "demand.handle"
    CASCADE_MANAGE = "cascade.manage"
    CASCADE_EXCHANGE = "cascade.exchange"
    REQUEST_READ = "request.read"
    REQUEST_SUBMIT = "request.submit"
    REQUEST_DECIDE = "request.decide"
    REQUEST_CONSENT_EXTENSION = "request.consent_extension"
    REQUEST_WITHDRAW = "request.withdraw"
    AGREEMENT_READ = "agreement.read"
    AGREEMENT_CONFIRM = "agreement.confirm"
    AGREEMENT_SIGN = "agreement.sign"
    AGREEMENT_SUSPEND = "agreement.suspend"
    AGREEMENT_TERMINATE = "agreement.terminate"
    AGREEMENT_WITHDRAW = "agreement.withdraw"
    AGREEMENT_RENEW_KEYS = "agreement.renew_keys"
    TASK_READ = "task.read"
    TASK_CREATE = "task.create"
    TASK_CONTROL = "task.control"
    TASK_REPAIR = "task.repair"
    TASK_REPLAY = "task.replay"
    TASK_PRODUCE = "task.produce"
    TASK_CONSUME = "task.consume"
    FILE_READ = "file.read"
    FILE_SEND = "file.send"
    FILE_RECEIVE = "file.receive"
    FILE_DOWNLOAD = "file.download"
    FILE_WITHDRAW = "file.withdraw"
    LIBRARY_READ = "library.read"
    LIBRARY_READ_ENTITY = "library.read_entity"
    LIBRARY_READ_BLOCK = "library.read_block"
    LIBRARY_READ_CELL = "library.read_cell"
    LIBRARY_BUILD = "library.build"
    LIBRARY_DEFINE = "library.define"
    LIBRARY_READ_OWN = "library.read_own"
    LIBRARY_REVIEW = "library.review"
    LIBRARY_RETAIN = "library.retain"
    LIBRARY_READ_FAILING = "library.read_failing"
    RELEASE_READ = "release.read"
    RELEASE_CHECK = "release.check"
    RELEASE_READ_GROUPS = "release.read_groups"
    RELEASE_MAKE = "release.make"
    STATISTIC_READ = "statistic.read"
    STATISTIC_ASK = "statistic.ask"
    STATISTIC_GRANT = "statistic.grant"
    MATCHING_READ = "matching.read"
    MATCHING_DECIDE = "matching.decide"
    CORRECTION_REPORT = "correction.report"
    CORRECTION_READ = "correction.read"
    CORRECTION_READ_VALUES = "correction.read_values"
    CORRECTION_ANSWER = "correction.answer"
    CORRECTION_SETTLE = "correction.settle"
    LEDGER_READ = "ledger.read"
    LEDGER_EXPORT = "ledger.export"
    LEDGER_COSIGN = "ledger.cosign"
    USES_READ = "uses.read"
    CONSENT_OWN = "consent.own"
    CONSENT_READ = "consent.read"
    CONSENT_RECORD = "consent.record"
    DISCLOSURE_READ = "disclosure.read"
    DISCLOSURE_HOLD = "disclosure.hold"
    OBJECTION_OWN = "objection.own"
    OBJECTION_READ = "objection.read"
    OBJECTION_ANSWER = "objection.answer"
    VIEW_OWN = "view.own"
    WISH_OWN = "wish.own"
    WISH_READ = "wish.read"
    WISH_ASSIGN = "wish.assign"
    WISH_ANSWER = "wish.answer"
    MONITOR_RUN = "monitor.run"
    COORDINATION_READ = "coordination.read"
    COORDINATION_ACT = "coordination.act"
    COORDINATION_LEAD = "coordination.lead"
    STAFF_READ = "staff.read"
    STAFF_EDIT = "staff.edit"
    RATING_READ = "rating.read"
    RATING_GIVE = "rating.give"
    RATING_ANSWER = "rating.answer"
    NOTICE_OWN = "notice.own"
    MESSAGE_READ = "message.read"
    DELEGATION_OWN = "delegation.own"
    DELEGATION_READ = "delegation.read"
    FINDING_READ = "finding.read"
    CASE_READ = "case.read"
    CASE_ACT = "case.act"
    INDICATOR_READ = "indicator.read"
    DASHBOARD_READ = "dashboard.read"
    LIVE_OFFER = "live.offer"
    ACCESS_SIMULATE = "access.simulate"
    DATA_QUERY = "data.query"
    DATA_VERIFY = "data.verify"
    DATA_TRANSFER = "data.transfer"
    DATA_SHARE = "data.share"


class Target(Value):
    """What an act is done to, as far as policies need to know. An absent fact never matches anything."""

    id: str = "platform"
    department: DepartmentCode | None = None
    """The department that answers for the object."""
    provider: DepartmentCode | None = None
    consumer: DepartmentCode | None = None
    node: NodeId | None = None
    """The node the act belongs to."""
    person: str | None = None
    """The account of the person whom it concerns, or who reported it."""
    grants: frozenset[Role] = frozenset()
    """The roles that a new account would have."""
    grade: str | None = None
    """The grade (L1 to L4) of a cell's element."""

    @classmethod
    def of_department(cls, department: DepartmentCode, *, name: str = "") -> Self:
        """Return a target for which one department answers; `name` is its own id, if it has one."""
        return cls(id=name or department, department=department)

    @classmethod
    def of_request(cls, request: Request) -> Self:
        """Return a request as a target."""
        return cls(id=request.id, department=request.provider, provider=request.provider, consumer=request.consumer)

    @classmethod
    def of_agreement(cls, agreement: Agreement) -> Self:
        """Return an agreement, or something that stands under it, as a target."""
        return cls(
            id=agreement.id, department=agreement.provider, provider=agreement.provider, consumer=agreement.consumer
        )


class DataAccess(Value):
    """A wish to use items of a resource."""

    resource_id: ResourceId
    provider: DepartmentCode
    items: frozenset[str]
    mode: ShareMode
    purpose: str
    rows_filtered: bool = False
    """Whether this way out applies the agreement's row filter; one that cannot is refused where there is a filter."""
    case_stated: bool = False
    """Whether the call says for which case it is."""
    bound: bool = True
    """Whether the caller may use this agreement: a registered application only those that it is bound to."""
    consented: bool = False
    """Whether the person concerned consents to these items; looked at where the agreement depends on consent."""


class Decision(Value):
    """What the policy decided, and every reason for it."""

    allowed: bool
    reasons: tuple[Text, ...]
    policy_ids: tuple[str, ...]
