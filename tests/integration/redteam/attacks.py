"""The attacks. Canaries are searched for in every answer by the attackers' clients; here stands what else must hold."""

import gzip
import io
import itertools
import json
import tarfile
import time
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from tests.integration.redteam.canaries import texts_of
from tests.integration.redteam.ways import Aim, Way, attack
from tests.integration.redteam.world import (
    AGREED,
    CASE,
    DEPOT_ROWS,
    FILE_CONTENT,
    NOBODY,
    OTHER_DISTRICT,
    POLICE,
    PURPOSE,
    RESIDENTS,
    SEEN,
    UNAGREED,
    UNSEEN,
    RedTeamWorld,
    lines,
)

TABLE = "/delta-sharing/shares/公安局/schemas/义务教育入学/tables/常住人口"
LAYER = "/ogc/collections/closed_facility/items"
STATED = {"Datong-Purpose": quote(PURPOSE), "Datong-Case-Number": CASE}
LETTERS_TRIED = ("%", "_", "*", "' OR '1'='1", "JL000", "jl0001", "JL0001\x00", "JL0005 ", "\u200bJL0005", "../JL0005")
"""Values that a careless look-up would take for a pattern, for SQL, or for another value."""


def query(
    world: RedTeamWorld, who: str, key: Mapping[str, object], items: Sequence[str], **change: object
) -> httpx.Response:
    """Query the gateway."""
    body = {"key": key, "items": list(items), "purpose": PURPOSE, "case_number": CASE, **change}
    return world[who].post(f"/gateway/v1/{world.residents}/query", json=body)


def verify(world: RedTeamWorld, who: str, key: Mapping[str, object], claims: Mapping[str, object]) -> httpx.Response:
    """Verify at the gateway."""
    body = {"key": key, "claims": claims, "purpose": PURPOSE, "case_number": CASE}
    return world[who].post(f"/gateway/v1/{world.residents}/verify", json=body)


def refused(answer: httpx.Response, *statuses: int) -> None:
    """Check that nothing was answered, whatever the reason."""
    assert answer.status_code in (statuses or (400, 401, 403, 404, 409, 413, 415, 422)), (answer.url, answer.text)


def _names(world: RedTeamWorld, column: str) -> list[str]:
    """Return every name by which an item of the residents may be called."""
    element = world.services.pack.element(RESIDENTS[column])
    return [column, element.code, element.name.zh]


@attack(Way.GATEWAY, Aim.ITEM)
def items_outside(world: RedTeamWorld) -> None:
    """Ask for what is not agreed by each of its names, alone and among what is; and for what no item is."""
    for column in UNAGREED:
        for name in _names(world, column):
            refused(query(world, "application", {"bh": SEEN[0].bh}, [name, "xm"]), 403)
            refused(verify(world, "application", {"bh": SEEN[0].bh}, {name: getattr(SEEN[0], column)}), 403)
    for name in ("row_key", "entity_id", "column:bz", "*", "", "_row_key"):
        refused(query(world, "application", {"bh": SEEN[0].bh}, [name]), 422)


@attack(Way.GATEWAY, Aim.ROW, Aim.PAGE)
def rows_outside(world: RedTeamWorld) -> None:
    """Ask for rows outside the filter by every key: each answer is that of a row which does not exist."""
    for row in UNSEEN:
        for key, nobody in (({"bh": row.bh}, {"bh": "JL9999"}), ({"sfzh": row.sfzh}, {"sfzh": NOBODY})):
            told, nothing = (query(world, "application", one, AGREED) for one in (key, nobody))
            assert told.json()["rows"] == nothing.json()["rows"] == []
            assert _shape(told) == _shape(nothing)
            claims = {"xm": row.xm, "zd": row.zd or ""}
            told, nothing = (verify(world, "application", one, claims) for one in (key, nobody))
            assert told.json()["results"] == nothing.json()["results"] == {"xm": "unknown", "zd": "unknown"}
            assert _shape(told) == _shape(nothing)


@attack(Way.GATEWAY, Aim.GRADE)
def values_below_grade(world: RedTeamWorld) -> None:
    """Ask for everything agreed: masked, and what is for verification only says nothing."""
    for row in SEEN:
        answer = query(world, "application", {"sfzh": row.sfzh}, AGREED)
        (told,) = answer.json()["rows"]
        assert (told["bh"], told["qu"], told["zd"]) == (row.bh, row.qu, "***" if row.zd else None)
        assert told["xm"][:2] == row.xm[:2]
    assert verify(world, "application", {"bh": SEEN[0].bh}, {"zd": SEEN[0].zd}).json()["results"] == {"zd": "match"}


