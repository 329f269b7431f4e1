"""The processes of the demo: one hub and five nodes, each with a log of its own, killed and started again at will.

The supervisor remembers the processes it started and ends only those, by process id.
"""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from importlib.util import cache_from_source
from pathlib import Path

import httpx

from datong.adapters.launcher import Launched, Launcher
from datong.kernel import Text, Unavailable
from datong.kernel.settings import without_settings
from datong.kernel.tls import tls_context

HEALTH_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 8.0
DATONG = ("-m", "datong.app.main")
"""The platform's own program."""
IMPORTED = (
    "datong.cli.shell",
    "datong.app.hub_commands",
    "datong.web.application:prepare",
    "datong.app.node_commands",
    "datong.norms:load_pack",
    # Loaded by whoever first reads a name aloud: each of the five inventories, and the hub's search.
    "pypinyin",
)
"""What its processes run: imported, and in part prepared, once, by the process that they fork from."""
COMMAND_SECONDS_MAX = 120.0
LOG_TAIL_CHARS = 2000


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody uses now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def bytecode_settings(home: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that let the demo's many processes share compiled modules, kept below `home`.

    Nothing is needed where Python keeps them beside the modules, as it does unless told not to.
    """
    if not inherited.get("PYTHONDONTWRITEBYTECODE") or Path(cache_from_source(str(httpx.__file__))).exists():
        return {}
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(home / "bytecode")}


class Process:
    """One program that runs in the background; safe to kill and start from several threads."""

    def __init__(
        self, name: str, arguments: Sequence[str], *, environment: Mapping[str, str], log: Path, launcher: Launcher
    ) -> None:
        self.name = name
        self.arguments = tuple(arguments)
        self.log = log
        self._environment = dict(environment)
        self._launcher = launcher
        self._running: Launched | None = None
        self._lock = threading.RLock()

    @property
    def pid(self) -> int | None:
        """The process id, while it runs."""
        with self._lock:
            return self._running.pid if self._running is not None and self.alive else None

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        with self._lock:
            return self._running is not None and self._running.poll() is None

    def start(self) -> None:
        """Start it, unless it runs."""
        with self._lock:
            if self.alive:
                return
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("ab") as log:
                self._running = self._launcher.start(self.arguments, environment=self._environment, output=log)

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        with self._lock:
            if self._running is not None:
                self._running.kill()
                self._running.wait()

    def pause(self) -> None:
        """Stop it from running, without ending it."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process run on."""
        self._signal(signal.SIGCONT)

    def ask_to_stop(self) -> None:
        """Ask it to end (SIGTERM)."""
        self.resume()
        self._signal(signal.SIGTERM)

    def stop(self) -> None:
        """Ask it to end, and end it if it does not within a bound."""
        with self._lock:
            if not self.alive or self._running is None:
                return
            self.ask_to_stop()
            try:
                self._running.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.kill()

    def tail(self) -> str:
        """Return the end of its log."""
        if not self.log.exists():
            return ""
        return self.log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL_CHARS:]

    def _signal(self, number: signal.Signals) -> None:
        with self._lock:
            if self.alive and self._running is not None:
                self._running.send_signal(number)


class Supervisor:
    """All processes of one demo below one folder; `environment` is added to that of this process.

    They fork from `launcher`, which the caller closes, or from one that is begun here.
    """

    def __init__(
        self,
        home: Path,
        *,
        environment: Mapping[str, str],
        program: Sequence[str] = DATONG,
        launcher: Launcher | None = None,
    ) -> None:
        self.home = home
        self._program = tuple(program)
        inherited = without_settings(os.environ)
        self.environment = {**inherited, **environment}
        self._is_own = launcher is None
        self._launcher = launcher or Launcher(
            *IMPORTED, environment={**inherited, **bytecode_settings(home, inherited)}
        )
        self.processes: dict[str, Process] = {}

    def add(self, name: str, arguments: Sequence[str], extra: Mapping[str, str] | None = None) -> Process:
        """Register a process and start it."""
        process = Process(
            name,
            (*self._program, *arguments),
            environment={**self.environment, **(extra or {})},
            log=self.home / "logs" / f"{name}.log",
            launcher=self._launcher,
        )
        self.processes[name] = process
        process.start()
        return process

    def command(self, *arguments: str, extra: Mapping[str, str] | None = None) -> str:
        """Run one `datong` command to its end and return what it printed.

        Raises:
            CommandFailed: it ended with another status than 0, or not in time.
        """
        try:
            done = self._launcher.run(
                (*self._program, *arguments),
                environment={**self.environment, **(extra or {})},
                timeout=COMMAND_SECONDS_MAX,
            )
        except subprocess.TimeoutExpired as error:
            raise CommandFailed(arguments, status=None, output=f"> {COMMAND_SECONDS_MAX:.0f} s") from error
        output = done.stdout.decode(errors="replace")
        if done.returncode != 0:
            raise CommandFailed(arguments, status=done.returncode, output=output + done.stderr.decode(errors="replace"))
        return output

    def kill_and_restart(self, name: str) -> None:
        """Kill a process with SIGKILL and start it again at once."""
        self.processes[name].kill()
        self.processes[name].start()

    def wait_healthy(self, name: str, url: str) -> None:
        """Wait until `url` answers 200.

        Raises:
            Unavailable: the process ended, or did not answer in time; its log's end is in the message.
        """
        process = self.processes[name]
        until = time.monotonic() + HEALTH_SECONDS_MAX
        while time.monotonic() < until and process.alive:
            try:
                if httpx.get(url, timeout=2.0, verify=tls_context(url)).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
                continue
            time.sleep(0.05)
        raise Unavailable(
            "demo.process_not_healthy",
            what=Text(
                zh=f"进程 {name} 没有按时就绪。日志末尾：{process.tail()}",
                en=f"The process {name} did not become ready in time. The end of its log: {process.tail()}",
            ),
            remedy=Text(zh=f"请查看日志 {process.log}。", en=f"See its log {process.log}."),
        )

    def stop_all(self) -> None:
        """End every process this supervisor started: the later ones side by side, then the first, which they need."""
        processes = tuple(self.processes.values())
        for process in processes[1:]:
            process.ask_to_stop()
        for process in reversed(processes):
            process.stop()
        if self._is_own:
            self._launcher.close()


class CommandFailed(Exception):
    """A `datong` command did not succeed; `output` is what it printed."""

    def __init__(self, arguments: Sequence[str], *, status: int | None, output: str) -> None:
        super().__init__(f"datong {' '.join(arguments)}: status {status}: {output.strip()[-LOG_TAIL_CHARS:]}")
        self.status = status
        self.output = output
