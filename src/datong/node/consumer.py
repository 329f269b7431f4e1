"""The receiving side: fetch, verify, apply rows and cursor in one transaction, sign a receipt."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from datong.exchange import (
    AppliedCursor,
    ApplyMode,
    Column,
    ConsumeWork,
    ContentDigest,
    ContentKey,
    KnownDigest,
    Manifest,
    Receipt,
    ReplayWork,
    Target,
    Task,
    TransferMode,
    combined,
    digest_file,
    digest_payload,
    moved_columns,
    read_payload,
    signed_receipt,
)
from datong.kernel import Clock, Conflict, Corrupt, Text
from datong.ledger import Signer
from datong.node.ahead import ahead
from datong.node.alone import alone
from datong.node.hub_client import HubClient
from datong.node.keyring import Keyring
from datong.node.repairing import with_deletes
from datong.node.sealed_reconciling import opened_order
from datong.node.steps import Passed, Step, unobserved

FETCHED_AHEAD = 1
APPLYING = "applying"
FETCHED_KEPT_SECONDS = 3 * 86_400
"""How long a payload lies in the node's folder at most: a task that ended leaves what it had fetched ahead."""
NEXT_BATCH_SECONDS = 5.0
"""How long a consumer waits for the next batch of a run that goes on, before it attends to other things."""


class Replayed(NamedTuple):
    """What a target holds after a replay: its newest batch, and the digest of its table."""

    to_sequence: int
    table_digest: ContentDigest | None


