"""What a hub's settings name, opened: its clock, its calendar, its log's files, its table engine."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import yaml
from pydantic import ConfigDict, TypeAdapter

from datong import adapters
from datong.adapters.directory_store import DirectoryStore
from datong.kernel import Clock, Misconfigured, OffsetClock, Settings, SystemClock, Text, WorkingCalendar
from datong.ledger import TileStore
from datong.library import TableEngine

_OVERRIDES = TypeAdapter(dict[date, bool], config=ConfigDict(strict=True))


def open_clock(settings: Settings) -> Clock:
    """Return the machine's clock, or the simulated one of the settings."""
    return OffsetClock(settings.clock_offset_file) if settings.clock_offset_file else SystemClock()


def open_calendar(holidays_file: Path | None, of_pack: Mapping[date, bool] | None = None) -> WorkingCalendar:
    """Return the statutory calendar with the overrides of the norm pack and, over them, of a YAML file.

    The file has one date a line (`2027-01-01: false`).

    Raises:
        Misconfigured: the file is missing or holds something else.
    """
    if holidays_file is None:
        return WorkingCalendar(of_pack)
    try:
        of_file = _OVERRIDES.validate_python(yaml.safe_load(holidays_file.read_text()) or {})
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise Misconfigured(
            "app.holidays_file_invalid",
            what=Text(
                zh=f"节假日文件 {holidays_file} 不可用。", en=f"The holidays file {holidays_file} is not usable."
            ),
            remedy=Text(
                zh="请每行写“日期: true 或 false”，如 2027-01-01: false。",
                en="Write one date and true or false per line, such as 2027-01-01: false.",
            ),
            field="DATONG_HOLIDAYS_FILE",
        ) from error
    return WorkingCalendar({**(of_pack or {}), **of_file})


def open_tiles(settings: Settings) -> TileStore:
    """Return where the log's files lie: the bucket that `settings` name, or a folder of the home.

    Raises:
        Misconfigured: the extra for object stores is not installed.
    """
    if not settings.object_store:
        return DirectoryStore(settings.home / "log")
    access = adapters.ObjectStoreAccess(
        address=settings.object_store,
        endpoint=settings.object_store_endpoint,
        region=settings.object_store_region,
        key_id=settings.object_store_key_id,
        secret=settings.object_store_secret,
    )
    return adapters.ObjectStore(access, "log")


def open_table_engine(settings: Settings) -> TableEngine | None:
    """Return the table engine that `settings` name, None for the embedded one; it starts when a build needs it."""
    if settings.table_engine == "duckdb":
        return None
    options = dict(option.split("=", 1) for option in settings.spark_options)
    return adapters.SparkEngine(master=settings.spark_master, memory=settings.spark_memory, options=options)
