"""Opening a source or a target by its URL."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from datong import adapters
from datong.exchange import ChangeSource, Connector, Target
from datong.kernel import Invalid, Misconfigured, Text

SCHEMES = (
    "sqlite:///path",
    "postgresql://user:password@host/database",
    "mysql://user:password@host/database",
    "files:///folder",
    "api:///definition.yaml",
    "oracle+oracledb://… / mssql+pyodbc://… / dm+dmPython://… (SQLAlchemy)",
)
SQLALCHEMY_SCHEMES = frozenset({"oracle", "mssql", "dm", "kingbase", "kingbase8", "duckdb"})
"""Engines whose SQLAlchemy dialect has a driver of its own choice; any `dialect+driver` will do as well."""


def open_connector(url: str) -> Connector:
    """Return the connector for `url`, of one of the kinds in `SCHEMES`.

    Raises:
        Invalid: `adapters.url_unknown`.
        Misconfigured: `adapters.driver_missing`: installed without the extra `node`.
    """
    parts = _parts(url)
    match parts.scheme:
        case "sqlite":
            return adapters.SqliteDatabase(_path(parts.path))
        case "postgresql" | "postgres":
            with _drivers(parts.scheme):
                return adapters.PostgresqlDatabase(url)
        case "mysql" | "mariadb":
            with _drivers(parts.scheme):
                return adapters.MariadbDatabase(url)
        case "files":
            state = parse_qs(parts.query).get("state", [""])[0]
            return adapters.FileFolder(_path(parts.path), state=_path(state) if state else None)
        case "api":
            return adapters.WebApi(_path(parts.path))
    if "+" in parts.scheme or parts.scheme in SQLALCHEMY_SCHEMES:
        return adapters.SqlalchemyDatabase(url)
    raise _unknown(parts.scheme)


def open_target(url: str) -> Target:
    """Return the target for `url`; a folder of files cannot be one.

    Raises:
        Invalid: `adapters.url_unknown`.
        Misconfigured: `adapters.driver_missing`: installed without the extra `node`.
    """
    parts = _parts(url)
    match parts.scheme:
        case "sqlite":
            return adapters.SqliteDatabase(_path(parts.path), writable=True)
        case "postgresql" | "postgres":
            with _drivers(parts.scheme):
                return adapters.PostgresqlDatabase(url)
        case "mysql" | "mariadb":
            with _drivers(parts.scheme):
                return adapters.MariadbDatabase(url)
    if "+" in parts.scheme or parts.scheme in SQLALCHEMY_SCHEMES:
        return adapters.SqlalchemyTarget(url)
    raise _unknown(parts.scheme)


def open_changes(url: str) -> ChangeSource:
    """Return the log of changes of the database at `url`.

    Raises:
        Invalid: `adapters.no_change_log`.
        Misconfigured: `adapters.driver_missing`: installed without the extra `node`.
    """
    parts = _parts(url)
    if parts.scheme in {"postgresql", "postgres"}:
        with _drivers(parts.scheme):
            return adapters.PostgresqlChanges(url)
    if parts.scheme in {"mysql", "mariadb"}:
        with _drivers(parts.scheme):
            return adapters.MariadbChanges(url)
    raise Invalid(
        "adapters.no_change_log",
        what=Text(
            zh=f"{parts.scheme}:// 类型的数据源没有可读取的变更日志。",
            en=f"A {parts.scheme}:// source keeps no log of changes that could be read.",
        ),
        remedy=Text(zh="请改用比对增量方式（diff）。", en="Use the mode diff."),
        field="/mode",
    )


@contextmanager
def _drivers(scheme: str) -> Iterator[None]:
    """Say which extra of the package was left out if a driver cannot be imported; each is loaded when first used."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise Misconfigured(
            "adapters.driver_missing",
            what=Text(
                zh=f"本机安装时未包含 {scheme}:// 数据源的驱动（缺少 {error.name}）。",
                en=f"The driver for {scheme}:// was not installed here ({error.name} is missing).",
            ),
            remedy=Text(zh="请安装 datong[node]。", en="Install datong[node]."),
        ) from error


def _parts(url: str) -> SplitResult:
    """Return the parts of a URL.

    Raises:
        Invalid: `adapters.url_unknown`: it is malformed.
    """
    try:
        parts = urlsplit(url)
        # A port that is no number is noticed only when it is asked for.
        _ = parts.port
    except ValueError as error:
        raise _unknown(url.split(":", 1)[0]) from error
    return parts


def _path(path: str) -> Path:
    """Return the absolute path of a URL, written with three slashes or, as SQLAlchemy does, with four."""
    return Path(unquote(path.removeprefix("/") if path.startswith("//") else path))


def _unknown(scheme: str) -> Invalid:
    # The URL itself is not repeated: it may hold a password.
    return Invalid(
        "adapters.url_unknown",
        what=Text(zh=f"不支持 {scheme}:// 类型的数据源。", en=f"A {scheme}:// source is not supported here."),
        remedy=Text(zh=f"请使用：{'、'.join(SCHEMES)}。", en=f"Use one of: {', '.join(SCHEMES)}."),
        field="/url",
    )
