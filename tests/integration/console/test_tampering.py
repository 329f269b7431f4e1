"""Silent edits of a city's control database: `datong hub fsck` finds each, names the row, and finds nothing else amiss.

Every line of `EDITS` is what somebody with the database's password could do, and what they would hope for.
docs/reliability.md lists them.
"""

from pathlib import Path

import pytest

from datong.adapters.directory_store import DirectoryStore
from datong.app.fsck import AREAS
from datong.ledger import EntryKind, FsckReport
from tests.integration.console.conftest import ServedCity
from tests.silent_edits import BARE, DIFFERS, GONE, Edit, edited, fsck_at, laid_to_rest, undocumented_edits
from tests.unit.ledger.documented import undocumented

ELSEWHERE = {
    *("exchange.file", "exchange.file_receipt", "sharing.matching"),
    *("sharing.consent", "sharing.objection", "sharing.disclosure", "sharing.registration", "governance.notification"),
    *("sharing.wish", "sharing.identity_link", "sharing.passkey", "sharing.sign_in_rule"),
    "ledger.key",
    *("governance.meeting", "governance.meeting_act", "governance.assignment", "governance.assignment_act"),
    *("governance.incident", "governance.incident_act"),
    *("governance.rating", "governance.rating_act", "governance.staff"),
}
"""What the city has none of, and other tests compare (`tests/unit/sharing/test_rights_state.py`, those of files, …)."""
UNSEEN = ELSEWHERE | {"library.definition", "governance.publication", "governance.alarm"}
"""Neither has it these: nobody defines a library, whether a month ended depends on today, and alarms need a past."""
_COPY_REQUEST = (
    "INSERT INTO sharing_request SELECT 'forged', bundle_id, consumer, provider, resource_id, state, submitted_at, "
    "due_at, extension, extension_reason, reason, decided_at, agreement_id, revision, content FROM sharing_request "
    "LIMIT 1"
)
EDITS = (
    Edit(
        "let another department act as the authority",
        "UPDATE catalogue_department SET is_authority = 1 - is_authority WHERE code = (SELECT min(code) FROM "
        "catalogue_department)",
        DIFFERS,
        "catalogue.department",
    ),
    Edit(
        "rename a department",
        "UPDATE catalogue_department SET name_zh = '别的局' WHERE code = (SELECT min(code) FROM catalogue_department)",
        DIFFERS,
        "catalogue.department",
    ),
    Edit(
        "put another key in the place of a node's",
        "UPDATE catalogue_department_key SET public_key = zeroblob(32) WHERE key_id = (SELECT min(key_id) FROM "
        "catalogue_department_key)",
        DIFFERS,
        "catalogue.key",
    ),
    Edit(
        "revoke a key without an act",
        "UPDATE catalogue_department_key SET revoked_at = '2026-01-01 00:00:00' WHERE key_id = (SELECT min(key_id) "
        "FROM catalogue_department_key WHERE revoked_at IS NULL)",
        DIFFERS,
        "catalogue.key",
    ),
    Edit(
        "register a key of one's own",
        "INSERT INTO catalogue_department_key SELECT 'aaaaaaaaaaaaaaaa', department, zeroblob(32), node_id, "
        "registered_at, NULL FROM catalogue_department_key LIMIT 1",
        BARE,
        "catalogue.key",
    ),
    Edit(
        "seal payloads to another recipient",
        "UPDATE catalogue_recipient_key SET public_key = zeroblob(32)",
        DIFFERS,
        "catalogue.recipient_key",
    ),
    Edit(
        "publish a draft without review",
        "UPDATE catalogue_resource SET state = 'published' WHERE id = (SELECT id FROM catalogue_resource WHERE state "
        "<> 'published' LIMIT 1)",
        DIFFERS,
        "catalogue.resource",
    ),
    Edit(
        "give a resource to another department",
        "UPDATE catalogue_resource SET department = (SELECT code FROM catalogue_department WHERE code <> department "
        "LIMIT 1) WHERE id = (SELECT min(id) FROM catalogue_resource)",
        DIFFERS,
        "catalogue.resource",
    ),
    Edit(
        "put off the authority's deadline",
        "UPDATE catalogue_resource SET due_at = '2036-01-01 00:00:00' WHERE id = (SELECT min(id) FROM "
        "catalogue_resource)",
        DIFFERS,
        "catalogue.resource",
    ),
    Edit(
        "make conditional data unconditional",
        "UPDATE catalogue_version SET content = json_set(content, '$.share_type', CASE json_extract(content, "
        "'$.share_type') WHEN '1' THEN '2' ELSE '1' END) WHERE resource_id = (SELECT min(id) FROM catalogue_resource)",
        DIFFERS,
        "catalogue.version",
    ),
    Edit(
        "open a resource to the public",
        "UPDATE catalogue_version SET content = json_set(content, '$.open', json(CASE json_extract(content, '$.open') "
        "WHEN 1 THEN 'false' ELSE 'true' END)) WHERE resource_id = (SELECT min(id) FROM catalogue_resource)",
        DIFFERS,
        "catalogue.version",
    ),
    Edit(
        "let a resource vanish, with its versions",
        "DELETE FROM catalogue_resource WHERE id = (SELECT min(id) FROM catalogue_resource)",
        GONE,
        "catalogue.resource",
    ),
    Edit(
        "lay a step at somebody else's door",
        "UPDATE catalogue_step SET actor_id = 'somebody' WHERE id = (SELECT min(id) FROM catalogue_step)",
        DIFFERS,
        "catalogue.step",
    ),
    Edit(
        "let a step vanish",
        "DELETE FROM catalogue_step WHERE id = (SELECT min(id) FROM catalogue_step)",
        GONE,
        "catalogue.step",
    ),
    Edit(
        "grant a request without a decision",
        "UPDATE sharing_request SET state = 'granted' WHERE id = (SELECT id FROM sharing_request WHERE state <> "
        "'granted' LIMIT 1)",
        DIFFERS,
        "sharing.request",
    ),
    Edit(
        "put off a reply that is overdue",
        "UPDATE sharing_request SET due_at = '2036-01-01 00:00:00' WHERE id = (SELECT min(id) FROM sharing_request)",
        DIFFERS,
        "sharing.request",
    ),
    Edit(
        "say that a request came later than it did",
        "UPDATE sharing_request SET submitted_at = '2036-01-01 00:00:00' WHERE id = (SELECT min(id) FROM "
        "sharing_request)",
        DIFFERS,
        "sharing.request",
    ),
    Edit("forge a request", _COPY_REQUEST, BARE, "sharing.request"),
    Edit(
        "let a refused request vanish",
        "DELETE FROM sharing_request WHERE id = (SELECT id FROM sharing_request WHERE agreement_id IS NULL LIMIT 1)",
        GONE,
        "sharing.request",
    ),
    Edit(
        "bring an agreement into force without signatures",
        "UPDATE sharing_agreement SET state = 'active' WHERE id = (SELECT id FROM sharing_agreement WHERE state <> "
        "'active' LIMIT 1)",
        DIFFERS,
        "sharing.agreement",
    ),
    Edit(
        "use an agreement for another department",
        "UPDATE sharing_agreement SET consumer = provider WHERE id = (SELECT min(id) FROM sharing_agreement)",
        DIFFERS,
        "sharing.agreement",
    ),
    Edit(
        "let an agreement run longer",
        "UPDATE sharing_agreement SET valid_until = '2046-01-01 00:00:00' WHERE id = (SELECT min(id) FROM "
        "sharing_agreement)",
        DIFFERS,
        "sharing.agreement",
    ),
    Edit(
        "widen the purpose of an agreement",
        "UPDATE sharing_agreement SET content = json_set(content, '$.purpose.scene', '任何用途') WHERE id = (SELECT "
        "min(id) FROM sharing_agreement)",
        DIFFERS,
        "sharing.agreement",
    ),
    Edit(
        "take a signature away",
        "DELETE FROM sharing_signature WHERE rowid = (SELECT min(rowid) FROM sharing_signature)",
        DIFFERS,
        "sharing.agreement",
    ),
    Edit(
        "sign in another's name",
        "UPDATE sharing_signature SET key_id = 'aaaaaaaaaaaaaaaa' WHERE rowid = (SELECT min(rowid) FROM "
        "sharing_signature)",
        DIFFERS,
        "sharing.agreement",
    ),
    Edit(
        "hide that somebody looked",
        "DELETE FROM sharing_access WHERE id = (SELECT min(id) FROM sharing_access)",
        GONE,
        "sharing.access",
    ),
    Edit(
        "turn a refusal into an answer",
        "UPDATE sharing_access SET allowed = 1 - allowed WHERE id = (SELECT min(id) FROM sharing_access)",
        DIFFERS,
        "sharing.access",
    ),
    Edit(
        "lay a use at another department's door",
        "UPDATE sharing_access SET consumer = 'somebody' WHERE id = (SELECT min(id) FROM sharing_access)",
        DIFFERS,
        "sharing.access",
    ),
    Edit(
        "hide whom a use concerned",
        "DELETE FROM sharing_access_subject WHERE rowid = (SELECT min(rowid) FROM sharing_access_subject)",
        DIFFERS,
        "sharing.access",
    ),
    Edit(
        "change the case that a use was for",
        "UPDATE sharing_access SET content = json_set(content, '$.case_number', 'X-1') WHERE id = (SELECT min(id) FROM "
        "sharing_access WHERE json_extract(content, '$.case_number') IS NOT NULL)",
        DIFFERS,
        "sharing.access",
    ),
    Edit(
        "send a task's rows elsewhere",
        "UPDATE exchange_task SET details = json_set(details, '$.target_table', 'elsewhere') WHERE id = (SELECT "
        "min(id) FROM exchange_task)",
        DIFFERS,
        "exchange.task",
    ),
    Edit(
        "bind a task to another agreement",
        "UPDATE exchange_task SET agreement_id = 'another' WHERE id = (SELECT min(id) FROM exchange_task)",
        DIFFERS,
        "exchange.task",
    ),
    Edit(
        "let a batch have had more rows",
        "UPDATE exchange_batch SET rows = rows + 1 WHERE id = (SELECT min(id) FROM exchange_batch)",
        DIFFERS,
        "exchange.batch",
    ),
    Edit(
        "put another manifest under a batch",
        "UPDATE exchange_batch SET signed = json_set(signed, '$.manifest.content_digest', 'f00') WHERE id = (SELECT "
        "min(id) FROM exchange_batch)",
        DIFFERS,
        "exchange.batch",
    ),
    Edit(
        "swap the evidence of two batches",
        "UPDATE exchange_batch SET entry_id = (SELECT max(entry_id) FROM exchange_batch) WHERE id = (SELECT id FROM "
        "exchange_batch ORDER BY entry_id LIMIT 1)",
        BARE,
        "exchange.batch",
    ),
    Edit(
        "say that everything was applied",
        "UPDATE exchange_receipt SET signed = json_set(signed, '$.receipt.rows_applied', 99999) WHERE batch_id = "
        "(SELECT min(batch_id) FROM exchange_receipt)",
        DIFFERS,
        "exchange.receipt",
    ),
    Edit(
        "deny that something arrived",
        "DELETE FROM exchange_receipt WHERE batch_id = (SELECT min(batch_id) FROM exchange_receipt)",
        GONE,
        "exchange.receipt",
    ),
    Edit(
        "say that another version of the library is the one that was published",
        "UPDATE library_build SET digest = 'f00' WHERE id = (SELECT min(id) FROM library_build WHERE version IS NOT "
        "NULL)",
        DIFFERS,
        "library.version",
    ),
    Edit(
        "change what a published table is said to hold",
        "UPDATE library_dataset SET details = json_set(details, '$.rows', 7) WHERE rowid = (SELECT min(rowid) FROM "
        "library_dataset)",
        DIFFERS,
        "library.version",
    ),
    Edit(
        "serve another version than the newest",
        "UPDATE library_current SET version = version + 1",
        DIFFERS,
        "library.current",
    ),
    Edit(
        "put off the duty to answer a report",
        "UPDATE library_correction SET due_at = '2036-01-01 00:00:00' WHERE id = (SELECT min(id) FROM "
        "library_correction)",
        DIFFERS,
        "library.correction",
    ),
    Edit(
        "change what a citizen reported",
        "UPDATE library_correction SET personal = json_set(personal, '$.\"values\".believed', '别的') WHERE id = "
        "(SELECT min(id) FROM library_correction)",
        DIFFERS,
        "library.correction",
    ),
    Edit(
        "change what was said about a report",
        "UPDATE library_correction_act SET statement = statement || '。' WHERE rowid = (SELECT min(rowid) FROM "
        "library_correction_act)",
        DIFFERS,
        "library.correction_act",
    ),
    Edit(
        "make a finding milder",
        "UPDATE governance_finding SET points = 0 WHERE id = (SELECT id FROM governance_finding WHERE points > 0 LIMIT "
        "1)",
        DIFFERS,
        "governance.finding",
    ),
    Edit(
        "shift the blame",
        "UPDATE governance_finding SET document = json_set(document, '$.parties[0].basis_points', 1) WHERE id = "
        "(SELECT min(id) FROM governance_finding)",
        DIFFERS,
        "governance.finding",
    ),
    Edit(
        "let a finding vanish",
        "DELETE FROM governance_finding WHERE id = (SELECT min(id) FROM governance_finding)",
        GONE,
        "governance.finding",
    ),
)


