"""Files that are downloaded from the gateway: a shared table as agreed, with a signed manifest inside.

The rows come from the table's release (`delta_release`): columns, rows and masks are those of the agreements, applied
in SQL. What is downloaded is on record with the digest of its content before it can be read.
"""

import shutil
import time
import zipfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import duckdb

from datong.kernel import Conflict, EntryId, NotFound, ResourceId, Text, Unavailable, new_id
from datong.kernel.files import file_digest
from datong.ledger import Ledger, Signer
from datong.norms import text_literal
from datong.sharing.csv_files import write_csv
from datong.sharing.delta_release import Releases
from datong.sharing.delta_shares import DeltaShares, OpenedTable
from datong.sharing.delta_sql import files_sql
from datong.sharing.delta_values import Release, TableVersion
from datong.sharing.file_manifests import (
    CSV_NAME,
    MANIFEST_NAME,
    METADATA_KEY,
    FileForm,
    FileManifest,
    SignedManifest,
    rows_digest,
)
from datong.sharing.principals import Principal

FILE_KIND = "file"
PROOF_SECONDS_MAX = 10.0
"""How long a download waits for its entry to be covered by a checkpoint."""
PROOF_LOOK_SECONDS = 0.05
LEFT_SECONDS = 3600.0
"""Files that a kill left behind are removed after so long."""


class DownloadedFile(NamedTuple):
    """A file that is ready to be sent, once; whoever sends it removes its folder."""

    path: Path
    name: str
    form: FileForm
    manifest: FileManifest

    def remove(self) -> None:
        """Remove the file."""
        shutil.rmtree(self.path.parent, ignore_errors=True)


class SharedFiles:
    """Makes downloads under `folder`; `signer` is the hub's, whose key is that of the log."""

    def __init__(
        self,
        *,
        shares: DeltaShares,
        releases: Releases,
        ledger: Ledger,
        signer: Signer,
        folder: Path,
        threads: int = 2,
        memory: str = "1000MB",
    ) -> None:
        self._shares = shares
        self._releases = releases
        self._ledger = ledger
        self._signer = signer
        self._folder = folder
        self._config: dict[str, str | bool | int | float | list[str]] = {
            "threads": threads,
            "memory_limit": memory,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }

    def download(self, caller: Principal, resource_id: ResourceId, *, purpose: str, form: FileForm) -> DownloadedFile:
        """Return the newest version of a resource's table as a file, once the access is on record and proved.

        Raises:
            NotFound: no agreement is about it, no version was published, or no row is inside the agreement.
            Refused: the policy does not let the caller read it in bulk now; the refusal is on record.
            Unavailable: the table cannot be read, or the log takes too long.
        """
        opened = self._shares.opened(caller, resource_id, purpose)
        version = opened.versions[-1]
        release = self._shares.release(opened, version)
        paths = [path for file in release.files if (path := self._releases.file(release.id, file.name)) is not None]
        if not release.files:
            raise _nothing()
        scratch = self._folder / new_id()
        scratch.mkdir(parents=True)
        try:
            with duckdb.connect(":memory:", config={**self._config, "temp_directory": str(scratch)}) as connection:
                connection.execute("SET GLOBAL TimeZone = 'UTC'")
                return self._made(
                    connection, caller, opened, _Handed(version, release, files_sql(paths)), form, scratch
                )
        except (OSError, duckdb.Error) as error:
            shutil.rmtree(scratch, ignore_errors=True)
            raise _unreadable() from error
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise

    def sweep(self) -> bool:
        """Remove what kills left behind; return False: that is all."""
        for folder in self._folder.iterdir() if self._folder.is_dir() else ():
            if time.time() - folder.stat().st_mtime > LEFT_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
        return False

    def _made(
        self,
        connection: duckdb.DuckDBPyConnection,
        caller: Principal,
        opened: OpenedTable,
        handed: "_Handed",
        form: FileForm,
        scratch: Path,
    ) -> DownloadedFile:
        if form is FileForm.CSV:
            table = scratch / CSV_NAME
            write_csv(connection, handed.relation, table)
            digest = file_digest(table)
        else:
            digest, _ = rows_digest(connection, handed.relation)
        shown = {column: name for column, name in handed.version.columns.items() if name in handed.release.types}
        columns = tuple(sorted(shown))
        access_id, entry_id = self._shares.record(
            caller, opened, handed.release, kind=FILE_KIND, columns=columns, content_sha256=digest
        )
        agreed = opened.agreed
        manifest = FileManifest(
            form=form,
            resource_id=agreed.table.resource_id,
            title=agreed.table.title,
            version=handed.version.version,
            table_digest=handed.version.digest,
            provider=agreed.table.provider,
            consumer=agreed.agreements[0].consumer,
            client_id=caller.actor.id,
            purpose=agreed.table.purpose,
            agreement_ids=agreed.agreement_ids,
            terms_sha256=tuple(agreement.terms_digest for agreement in agreed.agreements),
            masks={shown[column]: agreed.masks[column].kind for column in columns},
            rows=handed.release.rows,
            content_sha256=digest,
            issued_at=opened.at,
            access_id=access_id,
            entry_id=entry_id,
            issuer_key=self._signer.public_key.hex(),
        )
        signed = SignedManifest.of(manifest, self._signer, self._proof(entry_id))
        path = scratch / f"download{form.suffix}"
        _write(connection, handed.relation, signed, form, path)
        return DownloadedFile(path, _name(resource_id=manifest.resource_id, at=opened.at, form=form), form, manifest)

    def _proof(self, entry_id: EntryId) -> Mapping[str, object]:
        """Return the proof of an entry; see to it that it is put into the log, and wait for that."""
        until = time.monotonic() + PROOF_SECONDS_MAX
        while True:
            try:
                return self._ledger.proof_bundle(entry_id)
            except Conflict as error:
                if time.monotonic() > until:
                    raise _log_late() from error
                if not self._ledger.integrate():
                    time.sleep(PROOF_LOOK_SECONDS)


