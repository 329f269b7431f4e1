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
from datong.library import Shelf, TableEngine

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
    return _bucket(settings, "log") if settings.object_store else DirectoryStore(settings.home / "log")


def open_shelf(settings: Settings) -> Shelf | None:
    """Return the shelf of libraries in the bucket that `settings` name; None where they lie in the folder alone.

    Raises:
        Misconfigured: there is no bucket, or the extra for object stores is not installed; a cache is to do background
            work, or to keep its database to itself.
    """
    if settings.library_place == "folder":
        return None
    cache = settings.library_place == "cache"
    if not settings.object_store or (cache and (settings.work_inside_serve or not settings.database_url)):
        raise library_place_unusable(settings)
    return Shelf(_bucket(settings, "library"), settings.lake / "library", cache=cache)


def library_place_unusable(settings: Settings) -> Misconfigured:
    """Return the error of a place for libraries that does not go with what else is set, or with what is to be done."""
    return Misconfigured(
        "app.library_place_unusable",
        what=Text(
            zh=f"DATONG_LIBRARY_PLACE={settings.library_place} 与其他设置不符。",
            en=f"DATONG_LIBRARY_PLACE={settings.library_place} does not go with the other settings.",
        ),
        remedy=Text(
            zh="请设置 DATONG_OBJECT_STORE；cache 还需共用的 DATONG_DATABASE_URL，"
            "且不做后台工作（DATONG_WORK_INSIDE_SERVE=false）。",
            en="Set DATONG_OBJECT_STORE; a cache also needs the shared DATONG_DATABASE_URL and does no background work "
            "(DATONG_WORK_INSIDE_SERVE=false).",
        ),
        field="DATONG_LIBRARY_PLACE",
    )


def _bucket(settings: Settings, folder: str) -> "adapters.ObjectStore":
    access = adapters.ObjectStoreAccess(
        address=settings.object_store,
        endpoint=settings.object_store_endpoint,
        region=settings.object_store_region,
        key_id=settings.object_store_key_id,
        secret=settings.object_store_secret,
    )
    return adapters.ObjectStore(access, folder)


def open_table_engine(settings: Settings) -> TableEngine | None:
    """Return the table engine that `settings` name, None for the embedded one; it starts when a build needs it."""
    if settings.table_engine == "duckdb":
        return None
    options = dict(option.split("=", 1) for option in settings.spark_options)
    return adapters.SparkEngine(master=settings.spark_master, memory=settings.spark_memory, options=options)