class Consumer:
    """Applies the batches of tasks to the department's own database."""

    def __init__(
        self,
        *,
        client: HubClient,
        folder: Path,
        signer: Signer,
        clock: Clock,
        open_target: Callable[[str], Target],
        keyring: Keyring | None = None,
        passed: Passed = unobserved,
    ) -> None:
        self._client = client
        self._folder = folder
        # Locks and marks stay; fetched payloads do not.
        self._applying = folder.with_name(APPLYING)
        self._signer = signer
        self._clock = clock
        self._open_target = open_target
        self._keyring = keyring
        self._passed = passed

    def consume(self, work: ConsumeWork) -> None:
        """Apply every batch that has no receipt yet, in order; a batch is applied only after the one before is
        acknowledged, so that a lost receipt can always be written again from the target's cursor. The batch after it is
        fetched and checked meanwhile.

        Raises:
            Unavailable: hub or target do not answer; calling again goes on where this stopped.
            Corrupt: a payload is not what its manifest says. Conflict: the target does not fit the chain.
        """
        with alone(self._applying, work.task.id) as mine:
            if mine:
                self._consume(work, work.receipted)

    def _consume(self, work: ConsumeWork, after: int) -> None:
        target = self._open_target(work.task.target_source)
        try:
            behind: int | None = after
            while behind is not None:
                behind = self._apply_behind(work, target, behind)
        finally:
            target.close()

    def _apply_behind(self, work: ConsumeWork, target: Target, after: int) -> int | None:
        """Apply the batches behind `after`. When the target holds less than that, return what it holds, and do nothing.

        It does when it was restored from a backup, or set back by a replay that was killed.
        """
        prepared: tuple[Column, ...] = ()
        with ahead(self._fetched(work, after), FETCHED_AHEAD) as batches:
            for manifest in batches:
                if manifest.columns != prepared:
                    target.prepare(work.task.target_plan, manifest.columns)
                    prepared = manifest.columns
                if manifest.sequence == after + 1:
                    applied = target.last_applied(work.task.id)
                    held = work.first - 1 if applied is None else max(applied.sequence, work.first - 1)
                    if held < after:
                        return held
                self._consume_one(work, manifest, target)
        return None

    def replay(self, work: ReplayWork) -> Replayed | None:
        """Apply once more what the hub still stores of a task, from a batch on; None while another process is at it.

        The target's cursor goes back first, and a mark says so. A replay that was killed after that goes on from the
        cursor: what it applied is not undone again.

        Raises:
            NotFound: `exchange.payload_disposed`. What `consume` raises.
        """
        with alone(self._applying, work.task.id) as mine:
            return self._replay(work) if mine else None

    def _replay(self, work: ReplayWork) -> Replayed:
        task, first = work.task, work.replay.from_sequence
        mark = self._applying / f"{work.replay.id}.rewound"
        found = {one.manifest.sequence: one.manifest for one in self._client.batches(task.id, max(first - 2, 0))}
        target = self._open_target(task.target_source)
        try:
            applied = target.last_applied(task.id)
            after = 0 if applied is None else applied.sequence
            if after >= first and not mark.exists():
                # What can no longer be fetched must not be undone.
                self._fetch(found[first])
                target.rewind(found.get(first - 1), task.id, task.compared_table)
                self._passed(Step.CURSOR_REWOUND)
                after = first - 1
            mark.touch()
        finally:
            target.close()
        consumed = ConsumeWork(task=task, receipted=work.receipted, newest=work.receipted, first=work.first)
        self._consume(consumed, min(after, work.receipted))
        mark.unlink()
        return self._seen(task)

    def _seen(self, task: Task) -> Replayed:
        """Return what the target holds now; of a sealed task without a digest of its table."""
        target = self._open_target(task.target_source)
        try:
            applied = target.last_applied(task.id)
            newest = 0 if applied is None else applied.sequence
            records = self._client.batches(task.id, max(newest - 1, 0))
            if task.sealed or not records:
                return Replayed(newest, None)
            columns = moved_columns(task.target_plan, records[0].manifest.columns)
            digest = target.digest(task.compared_table, columns)
            known = KnownDigest(digest=digest, changed=0, looked_at=self._clock.now())
            target.remember_digest(task.compared_table, columns, known)
            return Replayed(newest, known.digest)
        finally:
            target.close()

    def sweep(self) -> tuple[str, ...]:
        """Delete fetched payloads that nothing has asked for in days; return what was deleted, with its size.

        A payload that is still to be applied is fetched again.
        """
        told = []
        for path in sorted(self._folder.glob("*.arrow")):
            with suppress(FileNotFoundError):
                facts = path.stat()
                if time.time() - facts.st_mtime > FETCHED_KEPT_SECONDS:
                    path.unlink()
                    told.append(f"{path.name} ({facts.st_size} B)")
        return tuple(told)

    def _fetched(self, work: ConsumeWork, after: int) -> Iterator[Manifest]:
        """Yield the manifests of the batches behind `after`, each once its payload is here and sound.

        While a run goes on, the hub is asked to answer as soon as its next batch is there.
        """
        wait_seconds = 0.0
        while records := self._client.batches(work.task.id, after, wait_seconds=wait_seconds):
            for record in records:
                self._fetch(record.manifest)
                yield record.manifest
            after = records[-1].manifest.sequence
            wait_seconds = 0.0 if records[-1].manifest.last else NEXT_BATCH_SECONDS

    def _fetch(self, manifest: Manifest) -> None:
        path = self._path(manifest)
        self._client.download(manifest.batch_id, path, manifest.payload_bytes)
        try:
            check_fetched(manifest, path, self._key(manifest))
        except Corrupt:
            path.unlink(missing_ok=True)
            raise
        self._passed(Step.PAYLOAD_FETCHED)

    def _path(self, manifest: Manifest) -> Path:
        return self._folder / f"{manifest.batch_id}.arrow"

    def _key(self, manifest: Manifest) -> ContentKey | None:
        return None if self._keyring is None else self._keyring.content_key(manifest)

    def _consume_one(self, work: ConsumeWork, manifest: Manifest, target: Target) -> None:
        task = work.task
        applied = target.last_applied(task.id)
        if applied is None or applied.sequence < manifest.sequence:
            check_follows(manifest, applied, work.first)
            applied = self._apply(work, manifest, target)
        elif applied.sequence > manifest.sequence or applied.manifest_digest != manifest.digest:
            raise _fork(manifest)
        self._path(manifest).unlink(missing_ok=True)
        if manifest.sequence <= work.receipted:
            # The hub has its receipt, which stands for what was applied then.
            return
        # The digest of a table of few rows can be found by trying, and the hub shall learn nothing of a sealed task.
        told = manifest.last and manifest.sealing is None
        digest = self._table_digest(task, manifest, target) if told else None
        receipt = Receipt(
            batch_id=manifest.batch_id,
            task_id=task.id,
            sequence=manifest.sequence,
            manifest_digest=manifest.digest,
            consumer=task.consumer,
            rows_applied=applied.rows_applied,
            rows_rejected=applied.rows_rejected,
            table_digest=digest,
            applied_at=applied.applied_at,
        )
        self._client.send_receipt(signed_receipt(receipt, self._signer))
        self._passed(Step.RECEIPT_SENT)

    def _table_digest(self, task: Task, manifest: Manifest, target: Target) -> ContentDigest:
        """Return the digest of the table after a run: of a snapshot what its batches add up to, if no row was refused.

        Whatever else the table holds is read back (docs/adr/0060); after that batches keep the digest up to date, and
        the table is read once more when that costs no more than they did (docs/adr/0113).
        """
        plan = task.target_plan
        replaced = manifest.mode is TransferMode.SNAPSHOT and plan.mode is ApplyMode.REPLACE
        if not replaced or target.rejected(task.id):
            return self._followed(task.compared_table, moved_columns(plan, manifest.columns), target)
        after, run = manifest.sequence - manifest.part, list[Manifest]()
        while len(run) < manifest.part:
            found = [record.manifest for record in self._client.batches(task.id, after + len(run))]
            run += found[: manifest.part - len(run)]
            if not found:
                raise _fork(manifest)
        linked = all(following.previous_digest == one.digest for one, following in pairwise(run))
        if not linked or run[-1].digest != manifest.digest:
            raise _fork(manifest)
        return combined(ContentDigest(rows=one.rows, sum=one.content_digest) for one in run)

    def _followed(self, table: str, columns: tuple[Column, ...], target: Target) -> ContentDigest:
        now = self._clock.now()
        known = target.known_digest(table, columns)
        if known is None or known.due(now):
            known = KnownDigest(digest=target.digest(table, columns), changed=0, looked_at=now)
            target.remember_digest(table, columns, known)
        return known.digest

    def _apply(self, work: ConsumeWork, manifest: Manifest, target: Target) -> AppliedCursor:
        plan = work.task.target_plan.model_copy(update={"first_sequence": work.first})
        now = self._clock.now()
        with read_payload(self._path(manifest), manifest.columns, self._key(manifest)) as reader:
            rows, order = reader, work.repair
            if order is not None and order.reconciliation_id == manifest.repair:
                opened = opened_order(self._client, self._keyring, work.task, order)
                rows = with_deletes(reader, manifest, work.task, opened, target)
                # An upsert passes over deletes; a repair's are meant. Further consumers get its rows only.
                plan = plan.model_copy(update={"deletes": True})
            result = target.apply(manifest, rows, plan=plan, applied_at=now)
        self._passed(Step.BATCH_APPLIED)
        return AppliedCursor(
            sequence=manifest.sequence,
            batch_id=manifest.batch_id,
            manifest_digest=manifest.digest,
            rows_applied=result.rows,
            rows_rejected=result.rejected,
            applied_at=now,
        )