@attack(Way.GATEWAY, Aim.ORACLE)
def keys_that_tell(world: RedTeamWorld) -> None:
    """Look up by what is not agreed or is no key; try patterns; spell a key so that wrong claims are counted anew."""
    for column in UNAGREED:
        for name in _names(world, column):
            refused(query(world, "application", {name: getattr(SEEN[0], column)}, ["bh"]), 403, 422)
    for column in ("xm", "dh", "zz", "zd", "qu"):
        refused(query(world, "application", {column: getattr(SEEN[0], column)}, ["bh"]), 422)
    for tried in LETTERS_TRIED:
        assert query(world, "application", {"bh": tried}, ["bh"]).json().get("rows", []) in ([], [{"bh": SEEN[0].bh}])
    wrong = dict.fromkeys(("xm", "dh", "zz", "zd"), "猜")
    spelled = itertools.cycle((SEEN[0].sfzh, f" {SEEN[0].sfzh}", f"{SEEN[0].sfzh}\t", f"\u3000{SEEN[0].sfzh}"))
    codes = [verify(world, "application", {"citizen_id": next(spelled)}, wrong).status_code for _ in range(8)]
    assert codes.count(200) == 3, f"ten wrong claims a day about one person: {codes}"


@attack(Way.GATEWAY, Aim.TERM)
def sandbox_without_its_key(world: RedTeamWorld) -> None:
    """Call the sandbox, whose records are made up, with the credentials of a real application and of people."""
    for who in ("application", "officer", "auditor"):
        stated = {"purpose": PURPOSE, "case_number": CASE}
        asked = {"key": {"bh": SEEN[0].bh}, "items": list(AGREED), **stated}
        refused(world[who].post(f"/sandbox/v1/{world.residents}/query", json=asked))
        claimed = {"key": {"bh": SEEN[0].bh}, "claims": {"xm": SEEN[0].xm}, **stated}
        refused(world[who].post(f"/sandbox/v1/{world.residents}/verify", json=claimed))


@attack(Way.GATEWAY, Aim.ERROR)
def malformed_calls(world: RedTeamWorld) -> None:
    """Send what is no call: the errors quote nothing, and there is no 500."""
    for key in ({}, {"bh": ""}, {"bh": "x" * 9000}, {"bh": SEEN[0].bh, "sfzh": NOBODY}, {"nothing": "x"}, {"bh": None}):
        refused(query(world, "application", key, ["xm"]))
    for body in (b"", b"[]", b"{]", b'{"key": {"bh": "JL0001"}, "items": "xm"}', b"\xff\xfe", b'{"key":{"bh":1}}'):
        for call in ("query", "verify"):
            refused(world["application"].post(f"/gateway/v1/{world.residents}/{call}", content=body))
    refused(query(world, "application", {"bh": SEEN[0].bh}, ["xm"] * 1000), 413, 422)


@attack(Way.GATEWAY, Aim.TERM)
def agreements_of_others(world: RedTeamWorld) -> None:
    """Call as somebody else, for something else, for no case, and while the agreement is suspended."""
    for who in ("foreign application", "stranger", "auditor", "operator", "visitor", "application's profile"):
        refused(query(world, who, {"bh": SEEN[0].bh}, ["xm"]), 401, 403)
        refused(verify(world, who, {"bh": SEEN[0].bh}, {"xm": SEEN[0].xm}), 401, 403)
    refused(query(world, "application", {"bh": SEEN[0].bh}, ["xm"], purpose="其他事项"), 403)
    refused(query(world, "application", {"bh": SEEN[0].bh}, ["xm"], case_number=" "), 403)
    with world.suspended():
        refused(query(world, "application", {"bh": SEEN[0].bh}, ["xm"]), 403)
        refused(verify(world, "officer", {"bh": SEEN[0].bh}, {"xm": "x"}), 403)
        assert world["application's profile"].post(f"{TABLE}/query", json={}).status_code == 403


@attack(Way.GATEWAY, Aim.ITEM, Aim.ROW, Aim.ORACLE, Aim.PAGE)
def many_at_once(world: RedTeamWorld) -> None:
    """Verify several in one call: each is what it would be alone, and a row outside the filter is nobody."""
    numbers = (UNSEEN[0].bh, "JL9998", SEEN[0].bh)
    subjects: list[dict[str, object]] = [{"key": {"bh": one}, "claims": {"xm": UNSEEN[0].xm}} for one in numbers]
    subjects += [{"key": {"bh": SEEN[0].bh}, "claims": {"bz": "x"}}, {"key": {"hh": SEEN[0].hh}, "claims": {"xm": "x"}}]
    body = {"subjects": subjects, "purpose": PURPOSE, "case_number": CASE}
    path = f"/gateway/v1/{world.residents}/verify/batch"
    answer = world["application"].post(path, json=body)
    assert answer.status_code == 200, answer.text
    outside, nobody, somebody, *refusals = answer.json()["results"]
    assert outside.keys() == nobody.keys() == somebody.keys()
    assert "unknown" in str(outside)
    assert "unknown" in str(nobody)
    assert "no_match" in str(somebody)
    assert all("sharing.access_refused" in str(one) for one in refusals), refusals
    for who in ("foreign application", "stranger", "visitor"):
        told = world[who].post(path, json=body)
        assert told.status_code in (401, 403) or "match" not in told.text.replace("matchings", ""), told.text