class _Handed(NamedTuple):
    version: TableVersion
    release: Release
    relation: str


def _write(
    connection: duckdb.DuckDBPyConnection, relation: str, signed: SignedManifest, form: FileForm, path: Path
) -> None:
    said = signed.model_dump_json()
    if form is FileForm.PARQUET:
        metadata = f"KV_METADATA {{'{METADATA_KEY}': {text_literal(said)}}}"
        connection.execute(
            f"COPY (FROM {relation}) TO {text_literal(str(path))} (FORMAT parquet, COMPRESSION zstd, {metadata})"
        )
        return
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path.parent / CSV_NAME, CSV_NAME)
        archive.writestr(MANIFEST_NAME, said)


def _name(*, resource_id: ResourceId, at: datetime, form: FileForm) -> str:
    return f"{resource_id}-{at:%Y%m%dT%H%M%SZ}{form.suffix}"


def _nothing() -> NotFound:
    return NotFound(
        "sharing.file_empty",
        what=Text(zh="协议范围内没有数据行。", en="No row of the table is inside the agreement."),
        remedy=Text(zh="请核对协议约定的数据行。", en="Check which rows the agreement is about."),
    )


def _unreadable() -> Unavailable:
    return Unavailable(
        "sharing.file_failed",
        what=Text(zh="文件暂时无法生成。", en="The file cannot be made at the moment."),
        remedy=Text(
            zh="请稍后重试；持续出现时请告知运维人员。", en="Try again later; if it lasts, tell the operators."
        ),
    )


def _log_late() -> Unavailable:
    return Unavailable(
        "sharing.file_log_late",
        what=Text(zh="存证日志暂未收录这次下载。", en="The log has not taken in this download yet."),
        remedy=Text(zh="请稍后重试。", en="Try again in a moment."),
    )
