"""One build of one library, step by step, over files only: no control database, no clock, no ledger.

Each step leaves a folder below the build's own; a step whose folder exists is not run again. So a build that was killed
anywhere continues where it was, and ends with the same bytes' worth of cells.
"""

from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datong.kernel import BuildId, JsonValue, ResourceId, Value
from datong.library.addresses import gazetteer_of
from datong.library.ahead import CarriedAhead
from datong.library.conform import ConformedSource, conform_source, take_part
from datong.library.conform_changes import changed_records, conform_changes
from datong.library.definition import Definition, LibraryKind
from datong.library.division_names import DivisionNames, known_divisions
from datong.library.doubts import NO_DOUBTS, REVIEW
from datong.library.engine import Engine, TableEngine, Workspace, parquet_sql, sql_text, step_folder
from datong.library.fuse import CELLS, GOLDEN_DIGEST, fuse, fuse_changes
from datong.library.increment import CHANGED_SHARE_MAX, Basis, basis_of, choose, read_basis, weigh, write_basis
from datong.library.layers import read_table, table_sql
from datong.library.link import COUNTS, LINKS, SUCCESSIONS, WEIGHTS, link_divisions, link_records, source_key
from datong.library.link_changes import CHANGED_RECORDS, link_changed, write_changed_records
from datong.library.publish import PublishedTable, read_json, write_json
from datong.library.publishing import FormerBuild, Publishing
from datong.library.quality import Outcome, Since, count_entities, link_report, source_quality, with_agreement
from datong.library.spatial_conform import conform_geometry
from datong.library.thresholds import WeightBin
from datong.library.touched import (
    FORMER_CELLS,
    FORMER_LINKS,
    TOUCHED_CELLS,
    TOUCHED_LINKS,
    Former,
    former_rows,
    touched_rows,
)
from datong.library.twins import write_twin
from datong.library.values import (
    BuildStep,
    FailingRow,
    LandedSource,
    LinkDecision,
    LinkReport,
    SourceQuality,
)
from datong.norms import NormPack

QUALITY = "quality.json"
REPORT = "report.json"
TABLES = "tables.json"
SOURCES = "sources.json"


class Previous(Value):
    """The published build whose entity ids are inherited, and its version (0 and None before the first)."""

    version: int = 0
    folder: Path | None = None