@attack(Way.GATEWAY, Aim.ITEM, Aim.ROW, Aim.GRADE, Aim.ORACLE, Aim.PAGE, Aim.TERM)
def lists_by_filter(world: RedTeamWorld) -> None:
    """List records: agreed items and rows, masked; filter by what is masked or not agreed; carry a page's token."""
    path = f"/gateway/v1/{world.residents}/list"
    body: dict[str, object] = {"items": list(AGREED), "purpose": PURPOSE, "case_number": CASE}

    def condition(column: str, value: object) -> dict[str, object]:
        return {"filter": [{"column": column, "operator": "starts_with", "values": [str(value)[:2]]}]}

    whole = world["application"].post(path, json=body)
    assert whole.status_code == 200, whole.text
    told = sorted(whole.json()["rows"], key=lambda row: str(row["bh"]))
    alone = [query(world, "application", {"bh": row.bh}, AGREED).json()["rows"][0] for row in SEEN]
    assert told == alone, "as masked as a query"
    for column in UNAGREED:
        for name in _names(world, column):
            refused(world["application"].post(path, json=body | {"items": [name]}), 403)
            refused(world["application"].post(path, json=body | condition(name, getattr(SEEN[0], column))), 403)
    for column in ("xm", "sfzh", "dh", "zz", "zd"):
        refused(world["application"].post(path, json=body | condition(column, getattr(SEEN[0], column))), 422)
    outside = world["application"].post(path, json=body | condition("qu", OTHER_DISTRICT[:2]))
    assert {row["qu"] for row in outside.json()["rows"]} <= {SEEN[0].qu}
    token = world["application"].post(path, json=body | {"limit": 1}).json()["next_page_token"]
    for change in ({"items": ["bh"]}, {"case_number": "another"}, {"page_token": token[::-1]}, condition("qu", "44")):
        refused(world["application"].post(path, json=body | {"page_token": token} | change), 422)
    for who in ("foreign application", "stranger", "auditor", "visitor"):
        refused(world[who].post(path, json=body | {"page_token": token}), 401, 403, 404, 422)
    with world.suspended():
        refused(world["application"].post(path, json=body | {"page_token": token}), 403)


@attack(Way.GATEWAY, Aim.ITEM, Aim.ROW, Aim.GRADE, Aim.TERM)
def whole_files(world: RedTeamWorld) -> None:
    """Download the resource as a file, and follow its events: agreed columns and rows, masked, for nobody else."""
    address = f"/gateway/v1/{world.residents}"
    for form in ("parquet", "csv"):
        stated = {"purpose": PURPOSE, "form": form}
        answer = world["application"].get(f"{address}/file", params=stated)
        assert answer.status_code == 200, answer.text
        if form == "parquet":
            table = pq.read_table(io.BytesIO(answer.content))
            assert set(table.column_names) == {"bh", "xm", "sfzh", "dh", "zz", "qu"}
            assert sorted(map(str, table.column("bh").to_pylist())) == [row.bh for row in SEEN]
        for who in ("foreign application", "stranger", "auditor", "visitor"):
            refused(world[who].get(f"{address}/file", params=stated), 401, 403, 404)
            refused(world[who].get(f"{address}/events", params=stated), 401, 403, 404)
        refused(world["application"].get(f"{address}/file", params={**stated, "purpose": "x"}), 403, 404)
    with world.suspended():
        refused(world["application"].get(f"{address}/file", params={"purpose": PURPOSE}), 403)


@attack(Way.GATEWAY, Aim.ITEM, Aim.ROW, Aim.GRADE)
def sandboxes(world: RedTeamWorld) -> None:
    """Call the sandbox, with keys of real rows and for items outside: nothing real is behind it."""
    address = f"/sandbox/v1/{world.residents}"
    for row in (SEEN[0], UNSEEN[0]):
        for items in (list(AGREED), list(UNAGREED)):
            body = {"key": {"bh": row.bh}, "items": items, "purpose": PURPOSE, "case_number": CASE}
            claims = {"key": {"bh": row.bh}, "claims": {"zd": row.zd}, "purpose": PURPOSE, "case_number": CASE}
            for who in ("application", "foreign application", "stranger", "visitor"):
                world[who].post(f"{address}/query", json=body)
                told = world[who].post(f"{address}/verify", json=claims)
                assert '"zd":"match"' not in told.text


