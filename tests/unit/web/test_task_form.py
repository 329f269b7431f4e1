"""The form of a task: what it sends is what a file would declare, and whatever it sends is checked in words."""

from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import FormData, UploadFile

from datong.exchange import (
    ApplyMode,
    ColumnMap,
    Days,
    NodeChoice,
    Retry,
    Schedule,
    TaskOffer,
    TransferMode,
    Window,
    draft_of,
)
from datong.exchange.task_files import declaration
from datong.kernel import AgreementId, DepartmentCode, Invalid, NodeId, ResourceId, Text
from datong.web.console.task_form import FIELDS, declared, first_values, values_of

OFFER = TaskOffer(
    agreement_id=AgreementId("agreement-1"),
    title=Text(zh="人口", en="People"),
    resource_id=ResourceId("resource"),
    resource_version=2,
    provider=DepartmentCode("police"),
    consumer=DepartmentCode("education"),
    columns=(ColumnMap(column="id", item="编号"), ColumnMap(column="name", item="姓名")),
    key_columns=("id",),
    cursor_column=None,
    producer_node=NodeId("node-police"),
    source="main",
    table="people",
    nodes=(NodeChoice(id=NodeId("node-education"), name="教育一号", department=DepartmentCode("education")),),
)


def sent(**changes: str) -> FormData:
    """Return the form as it is at first, sent with some fields filled in otherwise."""
    fields: list[tuple[str, str | UploadFile]] = [
        (name, value)
        for name, values in first_values(OFFER).items()
        for value in (values if isinstance(values, list) else [values])
    ]
    dotted = {name.replace("__", "."): value for name, value in changes.items()}
    return FormData([(name, dotted.pop(name, value)) for name, value in fields] + list(dotted.items()))


def test_the_form_as_it_is_makes_the_plainest_task() -> None:
    draft = draft_of(declaration(declared(values_of(sent()))), OFFER)
    assert (draft.mode, draft.apply, draft.schedule, draft.window) == (TransferMode.SNAPSHOT, None, None, None)
    assert (draft.consumer_node, draft.target_table, draft.retry) == ("node-education", "people", Retry())
    assert [pair.column for pair in draft.columns] == ["id", "name"]


def test_every_choice_arrives() -> None:
    form = sent(
        mode="diff",
        apply="history",
        sealed="on",
        schedule__cron="0 2 * * 1-5",
        window__start="22:00",
        window__end="06:00",
        window__days="working",
        priority="9",
        rate_limit_rows_per_second="500",
        retry__attempts_max="3",
        to__table="kept",
    )
    draft = draft_of(declaration(declared(values_of(form))), OFFER)
    assert (draft.mode, draft.apply, draft.sealed) == (TransferMode.DIFF, ApplyMode.HISTORY, True)
    assert draft.schedule == Schedule(cron="0 2 * * 1-5")
    assert draft.window == Window(start="22:00", end="06:00", days=Days.WORKING)
    assert (draft.priority, draft.rate_limit_rows_per_second, draft.retry.attempts_max) == (9, 500, 3)
    assert draft.target_table == "kept"


def test_rows_for_the_library_have_no_target() -> None:
    draft = draft_of(declaration(declared(values_of(sent(to__node="library")))), OFFER)
    assert (draft.consumer_node, draft.target_table) == (None, "")


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), st.text(max_size=12), max_size=6))
def test_whatever_is_sent_is_a_task_or_is_refused_by_field(changes: dict[str, str]) -> None:
    form = sent(**{name.replace(".", "__"): value for name, value in changes.items()})
    try:
        draft_of(declaration(declared(values_of(form))), OFFER)
    except Invalid as error:
        refused = error
    else:
        return
    faults = refused.context.get("errors", [])
    assert refused.what.zh
    assert isinstance(faults, list)
    assert all(set(fault) == {"field", "zh", "en"} for fault in faults)
