"""The rules of a task's chain of batches: trusted state and a claim in, nothing or an error out. No I/O.

Every way in which a batch may fail has an error code of its own, so that the evidence says what happened.
"""

from collections.abc import Collection

from datong.catalogue import RecipientKey
from datong.exchange.run_span import RunSpan
from datong.exchange.table_values import DELETED_COLUMN, ContentDigest
from datong.exchange.types import schema_fingerprint
from datong.exchange.values import Confirmed, Manifest, SignedManifest, Task, TaskState, TransferMode
from datong.exchange.work_values import ProduceWork
from datong.kernel import Conflict, Corrupt, DepartmentCode, Refused, Text
from datong.kernel.limits import CONTENT_CHECK_ROWS_MAX


def check_task(task: Task, manifest: Manifest) -> None:
    """Check that the batch is one that this task may have.

    Raises:
        Refused: `exchange.task_not_active`, `exchange.wrong_agreement`, `exchange.wrong_resource`,
            `exchange.wrong_department`, `exchange.wrong_mode`, `exchange.wrong_columns`, `exchange.run_not_requested`.
    """
    if task.state is not TaskState.ACTIVE:
        raise _refused(
            "task_not_active",
            Text(zh=f"任务状态为{task.state.label.zh}，不接收批次。", en=f"The task is {task.state.value}."),
            Text(zh="请先恢复任务。", en="Resume the task first."),
        )
    claims = (
        ("wrong_agreement", manifest.agreement_id == task.agreement_id, "共享协议", "agreement"),
        (
            "wrong_resource",
            (manifest.resource_id, manifest.resource_version) == (task.resource_id, task.resource_version),
            "信息资源及其版本",
            "resource and version",
        ),
        ("wrong_department", manifest.department == task.provider, "提供部门", "providing department"),
        ("wrong_mode", _mode_fits(task, manifest), "交换方式", "mode"),
        (
            "wrong_columns",
            tuple(column.name for column in manifest.columns) == _names(task, manifest.mode),
            "列",
            "columns",
        ),
    )
    for code, holds, zh, en in claims:
        if not holds:
            raise _refused(
                code,
                Text(zh=f"批次声明的{zh}与任务不符。", en=f"The batch's {en} is not that of the task."),
                Text(zh="请提供方按任务重新生成批次。", en="The producer must cut the batch again, as the task says."),
            )
    begins_anew = task.mode.carries_deletes and manifest.mode is TransferMode.SNAPSHOT
    if manifest.run > task.run_requested + begins_anew:
        raise _refused(
            "run_not_requested",
            Text(zh=f"第 {manifest.run} 次运行未被请求。", en=f"Run {manifest.run} was never requested."),
            Text(zh="请先请求运行任务。", en="Request a run of the task first."),
        )


def check_sealing(task: Task, manifest: Manifest, recipients: Collection[str]) -> None:
    """Check that a batch is sealed if and only if its task is, and to keys of `recipients` (key ids in force) only.

    Raises:
        Refused: `exchange.not_sealed`, `exchange.sealed_unasked`, `exchange.wrong_recipient`.
    """
    sealing = manifest.sealing
    if sealing is None:
        if task.sealed:
            raise _refused(
                "not_sealed",
                Text(zh="任务要求端到端加密，而批次没有加密。", en="The task is sealed, and the batch is not."),
                Text(zh="请升级提供方的前置机。", en="Upgrade the producing node."),
            )
        return
    if not task.sealed:
        raise _refused(
            "sealed_unasked",
            Text(zh="任务没有要求加密，而批次已加密。", en="The batch is sealed, and the task is not."),
            Text(zh="请按任务重新生成批次。", en="Cut the batch again, as the task says."),
        )
    strangers = sorted(set(sealing.key_ids) - set(recipients))
    if strangers or len(set(sealing.key_ids)) != len(sealing.key_ids):
        raise _refused(
            "wrong_recipient",
            Text(
                zh="批次加密给了不是消费方有效收件密钥的密钥。",
                en="The batch is sealed to keys that are no recipient keys of its consumers in force.",
            ),
            Text(zh="请按现行收件密钥重新生成批次。", en="Cut the batch again for the keys in force."),
        )