@attack(Way.GATEWAY, Aim.TERM, Aim.ERROR)
def subscriptions_and_signed_calls(world: RedTeamWorld) -> None:
    """Subscribe as a stranger, look at subscriptions of others, sign calls in the name of others."""
    address = f"/gateway/v1/{world.residents}/subscriptions"
    for who in ("foreign application", "stranger", "visitor"):
        refused(world[who].post(address, json={"url": "https://example.org/hook", "purpose": PURPOSE}))
        assert world[who].get(address).text in ("[]", "") or world[who].get(address).status_code >= 400
    refused(world["application"].post(address, json={"url": "http://127.0.0.1:1/", "purpose": PURPOSE}))
    assert world["application"].get(address).status_code == 200
    below = "/gateway/v1/subscriptions/nothing"
    for method, path in (
        ("GET", below), ("DELETE", below), ("GET", f"{below}/deliveries"), ("POST", f"{below}/secret"),
        ("POST", f"{below}/replay"),
    ):  # fmt: skip
        refused(world["application"].request(method, path, json={"after": 0} if path.endswith("replay") else None))
    secret = world["foreign application"].post("/gateway/v1/gjgxjhpt/secret")
    assert secret.status_code in (200, 201), secret.text
    signed = {"gjgxjhpt_rid": world.client_id, "gjgxjhpt_sid": world.residents, "gjgxjhpt_sign": "AAAA"}
    signed["gjgxjhpt_rtime"] = str(int(time.time() * 1000))
    body = {"key": {"bh": SEEN[0].bh}, "items": ["xm"], "purpose": PURPOSE, "case_number": CASE}
    refused(world["visitor"].post(f"/gateway/v1/{world.residents}/query", json=body, headers=signed), 401, 403)


@attack(Way.CONSOLE_CALL, Aim.TERM)
def cases_of_services(world: RedTeamWorld) -> None:
    """Open cases of a service item that there is not; of those that there are, `test_service_cases` knows more."""
    for who in ("officer", "clerk", "stranger"):
        refused(world[who].post("/api/v1/service-items/nothing/cases", json={}))
        refused(world[who].post("/service-items/nothing/case", data={}))


@attack(Way.CONSOLE_CALL, Aim.ITEM, Aim.ROW, Aim.GRADE, Aim.ORACLE, Aim.ERROR, Aim.TERM)
def calls_from_the_console(world: RedTeamWorld) -> None:
    """Do by the console's form what a program does at the gateway."""
    page = f"/agreements/{world.agreement.id}/try"
    form = {"key": "bh", "value": SEEN[0].bh, "columns": ["bh", "xm", "zd"], "case_number": CASE}
    told = world["officer"].post(page, data=form)
    assert SEEN[0].xm[:2] in told.text
    assert "hh" not in [key for key in ("bh", "sfzh", "hh") if f'value="{key}"' in told.text.split("columns")[0]]
    assert UNSEEN[0].xm[:2] not in world["officer"].post(page, data={**form, "value": UNSEEN[0].bh}).text
    for change in ({"columns": ["bz"]}, {"key": "hh", "value": SEEN[0].hh}, {"key": "xm"}, {"case_number": ""}):
        refused(world["clerk"].post(page, data={**form, **change}))
    for who in ("stranger", "auditor"):
        answer = world[who].post(page, data=form)
        assert SEEN[0].xm[:2] not in answer.text
    with world.suspended():
        refused(world["officer"].post(page, data=form), 403)


def _shape(answer: httpx.Response) -> object:
    """Return what of an answer could tell it from another: all but ids, salts, times, and what was asked."""
    said = answer.json()
    kept = {name: value for name, value in said.items() if name not in ("access_id", "entry_id", "at", "answer_salt")}
    headers = sorted(name for name in answer.headers if name not in ("date", "x-request-id"))
    return (
        answer.status_code,
        kept,
        headers,
        [len(str(said[name])) for name in ("access_id", "entry_id", "answer_salt")],
    )


def _tables(world: RedTeamWorld, body: Mapping[str, object]) -> list[dict[str, Any]]:
    """Query the table as its consumer; return what the lines of the answer say."""
    answer = world["application's profile"].post(f"{TABLE}/query", json=body)
    assert answer.status_code == 200, answer.text
    return [next(iter(one.values())) for one in lines(answer)]


def _files(said: Iterable[Mapping[str, Any]]) -> list[str]:
    return [str(one["url"]) for one in said if "url" in one]