class Pipeline:
    """The steps of one build; `folder` is the build's own, `delta` holds the library's Delta tables.

    `table_engine` conforms, links and fuses (`engine` itself if there is none); `engine` publishes its files.
    Records of the resources in `elsewhere` are published by another library. Addresses are read by the names of the
    `divisions`, those that the norms know if none are given. The steps start from those of the
    `previous` build where they can (see `increment`), unless the `whole` is wanted; the result is the same.
    """

    def __init__(
        self,
        *,
        build_id: BuildId,
        definition: Definition,
        sources: tuple[LandedSource, ...],
        pack: NormPack,
        engine: Engine,
        folder: Path,
        delta: Path,
        previous: Previous,
        table_engine: TableEngine | None = None,
        elsewhere: frozenset[ResourceId] = frozenset(),
        decisions: tuple[LinkDecision, ...] = (),
        divisions: DivisionNames | None = None,
        whole: bool = False,
        changed_share_max: float = CHANGED_SHARE_MAX,
    ) -> None:
        self.build_id = build_id
        self.definition = definition
        self.pack = pack
        self.engine = engine
        self.table_engine: TableEngine = table_engine or engine
        self.folder = folder
        self.delta = delta
        self.previous = previous
        self.elsewhere = elsewhere
        self.decisions = decisions
        self.divisions = known_divisions(pack) if divisions is None else divisions
        self.sources = take_part(definition, sources, pack)
        self.whole = whole
        self.changed_share_max = changed_share_max
        # One core is left to what is linked and fused meanwhile.
        self._ahead = CarriedAhead(build_id, max(1, engine.threads - 1))

    def steps(self) -> Generator[BuildStep, None, None]:
        """Run the steps that have not been run; yield each before it starts."""
        steps = {
            BuildStep.CONFORM: self._conform,
            BuildStep.LINK: self._link,
            BuildStep.FUSE: self._fuse,
            BuildStep.PUBLISH: self._publish,
        }
        with self._ahead:
            yield from run_steps(self.folder, steps)

    def tables(self) -> tuple[PublishedTable, ...]:
        """Return what the finished build publishes."""
        return read_tables(self.folder)

    def report(self) -> LinkReport:
        """Return the finished build's report."""
        return read_report(self.folder)

    def golden_digest(self) -> str:
        """Return the digest of the golden cells."""
        return self._file(BuildStep.FUSE, GOLDEN_DIGEST).read_text()

    def source(self, number: int) -> LandedSource:
        """Return the source whose published records have this number."""
        return self.sources[number].source

    def departments(self) -> list[str]:
        """Return whose records took part."""
        return sorted({known.source.department for known in self.sources})

    def input_facts(self) -> list[JsonValue]:
        """Return what took part, for the evidence: never a path, never a value."""
        return [
            {
                "resource": known.source.resource_id,
                "department": known.source.department,
                "version": known.source.resource_version,
                "batches": len(known.source.batches),
                "last_batch": max(known.source.batches, key=lambda batch: batch.sequence).batch_id,
            }
            for known in self.sources
        ]

    def newest_batches(self) -> dict[ResourceId, datetime]:
        """Return when the newest batch of each source was made, where that is known."""
        made = {
            known.source.resource_id: [batch.produced_at for batch in known.source.batches if batch.produced_at]
            for known in self.sources
        }
        return {resource_id: max(times) for resource_id, times in made.items() if times}

    def _file(self, step: BuildStep, name: str) -> Path:
        return self.folder / step.value / name

    @property
    def _spill(self) -> Path:
        return self.folder / "spill"

    def basis(self) -> Basis:
        """Return what the build is made from, once its first step has run."""
        found = read_basis(self.folder)
        if found is None:
            raise AssertionError("the first step writes it")
        return found

    def _former(self, basis: Basis) -> Path | None:
        """Return the folder of the build that this one starts from; None where everything is made anew.

        Another version may have been published since the first step ran: then this build comes to nothing anyway.
        """
        folder = self.previous.folder
        return folder if folder is not None and basis.base == folder.name else None

    def _engine_for(self, changed: int) -> TableEngine:
        """Return the engine that links and fuses where so many records changed, on the cores that they keep busy."""
        engine = self.table_engine
        return engine.narrowed(changed) if isinstance(engine, Engine) else engine

    def _conform(self, scratch: Path) -> None:
        gazetteer, engine = gazetteer_of(self.divisions), type(self.table_engine).__name__
        basis = choose(
            basis_of(self.definition, self.sources, self.pack, engine=engine, divisions=gazetteer.digest),
            self.definition.kind,
            self.previous.folder,
            grows=isinstance(self.table_engine, Engine),
            whole=self.whole,
        )
        former = self._former(basis)
        known = None if former is None else read_basis(former)
        qualities = [] if former is None else read_json(former / BuildStep.CONFORM.value / QUALITY)["sources"]

        def run(work: Workspace, source: ConformedSource) -> SourceQuality:
            count = None if known is None else basis.known_batches(source.number, known)
            if former is None or count is None:
                counts = conform_source(work, source, self.pack, scratch, gazetteer)
                conform_geometry(source, scratch)
                if self.definition.kind is not LibraryKind.REFERENCE:
                    write_twin(work, scratch / source.file, ("row_key",))
                return source_quality(work, source, counts, scratch)
            quality = SourceQuality.model_validate(qualities[source.number])
            step = former / BuildStep.CONFORM.value
            return conform_changes(work, source, self.pack, step, count, quality, scratch, gazetteer)

        # A source of less than DuckDB's row group keeps one core busy only, so sources run side by side.
        with self.table_engine.open(self._spill) as work, ThreadPoolExecutor(self.table_engine.threads) as pool:
            done = list(pool.map(run, [work.beside() for _ in self.sources], self.sources))
        if basis.base is not None:
            changed, records = changed_records(self.sources, scratch), sum(found.rows for found in done)
            basis = weigh(basis, changed=changed, records=records, share_max=self.changed_share_max)
        write_basis(basis, scratch)
        write_json(scratch / QUALITY, {"sources": [found.model_dump(mode="json") for found in done]})

    def _link(self, scratch: Path) -> None:
        conformed = self.folder / BuildStep.CONFORM.value
        sources = [
            {"key": source_key(known), "resource_id": known.source.resource_id, "department": known.source.department}
            for known in self.sources
        ]
        write_json(scratch / SOURCES, {"base_version": self.previous.version, "sources": sources})
        basis, given = self.basis(), (self.definition, self.sources, conformed)
        former = self._former(basis)
        step = None if former is None else former / BuildStep.LINK.value
        if former is not None and step is not None:
            publishing, published = self._publishing(former), self._published_sources()
            known = partial(publishing.carry_certain, published)
            with self._engine_for(basis.changed).open(self._spill) as work:
                if link_changed(work, *given, step, self._successions(), self.decisions, scratch, known):
                    return
        with self.table_engine.open(self._spill) as work:
            if self.definition.kind is LibraryKind.REFERENCE:
                link_divisions(work, self.sources, conformed, scratch)
                return
            keep, successions = isinstance(self.table_engine, Engine), self._inherit(work)
            link_records(work, *given, successions, self.decisions, scratch, keep=keep)
            if step is not None:
                write_changed_records(work, self.sources, conformed, step / LINKS, scratch)

    def _inherit(self, work: Workspace) -> list[tuple[str, str, str]]:
        """Create `previous_ids`, the previous version's entity id per record, and return all former successions."""
        if self.previous.folder is None:
            work.create("previous_ids", "SELECT NULL::VARCHAR AS key, NULL::VARCHAR AS entity_id WHERE false")
            return []
        folder = self.previous.folder / BuildStep.LINK.value
        known = ", ".join(
            f"({number}, {sql_text(source['key'])})"
            for number, source in enumerate(read_json(folder / SOURCES)["sources"])
        )
        links = table_sql(folder / LINKS)
        work.create(
            "previous_ids",
            f"SELECT known.key || chr(31) || row_key AS key, entity_id "
            f"FROM {links} JOIN (VALUES {known}) known(source, key) USING (source)",
        )
        return self._successions()

    def _successions(self) -> list[tuple[str, str, str]]:
        """Return what became of entity ids up to the previous version."""
        if self.previous.folder is None:
            return []
        path = self.previous.folder / BuildStep.LINK.value / SUCCESSIONS
        succession = pq.read_table(path, columns=["former", "present", "change"])
        return [(row["former"], row["present"], row["change"]) for row in succession.to_pylist()]

    def base_version(self) -> int:
        """Return the version whose entity ids the finished link step inherited."""
        return int(read_json(self._file(BuildStep.LINK, SOURCES))["base_version"])

    def _fuse(self, scratch: Path) -> None:
        links = self._file(BuildStep.LINK, LINKS)
        quality = read_json(self._file(BuildStep.CONFORM, QUALITY))
        counts = read_json(self._file(BuildStep.LINK, COUNTS))
        known = [SourceQuality.model_validate(row) for row in quality["sources"]]
        without_key = sum(found.without_key for found in known)
        if without_key:
            counts["quarantined"]["without_key"] = without_key
        conformed, basis = self.folder / BuildStep.CONFORM.value, self.basis()
        changed, before = self._file(BuildStep.LINK, CHANGED_RECORDS), self._former(basis)
        since, grows = None, before is not None and changed.exists()
        engine = self._engine_for(pq.read_metadata(changed).num_rows) if grows else self.table_engine
        with engine.open(self._spill) as work:
            if before is not None and grows:
                former = Former(
                    before / BuildStep.CONFORM.value,
                    before / BuildStep.FUSE.value,
                    before / BuildStep.LINK.value / LINKS,
                    changed,
                )
                publishing = self._publishing(before)
                publishing.carry_records(self._published_sources(), changed)
                given = (self.definition, self.sources, conformed, links, former, scratch)
                fuse_changes(work, *given, publishing.carry_entities)
                since = Since(
                    read_report(before),
                    Outcome(former_rows(self.sources), FORMER_LINKS, parquet_sql(scratch / FORMER_CELLS)),
                    Outcome(touched_rows(self.sources), TOUCHED_LINKS, parquet_sql(scratch / TOUCHED_CELLS)),
                )
            else:
                fuse(work, self.definition, self.sources, conformed, links, scratch)
            rows = {source.number: source.sql(conformed) for source in self.sources}
            outcome = Outcome(rows, table_sql(links), table_sql(scratch / CELLS))
            counted = count_entities(work, outcome, since)
            compared = [
                with_agreement(work, one, source, outcome, counted.entities, since)
                for one, source in zip(known, self.sources, strict=True)
            ]
        report = link_report(
            library=self.definition.name,
            version=self.base_version() + 1,
            counts=counts,
            sources=tuple(compared),
            counted=counted,
        )
        whole = basis.reason.value if basis.reason else None
        report = report.model_copy(update={"base": basis.base, "whole": whole, "changed": basis.changed})
        write_json(scratch / REPORT, report.model_dump(mode="json"))

    def _publish(self, scratch: Path) -> None:
        sources, publishing = self._published_sources(), self._publishing(self._former_published())
        changed = self._file(BuildStep.LINK, CHANGED_RECORDS)
        few = publishing.former is not None
        engine = self.engine.narrowed(pq.read_metadata(changed).num_rows) if few else self.engine
        with engine.connect(self._spill) as connection, ThreadPoolExecutor(self.engine.threads) as pool:
            lineage = pool.submit(publishing.lineage, connection.cursor())
            golden = pool.submit(publishing.golden, connection.cursor(), self.golden_digest(), scratch)
            others = [pool.submit(publishing.records, connection.cursor(), source, scratch) for source in sources]
            tables = [future.result() for future in (golden, *others)]
            lineage.result()
        write_json(scratch / TABLES, [table.model_dump(mode="json") for table in tables])

    def _published_sources(self) -> tuple[ConformedSource, ...]:
        if not self.definition.publishes_records:
            return ()
        return tuple(source for source in self.sources if source.source.resource_id not in self.elsewhere)

    def _publishing(self, former: Path | None) -> Publishing:
        """Return what publishes this build, which started from the published build in the folder `former`, if any."""
        known = former is not None and (former / BuildStep.PUBLISH.value / TABLES).exists()
        return Publishing(
            build_id=self.build_id,
            definition=self.definition,
            sources=self.sources,
            pack=self.pack,
            folder=self.folder,
            delta=self.delta,
            former=FormerBuild(former, {one.name: one for one in read_tables(former)}) if former and known else None,
            ahead=self._ahead,
        )

    def _former_published(self) -> Path | None:
        """Return the folder of the build that this one started from, if it knows what changed since."""
        return self._former(self.basis()) if self._file(BuildStep.FUSE, TOUCHED_CELLS).exists() else None


