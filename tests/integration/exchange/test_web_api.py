"""A web interface as a source, against a real server in a process of its own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datong.adapters.connections import open_connector
from datong.adapters.json_records import JsonRecords
from datong.adapters.web_api import WebApi
from datong.adapters.web_api_client import WebApiClient
from datong.adapters.web_api_definition import ApiDefinition, load_definition
from datong.exchange import Connector, ReadQuery, cursor_at_end
from datong.kernel import Corrupt, DatongError, Invalid, Misconfigured, NotFound, Refused, Unavailable
from tests.free_ports import free_port
from tests.web_api_server import RECORDS

COLUMNS = [
    {"name": "id", "type": "int64"},
    {"name": "v", "type": "decimal(9,2)", "at": "deep.v", "comment": "值"},
    {"name": "at", "type": "timestamp_utc"},
]
PAGINGS = {
    "page": {"kind": "page", "parameter": "page", "size_parameter": "size", "size": 60},
    "offset": {"kind": "offset", "parameter": "offset"},
    "cursor": {"kind": "cursor", "parameter": "after", "next": "meta.next"},
    "link": {"kind": "link"},
    "next": {"kind": "next_url", "next": "next"},
}
PLACES = {"page": "data.items", "offset": "", "cursor": "items", "link": "", "next": "items"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "tests.web_api_server", str(port)])
    try:
        while True:
            assert process.poll() is None
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def defined(folder: Path, url: str, *tables: dict[str, Any], **more: Any) -> Path:
    path = folder / "api.yaml"
    document = {
        "name": "测试",
        "url": url,
        "allow_private": True,
        "requests_per_minute": 60_000,
        "tables": list(tables),
    }
    path.write_text(yaml.safe_dump({**document, **more}, allow_unicode=True), encoding="utf-8")
    path.chmod(0o600)
    return path


def opened(folder: Path, url: str, *tables: dict[str, Any], **more: Any) -> Connector:
    return open_connector(f"api://{defined(folder, url, *tables, **more)}")


def impatient(folder: Path, url: str, table: dict[str, Any], **more: Any) -> tuple[WebApi, list[float]]:
    """A connector that does not really wait, and the pauses it would have made."""
    pauses: list[float] = []

    def client(definition: ApiDefinition) -> WebApiClient:
        return WebApiClient(definition, sleep=pauses.append)

    return WebApi(defined(folder, url, table, **more), client=client), pauses


def ids(connector: Connector) -> list[object]:
    query = ReadQuery(table="t", columns=("id",))
    return [value for batch in connector.read(query) for value in batch.column("id").to_pylist()]


@pytest.mark.parametrize("kind", list(PAGINGS))
def test_every_way_of_paging_reads_every_record_once(server: str, tmp_path: Path, kind: str) -> None:
    table = {"table": "t", "path": f"/{kind}", "paging": PAGINGS[kind], "records": PLACES[kind], "columns": COLUMNS}
    connector = opened(tmp_path, server, table)
    assert ids(connector) == [record["id"] for record in RECORDS]
    assert connector.count("t") == len(RECORDS)
    first = next(iter(connector.read(ReadQuery(table="t", columns=("v", "at"), batch_rows=7)))).to_pylist()
    assert [str(row["v"]) for row in first[:3]] == ["0.00", "0.25", "0.50"]
    connector.close()


def test_an_increment_asks_for_what_changed_and_leaves_out_what_is_known(server: str, tmp_path: Path) -> None:
    table = {
        "table": "t",
        "path": "/offset",
        "paging": PAGINGS["offset"],
        "columns": COLUMNS,
        "key_columns": ["id"],
        "increment": {"column": "at", "parameter": "since"},
    }
    connector = opened(tmp_path, server, table)
    query = ReadQuery(table="t", columns=("at", "id"), cursor_column="at", key_columns=("id",), batch_rows=200)
    first, rest = list(connector.read(query))
    assert (first.num_rows, rest.num_rows) == (200, 50)
    again = query.model_copy(update={"after": cursor_at_end(first, query.order)})
    assert [row for batch in connector.read(again) for row in batch.column("id").to_pylist()] == list(range(200, 250))


def test_columns_are_found_once_and_kept(server: str, tmp_path: Path) -> None:
    table = {"table": "t", "path": "/offset", "paging": PAGINGS["offset"]}
    connector = opened(tmp_path, server, table)
    (schema,) = connector.inspect()
    assert {column.name: column.type for column in schema.columns} == {
        "id": "int64",
        "name": "string",
        "at": "string",
        "deep": "string",
        "none": "string",
    }
    rows = list(connector.read(ReadQuery(table="t", columns=("name", "deep", "none"))))[0].to_pylist()
    assert rows[1] == {"name": "站1𠮷", "deep": '{"v":0.25}', "none": None}
    table["path"] = "/mistyped"
    with pytest.raises(Invalid, match="value_not_lossless"):
        ids(opened(tmp_path, server, table))
    sample = connector.sample(schema, 30).read_all()
    assert sample.num_rows == 30
    assert connector.newest("t", "at") is None


@pytest.mark.parametrize(
    "auth",
    [
        {"kind": "basic", "username": "节点", "password": "口令"},
        {"kind": "bearer", "token": "issued"},
        {"kind": "header", "header": "X-Key", "value": "k"},
        {"kind": "oauth2", "client_id": "client", "client_secret_file": "secret", "token_url": "/token"},
    ],
)
def test_every_way_of_signing_in(server: str, tmp_path: Path, auth: dict[str, str]) -> None:
    (tmp_path / "secret").write_text("secret\n")
    (tmp_path / "secret").chmod(0o600)
    path = "/bearer" if auth["kind"] == "oauth2" else f"/{auth['kind']}"
    if "token_url" in auth:
        auth = {**auth, "token_url": server + "/token"}
    table = {"table": "t", "path": path, "columns": COLUMNS[:1]}
    assert ids(opened(tmp_path, server, table, auth=auth)) == [0, 1]
    with pytest.raises(Refused, match="api_refuses"):
        ids(opened(tmp_path, server, table))


def test_secrets_that_others_can_read_are_refused(server: str, tmp_path: Path) -> None:
    path = defined(tmp_path, server, {"table": "t", "path": "/bearer"}, auth={"kind": "bearer", "token": "issued"})
    path.chmod(0o644)
    with pytest.raises(Misconfigured, match="secret_exposed") as caught:
        load_definition(path)
    assert "issued" not in str(caught.value)


def test_patience_is_as_asked_and_bounded(server: str, tmp_path: Path) -> None:
    connector, pauses = impatient(tmp_path, server, {"table": "t", "path": "/turnstile", "columns": COLUMNS[:1]})
    assert ids(connector) == [0, 1, 2]
    assert 1.0 in pauses
    failing, pauses = impatient(
        tmp_path, server, {"table": "t", "path": "/failing", "columns": COLUMNS[:1]}, attempts_max=3
    )
    with pytest.raises(Unavailable, match="source_unavailable"):
        ids(failing)
    assert [pause for pause in pauses if pause >= 0.5] == [0.5, 1.0]


def test_the_rate_is_kept(server: str, tmp_path: Path) -> None:
    table = {"table": "t", "path": "/offset", "paging": PAGINGS["offset"], "columns": COLUMNS[:1]}
    connector, pauses = impatient(tmp_path, server, table, requests_per_minute=1)
    assert len(ids(connector)) == len(RECORDS)
    assert len([pause for pause in pauses if pause > 50]) == 3


@pytest.mark.parametrize(
    ("table", "error", "code"),
    [
        ({"path": "/elsewhere"}, Refused, "api_elsewhere"),
        ({"path": "/away", "records": "items", "paging": PAGINGS["next"]}, Refused, "api_elsewhere"),
        ({"path": "/endless", "records": "items", "paging": PAGINGS["next"]}, Corrupt, "api_endless"),
        ({"path": "/nothing"}, NotFound, "api_empty"),
        ({"path": "/broken"}, Invalid, "file_damaged"),
        ({"path": "/page", "params": {"page": 1, "size": 5}, "records": "data.none"}, Invalid, "file_damaged"),
    ],
)
def test_misbehaviour_is_named(
    server: str, tmp_path: Path, table: dict[str, Any], error: type[DatongError], code: str
) -> None:
    connector = opened(tmp_path, server, {"table": "t", "columns": COLUMNS[:1], **table})
    with pytest.raises(error, match=code):
        ids(connector)


def test_redirects_within_the_interface_are_followed(server: str, tmp_path: Path) -> None:
    assert len(ids(opened(tmp_path, server, {"table": "t", "path": "/moved", "columns": COLUMNS[:1]}))) == 100


def test_private_addresses_need_permission(server: str, tmp_path: Path) -> None:
    connector = opened(tmp_path, server, {"table": "t", "path": "/offset", "columns": COLUMNS[:1]}, allow_private=False)
    with pytest.raises(Refused, match="address_forbidden"):
        ids(connector)


def test_a_server_that_is_gone_is_unavailable_and_a_damaged_table_hides_no_other(server: str, tmp_path: Path) -> None:
    connector, _ = impatient(tmp_path, "http://127.0.0.1:1", {"table": "t", "path": "/x"})
    with pytest.raises(Unavailable):
        connector.inspect()
    both = opened(tmp_path, server, {"table": "a", "path": "/broken"}, {"table": "b", "path": "/link"})
    broken, sound = both.inspect()
    assert (len(broken.problems), len(sound.columns)) == (1, 5)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["name", "url", "tables", "auth", "table", "path"]), inner, max_size=4)
        ),
        max_leaves=12,
    ).map(lambda document: yaml.safe_dump(document, allow_unicode=True))
)
def test_no_definition_gives_another_error_than_ours(tmp_path: Path, text: str) -> None:
    path = tmp_path / "d.yaml"
    path.write_text(text, encoding="utf-8", errors="ignore")
    os.chmod(path, 0o600)
    try:
        load_definition(path)
    except DatongError:
        return


@settings(max_examples=80)
@given(st.text('[]{}",:0123456789.eE+-truefalsnid\\\n a', max_size=60))
def test_no_answer_gives_another_error_than_ours(body: str) -> None:
    with JsonRecords("测试") as records:
        try:
            records.load_text(body, "$")
            records.table(records.columns({}, {}), {})
        except DatongError:
            return