def check_signer(task: Task, signed: SignedManifest, key_department: DepartmentCode, *, revoked: bool) -> None:
    """Check that the signing key belongs to the provider and is in use.

    Raises:
        Refused: `exchange.wrong_signer`, `exchange.key_revoked`.
    """
    if key_department != task.provider:
        raise _refused(
            "wrong_signer",
            Text(
                zh=f"签名密钥 {signed.key_id} 不属于提供部门。",
                en=f"The key {signed.key_id} does not belong to the providing department.",
            ),
            Text(zh="请用提供部门前置机的密钥签名。", en="Sign with the key of the providing department's node."),
        )
    if revoked:
        raise _refused(
            "key_revoked",
            Text(zh=f"密钥 {signed.key_id} 已撤销。", en=f"The key {signed.key_id} was revoked."),
            Text(zh="请登记新的密钥。", en="Register a new key."),
        )


def check_chain(confirmed: Confirmed, manifest: Manifest, *, may_begin_anew: bool = False) -> None:
    """Check that the batch is the next link after `confirmed`.

    With `may_begin_anew` (tasks that carry changes) a run that did not end may be given up for a snapshot.

    Raises:
        Conflict: `exchange.replay`, `exchange.gap`, `exchange.fork`, `exchange.run_order`, `exchange.cursor_order`,
            `exchange.schema_changed`.
        Corrupt: `exchange.schema_fingerprint`.
    """
    sequence = confirmed.sequence + 1
    if manifest.sequence < sequence:
        raise _conflict(
            "replay",
            Text(
                zh=f"序号 {manifest.sequence} 已有另一批次。",
                en=f"Sequence {manifest.sequence} is already taken by another batch.",
            ),
            Text(zh="请从已确认的位置继续。", en="Go on from the confirmed cursor."),
        )
    if manifest.sequence > sequence:
        raise _conflict(
            "gap",
            Text(
                zh=f"应为第 {sequence} 批，收到第 {manifest.sequence} 批，中间缺失。",
                en=f"Batch {sequence} was expected and {manifest.sequence} came: batches are missing.",
            ),
            Text(zh="请先提交缺失的批次。", en="Submit the missing batches first."),
        )
    if manifest.previous_digest != confirmed.digest:
        raise _conflict(
            "fork",
            Text(
                zh=f"第 {manifest.sequence} 批所指的前一批不是已确认的那一批。",
                en=f"Batch {manifest.sequence} names a predecessor that is not the confirmed one.",
            ),
            Text(zh="请从已确认的位置重新生成批次。", en="Cut the batch again from the confirmed cursor."),
        )
    _check_run(confirmed, manifest, may_begin_anew=may_begin_anew)
    if schema_fingerprint(manifest.columns) != manifest.schema_fingerprint:
        raise Corrupt(
            "exchange.schema_fingerprint",
            what=Text(zh="清单的列与其指纹不符。", en="The manifest's columns do not have its fingerprint."),
            remedy=Text(zh="请提供方重新生成该批次。", en="The producer must cut the batch again."),
        )
    if manifest.part > 1 and confirmed.schema_fingerprint != manifest.schema_fingerprint:
        raise _conflict(
            "schema_changed",
            Text(zh="同一次运行中列的类型发生了变化。", en="The columns' types changed within one run."),
            Text(zh="请请求新的运行。", en="Request a new run."),
        )


def check_payload(manifest: Manifest, *, payload_digest: str, payload_bytes: int) -> None:
    """Check that the bytes which were received are those that the manifest names.

    Raises:
        Corrupt: `exchange.payload_digest`.
    """
    if (payload_digest, payload_bytes) != (manifest.payload_digest, manifest.payload_bytes):
        raise Corrupt(
            "exchange.payload_digest",
            what=Text(
                zh="收到的数据与清单的摘要不符。", en="The received payload does not have the manifest's digest."
            ),
            remedy=Text(zh="请重新上传该批次。", en="Upload the batch again."),
            context={"expected": manifest.payload_digest, "received": payload_digest},
        )


def hub_checks_content(manifest: Manifest) -> bool:
    """Whether the hub computes a batch's content digest itself: of a run's first part, and of every small batch.

    The digest is a function of bytes whose SHA-256 was checked, so computing it again can only show a provider whose
    software digests wrongly: the first part shows that (docs/adr/0060).
    """
    return manifest.part == 1 or manifest.rows <= CONTENT_CHECK_ROWS_MAX


def check_content(manifest: Manifest, content: ContentDigest) -> None:
    """Check the rows' count and content digest against what the manifest states.

    Raises:
        Corrupt: `exchange.content_digest`.
    """
    if content.sum != manifest.content_digest:
        raise _other_content(manifest, content.rows)
    check_rows(manifest, content.rows)