@attack(Way.TABLES, Aim.ITEM, Aim.ROW, Aim.GRADE)
def tables_as_agreed(world: RedTeamWorld) -> None:
    """Read the table, its changes and its former versions: agreed columns, agreed rows, masked."""
    consumer = world["application's profile"]
    shown = {"bh", "xm", "sfzh", "dh", "zz", "qu"}
    said = [
        one for body in ({}, {"version": 1}, {"startingVersion": 1}, {"limitHint": 1}) for one in _tables(world, body)
    ]
    said += [next(iter(one.values())) for one in lines(consumer.get(f"{TABLE}/changes", params={"startingVersion": 0}))]
    said += [next(iter(one.values())) for one in lines(consumer.get(f"{TABLE}/metadata"))]
    for one in said:
        if "stats" in one:
            assert json.loads(one["stats"]) == {"numRecords": 2}
        if "schemaString" in one:
            assert {field["name"] for field in json.loads(one["schemaString"])["fields"]} == shown
    for url in set(_files(said)):
        table = pq.read_table(io.BytesIO(consumer.get(url).content))
        assert set(table.column_names) - {"_change_type"} == shown
        assert sorted(map(str, table.column("bh").to_pylist())) == [row.bh for row in SEEN]
    consumer.head(TABLE)
    consumer.get(f"{TABLE}/version")
    for path in ("/shares", "/shares/公安局", "/shares/公安局/schemas", "/shares/公安局/schemas/义务教育入学/tables"):
        assert consumer.get(f"/delta-sharing{path}").status_code == 200
    consumer.get("/delta-sharing/shares/公安局/all-tables")


@attack(Way.TABLES, Aim.ORACLE)
def hints_that_tell(world: RedTeamWorld) -> None:
    """Hint at columns that are hidden or masked and at rows that are left out: the answer is that without a hint."""
    plain = _tables(world, {})
    for column, value in (("hh", SEEN[0].hh), ("zd", "x"), ("bh", UNSEEN[0].bh), ("qu", UNSEEN[0].qu), ("sfzh", "9")):
        for sign in ("=", "<", ">"):
            hinted = _tables(world, {"predicateHints": [f"{column} {sign} '{value}'"]})
            if column in ("hh", "zd"):
                assert len(hinted) == len(plain), (column, sign)
    order = [
        pq.read_table(io.BytesIO(world["application's profile"].get(url).content)).column("bh").to_pylist()
        for url in _files(plain)
    ]
    assert order == [[row.bh for row in SEEN]], "in the order of a column that is shown"


@attack(Way.TABLES, Aim.ERROR)
def malformed_table_calls(world: RedTeamWorld) -> None:
    """Ask for versions and tables that there are not, in forms that there are not."""
    consumer = world["application's profile"]
    for body in (b"{]", b"[]", b'{"version": -1}', b'{"version": 99}', b'{"timestamp": "2001-01-01T00:00:00Z"}'):
        refused(consumer.post(f"{TABLE}/query", content=body))
    for name in ("人口", "常住人口%00", "..", UNSEEN[0].xm):
        refused(consumer.get(TABLE.replace("常住人口", quote(name, safe="%")) + "/metadata"))


@attack(Way.TABLES, Aim.PAGE)
def page_tokens_of_tables(world: RedTeamWorld) -> None:
    """Forge page tokens: nothing but what is listed comes of any."""
    consumer = world["application's profile"]
    listed = consumer.get("/delta-sharing/shares/公安局/all-tables").json()["items"]
    first = consumer.get("/delta-sharing/shares/公安局/all-tables", params={"maxResults": 1}).json()
    for token in (first["nextPageToken"], "0", "-1", "99", "MQ==", "é", first["nextPageToken"][:-1], "' OR 1"):
        answer = consumer.get("/delta-sharing/shares/公安局/all-tables", params={"pageToken": token})
        assert answer.status_code == 400 or all(one in listed for one in answer.json()["items"])


@attack(Way.TABLES, Aim.TERM)
def addresses_of_files(world: RedTeamWorld) -> None:
    """Use a signed address after its time, altered in each part, as somebody else, while its agreement is suspended."""
    url = _files(_tables(world, {}))[0]
    visitor, parts = world["visitor"], urlsplit(url)
    assert visitor.get(url).status_code == 200
    fields = dict(parse_qsl(parts.query))
    for name, value in fields.items():
        changed = {
            **fields,
            name: str(int(value) + 60) if name == "expires" else value[:-1] + ("0" if value[-1] != "0" else "1"),
        }
        refused(visitor.get(parts._replace(query=urlencode(changed)).geturl()), 403)
        refused(visitor.get(parts._replace(query=urlencode({**fields, name: ""})).geturl()), 403)
    for path in ("part-00001.parquet", "release.json", "subjects.parquet", "%2e%2e/part-00000.parquet"):
        refused(visitor.get(parts._replace(path=parts.path.rsplit("/", 1)[0] + "/" + path).geturl()), 403, 404)
    refused(world["foreign application's profile"].get(url), 403)
    for who in ("foreign application's profile", "visitor", "stranger", "auditor"):
        for path in (f"{TABLE}/metadata", f"{TABLE}/version", f"{TABLE}/changes?startingVersion=0"):
            refused(world[who].get(path), 401, 403, 404)
        refused(world[who].post(f"{TABLE}/query", json={}), 401, 403, 404)
    with world.suspended():
        refused(visitor.get(url), 403)
    with world.later(minutes=16):
        expired = visitor.get(url)
        assert (expired.status_code, expired.json()["errorCode"]) == (403, "sharing.url_expired")


