import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datong.kernel import Conflict, Corrupt, DatongError, NotFound
from datong.ledger import commitment, read_bundle, verify_bundle
from tests.unit.ledger.logs import LOG_KEY, WITNESS_KEY, SmallLog

SALT = bytes(range(16))
OPENING = {"citizen": {"salt": SALT.hex(), "value": "110101199003070000"}}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    log = SmallLog(tmp_path_factory.mktemp("log"))
    log.grow(300)
    (entry_id,) = log.append(1, citizen=commitment(SALT, "110101199003070000"), provider="P")
    log.integrate()
    log.cosign()
    log.grow(10)
    return json.dumps(log.ledger.proof_bundle(entry_id, disclosures=OPENING))


def test_a_bundle_proves_its_entry_under_the_witnessed_checkpoint(bundle: str) -> None:
    report = verify_bundle(read_bundle(bundle.encode()), log_key=LOG_KEY.public_key)
    assert (report.index, report.size, report.key_given) == (300, 301, True)
    assert report.disclosed == {"citizen": "110101199003070000"}
    assert [witness.name for witness in report.witnesses] == ["node-1"]
    assert report.entry.facts["provider"] == "P"
    assert verify_bundle(json.loads(bundle)).key_given is False
    with pytest.raises(Corrupt):
        verify_bundle(json.loads(bundle), log_key=WITNESS_KEY.public_key)


def test_every_entry_can_be_proved_at_every_size(tmp_path: Path) -> None:
    log = SmallLog(tmp_path)
    ids = []
    for _ in range(12):
        ids += log.grow(1)
        for index, entry_id in enumerate(ids):
            assert verify_bundle(log.ledger.proof_bundle(entry_id)).index == index


def test_pending_and_unknown_entries_have_no_proof(tmp_path: Path) -> None:
    log = SmallLog(tmp_path)
    log.grow(1)
    (pending,) = log.append(1)
    with pytest.raises(Conflict):
        log.ledger.proof_bundle(pending)
    with pytest.raises(NotFound):
        log.ledger.proof_bundle(type(pending)("nothing"))
    log.integrate()
    with pytest.raises(Corrupt):
        log.ledger.proof_bundle(pending, disclosures={"x": "no opening"})


def test_any_changed_member_is_found(bundle: str) -> None:
    document = json.loads(bundle)
    changes: dict[str, list[object]] = {
        "type": ["datong.ledger.proof/2", None],
        "leaf": ["", "####", document["leaf"][:-4]],
        "index": [299, -1, "300", 300.0, True, 2**70, None],
        "proof": [[], document["proof"][1:], [*document["proof"], document["proof"][0]], ["x"], "x", ["A"] * 100],
        "checkpoint": ["", "x", document["checkpoint"].replace("301", "302"), "\ud800\n\n"],
        "log_key": ["", "AA==", document["witnesses"][0]["key"]],
        "witnesses": [[], [{"name": "node-9", "key": document["log_key"]}], None, [{"name": "node-1", "key": ""}]],
        "disclosures": [
            {"citizen": {"salt": SALT.hex(), "value": "110101199003070001"}},
            {"provider": OPENING["citizen"]},
            {"citizen": {"salt": "00", "value": ""}},
            {"missing": OPENING["citizen"]},
            {"citizen": {"salt": SALT.hex(), "value": "\ud800"}},
        ],
        "more": [1],
    }
    for member, values in changes.items():
        for value in values:
            with pytest.raises(Corrupt):
                verify_bundle({**document, member: value})
    for member in document:
        with pytest.raises(Corrupt):
            verify_bundle({name: value for name, value in document.items() if name != member})


@settings(max_examples=150)
@given(st.data())
def test_a_changed_byte_is_found(bundle: str, data: st.DataObject) -> None:
    raw = bytearray(bundle.encode())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        report = verify_bundle(read_bundle(bytes(raw)))
    except DatongError:
        return
    # What still verifies says the same: only the spelling of the JSON changed.
    assert report == verify_bundle(json.loads(bundle))


@given(
    st.recursive(
        st.none() | st.integers() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_json_is_a_bundle_or_corrupt(value: object) -> None:
    with pytest.raises(DatongError):
        verify_bundle(read_bundle(json.dumps(value).encode()))


@pytest.mark.parametrize("data", [b"", b"[", b"[" * 100_000, b"\xff", b"[]", b" " * 4_000_001])
def test_what_is_no_json_object_is_no_bundle(data: bytes) -> None:
    with pytest.raises(Corrupt):
        read_bundle(data)
