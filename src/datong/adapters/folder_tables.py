"""Which tables a folder of files holds: single files, watched subfolders, and what `datong.yaml` in it declares."""

import logging
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError

from datong.adapters import file_sheets
from datong.exchange.types import arrow_type
from datong.kernel import DatongError, Misconfigured, Text, Value
from datong.kernel.limits import NAME_CHARS_MAX

LOGGER = logging.getLogger("datong.sources")
DEFINITIONS = "datong.yaml"
DONE = ".done"
TABLES_MAX = 10_000
STABLE_SECONDS_DEFAULT = 10.0
SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".xlsx", ".xls", ".parquet", ".json", ".jsonl", ".ndjson"})
SINGLE_SUFFIXES = SUFFIXES - {".txt"}
"""A text file is a table only where a pattern or a subfolder says so."""


class FolderTable(Value):
    """A watched table: the files whose path below the folder fits `pattern`, and how they are written."""

    table: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    pattern: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    ready: Literal["stable", "done"] = "stable"
    stable_seconds: float = Field(STABLE_SECONDS_DEFAULT, ge=0)
    separator: str = Field("", max_length=1)
    encoding: str = ""
    header_row: int = Field(1, ge=1)
    sheet: str = ""
    columns: Mapping[str, str] = Field(default_factory=dict)
    """Types of columns that shall not be what the format itself says, such as `decimal(18,2)` in a CSV file."""
    comment: str = ""


class FolderDefinitions(Value):
    """The content of `datong.yaml`."""

    tables: tuple[FolderTable, ...] = Field((), max_length=TABLES_MAX)


class SingleTable(Value):
    """A table that is one file, or one sheet of a workbook."""

    table: str
    path: Path
    sheet: str = ""


def definitions(folder: Path) -> FolderDefinitions:
    """Return what `datong.yaml` declares; nothing when there is none.

    Raises:
        Misconfigured: `adapters.folder_definitions`, with the place of the fault.
    """
    path = folder / DEFINITIONS
    if not path.is_file():
        return FolderDefinitions()
    try:
        found = FolderDefinitions.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
        for table in found.tables:
            for kind in table.columns.values():
                arrow_type(kind)
    except ValidationError as error:
        first = error.errors()[0]
        place = "/".join(str(part) for part in first["loc"])
        raise _faulty(path, Text(zh=f"{place} 处有误", en=f"fault at {place}")) from error
    except DatongError as error:
        raise _faulty(path, error.what) from error
    except (yaml.YAMLError, UnicodeDecodeError, OSError, TypeError) as error:
        raise _faulty(path, Text(zh="不是可读的 YAML", en="it is no readable YAML")) from error
    return found


def watched_tables(folder: Path) -> list[FolderTable]:
    """Return the declared tables, then one for every subfolder that no declaration names."""
    declared = list(definitions(folder).tables)
    taken = {table.table for table in declared}
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not _hidden(path.name) and path.name not in taken:
            inside = FolderTable(table=path.name, pattern=f"{path.name}/*")
            if any(True for _ in files_of(folder, inside)):
                declared.append(inside)
    return declared


def single_tables(folder: Path, watched: list[FolderTable]) -> Iterator[SingleTable]:
    """Yield the tables that are one file each; a workbook's sheets are `file.sheet` unless there is only one."""
    for path in sorted(folder.iterdir()):
        suffix = path.suffix.lower()
        if suffix not in SINGLE_SUFFIXES or _hidden(path.name) or not path.is_file():
            continue
        if any(fnmatchcase(path.name, table.pattern) for table in watched) or _leads_out(path, folder):
            continue
        if suffix in file_sheets.SUFFIXES:
            sheets = file_sheets.sheet_names(path)
            for sheet in sheets:
                yield SingleTable(
                    table=path.stem if len(sheets) == 1 else f"{path.stem}.{sheet}", path=path, sheet=sheet
                )
        else:
            yield SingleTable(table=path.stem, path=path)


def files_of(folder: Path, table: FolderTable) -> Iterator[tuple[str, Path]]:
    """Yield the names (below the folder, with slashes) and paths of a watched table's files, unfinished ones too."""
    below = folder / Path(table.pattern).parent
    if not below.is_dir() or not below.resolve().is_relative_to(folder.resolve()):
        return
    for path in sorted(below.iterdir()):
        name = path.relative_to(folder).as_posix()
        wanted = path.suffix.lower() in SUFFIXES and not _hidden(path.name) and fnmatchcase(name, table.pattern)
        if wanted and path.is_file() and not _leads_out(path, folder):
            yield name, path


def is_ready(path: Path, table: FolderTable, now_seconds: float) -> bool:
    """Whether a file is complete: its `.done` marker stands beside it, or it has not changed for long enough."""
    if table.ready == "done":
        return path.with_name(path.name + DONE).exists()
    return now_seconds - path.stat().st_mtime >= table.stable_seconds


def _leads_out(path: Path, folder: Path) -> bool:
    """Whether a file is a link to one outside the folder: who may write into the folder shall not have others read."""
    if not path.is_symlink() or path.resolve().is_relative_to(folder.resolve()):
        return False
    _tell_of(path)
    return True


@cache
def _tell_of(path: Path) -> None:
    """Tell once in the node's log that a link is not followed."""
    LOGGER.warning("not read, because it is a link that leads out of its folder: %s", path)


def _hidden(name: str) -> bool:
    """Whether a file is hidden or somebody's unfinished copy."""
    return name.startswith((".", "~", "_datong")) or name == DEFINITIONS


def _faulty(path: Path, reason: Text) -> Misconfigured:
    return Misconfigured(
        "adapters.folder_definitions",
        what=Text(zh=f"{path.name}：{reason.zh}。", en=f"{path.name}: {reason.en}."),
        remedy=Text(zh="请按文档（连接器）修正该文件。", en="Correct the file as the page on connectors says."),
    )
