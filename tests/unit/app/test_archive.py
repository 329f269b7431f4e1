"""`datong hub archive`, as an operator runs it."""

import json
from datetime import datetime, timedelta
from pathlib import Path

from typer.testing import CliRunner

from datong.app.hub import Hub
from datong.app.hub_commands import app
from datong.kernel import CHINA, PLATFORM_ACTOR, Settings
from datong.ledger import EntryKind

DAYS = 40


def test_a_month_is_archived_and_brought_back(tmp_path: Path) -> None:
    offset = tmp_path / "offset"
    offset.write_text(str(-DAYS * 86400))
    hub = Hub(Settings(home=tmp_path / "hub", clock_offset_file=offset))
    with hub.database.transaction() as connection:
        hub.services.ledger.append_many(
            connection,
            kind=EntryKind.BATCH,
            actor=PLATFORM_ACTOR,
            entries=[(f"batch-{number}", {}) for number in range(300)],
        )
    while hub.services.ledger.integrate():
        pass
    hub.close()
    month = f"{datetime.now(CHINA) - timedelta(days=DAYS):%Y-%m}"
    environment = {"DATONG_HOME": str(tmp_path / "hub"), "DATONG_LOG_SHARDS": str(tmp_path / "cold")}
    files = tmp_path / "hub" / "log" / "tile" / "entries"

    def run(*arguments: str) -> str:
        return CliRunner().invoke(app, ["archive", month, *arguments], catch_exceptions=False, env=environment).output

    assert "#0-#255 已归档到 · archived in" in run()
    assert [path.name for path in (tmp_path / "cold").iterdir()] == [f"{month}.0-256.shard"]
    assert not (files / "000").exists()
    assert json.loads(run("--json", "--restore"))["end"] == 256
    assert (files / "000").is_file()