def run_steps(folder: Path, steps: Mapping[BuildStep, Callable[[Path], None]]) -> Generator[BuildStep, None, None]:
    """Run the steps of the build in `folder` that have not been run, in their order; yield each before it starts."""
    for step, run in steps.items():
        yield step
        folder.mkdir(parents=True, exist_ok=True)
        with step_folder(folder / step.value) as scratch:
            if scratch is not None:
                run(scratch)


def read_tables(folder: Path) -> tuple[PublishedTable, ...]:
    """Return what the finished build in `folder` publishes."""
    return tuple(PublishedTable.model_validate(row) for row in read_json(folder / BuildStep.PUBLISH.value / TABLES))


def read_report(folder: Path) -> LinkReport:
    """Return the report of the finished build in `folder`."""
    derived = folder / BuildStep.DERIVE.value / REPORT
    return LinkReport.model_validate(read_json(derived if derived.exists() else folder / BuildStep.FUSE.value / REPORT))


def read_review(folder: Path) -> pa.Table:
    """Return the pairs of the finished build in `folder` that are worth a person's look (see `doubts.write_review`)."""
    path = folder / BuildStep.LINK.value / REVIEW
    return pq.read_table(path) if path.exists() else NO_DOUBTS


def read_links(folder: Path) -> pa.Table:
    """Return the links of the finished build in `folder`, sources by name (see `Published.links`)."""
    sources = read_json(folder / BuildStep.LINK.value / SOURCES)["sources"]
    links = read_table(folder / BuildStep.LINK.value / LINKS)
    numbers = links.column("source")
    return pa.table(
        {
            **{
                name: pa.array([source[name] for source in sources], pa.string()).take(numbers)
                for name in ("resource_id", "department")
            },
            **{name: links.column(name) for name in ("row_key", "entity_id", "rule", "weight", "joined_to")},
        }
    )


