"""What a reconciliation keeps while it searches, and the report that it leaves: digests and counts, never a value."""

from datong.exchange.questions import Findings, Question
from datong.exchange.reconciliation_values import ReconcileEnd, Reconciliation, SignedEndDigest
from datong.exchange.signed import utc_text
from datong.exchange.table_values import Cursor
from datong.exchange.values import Task
from datong.kernel import JsonValue, Value, canonical_json, sha256_hex


class SignedReport(Value):
    """A report with the hub's signature (hexadecimal) over its canonical JSON."""

    report: dict[str, JsonValue]
    key_id: str
    signature: str


class Round(Value):
    """A question with both ends' signed answers."""

    question: Question
    producer: SignedEndDigest
    consumer: SignedEndDigest


class Search(Value):
    """The state of a reconciliation. `salt` is what places are made with; it is dropped when nothing is left to find.

    `producer` and `consumer` are the answers to the open `question` that have arrived.
    """

    salt: str = ""
    opening: SignedEndDigest | None = None
    """Of a sealed task: the producer's first answer, with the secret that takes the salt's place, sealed for both."""
    as_of: Cursor | None = None
    question: Question = Question()
    producer: SignedEndDigest | None = None
    consumer: SignedEndDigest | None = None
    rounds: tuple[Round, ...] = ()
    findings: Findings | None = None
    signature: str = ""
    """The hub's signature of the report, in hexadecimal."""

    def answered(self, end: ReconcileEnd) -> bool:
        """Whether this end has answered the open question."""
        return (self.producer if end is ReconcileEnd.PRODUCER else self.consumer) is not None

    @staticmethod
    def nothing() -> Findings:
        """Return what is known before the first answers."""
        return Findings()


def report_of(task: Task, reconciliation: Reconciliation, search: Search) -> dict[str, JsonValue]:
    """Return the facts of the report: who was asked what, what they signed, what follows from it."""
    finished = reconciliation.finished_at
    return {
        "v": 1,
        "type": "reconciliation-report",
        "reconciliation": reconciliation.id,
        "task": task.id,
        "agreement": task.agreement_id,
        "provider": task.provider,
        "consumer": task.consumer,
        "state": reconciliation.state.value,
        "requested_at": utc_text(reconciliation.requested_at),
        "finished_at": None if finished is None else utc_text(finished),
        "findings": None if search.findings is None else search.findings.model_dump(mode="json"),
        "rounds": [one.model_dump(mode="json") for one in search.rounds],
    }


def report_digest(report: dict[str, JsonValue]) -> tuple[str, bytes]:
    """Return the SHA-256 of a report's canonical bytes, and those bytes: what the hub signs."""
    content = canonical_json(report)
    return sha256_hex(content), content
