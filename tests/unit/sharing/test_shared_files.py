"""Files from the gateway: what is in them, what is on record, and what a check without the hub finds."""

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from datong.cli.ledger import app
from datong.kernel import Corrupt, Database, NotFound, Refused
from datong.ledger import Ed25519Signer, EntryKind, verify_bundle
from datong.sharing.file_manifests import METADATA_KEY, FileForm, FileManifest, SignedManifest, verify_file
from datong.sharing.row_filters import RowCondition, RowOperator
from datong.sharing.shared_files import FILE_KIND, DownloadedFile, SharedFiles
from tests.new_control import new_control
from tests.unit.sharing.samples import POLICE, RESOURCE, SOCIAL, application, person
from tests.unit.sharing.shared_world import LI, WANG, ZHAO
from tests.unit.sharing.test_subscriptions import PURPOSE_CODE, Subscribed


class Downloads:
    """A shared table of which one row is outside the agreement, downloaded in both forms."""

    def __init__(self, folder: Path, database: Database) -> None:
        condition = RowCondition(column="hh", operator=RowOperator.STARTS_WITH, values=("H",))
        self.subscribed = Subscribed(folder, database, rows=(condition,))
        self.world = self.subscribed.world
        self.key = self.world.signer.public_key
        self.subscribed.shared.publish([(LI, '李,四"光', "H1")], [(WANG, "王丽", "H2"), (ZHAO, "赵六", "X1")])
        self.files = SharedFiles(
            shares=self.subscribed.shared.shares,
            releases=self.subscribed.shared.releases,
            ledger=self.world.ledger,
            signer=self.world.signer,
            folder=folder / "downloads",
        )
        self.made = {form: self.download(form) for form in FileForm}

    def download(self, form: FileForm) -> DownloadedFile:
        return self.files.download(self.subscribed.caller, RESOURCE, purpose=PURPOSE_CODE, form=form)


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Downloads]:
    folder = tmp_path_factory.mktemp("downloads")
    database = new_control(folder)
    yield Downloads(folder, database)
    database.close()


def rows_of(made: DownloadedFile) -> list[tuple[object, ...]]:
    if made.form is FileForm.PARQUET:
        return duckdb.sql(f"SELECT gmsfhm, xm, hh FROM read_parquet('{made.path}') ORDER BY hh").fetchall()
    with zipfile.ZipFile(made.path) as archive:
        archive.extract("data.csv", made.path.parent)
    found = duckdb.sql(f"SELECT gmsfhm, xm, hh FROM read_csv('{made.path.parent / 'data.csv'}') ORDER BY hh")
    return found.fetchall()


@pytest.mark.parametrize("form", list(FileForm))
def test_a_file_holds_what_is_agreed_and_proves_where_it_comes_from(downloads: Downloads, form: FileForm) -> None:
    made = downloads.made[form]
    assert rows_of(made) == [("1101**********0011", "李****", "H1"), ("1101**********0042", "王*", "H2")]
    report = verify_file(made.path, log_key=downloads.key)
    assert report.key_given
    said = report.manifest
    assert said == made.manifest
    assert (said.version, said.rows, said.provider, said.purpose) == (2, 2, POLICE, PURPOSE_CODE)
    assert said.agreement_ids == (downloads.subscribed.agreement.id,)
    assert said.masks["gmsfhm"].value == "id"
    facts = report.proof.entry.facts
    assert (facts["kind"], facts["rows"], facts["subjects"]) == (FILE_KIND, 2, 2)
    shown = CliRunner().invoke(
        app, ["verify", str(made.path), "--key", downloads.key.hex()], env={"DATONG_LANGUAGE": "en"}
    )
    assert "The file is genuine" in shown.output, shown.output
    assert f"entry {report.proof.index} is in the log" in shown.output
    use = downloads.subscribed.shared.usage.uses_of(WANG)[0]
    assert use.kind == FILE_KIND
    verify_bundle(downloads.subscribed.shared.usage.proof(use.access_id, citizen_id=WANG))
    assert downloads.subscribed.shared.usage.uses_of(ZHAO) == []