@attack(Way.FEATURES, Aim.ITEM, Aim.GRADE, Aim.PAGE)
def layers_as_agreed(world: RedTeamWorld) -> None:
    """Read the layer in every way: agreed properties only, of which the masked one says nothing."""
    caller = world["application"]
    described = caller.get("/ogc/collections/closed_facility").json()
    told = caller.get(LAYER, headers=STATED, params={"limit": 10**6}).json()
    (depot,) = told["features"]
    assert depot["properties"] == {"facility_code": "SS-0009", "facility_name": "应急物资库"}
    assert told["numberMatched"] == 1
    assert caller.get(f"{LAYER}/{depot['id']}", headers=STATED).status_code == 200
    assert caller.get(LAYER, headers=STATED, params={"after": "1"}).json()["features"] == []
    for path in ("/ogc", "/ogc/", "/ogc/api", "/ogc/conformance", "/ogc/collections"):
        caller.get(path)
    assert described["id"] == "closed_facility"


@attack(Way.FEATURES, Aim.ORACLE, Aim.ERROR)
def filters_that_tell(world: RedTeamWorld) -> None:
    """Filter by what is masked or not agreed: right and wrong values are answered alike."""
    (_, _, place, _, _, telephone) = DEPOT_ROWS[0]
    for name, right in (("place_name", place), ("phone", telephone), ("tel", telephone)):
        answers = [world["application"].get(LAYER, headers=STATED, params={name: one}) for one in (right, "别处")]
        matched = [one.json().get("numberMatched", one.status_code) for one in answers]
        assert matched[0] == matched[1], (name, matched)
    for name, value in (
        ("datetime", "x"),
        ("bbox", "1,2,3"),
        ("after", "-1"),
        ("limit", "0"),
        ("crs", "x"),
        ("f", "csv"),
    ):
        refused(world["application"].get(LAYER, headers=STATED, params={name: value}), 400)


@attack(Way.FEATURES, Aim.TERM)
def layers_of_others(world: RedTeamWorld) -> None:
    """Read the layer as somebody else, and without a purpose."""
    for who in ("visitor", "foreign application", "stranger", "auditor", "operator"):
        refused(world[who].get(LAYER, headers=STATED), 403, 404)
        assert "closed_facility" not in world[who].get("/ogc/collections").text
    refused(world["application"].get(LAYER), 403)
    refused(world["application"].get(LAYER, headers={**STATED, "Datong-Purpose": "x"}), 403)


@attack(Way.LIBRARY, Aim.ITEM, Aim.ROW, Aim.GRADE, Aim.PAGE, Aim.TERM)
def entities_and_blocks(world: RedTeamWorld) -> None:
    """Read every person of the library as everybody: cells of other departments above L1 stay hidden."""
    for entity in world.people:
        for who in ("officer", "stranger", "clerk", "auditor", "operator", "application"):
            refused(world[who].get(f"/api/v1/libraries/population/entities/{entity}"), 403)
            refused(world[who].get(f"/api/v1/libraries/population/entities/{entity}/past", params={"version": 1}), 403)
            block = world[who].get(
                f"/api/v1/libraries/population/entities/{entity}/block", params={"purpose": "好奇", "case_number": "1"}
            )
            assert who in ("officer", "stranger") or block.status_code == 403
            world[who].get(f"/library/population/entities/{entity}/block", params={"purpose": "好奇"})
            world[who].get(f"/library/population/entities/{entity}")
    for who in ("officer", "stranger", "clerk", "auditor", "operator", "application"):
        for path in (
            "entities?q=" + quote(SEEN[0].xm),
            "links",
            "review",
            "decisions",
            f"quality/{world.residents}/rows",
        ):
            answer = world[who].get(f"/api/v1/libraries/population/{path}")
            assert answer.status_code in (403, 404, 422), (who, path, answer.text[:300])


@attack(Way.LIBRARY, Aim.ORACLE, Aim.ERROR)
def keys_of_blocks(world: RedTeamWorld) -> None:
    """Look up blocks by somebody's name, telephone and number: nobody is found by what one may not see."""
    for row in (SEEN[0], UNSEEN[0]):
        keys = {"person_name": row.xm, "phone": row.dh, "citizen_id": row.sfzh, "household_id": row.hh}
        for key, value in keys.items():
            for who in ("officer", "stranger"):
                found = world[who].get("/api/v1/libraries/population/block", params={"key": key, "value": value})
                assert found.json() == [], (who, key)
                page = world[who].get("/library/population/block", params={"key": key, "value": value})
                assert not any(entity in page.text for entity in world.people)
    for key in ("diagnosis_name", "x" * 9000, "entity_id'"):
        refused(world["officer"].get("/api/v1/libraries/population/block", params={"key": key, "value": "x"}))


