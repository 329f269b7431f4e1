"""Shared tables for tests: the world of `world.py` with a resource whose table has versions."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import duckdb

from datong.kernel import sha256_hex
from datong.sharing.delta_evidence import DeltaEvidence
from datong.sharing.delta_release import Releases
from datong.sharing.delta_shares import DeltaShares, TableAnswer
from datong.sharing.delta_urls import FileSigner
from datong.sharing.delta_values import FixedTables, SharedTableName, TableVersion
from datong.sharing.masks import MaskKind
from datong.sharing.profiles import Profiles
from datong.sharing.row_filters import RowCondition
from datong.sharing.subjects import subject_index_key
from datong.sharing.terms import Agreement, PurposeDraft, RequestLine
from datong.sharing.usage import Usage
from tests.unit.sharing.samples import EDUCATION, POLICE, PURPOSE, RESOURCE, person
from tests.unit.sharing.world import POLICY, World

COLUMNS = ("gmsfhm", "xm", "hh", "hjdz", "bz", "zw", "xb")
LI, WANG, ZHAO = "110101199003070011", "110101200002290042", "440604198001010014"
NAME = SharedTableName(share="公安局", schema_name="school-admission", table="常住人口")
Person = tuple[str, str, str]
"""Citizen number, name and household."""
FIRST: tuple[Person, ...] = ((LI, "李四光", "H1"), (WANG, "王丽", "H2"))


class SharedWorld:
    """A hub whose education bureau may read the police's residents as a table."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder
        self.tables = FixedTables()
        self.tables.tables[RESOURCE] = []
        key = subject_index_key(world.signer)
        self.releases = Releases(folder=folder / "shared", tables=self.tables, subject_key=key)
        self.usage = Usage(database=world.database, ledger=world.ledger, index_key=key, releases=self.releases)
        self.profiles = Profiles(
            database=world.database, clock=world.clock, ledger=world.ledger, endpoint="http://hub.example/delta-sharing"
        )
        self.shares = DeltaShares(
            clock=world.clock,
            agreements=world.agreements,
            departments=world.departments,
            catalogue=world.resources,
            policy=POLICY,
            mask_keys=world.mask_keys,
            tables=self.tables,
            releases=self.releases,
            evidence=DeltaEvidence(database=world.database, ledger=world.ledger),
            signer=FileSigner(key=key, lifetime=timedelta(minutes=15)),
            address="http://hub.example/delta-sharing",
        )

    def agree(
        self, items: Sequence[str] = ("xm", "gmsfhm", "hh"), *, rows: tuple[RowCondition, ...] = (), **change: object
    ) -> Agreement:
        """Put an agreement of the education bureau's in force, about `rows` only if that is given."""
        draft = PurposeDraft.model_validate(PURPOSE.model_dump()).model_copy(update=change)
        lines = [RequestLine(resource_id=RESOURCE, items=tuple(items), rows=rows)]
        (granted,) = self.world.requests.submit(consumer=EDUCATION, lines=lines, purpose=draft, actor=person(EDUCATION))
        return self.world.put_in_force(granted.agreement_id)

    def publish(self, *files: Sequence[Person]) -> int:
        """Publish the next version, an hour after the one before; each of `files` becomes a file."""
        self.world.clock.advance(timedelta(hours=1))
        known = self.tables.tables[RESOURCE]
        number = len(known) + 1
        paths = tuple(self._write(f"v{number}-{place}.parquet", people) for place, people in enumerate(files))
        version = TableVersion(
            version=number,
            published_at=self.world.clock.now(),
            rows=sum(map(len, files)),
            digest=sha256_hex(repr(files).encode()),
            columns={name: name for name in COLUMNS},
        )
        known.append((version, paths))
        return number

    def rows(self, answer: TableAnswer, kind: str = "file") -> list[dict[str, object]]:
        """Return the rows of an answer's files of one kind, as a client reads them."""
        found: list[dict[str, object]] = []
        for action in answer.files:
            if action.kind == kind:
                path = self.releases.file(action.release, action.name)
                assert path is not None
                found += duckdb.sql(f"FROM read_parquet('{path}')").to_arrow_table().to_pylist()
        return found

    def _write(self, name: str, people: Sequence[Person]) -> Path:
        path = self.folder / name
        rows = ", ".join(f"('{number}', '{called}', '{household}')" for number, called, household in people)
        duckdb.sql(f"""
            COPY (SELECT *, 'X' AS hjdz, 'secret' AS bz, 'finger' AS zw, '1' AS xb, gmsfhm AS _row_key
                FROM (VALUES {rows}) AS t(gmsfhm, xm, hh)) TO '{path}' (FORMAT parquet)""")
        return path


__all__ = ["EDUCATION", "FIRST", "LI", "NAME", "POLICE", "WANG", "ZHAO", "MaskKind", "SharedWorld"]
