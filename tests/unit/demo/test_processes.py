import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from datong.adapters.launcher import Launcher
from datong.demo.processes import CommandFailed, Supervisor, free_port
from datong.kernel import Unavailable

SERVE = """
import sys
from http.server import HTTPServer, SimpleHTTPRequestHandler
print("up", flush=True)
HTTPServer(("127.0.0.1", int(sys.argv[1])), SimpleHTTPRequestHandler).serve_forever()
"""


def script(folder: Path, text: str) -> str:
    """Return the path of a program of this text."""
    path = folder / f"{len(list(folder.glob('*.py')))}.py"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    with Launcher() as launcher:
        supervisor = Supervisor(tmp_path, environment={"COLOUR": "red"}, program=(), launcher=launcher)
        yield supervisor
        supervisor.stop_all()


def test_starts_is_killed_and_starts_again(supervisor: Supervisor, tmp_path: Path) -> None:
    port = free_port()
    process = supervisor.add("server", (script(tmp_path, SERVE), str(port)))
    supervisor.wait_healthy("server", f"http://127.0.0.1:{port}/")
    first = process.pid
    assert first is not None
    supervisor.kill_and_restart("server")
    supervisor.wait_healthy("server", f"http://127.0.0.1:{port}/")
    second = process.pid
    assert second not in {None, first}
    assert process.tail().count("up") == 2
    supervisor.stop_all()
    assert not process.alive
    assert process.pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


def test_a_paused_process_goes_on(supervisor: Supervisor, tmp_path: Path) -> None:
    port = free_port()
    process = supervisor.add("server", (script(tmp_path, SERVE), str(port)))
    supervisor.wait_healthy("server", f"http://127.0.0.1:{port}/")
    process.pause()
    process.resume()
    supervisor.wait_healthy("server", f"http://127.0.0.1:{port}/")


def test_one_that_ends_is_reported_with_its_log(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.add("server", (script(tmp_path, "print('no such setting')"),))
    with pytest.raises(Unavailable, match="no such setting"):
        supervisor.wait_healthy("server", f"http://127.0.0.1:{free_port()}/")


def test_commands_give_their_output_or_fail(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATONG_PORT", "1")
    told = supervisor.command(script(tmp_path, "import os; print(os.environ['COLOUR'], 'DATONG_PORT' in os.environ)"))
    assert told.split() == ["red", "False"]
    with pytest.raises(CommandFailed) as caught:
        supervisor.command(script(tmp_path, "import sys; sys.exit('broken')"))
    assert caught.value.status == 1
    assert "broken" in caught.value.output
