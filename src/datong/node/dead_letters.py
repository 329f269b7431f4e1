"""Dead letters on the node, where the department's own people may see values: found, corrected, discarded, reported."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from datong.exchange import (
    Correction,
    DeadLetter,
    LetterCounts,
    LetterOutcome,
    RejectReport,
    Resolution,
    Resolved,
    Target,
    signed_reject_report,
)
from datong.kernel import BatchId, Clock, DepartmentCode, Invalid, NotFound, TaskId, Text, Unavailable
from datong.ledger import Signer
from datong.node.hub_client import HubClient
from datong.node.letter_files import read_corrections, write_letters
from datong.node.steps import Passed, Step, unobserved

LETTERS_LISTED_MAX = 10_000
REPORT_INTERVAL_SECONDS = 30.0


class DeadLetters:
    """The dead letters in the writable sources of one node."""

    def __init__(
        self,
        *,
        client: HubClient,
        signer: Signer,
        clock: Clock,
        department: DepartmentCode,
        writable: Callable[[], Sequence[str]],
        open_target: Callable[[str], Target],
        passed: Passed = unobserved,
    ) -> None:
        self._client = client
        self._signer = signer
        self._clock = clock
        self._department = department
        self._writable = writable
        self._open_target = open_target
        self._passed = passed
        self._reported: dict[TaskId, LetterCounts] = {}
        self._next_report = 0.0

    def letters(self, task_id: TaskId | None = None) -> tuple[DeadLetter, ...]:
        """Return the open dead letters, of one task or of all."""
        found: list[DeadLetter] = []
        for target in self._targets():
            found += target.letters(task_id, limit=LETTERS_LISTED_MAX)
        return tuple(found)

    def letter(self, letter_id: str) -> DeadLetter:
        """Return one open dead letter by its id (`batch:row`).

        Raises:
            NotFound: `node.letter_not_found`.
        """
        found = next((one for one in self.letters() if one.id == letter_id), None)
        if found is None:
            raise NotFound(
                "node.letter_not_found",
                what=Text(zh=f"没有待处理的死信 {letter_id}。", en=f"There is no open dead letter {letter_id}."),
                remedy=Text(zh="请用 list 查看。", en="See the list."),
            )
        return found

    def correct(self, corrections: Sequence[Correction], *, by: str, note: str) -> Resolved:
        """Apply corrected rows in one transaction, then report; with a single fault nothing is applied."""
        return self._resolve(LetterOutcome.CORRECTED, corrections, by, note)

    def discard(self, letter_ids: Sequence[str], *, by: str, note: str) -> Resolved:
        """Give rows up, with the reason, then report."""
        return self._resolve(LetterOutcome.DISCARDED, [correction_of(one) for one in letter_ids], by, note)

    def export(self, path: Path, task_id: TaskId) -> int:
        """Write the open dead letters of a task to a spreadsheet; return how many."""
        letters = self.letters(task_id)
        write_letters(path, letters)
        return len(letters)

    def take_in(self, path: Path, *, by: str, note: str) -> tuple[Resolved, dict[str, int]]:
        """Apply what a spreadsheet changes; return what became of it, and the line of each letter that it changes.

        Raises:
            Invalid: `node.letters_file`.
        """
        corrections, lines = read_corrections(path, self.letters())
        if not corrections:
            return Resolved(letters=0), lines
        return self.correct(corrections, by=by, note=note), lines

    def attend(self) -> None:
        """Report from time to time what has changed; what a kill kept from being reported is reported then."""
        now = time.monotonic()
        if now >= self._next_report:
            self._next_report = now + REPORT_INTERVAL_SECONDS
            self.report()

    def report(self) -> None:
        """Tell the hub how many dead letters there are, of every task where that has changed; never a value."""
        for target in self._targets():
            for counts in target.letter_counts():
                if self._reported.get(counts.task_id) == counts:
                    continue
                content = RejectReport(counts=counts, department=self._department, at=self._clock.now())
                self._client.report_rejects(signed_reject_report(content, self._signer))
                self._reported[counts.task_id] = counts

    def _resolve(self, outcome: LetterOutcome, letters: Sequence[Correction], by: str, note: str) -> Resolved:
        with self._holder(letters[0]) as target:
            answer = target.resolve(
                Resolution(outcome=outcome, letters=tuple(letters), by=by, note=note, at=self._clock.now())
            )
        self._passed(Step.LETTERS_RESOLVED)
        if answer.letters:
            # What the hub cannot hear now the node's loop tells it later: the counts are the database's own.
            with suppress(Unavailable):
                self.report()
        return answer

    @contextmanager
    def _holder(self, letter: Correction) -> Iterator[Target]:
        """Open the target that holds a letter; the only one when none does, which will say so."""
        names = list(self._writable())
        for name in names:
            target = self._open_target(name)
            try:
                held = any(one.batch_id == letter.batch_id for one in target.letters(limit=LETTERS_LISTED_MAX))
                if held or name == names[-1]:
                    yield target
                    return
            finally:
                target.close()
        raise NotFound(
            "node.no_writable_source",
            what=Text(zh="本节点没有可写数据源。", en="This node has no writable source."),
            remedy=Text(zh="请用 add-source --writable 添加。", en="Add one by add-source --writable."),
        )

    def _targets(self) -> Iterator[Target]:
        for name in self._writable():
            target = self._open_target(name)
            try:
                yield target
            finally:
                target.close()


def correction_of(letter_id: str, changes: dict[str, str | None] | None = None) -> Correction:
    """Return a correction of the letter called `batch:row`.

    Raises:
        Invalid: `node.letter_id`.
    """
    batch, _, row = letter_id.rpartition(":")
    if not batch or not row.isdecimal():
        raise Invalid(
            "node.letter_id",
            what=Text(zh=f"{letter_id} 不是死信编号。", en=f"{letter_id} is no id of a dead letter."),
            remedy=Text(zh="编号形如“批次:行”，见 list。", en="Ids look like batch:row; see the list."),
            field="/letter",
        )
    return Correction(batch_id=BatchId(batch), row=int(row), changes=changes or {})