def check_follows(manifest: Manifest, applied: AppliedCursor | None, first: int = 1) -> None:
    """Check that a batch is the next link after what the target holds, or the one with which its copy begins anew.

    Raises:
        Conflict: `node.chain_broken`.
    """
    begins = manifest.sequence == first and (applied is None or applied.sequence < first - 1)
    follows = begins or (
        applied is not None
        and (manifest.sequence, manifest.previous_digest) == (applied.sequence + 1, applied.manifest_digest)
    )
    if not follows:
        raise _fork(manifest)


def check_fetched(manifest: Manifest, path: Path, key: ContentKey | None = None) -> None:
    """Check a fetched payload, opened with `key` if it is sealed, against its signed manifest.

    Raises:
        Corrupt: `node.payload_digest`; what a `SealedReader` raises.
    """
    sound = digest_file(path) == (manifest.payload_digest, manifest.payload_bytes)
    if sound and key is not None:
        # Nobody else could check what a sealed batch holds. Of an open one the rows are a function of these bytes, and
        # so is their content digest: there is nothing more to learn from it.
        content = digest_payload(path, manifest.columns, key)
        sound = (content.rows, key.commitment(content)) == (manifest.rows, manifest.content_digest)
    if not sound:
        raise Corrupt(
            "node.payload_digest",
            what=Text(
                zh="取得的批次数据与提供方签名的清单不符。",
                en="The fetched payload is not what the provider's signed manifest says.",
            ),
            remedy=Text(
                zh="节点会重新下载；若仍不符请核查证据。", en="It is fetched again; else look at the evidence."
            ),
        )


def _fork(manifest: Manifest) -> Conflict:
    return Conflict(
        "node.chain_broken",
        what=Text(
            zh=f"第 {manifest.sequence} 批与目标库已应用的批次不衔接。",
            en=f"Batch {manifest.sequence} does not follow what the target holds.",
        ),
        remedy=Text(zh="请对账并核查证据。", en="Reconcile, and look at the evidence."),
    )
