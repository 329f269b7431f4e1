"""How a web interface is described: where it is, how one signs in, how it pages, where its records are."""

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import yaml
from pydantic import Field, ValidationError

from datong.exchange.types import arrow_type
from datong.kernel import DatongError, Misconfigured, Text, Value
from datong.kernel.limits import NAME_CHARS_MAX

SECRET_BYTES_MAX = 16_384
TABLES_MAX = 1_000
PAGE_ROWS_MAX = 100_000
_SECRETS = ("password", "token", "value", "client_secret")


class ApiAuth(Value):
    """How the node signs in; a secret stands here, or alone in a file beside (`…_file`)."""

    kind: Literal["none", "basic", "bearer", "header", "oauth2"] = "none"
    username: str = ""
    password: str = ""
    password_file: str = ""
    token: str = ""
    token_file: str = ""
    header: str = ""
    value: str = ""
    value_file: str = ""
    token_url: str = ""
    client_id: str = ""
    client_secret: str = ""
    client_secret_file: str = ""
    scope: str = ""


class ApiPaging(Value):
    """How one gets from a page to the next.

    `page`, `offset`: `parameter` counts pages from `first`, or rows from 0, until a page is short or empty. `cursor`:
    the text at `next` in an answer goes into `parameter` until there is none. `next_url`: the address at `next`.
    `link`: the address in the Link header (RFC 8288) with rel=next.
    """

    kind: Literal["none", "page", "offset", "cursor", "next_url", "link"] = "none"
    parameter: str = ""
    first: int = Field(1, ge=0)
    size_parameter: str = ""
    size: int = Field(0, ge=0, le=PAGE_ROWS_MAX)
    next: str = ""


class ApiIncrement(Value):
    """The parameter that asks for what changed since a value of `column`."""

    column: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    parameter: str = Field(min_length=1, max_length=NAME_CHARS_MAX)


class ApiColumn(Value):
    """A declared column; `at` is where in a record it stands, as `profile.name`, if not under its own name."""

    name: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    type: str
    at: str = ""
    comment: str = ""


class ApiTable(Value):
    """One list of records as a table; without `columns` they are found on the first page and then kept."""

    table: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    path: str
    params: Mapping[str, str | int] = Field(default_factory=dict)
    records: str = ""
    paging: ApiPaging = ApiPaging()
    increment: ApiIncrement | None = None
    key_columns: tuple[str, ...] = ()
    columns: tuple[ApiColumn, ...] = ()
    comment: str = ""

    @property
    def places(self) -> dict[str, str]:
        """Where the declared columns stand in a record."""
        return {column.name: column.at or column.name for column in self.columns}


class ApiDefinition(Value):
    """The content of a definition file."""

    name: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    url: str
    allow_private: bool = False
    """Whether the interface may be at an address inside the network, as most departments' are."""
    auth: ApiAuth = ApiAuth()
    headers: Mapping[str, str] = Field(default_factory=dict)
    requests_per_minute: float = Field(600, gt=0)
    timeout_seconds: float = Field(30, gt=0, le=600)
    attempts_max: int = Field(5, ge=1, le=20)
    tables: tuple[ApiTable, ...] = Field(min_length=1, max_length=TABLES_MAX)


def load_definition(path: Path) -> ApiDefinition:
    """Return the definition at `path`, with the secrets that it refers to.

    Raises:
        Misconfigured: `adapters.api_definition` with the place of the fault; `adapters.secret_exposed`: others can
            read a secret.
    """
    try:
        found = ApiDefinition.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        place = "/".join(str(part) for part in first["loc"]) or "/"
        raise _faulty(path, Text(zh=f"{place} 处有误", en=f"fault at {place}")) from error
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise _faulty(path, Text(zh="不是可读的 YAML", en="it is no readable YAML")) from error
    _check(path, found)
    return found.model_copy(update={"auth": _with_secrets(path, found.auth)})


def _check(path: Path, found: ApiDefinition) -> None:
    parts = urlsplit(found.url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query:
        raise _faulty(path, Text(zh="url 应为不含口令和参数的 http(s) 地址", en="url is no plain http(s) address"))
    names = [table.table for table in found.tables]
    if len(set(names)) != len(names):
        raise _faulty(path, Text(zh="表名重复", en="two tables have one name"))
    for table in found.tables:
        needs = {"page": table.paging.parameter, "offset": table.paging.parameter, "cursor": table.paging.parameter}
        missing = table.paging.kind in needs and not needs[table.paging.kind]
        missing = missing or (table.paging.kind in {"cursor", "next_url"} and not table.paging.next)
        if missing or table.path.startswith("//") or "://" in table.path:
            reason = Text(
                zh=f"表 {table.table} 的 paging 或 path 有误", en=f"paging or path of the table {table.table} is wrong"
            )
            raise _faulty(path, reason)
        for column in table.columns:
            try:
                arrow_type(column.type)
            except DatongError as error:
                raise _faulty(path, error.what) from error


def _with_secrets(path: Path, auth: ApiAuth) -> ApiAuth:
    """Return `auth` with the secrets of its files; nobody but the owner may be able to read any of them.

    Raises:
        Misconfigured: `adapters.secret_exposed`, `adapters.api_definition`.
    """
    read: dict[str, str] = {}
    for name in _SECRETS:
        file = getattr(auth, f"{name}_file")
        if file:
            secret = path.parent / file
            _check_private(secret)
            try:
                with secret.open(encoding="utf-8") as opened:
                    read[name] = opened.read(SECRET_BYTES_MAX).strip()
            except (OSError, UnicodeDecodeError) as error:
                raise _faulty(path, Text(zh=f"无法读取 {file}", en=f"{file} cannot be read")) from error
        elif getattr(auth, name):
            _check_private(path)
    return auth.model_copy(update=read)


def _check_private(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if stat.S_IMODE(mode) & 0o077:
        raise Misconfigured(
            "adapters.secret_exposed",
            what=Text(
                zh=f"文件 {path.name} 含有凭据，其他用户却可以读取。",
                en=f"The file {path.name} holds a credential, and other users can read it.",
            ),
            remedy=Text(zh=f"请执行 chmod 600 {path}。", en=f"Run chmod 600 {path}."),
        )


def _faulty(path: Path, reason: Text) -> Misconfigured:
    return Misconfigured(
        "adapters.api_definition",
        what=Text(zh=f"接口定义 {path.name}：{reason.zh}。", en=f"The definition {path.name}: {reason.en}."),
        remedy=Text(zh="请按文档（连接器）修正该文件。", en="Correct the file as the page on connectors says."),
    )
