"""A process that has imported a program and forks it on demand; `datong.adapters.launcher` starts it and asks it.

Each request is one datagram: a `Request` as JSON, and the file descriptors of standard output, standard error and the
reports. A keeper, forked for each program, reports its process id and, when it has ended, its exit status or minus the
number of the signal; each is a line.

A program that has ended is not taken apart: each fork holds everything that was imported, and letting go of it object
by object took twenty times as long as the end itself.
"""

import atexit
import ctypes
import gc
import io
import json
import os
import runpy
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TypedDict

REQUEST_BYTES_MAX = 128 * 1024
"""Below what a local socket takes in one datagram (net.core.wmem_max, 208 KiB)."""
PR_SET_NAME = 15
"""Linux's number of the option (prctl.h); of the name, 15 bytes are kept."""
_STATUS: list[int] = []
"""The exit status of the program that this process has become, once it has ended."""


class Request(TypedDict):
    """A command line as Python takes it after its own name (`-m MODULE …` or `FILE …`), and where it runs."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: str


def main() -> None:
    """Import the modules that the command line names after the socket's descriptor; fork until the socket closes."""
    # Registered before all others, and so called after them.
    atexit.register(_leave)
    asked = socket.socket(fileno=int(sys.argv[1]))
    # Nothing of what is imported is let go of again: looking for what may be took a sixth of the time.
    gc.disable()
    for name in sys.argv[2:]:
        _prepare(name)
    _end_threads()
    gc.collect()
    gc.freeze()
    gc.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the programs end by Ctrl-C, and whoever started this ends it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for keepers
    while True:
        text, descriptors, _, _ = socket.recv_fds(asked, REQUEST_BYTES_MAX, 3)
        if not text:
            return
        if os.fork() == 0:
            asked.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            output, errors, reports = descriptors
            program = os.fork()
            if program == 0:
                os.close(reports)
                with _noting_the_end():
                    _become(json.loads(text), output, errors)
                return
            os.close(output)
            os.close(errors)
            _keep(program, reports)
            os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)


def _prepare(name: str) -> None:
    """Import a module; of `module:function`, call the function too, so that every program finds done what it does."""
    module, _, function = name.partition(":")
    imported = import_module(module)
    if function:
        getattr(imported, function)()


def _end_threads() -> None:
    """End the threads of DuckDB's default connection, which importing it opens.

    A fork has none of them, and at its end would wait for theirs without end.
    """
    duckdb = sys.modules.get("duckdb")
    if duckdb is not None:
        duckdb.default_connection().close()


def _keep(program: int, reports: int) -> None:
    """Report a program's process id, wait for its end and report this; who asked may be gone, and is then not told."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        os.write(reports, b"%d\n" % program)
        _, status = os.waitpid(program, 0)
        os.write(reports, b"%d\n" % os.waitstatus_to_exitcode(status))
    except BrokenPipeError:
        return


def _become(request: Request, output: int, errors: int) -> None:
    """Run a command line as if Python had just been started with it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for descriptor, standard in ((output, 1), (errors, 2)):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    time.tzset()
    asked, *others = request["arguments"]
    if asked == "-m":
        module, *others = others
        sys.argv = [module, *others]
        _name(module)
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        sys.argv = [asked, *others]
        _name(os.path.basename(asked))
        runpy.run_path(asked, run_name="__main__")


@contextmanager
def _noting_the_end() -> Iterator[None]:
    """Note the exit status with which a program ends; one that is interrupted ends as any other process."""
    try:
        yield
    except SystemExit as ended:
        # What is neither nothing nor a number is a message, which the interpreter writes.
        _STATUS.append(ended.code if isinstance(ended.code, int) else int(ended.code is not None))
        raise
    except KeyboardInterrupt:
        raise
    except BaseException:
        _STATUS.append(1)
        raise
    _STATUS.append(0)


def _leave() -> None:
    """End a program whose exit status is known, once its threads and its other last acts are done."""
    if _STATUS:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_STATUS[0] & 0xFF)


def _name(program: str) -> None:
    """Let `ps` and `top` tell the programs apart: by their arguments, since all have the same command line."""
    title = " ".join([program.removesuffix(".app.main"), *sys.argv[1:]])
    control = getattr(ctypes.CDLL(None), "prctl", None)
    if control is not None:
        control(PR_SET_NAME, title.encode(), 0, 0, 0)


if __name__ == "__main__":
    main()
