"""What the ledger says about transfers: digests, counts and names; never a value of anybody's row."""

from datong.exchange.dead_letters import SignedRejectReport
from datong.exchange.questions import DifferenceKind, Findings
from datong.exchange.reconciliation_values import Reconciliation, ReconciliationState
from datong.exchange.replay_values import Replay
from datong.exchange.run_values import Run
from datong.exchange.schema_changes import SchemaFinding
from datong.exchange.signed import utc_text
from datong.exchange.values import SignedManifest, SignedReceipt, Task, TaskDraft
from datong.kernel import JsonValue, canonical_json, sha256_hex


def task_facts(task: Task, action: str) -> dict[str, JsonValue]:
    """Return the facts of a step of a task."""
    return {
        "action": action,
        "task": task.id,
        "agreement": task.agreement_id,
        "resource": task.resource_id,
        "resource_version": task.resource_version,
        "provider": task.provider,
        "consumer": task.consumer,
        "mode": task.mode.value,
        "state": task.state.value,
        "run_requested": task.run_requested,
        "run_done": task.run_done,
        "columns": [pair.column for pair in task.columns] if action == "create" else len(task.columns),
        **({"sealed": True} if task.sealed else {}),
        "settings_digest": settings_digest(task),
    }


def settings_digest(task: Task) -> str:
    """Return the digest of everything that was decided about a task, so that a change of any of it shows."""
    return sha256_hex(canonical_json(task.model_dump(mode="json", include=set(TaskDraft.model_fields))))


def run_facts(task: Task, run: Run, action: str) -> dict[str, JsonValue]:
    """Return the facts of a step of a run; cursors are left out, since a key may be somebody's number."""
    return {
        **task_facts(task, action),
        "run": run.run,
        "reason": run.reason.value,
        "run_state": run.state.value,
        "due_at": None if run.due_at is None else utc_text(run.due_at),
        "missed": run.missed,
        "failures": run.failures,
        "error": None if run.error is None else run.error.code,
    }


def reject_facts(task: Task, signed: SignedRejectReport) -> dict[str, JsonValue]:
    """Return the facts of a report of dead letters: how many, for which reasons, what became of them."""
    counts = signed.report.counts
    return {
        "task": task.id,
        "agreement": task.agreement_id,
        "resource": task.resource_id,
        "provider": task.provider,
        "consumer": task.consumer,
        "open": {reason.value: number for reason, number in sorted(counts.open.items())},
        "corrected": counts.corrected,
        "discarded": counts.discarded,
        "superseded": counts.superseded,
        "at": utc_text(signed.report.at),
        "key_id": signed.key_id,
        "signature": signed.signature,
    }


def schema_facts(fingerprint: str, findings: tuple[SchemaFinding, ...]) -> dict[str, JsonValue]:
    """Return the facts of a change of a source table: names and types, which are no values."""
    return {
        "schema": fingerprint,
        "breaking": any(finding.breaking for finding in findings),
        "findings": [f"{finding.kind.value}: {finding.column}".removesuffix(": ") for finding in findings],
    }


def batch_facts(task: Task, signed: SignedManifest) -> dict[str, JsonValue]:
    """Return the facts of a batch. The cursors are left out: a key may be somebody's number."""
    manifest = signed.manifest
    return {
        "batch": manifest.batch_id,
        "agreement": manifest.agreement_id,
        "resource": manifest.resource_id,
        "task": task.id,
        "provider": task.provider,
        "consumer": task.consumer,
        "sequence": manifest.sequence,
        "run": manifest.run,
        "last": manifest.last,
        "mode": manifest.mode.value,
        "rows": manifest.rows,
        "manifest_digest": manifest.digest,
        "previous_digest": manifest.previous_digest,
        "content_digest": manifest.content_digest,
        "payload_digest": manifest.payload_digest,
        "payload_bytes": manifest.payload_bytes,
        "produced_at": utc_text(manifest.produced_at),
        "key_id": signed.key_id,
        "signature": signed.signature,
        **({} if manifest.sealing is None else {"sealed_to": list(manifest.sealing.key_ids)}),
    }


