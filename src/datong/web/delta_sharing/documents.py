"""What the protocol's answers say: lists with page tokens, and lines of JSON about a table and its files."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from datong.kernel import Invalid, JsonValue, Text
from datong.sharing import FileAction, SharedTable, TableAnswer

NDJSON = "application/x-ndjson; charset=utf-8"
CAPABILITIES = "delta-sharing-capabilities"
TABLE_VERSION = "Delta-Table-Version"
PARQUET, DELTA = "parquet", "delta"
PAGE_MAX = 500
TOKEN_CHARS_MAX = 1_000


class Capabilities(NamedTuple):
    """What a client said that it can read: the answer's format, and whether it waits for a closing line."""

    response_format: str
    end_stream: bool

    def header(self) -> str:
        """Return what the answer says of itself."""
        said = f"responseformat={self.response_format}"
        return f"{said};includeendstreamaction=true" if self.end_stream else said


def read_capabilities(header: str) -> Capabilities:
    """Return what the capabilities header asks for: parquet wherever the client reads it, delta if nothing else."""
    given = dict(part.strip().lower().partition("=")[::2] for part in header.split(";"))
    formats = {one.strip() for one in given.get("responseformat", PARQUET).split(",")}
    chosen = DELTA if DELTA in formats and PARQUET not in formats else PARQUET
    return Capabilities(response_format=chosen, end_stream=given.get("includeendstreamaction") == "true")


def page(items: Sequence[Mapping[str, JsonValue]], *, most: str | None, token: str | None) -> dict[str, JsonValue]:
    """Return a page of `items`, which are in a stable order by their names, and the token of the next if there is one.

    Raises:
        Invalid: `most` is no whole number, or `token` is none of ours.
    """
    try:
        wanted = PAGE_MAX if most is None else int(most)
        after = "" if token is None else _opened(token)
    except ValueError as error:
        raise _bad(
            "maxResults", "maxResults 或 pageToken 不可用。", "maxResults or pageToken is not usable."
        ) from error
    if wanted < 0:
        raise _bad("maxResults", "maxResults 不得为负数。", "maxResults must not be negative.")
    rest = sorted((item for item in items if _key(item) > after), key=_key)
    shown = rest[: min(wanted, PAGE_MAX)]
    answer: dict[str, JsonValue] = {"items": [dict(item) for item in shown]}
    if len(shown) < len(rest):
        answer["nextPageToken"] = _closed(_key(shown[-1]) if shown else after)
    return answer


def table_item(table: SharedTable) -> dict[str, JsonValue]:
    """Return a table as lists name it."""
    return {
        "name": table.name.table,
        "schema": table.name.schema_name,
        "share": table.name.share,
        "shareId": table.provider,
        "id": table.resource_id,
    }


def lines(answer: TableAnswer, able: Capabilities) -> Iterator[bytes]:
    """Yield the lines of an answer: protocol, metadata, files, and the closing line for who waits for it."""
    delta = able.response_format == DELTA
    protocol: dict[str, JsonValue] = {"minReaderVersion": 1}
    yield _line({"protocol": {"deltaProtocol": {**protocol, "minWriterVersion": 1}} if delta else protocol})
    yield _line({"metaData": _metadata(answer, delta=delta)})
    for file in answer.files:
        yield _line(_delta_file(file) if delta else _parquet_file(file, answer.urls_until))
    if able.end_stream:
        until = {} if answer.urls_until is None else {"minUrlExpirationTimestamp": _milliseconds(answer.urls_until)}
        yield _line({"endStreamAction": dict(until)})


def _metadata(answer: TableAnswer, *, delta: bool) -> dict[str, JsonValue]:
    fields: list[JsonValue] = [
        {"name": name, "type": kind, "nullable": True, "metadata": _comment(answer.titles.get(name))}
        for name, kind in answer.types.items()
    ]
    said: dict[str, JsonValue] = {
        "id": answer.table.resource_id,
        "name": answer.table.title.zh,
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": fields}, ensure_ascii=False),
        "partitionColumns": [],
    }
    if delta:
        return {
            "version": answer.version,
            "deltaMetadata": {**said, "configuration": {"delta.enableChangeDataFeed": "true"}},
        }
    return {**said, "configuration": {"enableChangeDataFeed": "true"}, "version": answer.version}


def _comment(title: Text | None) -> dict[str, JsonValue]:
    return {} if title is None else {"comment": f"{title.zh} / {title.en}"}


def _parquet_file(file: FileAction, until: datetime | None) -> dict[str, JsonValue]:
    said: dict[str, JsonValue] = {
        "url": file.url,
        "id": f"{file.release[:32]}-{file.name}",
        "partitionValues": {},
        "size": file.bytes,
        "version": file.version,
        "timestamp": _milliseconds(file.at),
    }
    if file.kind in {"file", "add"}:
        said["stats"] = json.dumps({"numRecords": file.rows})
    if until is not None:
        said["expirationTimestamp"] = _milliseconds(until)
    return {file.kind: said}


def _delta_file(file: FileAction) -> dict[str, JsonValue]:
    action: dict[str, JsonValue] = {
        "path": file.url,
        "partitionValues": {},
        "size": file.bytes,
        "dataChange": file.kind != "cdf",
    }
    if file.kind in {"file", "add"}:
        action |= {"modificationTime": _milliseconds(file.at), "stats": json.dumps({"numRecords": file.rows})}
    if file.kind == "remove":
        action["deletionTimestamp"] = _milliseconds(file.at)
    name = {"file": "add", "cdf": "cdc"}.get(file.kind, file.kind)
    return {
        "file": {
            "id": f"{file.release[:32]}-{file.name}",
            "version": file.version,
            "timestamp": _milliseconds(file.at),
            "deltaSingleAction": {name: action},
        }
    }


def _line(value: Mapping[str, JsonValue]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _key(item: Mapping[str, JsonValue]) -> str:
    return "\x00".join(str(item[part]) for part in ("share", "schema", "name") if part in item)


def _closed(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode()


def _opened(token: str) -> str:
    """Return the name behind which a page begins.

    Raises:
        ValueError: the token is none of ours.
    """
    if len(token) > TOKEN_CHARS_MAX:
        raise ValueError("too long")
    return base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True).decode()


def _bad(field: str, zh: str, en: str) -> Invalid:
    return Invalid(
        "web.delta_request_invalid",
        what=Text(zh=zh, en=en),
        remedy=Text(zh="请对照 Delta Sharing 协议修改请求。", en="Correct the request by the Delta Sharing protocol."),
        field=f"/{field}",
    )
