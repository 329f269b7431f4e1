"""Run many tests in several processes that share what one of them imported: `python -m tests.whole_run tests/unit …`.

Each worker of pytest-xdist imports every test module and all that these import, rewrites their assertions when there is
no cache of that yet, reads the sources for Hypothesis and makes the first control database: 20 s of a processor. Here
one process does so and is forked for each worker. xdist is none the wiser: it starts `tests/forked_worker.py` in place
of an interpreter, whose streams the forked process takes over.

While it imports, another CPU would have nothing to do. So xdist's controller begins at the same time (its workers wait
until they are forked), and so do the process from which programs fork and the installation of other clients.
"""

import contextlib
import gc
import io
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
import types
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import pytest

from tests.processes import launcher
from tests.quick_files import quick_files

PROCESSES = 4
BOOTSTRAP = "import sys;exec(eval(sys.stdin.readline()))"
"""What execnet has an interpreter do first."""
STREAMS = 3
CLIENTS = Path(__file__).parents[1] / "tools" / "setup-clients"
"""Installs what tests call as other programs, unless it is there."""
END_SECONDS = 10.0


def main(arguments: Sequence[str]) -> int:
    """Collect the tests that pytest's `arguments` name, run them in `PROCESSES` processes, return pytest's status."""
    with quick_files() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "forks"))
        listener.listen()
        worker = f"{sys.executable} -I {Path(__file__).with_name('forked_worker.py')} {folder / 'forks'}"
        spread = (
            "--dist=loadfile",
            "--no-loadscope-reorder",
            "--max-worker-restart=2",
            f"--tx={PROCESSES}*popen//python={worker}",
        )
        clients = subprocess.Popen([CLIENTS])
        controller = subprocess.Popen([sys.executable, "-m", "pytest", *spread, *arguments])
        status = _prepare(arguments) or clients.wait()
        if status:
            for begun in (controller, clients):
                begun.terminate()
                begun.wait()
            return status
        # An interrupt goes to the controller too, which tells the workers and says what was run.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: controller.terminate())
        return _serve(listener, controller)


def _prepare(arguments: Sequence[str]) -> int:
    """Import all that the tests need and make what each process would make for itself; return pytest's status."""
    launcher()
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        status = pytest.main(["--collect-only", "-qq", *arguments])
    if status:
        sys.stdout.write(said.getvalue())
        return int(status)
    # Not before: pytest must be the first to import what it rewrites.
    import_module("tests.made_once").make()
    gc.collect()
    gc.freeze()
    return 0


def _serve(listener: socket.socket, controller: "subprocess.Popen[bytes]") -> int:
    """Fork a process for each worker that asks, until the run is over; return its status."""
    ended = os.pidfd_open(controller.pid)
    workers: list[int] = []
    while ended not in select.select([listener.fileno(), ended], [], [])[0]:
        connection, _ = listener.accept()
        _, streams, _, _ = socket.recv_fds(connection, 1, STREAMS)
        worker = os.fork()
        if not worker:
            os.close(ended)
            listener.close()
            _work(streams)
        workers.append(worker)
        # The forked process alone keeps the connection open, so that the stand-in sees it end.
        for descriptor in (connection.detach(), *streams):
            os.close(descriptor)
    os.close(ended)
    status = controller.wait()
    _end(workers)
    return status


def _work(streams: Sequence[int]) -> NoReturn:
    """Be the interpreter that xdist started: on its `streams`, with the modules that are there already."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode) for number, mode in enumerate("rww"))
        sys.argv = ["-c"]
        module = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(BOOTSTRAP, vars(module))
        status = 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        # Not what the parent would do at its end: remove the folder, wait for the controller.
        sys.stderr.flush()
        os._exit(status)


def _end(workers: Sequence[int]) -> None:
    """Wait for the forked processes; kill those that do not follow the run's end."""
    deadline = time.monotonic() + END_SECONDS
    for worker in workers:
        while not os.waitpid(worker, os.WNOHANG)[0]:
            if time.monotonic() > deadline:
                os.kill(worker, signal.SIGKILL)
            time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