def _report(world: RedTeamWorld, who: str, element: str, key: tuple[str, str], believed: str | None) -> httpx.Response:
    cell = {
        "of": "record", "resource_id": world.residents, "key_element": key[0], "key_value": key[1], "element": element,
    }  # fmt: skip
    return world[who].post(
        "/api/v1/corrections", json={"cell": cell, "claim": {"believed": believed, "statement": "有误"}}
    )


@attack(Way.CORRECTIONS, Aim.ITEM, Aim.ROW, Aim.ERROR, Aim.PAGE, Aim.TERM)
def reports_of_cells_outside(world: RedTeamWorld) -> None:
    """Report as wrong what is not agreed, or a row outside the filter: as if there were no such thing."""
    for column in UNAGREED:
        refused(_report(world, "officer", RESIDENTS[column], ("record_id", SEEN[0].bh), None), 403)
        refused(_report(world, "officer", f"column:{column}", ("record_id", SEEN[0].bh), None), 403)
    outside = [_report(world, "officer", "phone", ("record_id", one), None) for one in (UNSEEN[0].bh, "JL9999")]
    assert [one.status_code for one in outside] == [404, 404]
    assert outside[0].json()["code"] == outside[1].json()["code"]
    refused(_report(world, "officer", "phone", ("household_id", SEEN[0].hh), None), 403)
    for who in ("stranger", "auditor", "operator", "visitor", "foreign application"):
        refused(_report(world, who, "phone", ("record_id", SEEN[0].bh), None), 401, 403)
    for body in (
        {},
        {"cell": {"of": "record"}},
        {"cell": {"of": "own", "element": "phone"}, "claim": {"statement": "x"}},
    ):
        refused(world["officer"].post("/api/v1/corrections", json=body))


@attack(Way.CORRECTIONS, Aim.GRADE, Aim.ORACLE)
def reports_that_tell(world: RedTeamWorld) -> None:
    """Report a masked value as wrong: it stays masked in answers, lists and proofs, and a right guess is not told."""
    world.said.add(SEEN[0].xm)
    guessed = _report(world, "officer", "person_name", ("record_id", SEEN[0].bh), SEEN[0].xm)
    missed = _report(world, "clerk", "person_name", ("record_id", SEEN[0].bh), "张三")
    assert [guessed.status_code, missed.status_code] == [201, 201]
    while world.services.ledger.integrate():
        pass
    for answer in (guessed, missed):
        said = answer.json()["correction"]
        assert (said["content"]["disputed"], said["content"]["entity_id"]) == ("欧阳**", None)
        address = f"/corrections/{said['id']}"
        for who in ("officer", "clerk"):
            uses = (f"/api/v1{address}/uses", f"{address}/uses")
            for path in (f"/api/v1{address}", address, "/corrections", "/api/v1/corrections", *uses):
                assert world[who].get(path).status_code == 200
            opened = world[who].get(f"/api/v1{address}/acts/0/proof").json()["disclosures"]
            assert set(opened) == {"record_commitment", "believed_commitment"}
            world[who].get(f"{address}/acts/0/proof")
            world[who].get("/corrections/new", params={"resource": world.residents, "element": "person_name"})
        action = {"action": "withdraw", "statement": "误报"}
        assert world["officer"].post(f"/api/v1{address}/actions", json=action).status_code in (201, 403, 409)


@attack(Way.EXCHANGE, Aim.ROW, Aim.TERM, Aim.ERROR)
def transfers_and_files(world: RedTeamWorld) -> None:
    """Move the table under an agreement with a row filter, and fetch a file that is for somebody else."""
    draft = {
        "agreement_id": world.agreement.id, "resource_id": world.residents, "resource_version": 1, "provider": POLICE,
        "consumer": world.agreement.consumer, "producer_node": world.node, "consumer_node": None, "source": "db",
        "table": "常住人口", "columns": [{"column": "bh", "item": "编号"}], "key_columns": ["bh"], "target_table": "x",
    }  # fmt: skip
    refused(world["officer"].post("/api/v1/tasks", json=draft))
    for path in ("content", ""):
        for who in ("stranger", "foreign application", "operator", "auditor", "visitor"):
            answer = world[who].get(f"/api/v1/files/{world.file}/{path}".rstrip("/"))
            assert all(FILE_CONTENT not in text for text in texts_of(answer.content))
            assert path == "" or answer.status_code in (401, 403)
    refused(world["officer"].get("/api/v1/batches/nothing/payload"), 404, 422)


