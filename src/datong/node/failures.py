"""Telling the hub that a node's part of a run failed, so that it decides when the run is tried again."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from datong.exchange import Failure, Task, TransferEnd
from datong.kernel import DatongError
from datong.node.hub_answers import HUB_UNAVAILABLE
from datong.node.hub_client import HubClient
from datong.node.trouble import trouble_of


@contextmanager
def reported(client: HubClient, task: Task, run: int, end: TransferEnd) -> Iterator[None]:
    """Report the failure of what is done inside, and raise it on.

    A hub that does not answer cannot be told, and has not failed the run; a hub that does not take the report (the run
    is over, or it is restored to an earlier day) offers the work again when it sees fit.
    """
    try:
        yield
    except (DatongError, OSError, sqlite3.Error) as error:
        trouble = trouble_of(error)
        if trouble.code != HUB_UNAVAILABLE and run > 0:
            failure = Failure(
                end=end, code=trouble.code[:100], what=trouble.what, remedy=trouble.remedy, transient=trouble.transient
            )
            with suppress(DatongError):
                client.report_failure(task.id, run, failure.cut())
        raise
