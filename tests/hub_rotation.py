"""A hub whose key is replaced or retired in a process that dies on the way."""

import os
import signal
from pathlib import Path

from datong.app.hub import Hub
from datong.app.hub_keys import HubKeys, KeyStep
from datong.kernel import Settings


def hub_keys(home: Path, origin: str, order: str, fatal: KeyStep | None = None) -> None:
    """Replace (`replace`) or retire (`retire`) the key of the hub of `home`; die by SIGKILL when `fatal` is passed."""

    def passed(step: KeyStep) -> None:
        if step is fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    opened = Hub(Settings(home=home, log_origin=origin))
    keys = HubKeys(opened, passed)
    if order == "replace":
        keys.replace()
    else:
        keys.retire()
    opened.close()