@attack(Way.RELEASED, Aim.ITEM, Aim.GRADE, Aim.ORACLE, Aim.ERROR, Aim.PAGE)
def statistics_and_releases(world: RedTeamWorld) -> None:
    """Ask statistics without a budget, check what could be released, look at offending groups."""
    question = {"dataset": "population", "kind": "count", "where": [{"column": "person_name", "value": SEEN[0].xm}]}
    for who in ("officer", "stranger", "application"):
        refused(world[who].post("/api/v1/statistics", json=question))
        refused(world[who].post("/statistics", data={"dataset": "population", "kind": "count"}))
    plan = {"dataset": "population", "quasi": [{"column": "division_code", "kind": "division", "level": 0}]}
    for path in ("check", "suggest"):
        report = world["officer"].post(f"/api/v1/releases/{path}", json=plan)
        assert SEEN[0].qu not in str(report.json().get("offending", report.json())), report.text
    for column in ("person_name", "phone", "citizen_id", "address", "annual_income"):
        named = {"dataset": "population", "quasi": [{"column": column, "kind": "category", "level": 0}]}
        world["officer"].post("/api/v1/releases/check", json=named)
    refused(world["officer"].post("/api/v1/releases", json=plan), 403)
    world["officer"].post("/releases/new", data={"dataset": "population"})


@attack(Way.CATALOGUE, Aim.ORACLE, Aim.ERROR)
def searching_for_values(world: RedTeamWorld) -> None:
    """Search everything that searches for values of records: what is found is what nonsense finds."""
    words = (SEEN[0].xm, SEEN[0].sfzh, UNSEEN[0].dh, SEEN[0].hh, "无此之词")
    for path, name in (
        ("/api/v1/search", "q"), ("/catalogue", "q"), ("/open", "q"), ("/catalogue/suggestions", "q"),
        ("/open/suggestions", "q"), ("/api/v1/search/suggestions", "q"), ("/api/3/action/package_search", "q"),
    ):  # fmt: skip
        told = [world["officer"].get(path, params={name: word}) for word in words]
        found = {tuple(one in answer.text for one in (world.residents, world.depots)) for answer in told}
        assert len(found) == 1, (path, found)
    world["officer"].post("/api/action/package_search", json={"q": SEEN[0].xm})
    world["officer"].post("/api/3/action/package_search", json={"q": SEEN[0].xm})


@attack(Way.EVIDENCE, Aim.ROW, Aim.ORACLE, Aim.ERROR, Aim.PAGE, Aim.TERM)
def evidence_of_accesses(world: RedTeamWorld) -> None:
    """Read the whole log as those who may: digests and facts, no values; and look up others' uses."""
    while world.services.ledger.integrate():
        pass
    for who in ("auditor", "operator"):
        offset: int | None = 0
        while offset is not None:
            page = world[who].get("/api/v1/ledger/entries", params={"offset": offset, "limit": 200}).json()
            offset = page["next_offset"]
        assert page["total"] > 20
        assert world[who].get("/api/v1/ledger/export").status_code == 200
    assert world["auditor"].get("/log/checkpoint").status_code == 200
    size = world["visitor"].get("/log/checkpoint").text.split("\n")[1]
    for who in ("visitor", "officer", "stranger"):
        refused(world[who].get(f"/log/tile/entries/000.p/{size}"), 401, 403, 404)
        refused(world[who].get("/api/v1/me/uses"), 401, 403)
    refused(world["officer"].get("/api/v1/ledger/entries", params={"kind": UNSEEN[0].xm}), 422)


def packings(text: str) -> list[bytes]:
    """Return a text in every packing that the search for canaries opens."""
    table = pa.table({"x": [text]})
    parquet, arrow, archive, sheet = io.BytesIO(), io.BytesIO(), io.BytesIO(), io.BytesIO()
    pq.write_table(table, parquet)
    with pa.ipc.new_stream(arrow, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        member = tarfile.TarInfo("a.parquet")
        member.size = len(parquet.getvalue())
        tar.addfile(member, io.BytesIO(parquet.getvalue()))
    with zipfile.ZipFile(sheet, "w", zipfile.ZIP_DEFLATED) as cells:
        cells.writestr("xl/sharedStrings.xml", text)
    escaped = (json.dumps(text), quote(text), "".join(f"&#{ord(letter)};" for letter in text), f"<b>{text}</b>")
    packed = [parquet, arrow, archive, sheet]
    return [*(one.getvalue() for one in packed), *(one.encode() for one in escaped), gzip.compress(text.encode())]


@attack(Way.GATEWAY, Aim.TERM)
def sandbox_with_real_credentials(world: RedTeamWorld) -> None:
    """Ask the sandbox for somebody real with credentials that are not for it: it answers none of them."""
    body = {"key": {"bh": SEEN[0].bh}, "purpose": PURPOSE, "case_number": CASE}
    for who in ("application", "officer"):
        asked = world[who].post(f"/sandbox/v1/{world.residents}/query", json={**body, "items": ["xm"]})
        refused(asked, 403)
        refused(world[who].post(f"/sandbox/v1/{world.residents}/verify", json={**body, "claims": {"xm": "x"}}), 403)