def test_a_changed_file_does_not_verify(downloads: Downloads, tmp_path: Path) -> None:
    parquet, archive = downloads.made[FileForm.PARQUET].path, downloads.made[FileForm.CSV].path
    said = embedded(parquet)
    written = tmp_path / "changed.parquet"

    def with_rows(query: str, text: str) -> Path:
        literal = text.replace("'", "''")
        duckdb.sql(f"COPY ({query}) TO '{written}' (FORMAT parquet, KV_METADATA {{'{METADATA_KEY}': '{literal}'}})")
        return written

    everything = f"FROM read_parquet('{parquet}')"
    assert verify_file(with_rows(everything, said)).manifest.rows == 2, "how it is compressed does not count"
    for query in (
        f"{everything} LIMIT 1",
        f"{everything} ORDER BY hh DESC",
        f"SELECT * REPLACE ('H9' AS hh) {everything}",
        f"SELECT gmsfhm AS xm, xm AS gmsfhm, hh {everything}",
    ):
        fails(with_rows(query, said), "content")
    document = json.loads(said)
    document["manifest"]["rows"] = 3
    fails(with_rows(everything, json.dumps(document)), "signature")
    fails(with_rows(everything, "{}"), "form")
    fails(with_rows(everything, forged(said)), "key", log_key=downloads.key)
    others = SignedManifest.model_validate_json(said)
    proof = verify_and_proof(downloads, downloads.made[FileForm.CSV])
    mixed = SignedManifest.of(others.manifest, downloads.world.signer, proof)
    fails(with_rows(everything, mixed.model_dump_json()), "entry")
    with zipfile.ZipFile(archive) as one, zipfile.ZipFile(tmp_path / "x.zip", "w") as other:
        other.writestr("manifest.json", one.read("manifest.json"))
        other.writestr("data.csv", one.read("data.csv") + b"x")
    fails(tmp_path / "x.zip", "content")


def embedded(path: Path) -> str:
    (found,) = duckdb.sql(f"SELECT value FROM parquet_kv_metadata('{path}')").fetchall()
    return bytes(found[0]).decode()


def forged(said: str) -> str:
    """Return a manifest that somebody else signed with a key of their own."""
    other = Ed25519Signer.generate()
    parsed = SignedManifest.model_validate_json(said)
    manifest = FileManifest.model_validate({**parsed.manifest.model_dump(), "issuer_key": other.public_key.hex()})
    return SignedManifest.of(manifest, other, parsed.proof).model_dump_json()


def verify_and_proof(downloads: Downloads, made: DownloadedFile) -> dict[str, object]:
    return downloads.world.ledger.proof_bundle(made.manifest.entry_id)


def fails(path: Path, part: str, log_key: bytes | None = None) -> None:
    with pytest.raises(Corrupt) as caught:
        verify_file(path, log_key=log_key)
    assert caught.value.context.get("part") == part


CHANGES: list[Callable[[bytes, int], bytes]] = [
    lambda data, at: data[:at],
    lambda data, at: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :],
    lambda data, at: data[at:],
]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(list(FileForm)), st.sampled_from(CHANGES), st.integers(0, 1_000_000))
def test_a_damaged_file_verifies_or_is_our_error(
    downloads: Downloads, tmp_path: Path, form: FileForm, change: Callable[[bytes, int], bytes], at: int
) -> None:
    data = downloads.made[form].path.read_bytes()
    path = tmp_path / f"damaged{form.suffix}"
    path.write_bytes(change(data, at % len(data)))
    try:
        report = verify_file(path, log_key=downloads.key)
    except Corrupt:
        return
    assert report.manifest == downloads.made[form].manifest


def test_who_may_not_read_gets_no_file(downloads: Downloads) -> None:
    caller = downloads.subscribed.caller
    with pytest.raises(NotFound):
        downloads.files.download(application(SOCIAL), RESOURCE, purpose=PURPOSE_CODE, form=FileForm.CSV)
    with pytest.raises(NotFound):
        downloads.files.download(caller, RESOURCE, purpose="another", form=FileForm.CSV)
    made = downloads.download(FileForm.CSV)
    made.remove()
    assert not made.path.exists()
    downloads.world.agreements.suspend(downloads.subscribed.agreement.id, person(POLICE), "超范围使用")
    with pytest.raises(Refused):
        downloads.download(FileForm.PARQUET)
    assert downloads.world.ledger.entries(kind=EntryKind.REFUSAL).total == 1
    leftover = downloads.made[FileForm.CSV].path.parent.parent / "left"
    shutil.copytree(downloads.made[FileForm.CSV].path.parent, leftover)
    downloads.files.sweep()
    assert leftover.exists(), "only what is old is removed"
