"""What every benchmark reports in the same way: options, progress on stderr, machine facts, memory, one JSON line."""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from datong import __version__

RUNS = 3
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
Figure = float | int | str | bool | None
Figures = Mapping[str, Figure]
Value = TypeVar("Value")
_CONSOLE = Console(file=sys.stderr, highlight=False)


def options(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--runs", type=int, default=RUNS, help="measured runs; the median counts")
    parser.add_argument("--quick", action="store_true", help="one small run, to see that it works; no figure counts")
    return parser


def say(text: str) -> None:
    """Tell how far the benchmark has come, on stderr."""
    _CONSOLE.print(f"[dim]{time.strftime('%H:%M:%S')}[/dim] {text}")


@contextmanager
def folder() -> Iterator[Path]:
    """Yield a new folder on the machine's disk that goes with the benchmark."""
    with tempfile.TemporaryDirectory(prefix="datong-bench-") as name:
        yield Path(name)


def timed(act: Callable[[], Value]) -> tuple[float, Value]:
    """Return how many seconds `act` took, and what it returned."""
    started = time.perf_counter()
    result = act()
    return time.perf_counter() - started, result


def median(values: Sequence[float]) -> float:
    """Return the median, to four significant digits."""
    return rounded(statistics.median(values))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def rounded(value: float) -> float:
    """Return `value` to four significant digits."""
    return float(f"{value:.4g}")


def peak_rss_mb(pid: int | None = None) -> int:
    """Return the largest resident size that a living process ever had, in MB (10⁶ bytes)."""
    status = Path(f"/proc/{pid or os.getpid()}/status").read_text()
    kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kibibytes) * 1024 // 1_000_000


def processor_seconds(pid: int, *, family: bool = False) -> float:
    """Return how much processor time a living process has had, in seconds; with `family` its children as well.

    Children that have ended count if the process waited for them.
    """
    told = {one: _stat(one) for one in _pids()} if family else {pid: _stat(pid)}
    ticks = 0
    for one, fields in told.items():
        if fields and (one == pid or int(fields[1]) == pid):
            ticks += sum(map(int, fields[11 : 15 if one == pid and family else 13]))
    return ticks / _TICKS_PER_SECOND


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def _stat(pid: int) -> list[str]:
    """Return what /proc says of a process from its state on; nothing if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def machine() -> dict[str, Figure]:
    """Return what somebody must know of this machine to read the figures; a load above 0 at the start means company."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if "model name" in line), platform.machine())
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(total / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_at_start": round(_LOAD_AT_START, 2),
    }


_LOAD_AT_START = os.getloadavg()[0]


def postgresql_url(url: str) -> str:
    """Return the URL by which SQLAlchemy reaches the PostgreSQL database at `url`."""
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def finish(name: str, *, sizes: Figures, figures: Mapping[str, Figure | Mapping[str, Figure]], runs: int) -> None:
    """Print the closing JSON line: what was measured, where, how large, and the figures."""
    line = {
        "benchmark": name,
        "version": __version__,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "runs": runs,
        **figures,
        "sizes": dict(sizes),
        "machine": machine(),
    }
    sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    sys.stdout.flush()
