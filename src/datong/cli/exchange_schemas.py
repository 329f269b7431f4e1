"""`datong exchange schema` and `accept-schema`: what changed in a task's source table, and how the task goes on."""

from collections.abc import Sequence
from typing import Annotated

import typer
from pydantic import TypeAdapter

from datong.cli.exchange import TaskArgument, task_id
from datong.cli.hub_call import HubOption, JsonOption, TokenOption, call_hub
from datong.cli.shell import say, say_json
from datong.exchange import SchemaRecord, Task, decision_of
from datong.kernel import CHINA, Invalid, Text

RECORDS = TypeAdapter(tuple[SchemaRecord, ...])


def schema(task: TaskArgument, hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """列出数据源结构的变化，新的在前 · List the changes of a task's source table, newest first."""
    found = call_hub(hub, token, "GET", f"/tasks/{task_id(hub, token, task)}/schema")
    if as_json:
        say_json(found)
        return
    for record in RECORDS.validate_python(found):
        for line in record_lines(record):
            say(line)


def accept_schema(
    task: TaskArgument,
    hub: HubOption,
    token: TokenOption,
    rename: Annotated[
        list[str] | None, typer.Option(help="改了名的列，旧名=新名 · a renamed column, old=new (repeat it)")
    ] = None,
    leave_out: Annotated[
        list[str] | None, typer.Option(help="不再交换的列 · a column that is moved no more (repeat it)")
    ] = None,
    resource_version: Annotated[
        int | None, typer.Option(help="改用的目录版本 · version of the resource from now on")
    ] = None,
    agreement: Annotated[str | None, typer.Option(help="改用的协议 · agreement from now on")] = None,
    as_json: JsonOption = False,
) -> None:
    """接受使任务停止的结构变化，任务继续 · Accept the change that stopped a task; it goes on."""
    number = task_id(hub, token, task)
    renamed = renames(rename or (), leave_out or ())
    present = Task.model_validate(call_hub(hub, token, "GET", f"/tasks/{number}"))
    decision = decision_of(present, renamed).model_copy(
        update={"resource_version": resource_version, "agreement_id": agreement}
    )
    body = decision.model_dump(mode="json", exclude_none=True)
    found = call_hub(hub, token, "POST", f"/tasks/{number}/schema/accept", body)
    accepted = Task.model_validate(found)
    if as_json:
        say_json(found)
        return
    name = accepted.name or accepted.id
    columns = "、".join(pair.column for pair in accepted.columns)
    say(
        Text(
            zh=f"{name}：{accepted.state.label.zh}，交换列 {columns}",
            en=f"{name}: {accepted.state.label.en}, moves {columns.replace('、', ', ')}",
        )
    )


def renames(renamed: Sequence[str], left_out: Sequence[str]) -> dict[str, str]:
    """Return what each named column is called now; empty for those that are left out.

    Raises:
        Invalid: `cli.schema_rename`: not `old=new`, or a column is named twice.
    """
    pairs = [tuple(text.split("=", 1)) for text in renamed] + [(name, "") for name in left_out]
    well = all(len(pair) == 2 and all(pair) for pair in pairs[: len(renamed)])
    if not well or len({pair[0] for pair in pairs}) != len(pairs):
        raise Invalid(
            "cli.schema_rename",
            what=Text(
                zh="改名要写成“旧名=新名”，每列只能说一次。",
                en="A renaming is written old=new, and each column is named once.",
            ),
            remedy=Text(
                zh="例：--rename 姓名=全名 --leave-out 备注", en="Such as: --rename name=full_name --leave-out note"
            ),
        )
    return {pair[0]: pair[1] for pair in pairs}


def record_lines(record: SchemaRecord) -> Sequence[Text]:
    """Return a record as lines: when it was found and what became of it, then each difference."""
    at = record.reported_at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")
    head = Text(zh=f"{at}  {record.state.label.zh}", en=f"{at}  {record.state.label.en}")
    return [
        head,
        *(
            Text(
                zh=f"    {'!' if one.breaking else ' '} {one.kind.label.zh} {one.column}  {one.before} → {one.after}",
                en=f"    {'!' if one.breaking else ' '} {one.kind.label.en} {one.column}  {one.before} → {one.after}",
            )
            for one in record.findings
        ),
    ]
