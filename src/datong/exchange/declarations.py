"""What a person declares about a task, in names instead of ids, and what it means under an agreement. No I/O."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from pydantic import ConfigDict, Field

from datong.exchange.apply_modes import AddedColumn, ApplyMode
from datong.exchange.scheduling import PRIORITY_DEFAULT, PRIORITY_MAX, Retry, Schedule, Window
from datong.exchange.values import ColumnMap, Task, TaskDraft, TransferMode
from datong.kernel import AgreementId, DepartmentCode, Invalid, JsonValue, NodeId, ResourceId, TaskId, Text, Value
from datong.kernel.limits import BATCH_ROWS_DEFAULT, ITEMS_PER_RESOURCE_MAX, NAME_CHARS_MAX

TASKS_PER_FILE_MAX = 500
CHANGEABLE = ("schedule", "window", "priority", "retry", "rate_limit_rows_per_second", "batch_rows")
"""What may be changed while the chain of batches goes on; anything else makes another task of it."""


class Place(Value):
    """Where rows come from or go to: a node (name or id), one of its sources, a table. Empty: what stands to reason."""

    node: str = Field("", max_length=NAME_CHARS_MAX)
    source: str = Field("", max_length=NAME_CHARS_MAX)
    table: str = Field("", max_length=NAME_CHARS_MAX)


class TaskDeclaration(Value):
    """One task of a file (docs/exchange/tasks.md).

    What is left out follows from the agreement and the resource's binding; an empty `cursor` says that there is none;
    no `to` means the hub's library.
    """

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(min_length=1, max_length=NAME_CHARS_MAX, pattern=r"^\S(.*\S)?$")
    agreement: AgreementId = Field(min_length=1, max_length=64)
    origin: Place = Field(Place(), alias="from")
    to: Place | None = None
    columns: tuple[str, ...] = Field((), max_length=ITEMS_PER_RESOURCE_MAX)
    keys: tuple[str, ...] | None = None
    cursor: str | None = None
    mode: TransferMode = TransferMode.SNAPSHOT
    apply: ApplyMode | None = None
    target_names: dict[str, str] = Field({}, max_length=ITEMS_PER_RESOURCE_MAX)
    added_columns: tuple[AddedColumn, ...] = Field((), max_length=ITEMS_PER_RESOURCE_MAX)
    schedule: Schedule | None = None
    window: Window | None = None
    priority: int = Field(PRIORITY_DEFAULT, ge=0, le=PRIORITY_MAX)
    retry: Retry = Retry()
    rate_limit_rows_per_second: int | None = Field(None, ge=1)
    batch_rows: int = Field(BATCH_ROWS_DEFAULT, ge=1, le=1_000_000)
    sealed: bool = False


class TaskFile(Value):
    """A file of tasks."""

    tasks: tuple[TaskDeclaration, ...] = Field(max_length=TASKS_PER_FILE_MAX)


class NodeChoice(Value):
    """A node that may be an end of a task."""

    id: NodeId
    name: str
    department: DepartmentCode


class TaskOffer(Value):
    """What an agreement in force offers for tasks: columns, the binding of the resource, the nodes of both sides."""

    agreement_id: AgreementId
    title: Text
    resource_id: ResourceId
    resource_version: int
    provider: DepartmentCode
    consumer: DepartmentCode
    columns: tuple[ColumnMap, ...]
    key_columns: tuple[str, ...]
    cursor_column: str | None
    producer_node: NodeId | None
    source: str
    table: str
    nodes: tuple[NodeChoice, ...]


class TaskOffers(Protocol):
    """Who knows agreements, resources and nodes; the composition root implements it."""

    def offer(self, agreement_id: AgreementId) -> TaskOffer:
        """Return what an agreement offers.

        Raises:
            NotFound: there is no such agreement.
        """
        ...


class PlanAct(StrEnum):
    """What applying a declaration would do."""

    CREATE = "create"
    CHANGE = "change"
    REPLACE = "replace"
    SAME = "same"

    @property
    def label(self) -> Text:
        """The act's name."""
        return _ACTS[self]


_ACTS = {
    PlanAct.CREATE: Text(zh="新建", en="create"),
    PlanAct.CHANGE: Text(zh="修改", en="change"),
    PlanAct.REPLACE: Text(zh="结束并重建", en="end and create anew"),
    PlanAct.SAME: Text(zh="不变", en="same"),
}


class FieldChange(Value):
    """One field that would change."""

    field: str
    before: object
    after: object


class PlanStep(Value):
    """What applying one declaration would do."""

    name: str
    act: PlanAct
    task_id: TaskId | None = None
    changes: tuple[FieldChange, ...] = ()