def read_failing(
    folder: Path, resource_id: ResourceId, element: str, flag: str, limit: int
) -> tuple[FailingRow, ...] | None:
    """Return the records of a source whose `element` has the flaw `flag`; None where there is no such source."""
    sources = read_json(folder / BuildStep.LINK.value / SOURCES)["sources"]
    number = next((place for place, source in enumerate(sources) if source["resource_id"] == resource_id), None)
    if number is None:
        return None
    path = folder / BuildStep.CONFORM.value / f"source_{number:03d}.parquet"
    if f"{element}|flag" not in pq.read_schema(path).names:
        return None
    names = {"row_key": "row_key", "raw": f"{element}|raw", "batch_id": "batch_id", "observed_at": "observed_at"}
    found = read_table(path, columns=list(names.values()), where=pc.field(f"{element}|flag") == flag)
    shown = found.sort_by("row_key").slice(0, limit).rename_columns(list(names))
    return tuple(FailingRow.model_validate(row) for row in shown.to_pylist())


def read_weights(folder: Path) -> tuple[WeightBin, ...]:
    """Return the weights of the compared pairs of the finished build in `folder`; empty where none were weighed."""
    path = folder / BuildStep.LINK.value / WEIGHTS
    return tuple(WeightBin.model_validate(row) for row in read_json(path)) if path.exists() else ()