@pytest.fixture(scope="module")
def resting(console: ServedCity, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The city's control database as it lay on disk at one moment."""
    city, path = console.city, tmp_path_factory.mktemp("resting") / "control.sqlite"
    while city.hub.ledger.integrate():
        pass
    return laid_to_rest(Path(city.database.engine.url.database or ""), path)


def _check(console: ServedCity, path: Path) -> FsckReport:
    city = console.city
    tiles = DirectoryStore(city.home / "log")
    return fsck_at(path, AREAS, clock=city.clock, signer=city.signer, origin=city.settings.log_origin, tiles=tiles)


def test_a_city_that_nobody_tampered_with_has_no_fault(console: ServedCity, resting: Path) -> None:
    report = _check(console, resting)
    assert report.faults == ()
    assert {name for name, count in report.compared.items() if not count} <= UNSEEN


def test_the_list_is_in_the_documentation() -> None:
    assert undocumented_edits(EDITS) == []


def test_every_entry_of_the_city_is_as_documented(console: ServedCity) -> None:
    ledger = console.city.hub.ledger
    entries = [entry for kind in EntryKind for entry in ledger.entries(kind=kind, limit=500).rows]
    assert undocumented(entries) == {}


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.aim)
def test_a_silent_edit_is_found(console: ServedCity, resting: Path, tmp_path: Path, edit: Edit) -> None:
    report = _check(console, edited(resting, tmp_path, edit))
    assert (edit.code, edit.area) in {(fault.code, fault.area) for fault in report.faults}