def draft_of(declared: TaskDeclaration, offer: TaskOffer) -> TaskDraft:
    """Return the task that a declaration means under what its agreement offers.

    Raises:
        Invalid: `exchange.declared_column`, `exchange.declared_node`, `exchange.declared_binding`; `field` points at
            what is wrong.
    """
    offered = {pair.column: pair for pair in offer.columns}
    names = declared.columns or tuple(offered)
    for place, name in enumerate(names):
        _check_offered(name, offer, f"/columns/{place}")
    for name in declared.target_names:
        _check_offered(name, offer, f"/target_names/{name}")
    producer = _node(declared.origin.node, offer, offer.provider, "/from/node") or offer.producer_node
    source, table = declared.origin.source or offer.source, declared.origin.table or offer.table
    if producer is None or not source or not table:
        raise Invalid(
            "exchange.declared_binding",
            what=Text(
                zh="资源没有挂接数据源，必须写明 from 的 node、source、table。",
                en="The resource is bound to no source: from must name node, source and table.",
            ),
            remedy=Text(zh="请补充 from，或在目录中挂接数据源。", en="Complete from, or bind the resource."),
            field="/from",
        )
    to = declared.to
    keys = offer.key_columns if declared.keys is None else declared.keys
    return TaskDraft(
        agreement_id=offer.agreement_id,
        resource_id=offer.resource_id,
        resource_version=offer.resource_version,
        provider=offer.provider,
        consumer=offer.consumer,
        producer_node=producer,
        consumer_node=None if to is None else _consumer(to, offer),
        source=source,
        table=table,
        columns=tuple(
            offered[name].model_copy(update={"target": declared.target_names.get(name, "")}) for name in names
        ),
        key_columns=tuple(key for key in keys if declared.keys is not None or key in names),
        cursor_column=_cursor(declared, offer, names),
        target_table="" if to is None else to.table,
        target_source="" if to is None else to.source,
        mode=declared.mode,
        apply=declared.apply,
        added_columns=declared.added_columns,
        rate_limit_rows_per_second=declared.rate_limit_rows_per_second,
        batch_rows=declared.batch_rows,
        sealed=declared.sealed,
        name=declared.name,
        schedule=declared.schedule,
        window=declared.window,
        priority=declared.priority,
        retry=declared.retry,
    )


def _check_offered(name: str, offer: TaskOffer, field: str) -> None:
    offered = [pair.column for pair in offer.columns]
    if name not in offered:
        raise Invalid(
            "exchange.declared_column",
            what=Text(
                zh=f"协议 {offer.agreement_id} 没有约定列“{name}”。",
                en=f"The agreement {offer.agreement_id} does not cover the column “{name}”.",
            ),
            remedy=Text(zh=f"可用：{'、'.join(offered)}。", en=f"There are: {', '.join(offered)}."),
            field=field,
        )


def _cursor(declared: TaskDeclaration, offer: TaskOffer, names: Sequence[str]) -> str | None:
    if declared.cursor is not None:
        return declared.cursor or None
    return offer.cursor_column if offer.cursor_column in names else None


def _consumer(to: Place, offer: TaskOffer) -> NodeId:
    """Return the consuming node: the one named, or the only one of the consumer."""
    named = _node(to.node, offer, offer.consumer, "/to/node")
    own = [node for node in offer.nodes if node.department == offer.consumer]
    if named is None and len(own) != 1:
        raise Invalid(
            "exchange.declared_node",
            what=Text(
                zh=f"需求部门有 {len(own)} 个节点，必须写明用哪一个。",
                en=f"The consumer has {len(own)} nodes: say which.",
            ),
            remedy=_known(own),
            field="/to/node",
        )
    return named or own[0].id


def _node(wanted: str, offer: TaskOffer, department: DepartmentCode, field: str) -> NodeId | None:
    if not wanted:
        return None
    own = [node for node in offer.nodes if node.department == department]
    found = [node for node in own if wanted in (node.id, node.name)]
    if len(found) != 1:
        many = len(found) > 1
        raise Invalid(
            "exchange.declared_node",
            what=Text(
                zh=f"部门有多个名为“{wanted}”的节点。" if many else f"部门没有名为“{wanted}”的节点。",
                en=f"The department has {'several nodes' if many else 'no node'} called “{wanted}”.",
            ),
            remedy=_known(own),
            field=field,
        )
    return found[0].id


def _known(nodes: Sequence[NodeChoice]) -> Text:
    names = [f"{node.name} ({node.id})" for node in nodes]
    return Text(zh=f"可用：{'、'.join(names) or '无'}。", en=f"There are: {', '.join(names) or 'none'}.")


def step_of(draft: TaskDraft, task: Task | None) -> PlanStep:
    """Return what applying `draft` would do to `task`, the living task of that name."""
    if task is None:
        return PlanStep(name=draft.name, act=PlanAct.CREATE)
    before = task.model_dump(mode="json", include=set(TaskDraft.model_fields) - {"name"})
    after = draft.model_dump(mode="json", exclude={"name"})
    changes = tuple(
        FieldChange(field=name, before=before[name], after=after[name]) for name in after if before[name] != after[name]
    )
    act = PlanAct.CHANGE if all(change.field in CHANGEABLE for change in changes) else PlanAct.REPLACE
    return PlanStep(name=draft.name, act=act if changes else PlanAct.SAME, task_id=task.id, changes=changes)


def declaration_of(task: Task, nodes: Sequence[NodeChoice]) -> dict[str, JsonValue]:
    """Return a task as a file declares it, complete: nothing in it depends on the agreement's defaults."""
    names = {node.id: node.name for node in nodes if [other.name for other in nodes].count(node.name) == 1}
    written: dict[str, JsonValue] = {
        "name": task.name or task.id,
        "agreement": task.agreement_id,
        "from": {
            "node": names.get(task.producer_node, task.producer_node),
            "source": task.source,
            "table": task.table,
        },
    }
    if task.consumer_node is not None:
        to = {"node": names.get(task.consumer_node, task.consumer_node), "source": task.target_source}
        written["to"] = {name: value for name, value in (to | {"table": task.target_table}).items() if value}
    written |= {
        "columns": [pair.column for pair in task.columns],
        "keys": list(task.key_columns),
        "cursor": task.cursor_column or "",
        "mode": task.mode.value,
    }
    defaults = TaskDeclaration(name="x", agreement=AgreementId("x")).model_dump(mode="json")
    dumped = task.model_dump(mode="json")
    renamed: dict[str, JsonValue] = {pair.column: pair.target for pair in task.columns if pair.target}
    if renamed:
        written["target_names"] = renamed
    for name in ("apply", "added_columns", "sealed", *CHANGEABLE):
        if dumped[name] != defaults[name]:
            written[name] = dumped[name]
    return written