def receipt_facts(task: Task, signed: SignedReceipt) -> dict[str, JsonValue]:
    """Return the facts of a receipt."""
    receipt = signed.receipt
    table = receipt.table_digest
    return {
        "task": task.id,
        "batch": receipt.batch_id,
        "agreement": task.agreement_id,
        "resource": task.resource_id,
        "provider": task.provider,
        "consumer": receipt.consumer,
        "sequence": receipt.sequence,
        "manifest_digest": receipt.manifest_digest,
        "rows_applied": receipt.rows_applied,
        "rows_rejected": receipt.rows_rejected,
        "table_rows": None if table is None else table.rows,
        "table_digest": None if table is None else table.sum,
        "applied_at": utc_text(receipt.applied_at),
        "key_id": signed.key_id,
        "signature": signed.signature,
    }


def refusal_facts(task: Task, signed: SignedManifest, code: str) -> dict[str, JsonValue]:
    """Return the facts of a payload that did not verify."""
    return {**batch_facts(task, signed), "refused": code}


def reconciliation_facts(task: Task, reconciliation: Reconciliation, report_digest: str) -> dict[str, JsonValue]:
    """Return the facts of a decided reconciliation."""
    ends: dict[str, JsonValue] = {}
    for name, signed in (("producer", reconciliation.producer), ("consumer", reconciliation.consumer)):
        if signed is not None:
            end = signed.end_digest
            ends[name] = {
                "rows": end.digest.rows,
                "sum": end.digest.sum,
                "rejected": end.rejected,
                "at": utc_text(end.at),
                "key_id": signed.key_id,
                "signature": signed.signature,
            }
    return {
        "reconciliation": reconciliation.id,
        "task": task.id,
        "equal": reconciliation.state is ReconciliationState.EQUAL,
        "agreement": task.agreement_id,
        "resource": task.resource_id,
        "provider": task.provider,
        "consumer": task.consumer,
        "state": reconciliation.state.value,
        "ends": ends,
        "report_digest": report_digest,
        **_found(reconciliation.findings),
    }


def _found(findings: Findings | None) -> dict[str, JsonValue]:
    """Return how many rows differ, and how; places stay in the report."""
    if findings is None:
        return {}
    return {
        "rounds": findings.rounds,
        "missing": findings.count(DifferenceKind.MISSING),
        "extra": findings.count(DifferenceKind.EXTRA),
        "changed": findings.count(DifferenceKind.CHANGED),
        "pending": findings.pending,
        "unresolved_ranges": findings.unresolved_ranges,
        "unresolved_rows": findings.unresolved_rows,
    }


def replay_facts(replay: Replay) -> dict[str, JsonValue]:
    """Return which batches a consumer applies again, and what its node signed about it."""
    signed, failure = replay.signed, replay.failure
    table = None if signed is None else signed.report.table_digest
    return {
        "replay": replay.id,
        "first_sequence": replay.from_sequence,
        "last_sequence": replay.to_sequence if signed is None else signed.report.to_sequence,
        "error": None if failure is None or signed is not None else failure.code,
        "table_rows": None if table is None else table.rows,
        "table_digest": None if table is None else table.sum,
        **({} if signed is None else {"key_id": signed.key_id, "signature": signed.signature}),
    }


def repair_facts(reconciliation: Reconciliation) -> dict[str, JsonValue]:
    """Return what a repair does, and who approved it."""
    repair = reconciliation.repair
    if repair is None:
        return {"reconciliation": reconciliation.id}
    return {
        "reconciliation": reconciliation.id,
        "repair": repair.kind.value,
        "send": repair.send,
        "delete": repair.delete,
        "approved_by": repair.approved_by,
    }
