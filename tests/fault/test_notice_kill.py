"""A sender of notices is killed between any two of its steps: no notice is lost, a message has one id for ever."""

import os
import signal
from datetime import timedelta
from pathlib import Path

from sqlalchemy import event

from datong.governance.notifications import Choices, MessageState, Pace
from datong.ledger import EntryKind
from tests.integration.governance.test_notifications import OFFICER, Told
from tests.new_control import new_control

STEPS_MIN = 15
LEASE_AND_MORE = 61
GATHERED = timedelta(minutes=10)
"""Even at once waits a little for what else may come."""


class Post:
    """A server of e-mail whose memory outlives the sender: it notes the id of each letter that it took."""

    def __init__(self, told: Told, file: Path) -> None:
        self.told, self.file = told, file

    def note(self) -> None:
        """Note the newest letter, durably, before the sender hears of it."""
        with self.file.open("a", encoding="utf-8") as written:
            written.write(f"{self.told.mailer.letters[-1].message_id}\n")
            written.flush()
            os.fsync(written.fileno())

    def taken(self) -> list[str]:
        """Return the ids of the letters taken so far."""
        return self.file.read_text(encoding="utf-8").split()


def sent_until_killed(told: Told, post: Post, step: int) -> int:
    """Make and deliver in a copy of this process that is killed (SIGKILL) at its `step`-th step; return its status.

    A step is a statement, a commit, or a letter that the server took.
    """
    child = os.fork()
    if child == 0:
        status = 1
        try:
            told.database.engine.dispose(close=False)
            left = [step]

            def count(*_: object) -> None:
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

            def take() -> None:
                post.note()
                count()

            told.mailer.on_sent = take
            event.listen(told.database.engine, "before_cursor_execute", count)
            event.listen(told.database.engine, "commit", count)
            told.send()
            status = 0
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(ended)


def test_a_kill_between_any_two_steps_loses_no_notice_and_makes_no_second_message(tmp_path: Path) -> None:
    database = new_control(tmp_path)
    told = Told(database)
    told.confirmed(OFFICER, Choices(email="officer@example.gov.cn", pace=Pace.AT_ONCE))
    evidence = told.ledger.entries(kind=EntryKind.NOTIFICATION).total
    post = Post(told, tmp_path / "taken")
    post.file.touch()
    told.mailer.on_sent = post.note
    status, step, twice = -signal.SIGKILL, -1, 0
    while status == -signal.SIGKILL:
        step += 1
        before = len(post.taken())
        told.request("submit", "submitted", number=step)
        told.follow()
        told.clock.advance(GATHERED)
        status = sent_until_killed(told, post, step)
        # Another sender goes on, once the killed one's time with the message is over.
        for seconds in (0, LEASE_AND_MORE, LEASE_AND_MORE):
            told.clock.advance(timedelta(seconds=seconds))
            told.send()
        new = post.taken()[before:]
        assert len(set(new)) == 1, f"killed at step {step}: {new}"
        assert len(new) <= 2
        twice += len(new) - 1
        assert told.ledger.entries(kind=EntryKind.NOTIFICATION).total == evidence + step + 1
        assert told.sending.find(state=MessageState.DUE).total == 0
        told.clock.advance(timedelta(days=1))
    assert status == 0
    assert step >= STEPS_MIN
    # Only a kill between the server's answer and its note sends a letter again: at a few steps, under the same id.
    assert 1 <= twice <= step // 2
    database.close()