def check_rows(manifest: Manifest, rows: int) -> None:
    """Check the count of rows against what the manifest states.

    Raises:
        Corrupt: `exchange.content_digest`.
    """
    if rows != manifest.rows:
        raise _other_content(manifest, rows)


def _other_content(manifest: Manifest, rows: int) -> Corrupt:
    return Corrupt(
        "exchange.content_digest",
        what=Text(
            zh="数据内容与清单声明的行数或内容摘要不符。",
            en="The rows do not have the count or content digest that the manifest states.",
        ),
        remedy=Text(zh="请提供方重新生成该批次。", en="The producer must cut the batch again."),
        context={"rows": rows, "rows_stated": manifest.rows},
    )


def confirmed_after(manifest: Manifest) -> Confirmed:
    """Return the end of the chain once `manifest` is committed."""
    return Confirmed(
        sequence=manifest.sequence,
        digest=manifest.digest,
        run=manifest.run,
        part=manifest.part,
        run_ended=manifest.last,
        cursor=manifest.cursor_to,
        schema_fingerprint=manifest.schema_fingerprint,
        mode=manifest.mode,
    )


def work_of(
    task: Task, confirmed: Confirmed, recipients: tuple[RecipientKey, ...] = (), span: RunSpan | None = None
) -> ProduceWork:
    """Return the run that the producer shall move now, where it begins, and for whom it is sealed.

    A run that is under way goes on. A new run of a snapshot starts from nothing; an increment goes on from where the
    last run ended, a replay or backfill where its `span` begins.
    """
    if not confirmed.run_ended:
        return ProduceWork(task=task, run=confirmed.run, confirmed=confirmed, recipients=recipients, span=span)
    goes_on = task.mode in {TransferMode.INCREMENT, TransferMode.CAPTURE}
    cursor = confirmed.cursor if goes_on else None
    start = confirmed.model_copy(update={"part": 0, "cursor": cursor if span is None else span.after})
    return ProduceWork(task=task, run=task.run_requested, confirmed=start, recipients=recipients, span=span)


def _check_run(confirmed: Confirmed, manifest: Manifest, *, may_begin_anew: bool) -> None:
    """Check run, part and cursor order."""
    anew = may_begin_anew and manifest.mode is TransferMode.SNAPSHOT and manifest.run > confirmed.run
    goes_on = not confirmed.run_ended and not anew
    expected = (confirmed.run, confirmed.part + 1) if goes_on else None
    if (expected is not None and (manifest.run, manifest.part) != expected) or (
        expected is None and (manifest.run <= confirmed.run or manifest.part != 1)
    ):
        raise _conflict(
            "run_order",
            Text(
                zh=f"批次属于第 {manifest.run} 次运行第 {manifest.part} 部分，与已确认的位置不衔接。",
                en=f"The batch is part {manifest.part} of run {manifest.run}, which does not follow.",
            ),
            Text(zh="请从已确认的位置继续。", en="Go on from the confirmed cursor."),
        )
    if goes_on and manifest.cursor_from != confirmed.cursor:
        raise _conflict(
            "cursor_order",
            Text(zh="批次的起点不是已确认批次的终点。", en="The batch does not begin where the confirmed one ended."),
            Text(zh="请从已确认的位置继续。", en="Go on from the confirmed cursor."),
        )


def _modes(task: Task) -> set[TransferMode]:
    """Return what a batch of the task may hold."""
    return {task.mode, TransferMode.SNAPSHOT} if task.mode.carries_deletes else {task.mode}


def _mode_fits(task: Task, manifest: Manifest) -> bool:
    """Whether the batch holds what the task moves; a repair holds changes, deletes among them."""
    repairs = manifest.repair is not None and manifest.mode is TransferMode.DIFF
    return repairs or (manifest.repair is None and manifest.mode in _modes(task))


def _names(task: Task, mode: TransferMode) -> tuple[str, ...]:
    """Return the columns of a batch of the task that holds `mode`."""
    data = tuple(pair.column for pair in task.columns)
    return (DELETED_COLUMN.name, *data) if mode.carries_deletes else data


def _refused(code: str, what: Text, remedy: Text) -> Refused:
    return Refused(f"exchange.{code}", what=what, remedy=remedy)


def _conflict(code: str, what: Text, remedy: Text) -> Conflict:
    return Conflict(f"exchange.{code}", what=what, remedy=remedy)
