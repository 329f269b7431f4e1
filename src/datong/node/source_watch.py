"""Looks at a task's source table before each run and lets the hub judge whether its rows may move."""

from collections.abc import Callable

from datong.exchange import (
    Connector,
    SchemaFinding,
    SchemaReport,
    SourceShape,
    TableKind,
    TableSchema,
    Task,
    signed_schema_report,
)
from datong.kernel import Clock, Conflict, TaskId, Text, canonical_json, sha256_hex
from datong.ledger import Signer
from datong.node.hub_client import HubClient
from datong.node.steps import Passed, Step, unobserved

COMMENT_DIGEST_CHARS = 16


class SourceWatch:
    """Reports the source tables of tasks, each time they are not as at the last report."""

    def __init__(
        self,
        *,
        client: HubClient,
        signer: Signer,
        clock: Clock,
        open_source: Callable[[str], Connector],
        passed: Passed = unobserved,
    ) -> None:
        self._client = client
        self._signer = signer
        self._clock = clock
        self._open_source = open_source
        self._passed = passed
        self._seen: dict[TaskId, str] = {}
        """What was last reported of a task's source and found good."""
        self._rows: dict[TaskId, int] = {}
        """How many rows a task's table has, as its engine estimates."""

    def stands(self, task: Task) -> bool:
        """Return whether a run may go on; False when the hub ended it, so that it begins anew under the new types.

        Raises:
            Conflict: `node.schema_blocked`: the table changed incompatibly.
        """
        source = self._open_source(task.source)
        try:
            found = source.schema(task.table)
        finally:
            source.close()
        if found is not None and found.problems and not found.columns:
            # It cannot be read now, which says nothing about its structure; reading it will say why.
            return True
        self._rows[task.id] = (found.rows if found is not None else None) or 0
        shape = None if found is None else shape_of(found)
        # An accepted change of the task is reported anew, too.
        moved = [pair.column for pair in task.columns]
        seen = sha256_hex(canonical_json([None if shape is None else shape.fingerprint, moved]))
        if self._seen.get(task.id) == seen:
            return True
        report = SchemaReport(task_id=task.id, department=task.provider, shape=shape, at=self._clock.now())
        verdict = self._client.report_schema(signed_schema_report(report, self._signer))
        self._passed(Step.SCHEMA_REPORTED)
        breaking = [finding for finding in verdict.findings if finding.breaking]
        if breaking:
            raise _blocked(task, breaking)
        if verdict.goes_on:
            self._seen[task.id] = seen
        return verdict.goes_on

    def announce(self, task: Task, run: int) -> None:
        """Tell the hub how many rows a whole copy will bring, if the source's engine has an estimate.

        Without it nobody can say how long the run will still take. Asks the engine nothing: `stands` has looked.
        """
        rows = self._rows.get(task.id, 0)
        if rows:
            self._client.begin_run(task.id, run, rows)


def shape_of(schema: TableSchema) -> SourceShape:
    """Return what the hub learns of a table: of its comments only whether they change.

    Keys of files, and whether their values are ever NULL, are guessed from what the files hold: those are no agreement.
    """
    guessed = schema.kind is TableKind.FILE
    columns = tuple(
        column.model_copy(
            update={
                "comment": sha256_hex(column.comment.encode())[:COMMENT_DIGEST_CHARS] if column.comment else "",
                "nullable": guessed or column.nullable,
            }
        )
        for column in schema.columns
    )
    return SourceShape(columns=columns, key_columns=() if guessed else schema.key_columns)


def _blocked(task: Task, findings: list[SchemaFinding]) -> Conflict:
    zh = "；".join(f"{finding.kind.label.zh} {finding.column}".strip() for finding in findings)
    en = "; ".join(f"{finding.kind.label.en} {finding.column}".strip() for finding in findings)
    return Conflict(
        "node.schema_blocked",
        what=Text(
            zh=f"数据源的表 {task.table} 发生不兼容的变化，任务已停止，未移动任何行：{zh}。",
            en=f"The source's table {task.table} changed incompatibly; the task stopped before a row moved: {en}.",
        ),
        remedy=Text(
            zh="请在任务页接受新的结构（可改列名或去掉列），或恢复数据源的表。",
            en="Accept the new structure on the task's page (renaming or leaving out columns), or restore the table.",
        ),
        context={"task": task.id, "findings": [f"{one.kind.value}: {one.column}" for one in findings]},
    )
