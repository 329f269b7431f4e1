"""Facades offer what they list, whether it is loaded at once or on demand."""

import subprocess
import sys
from importlib import import_module

import pytest

from datong.kernel import on_demand

PACKAGES = (
    "kernel",
    "ledger",
    "norms",
    "catalogue",
    "exchange",
    "library",
    "sharing",
    "governance",
    "adapters",
    "node",
)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_of_a_facade_can_be_had(package: str) -> None:
    facade = import_module(f"datong.{package}")
    assert [name for name in facade.__all__ if not hasattr(facade, name)] == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    load = on_demand("datong.kernel", {"calendar": ["WorkingCalendar"]})
    with pytest.raises(AttributeError, match="Nothing"):
        load("Nothing")


def test_a_short_node_command_loads_none_of_the_hubs_libraries() -> None:
    heavy = {"sqlalchemy", "duckdb", "pyarrow", "pypinyin", "dbos", "fastapi", "alembic"}
    code = "import sys, datong.app.node_commands; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert heavy.isdisjoint(loaded), heavy & set(loaded)


def test_a_node_at_work_loads_none_of_the_hubs_database() -> None:
    code = "import sys, datong.node.program; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"sqlalchemy", "pypinyin", "dbos", "fastapi", "alembic"}.isdisjoint(loaded)
