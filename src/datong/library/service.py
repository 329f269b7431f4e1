"""The library as the other systems see it: builds on one side, published datasets and entities on the other."""

import shutil
import time
from contextlib import closing
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, func, insert, select, update

from datong.kernel import (
    PLATFORM_ACTOR,
    Actor,
    BuildId,
    Clock,
    Conflict,
    Database,
    DatongError,
    EntryId,
    JsonValue,
    NotFound,
    Page,
    ResourceId,
    Text,
    canonical_json,
    new_id,
    page_of,
    sha256_hex,
)
from datong.ledger import EntryKind, Ledger
from datong.library.build_facts import input_facts, publication_facts
from datong.library.defining import Definitions
from datong.library.definition import Definition, shipped_definitions
from datong.library.inputs import derived_input_digest, resolve_inputs
from datong.library.locking import build_lock
from datong.library.published import Published
from datong.library.retention_rules import RetentionRule
from datong.library.score_store import keep_scores, score_facts
from datong.library.shelf import Shelf
from datong.library.shelving import BUILDS_KEPT
from datong.library.tables import BUILDS, CURRENT, DATASETS
from datong.library.values import (
    Build,
    BuildState,
    BuildStep,
    FixedDecisions,
    InputTable,
    LandedSource,
    Landing,
    LinkDecisions,
)
from datong.library.versions import Versions
from datong.library.weights import Weights
from datong.norms import NormPack

if TYPE_CHECKING:
    from datong.library.pipeline import Pipeline
    from datong.library.publish import PublishedTable
    from datong.library.table_pipeline import TablePipeline
    from datong.library.workspace import TableEngine

BUILD_ATTEMPTS_MAX = 5
ERROR_CHARS_MAX = 2000
RETENTION_DEFAULT = RetentionRule(days=1095)
"""How long superseded versions are kept where nobody says otherwise."""


class Library(Published):
    """Builds base libraries from what has landed, and serves the current version of each.

    `lake` is the folder of all bulk data. A build may be run by any process that sees it; a lock file per library keeps
    two from running at once, and dies with its process.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ledger: Ledger,
        pack: NormPack,
        lake: Path,
        landing: Landing,
        threads: int = 2,
        memory: str = "1500MB",
        table_engine: "TableEngine | None" = None,
        definitions: tuple[Definition, ...] | None = None,
        decisions: LinkDecisions | None = None,
        retention: RetentionRule = RETENTION_DEFAULT,
        shelf: Shelf | None = None,
    ) -> None:
        self.defining = Definitions(
            database=database, clock=clock, ledger=ledger, pack=pack, shipped=definitions or shipped_definitions()
        )
        super().__init__(
            database=database, folder=lake / "library", definitions=self.defining.all, pack=pack, shelf=shelf
        )
        self.versions = Versions(
            database=database, clock=clock, ledger=ledger, library=self, folder=lake / "library", default=retention
        )
        self.weights = Weights(database=database, clock=clock, ledger=ledger, definitions=self.defining)
        self._clock = clock
        self._ledger = ledger
        self._landing = landing
        self._decisions = decisions or FixedDecisions()
        self._threads = threads
        self._memory = memory
        self._table_engine = table_engine

    def request_build(self, library: str, *, actor: Actor, whole: bool = False) -> Build:
        """Record that `library` is to be built from everything that has landed, or been published, by now.

        With `whole`, everything is made anew, although a build may start from the version before. A request for the
        same input that still waits or runs is answered with that build, if it does that, too.

        Raises:
            Conflict: nothing that the library can use has landed, or been published.
        """
        inputs, digest = self._inputs(self.definition(library))
        with self._database.transaction() as connection:
            waiting = connection.execute(
                select(BUILDS).where(
                    BUILDS.c.library == library,
                    BUILDS.c.input_digest == digest,
                    BUILDS.c.state.in_([BuildState.REQUESTED, BuildState.RUNNING]),
                    *([BUILDS.c.whole] if whole else []),
                )
            ).first()
            if waiting is not None:
                return _build(waiting)
            build_id = BuildId(new_id())
            connection.execute(
                insert(BUILDS).values(
                    id=build_id,
                    library=library,
                    state=BuildState.REQUESTED,
                    requested_by=actor.model_dump(mode="json"),
                    requested_at=self._clock.now(),
                    input_digest=digest,
                    inputs=inputs,
                    whole=whole,
                    attempts=0,
                    step_seconds={},
                )
            )
            return _build(connection.execute(select(BUILDS).where(BUILDS.c.id == build_id)).one())

    def _inputs(self, definition: Definition) -> tuple[list[dict[str, Any]], str]:
        """Return what a build of `definition` reads now, and the digest that identifies it."""
        if definition.reads:
            tables = resolve_inputs(definition, self._by_name(), self.datasets(), self._folder)
            return [table.model_dump(mode="json") for table in tables], derived_input_digest(definition, tables)
        sources = tuple(
            source for source in self._landing.sources() if source.batches and definition.role_of(source) is not None
        )
        if not sources:
            raise Conflict(
                "library.nothing_landed",
                what=Text(
                    zh=f"“{definition.title.zh}”所需的数据尚未到达。",
                    en=f"Nothing that “{definition.title.en}” can use has landed.",
                ),
                remedy=Text(zh="请先完成相关资源的数据传输。", en="Transfer the resources it needs first."),
                context={"library": definition.name},
            )
        inputs = [source.model_dump(mode="json") for source in sorted(sources, key=lambda source: source.resource_id)]
        decisions = [known.model_dump() for known in self._decisions.link_decisions(definition.name)]
        facts: dict[str, JsonValue] = {"definition": definition.digest, "inputs": input_facts(sources)}
        facts |= {"decisions": sha256_hex(canonical_json(decisions))} if decisions else {}
        return inputs, sha256_hex(canonical_json(facts))

    def input_digest(self, library: str) -> str | None:
        """Return what identifies all that a build of `library` would read now; None where there is nothing."""
        try:
            return self._inputs(self.definition(library))[1]
        except Conflict:
            return None

    def refresh_derived(self) -> tuple[BuildId, ...]:
        """Request a build of every derived library whose inputs have newer versions than its own last build read.

        Only libraries that somebody has built are kept up to date. What an earlier build read is told by its digest,
        so this may be called at any time and after any interruption; a build that failed on an input is not repeated.
        """
        derived = [definition for definition in self.definitions() if definition.reads]
        requested = []
        for definition in derived:
            last = next(iter(self.builds(definition.name, limit=1).rows), None)
            if last is None or last.state in (BuildState.REQUESTED, BuildState.RUNNING):
                continue
            if self._inputs(definition)[1] != last.input_digest:
                requested.append(self.request_build(definition.name, actor=PLATFORM_ACTOR).id)
        return tuple(requested)

    def pending_builds(self) -> tuple[BuildId, ...]:
        """Return the builds that wait or were interrupted, oldest first."""
        with self._database.snapshot() as connection:
            rows = connection.execute(
                select(BUILDS.c.id)
                .where(BUILDS.c.state.in_([BuildState.REQUESTED, BuildState.RUNNING]))
                .order_by(BUILDS.c.requested_at, BUILDS.c.id)
            )
            return tuple(BuildId(row.id) for row in rows)

    def run_build(self, build_id: BuildId) -> Build:
        """Run a build to its end, continuing after the steps that are done; a finished build is returned as it is.

        Raises:
            Unavailable: another process runs a build of the same library.
            DatongError: the build failed for good, and says why in `Build.error`.
        """
        build = self.build(build_id)
        if build.state in (BuildState.PUBLISHED, BuildState.FAILED):
            return build
        home = self._folder / build.library
        with build_lock(home, build.library):
            build = self._begin(build_id)
            if build.state in (BuildState.PUBLISHED, BuildState.FAILED):
                return build
            try:
                pipeline = self._pipeline(build)
                self._run_steps(build_id, pipeline)
                self._publish(build, pipeline)
            except DatongError as error:
                if not error.transient:
                    self._fail(build_id, f"{error.code}: {error.what.zh} {error.what.en}")
                raise
            self._dispose(build.library)
        return self.build(build_id)

    def _begin(self, build_id: BuildId) -> Build:
        """Count one more attempt; a build that keeps dying is given up."""
        with self._database.transaction() as connection:
            row = connection.execute(select(BUILDS).where(BUILDS.c.id == build_id)).one()
            if row.state in (BuildState.PUBLISHED, BuildState.FAILED):
                return _build(row)
            given_up = row.attempts >= BUILD_ATTEMPTS_MAX
            values: dict[str, Any] = {"state": BuildState.RUNNING, "attempts": row.attempts + 1}
            if given_up:
                values = {
                    "state": BuildState.FAILED,
                    "error": f"library.build_given_up: {BUILD_ATTEMPTS_MAX} 次尝试均中断 interrupted that many times",
                    "finished_at": self._clock.now(),
                }
            connection.execute(update(BUILDS).where(BUILDS.c.id == build_id).values(**values))
            return _build(connection.execute(select(BUILDS).where(BUILDS.c.id == build_id)).one())

    def _pipeline(self, build: Build) -> "Pipeline | TablePipeline":
        # DuckDB, Splink and Delta Lake take a second to import: only a process that builds pays for it.
        module = import_module("datong.library.pipeline")
        with self._database.snapshot() as connection:
            inputs = connection.execute(select(BUILDS.c.inputs).where(BUILDS.c.id == build.id)).scalar_one()
            current = connection.execute(select(CURRENT).where(CURRENT.c.library == build.library)).first()
        home = self._folder / build.library
        previous = (current.version, home / "builds" / current.build_id) if current else (0, None)
        definition = self.definition(build.library)
        common: dict[str, Any] = {
            "build_id": build.id,
            "definition": definition,
            "pack": self._pack,
            "engine": module.Engine(threads=self._threads, memory=self._memory),
            "folder": home / "builds" / build.id,
            "delta": home / "delta",
            "previous": module.Previous(version=previous[0], folder=previous[1]),
        }
        if definition.reads:
            tables = tuple(InputTable.model_validate(table) for table in inputs)
            if derived_input_digest(definition, tables) != build.input_digest:
                raise _superseded(build.library)
            way = "derived.DerivedPipeline" if definition.derivation is not None else "graph.GraphPipeline"
            home_module, _, name = way.partition(".")
            derived: TablePipeline = getattr(import_module(f"datong.library.{home_module}"), name)(
                **common, libraries=self._by_name(), tables=tables, library=self._folder
            )
            return derived
        sources = tuple(LandedSource.model_validate(source) for source in inputs)
        elsewhere = _published_before(self.definitions(), definition, sources)
        decisions = self._decisions.link_decisions(build.library)
        pipeline: Pipeline = module.Pipeline(
            **common,
            table_engine=self._table_engine,
            sources=sources,
            elsewhere=elsewhere,
            decisions=decisions,
            divisions=self.spatial.division_names(),
            whole=build.whole,
        )
        return pipeline

    def _run_steps(self, build_id: BuildId, pipeline: "Pipeline | TablePipeline") -> None:
        seconds = dict(self.build(build_id).step_seconds)
        started = time.monotonic()
        running: BuildStep | None = None
        # Closed at once if something fails in between: threads of the pipeline's own end then.
        with closing(pipeline.steps()) as steps:
            for step in chain(steps, (None,)):
                if running is not None:
                    seconds[running.value] = round(time.monotonic() - started, 3)
                running, started = step, time.monotonic()
                with self._database.transaction() as connection:
                    values: dict[str, Any] = {"step_seconds": seconds} | ({"step": step} if step else {})
                    connection.execute(update(BUILDS).where(BUILDS.c.id == build_id).values(**values))

    def _publish(self, build: Build, pipeline: "Pipeline | TablePipeline") -> None:
        """Make the finished build the current version, with its evidence, in one transaction."""
        report, tables, digest = pipeline.report(), pipeline.tables(), pipeline.golden_digest()
        version = pipeline.base_version() + 1
        if self.shelving is not None:
            definition = self.definition(build.library)
            self.shelving.put(build.library, build.id, [_places(build, table, definition) for table in tables])
        now = self._clock.now()
        with self._database.transaction() as connection:
            self._refuse_stale(connection, build.library, version)
            scores = keep_scores(
                connection, report, pipeline.newest_batches(), library=build.library, version=version, now=now
            )
            entry_id = self._ledger.append(
                connection,
                kind=EntryKind.DATASET,
                subject=f"{build.library}/{version}",
                actor=build.requested_by,
                facts=publication_facts(build, self.definition(build.library), pipeline, tables, digest, report)
                | {"quality": [score_facts(score) for score in scores]},
            )
            for table in tables:
                dataset = self._dataset(build, pipeline, table, version, entry_id)
                connection.execute(
                    insert(DATASETS).values(
                        name=table.name,
                        version=version,
                        library=build.library,
                        build_id=build.id,
                        published_at=now,
                        details=dataset,
                    )
                )
            _switch(connection, build.library, version, build.id)
            connection.execute(
                update(BUILDS)
                .where(BUILDS.c.id == build.id)
                .values(
                    state=BuildState.PUBLISHED,
                    finished_at=now,
                    version=version,
                    digest=digest,
                    records=report.records,
                    entities=report.entities,
                )
            )

    def _refuse_stale(self, connection: Connection, library: str, version: int) -> None:
        current = connection.execute(select(CURRENT.c.version).where(CURRENT.c.library == library)).scalar()
        if (current or 0) + 1 != version:
            raise _superseded(library)

    def _dataset(
        self,
        build: Build,
        pipeline: "Pipeline | TablePipeline",
        table: "PublishedTable",
        version: int,
        entry_id: EntryId,
    ) -> dict[str, Any]:
        """Return the details of a dataset as the control database keeps them; paths start at the lake's library."""
        golden = table.resource_number is None
        source = None if table.resource_number is None else pipeline.source(table.resource_number)
        return {
            "resource_id": source.resource_id if source else None,
            "department": source.department if source else None,
            "title": table.title.model_dump(),
            "open": golden and self.definition(build.library).open,
            "rows": table.rows,
            "digest": table.digest,
            "columns": [column.model_dump(mode="json") for column in table.columns],
            "key_elements": list(table.key_elements),
            "entry_id": entry_id,
            **_places(build, table, self.definition(build.library)),
        }

    def _fail(self, build_id: BuildId, error: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                update(BUILDS)
                .where(BUILDS.c.id == build_id)
                .values(state=BuildState.FAILED, error=error[:ERROR_CHARS_MAX], finished_at=self._clock.now())
            )

    def _dispose(self, library: str) -> None:
        """Remove the working files of builds that nobody reads any more; Delta Lake and the shelf keep tables."""
        with self._database.snapshot() as connection:
            rows = connection.execute(
                select(BUILDS.c.id)
                .where(BUILDS.c.library == library, BUILDS.c.state == BuildState.PUBLISHED)
                .order_by(BUILDS.c.version.desc())
                .limit(BUILDS_KEPT)
            )
            keep = {row.id for row in rows} | set(self.pending_builds())
        for folder in (self._folder / library / "builds").iterdir():
            if folder.name not in keep:
                shutil.rmtree(folder, ignore_errors=True)
        if self.shelving is not None:
            self.shelving.keep(library)

    def build(self, build_id: BuildId) -> Build:
        """Return a build, or raise NotFound."""
        with self._database.snapshot() as connection:
            row = connection.execute(select(BUILDS).where(BUILDS.c.id == build_id)).first()
        if row is None:
            raise NotFound(
                "library.build_unknown",
                what=Text(zh=f"没有构建 {build_id}。", en=f"There is no build {build_id}."),
                remedy=Text(zh="请从构建列表中选择。", en="Choose one from the list of builds."),
            )
        return _build(row)

    def builds(self, library: str, *, offset: int = 0, limit: int = 20) -> Page[Build]:
        """Return the builds of `library`, newest first."""
        self.definition(library)
        mine = BUILDS.c.library == library
        with self._database.snapshot() as connection:
            total = connection.execute(select(func.count()).select_from(BUILDS).where(mine)).scalar_one()
            rows = connection.execute(
                select(BUILDS)
                .where(mine)
                .order_by(BUILDS.c.requested_at.desc(), BUILDS.c.id.desc())
                .offset(offset)
                .limit(limit)
            ).all()
        return page_of(tuple(_build(row) for row in rows), total=total, offset=offset)


def _places(build: Build, table: "PublishedTable", definition: Definition) -> dict[str, Any]:
    """Return where what a build publishes lies; paths start at the lake's library."""
    delta = f"{build.library}/delta/{table.name.replace(':', '_')}"
    lineage = table.resource_number is None and definition.graph is None
    return {
        "delta_path": delta,
        "delta_version": table.delta_version,
        "lineage_path": f"{delta}_lineage" if lineage else None,
        "lookup_path": f"{build.library}/builds/{build.id}/{BuildStep.PUBLISH.value}/{table.lookup_file}",
    }


def _superseded(library: str) -> Conflict:
    return Conflict(
        "library.build_superseded",
        what=Text(
            zh="构建期间已发布了更新的版本或定义，本次构建作废。",
            en="A newer version or definition was published meanwhile; this build is void.",
        ),
        remedy=Text(zh="请重新发起构建。", en="Request a build again."),
        context={"library": library},
    )


def _switch(connection: Connection, library: str, version: int, build_id: BuildId) -> None:
    moved = connection.execute(
        update(CURRENT).where(CURRENT.c.library == library).values(version=version, build_id=build_id)
    )
    if moved.rowcount == 0:
        connection.execute(insert(CURRENT).values(library=library, version=version, build_id=build_id))


def _published_before(
    definitions: tuple[Definition, ...], definition: Definition, sources: tuple[LandedSource, ...]
) -> frozenset[ResourceId]:
    """Return the resources whose records a library that is listed before `definition` publishes."""
    before = [known for known in definitions[: definitions.index(definition)] if known.publishes_records]
    return frozenset(
        source.resource_id for source in sources if any(known.role_of(source) is not None for known in before)
    )


def _build(row: Row[Any]) -> Build:
    return Build(
        id=BuildId(row.id),
        library=row.library,
        state=BuildState(row.state),
        step=BuildStep(row.step) if row.step else None,
        requested_by=Actor.model_validate(row.requested_by),
        requested_at=row.requested_at,
        finished_at=row.finished_at,
        input_digest=row.input_digest,
        whole=row.whole,
        source_count=len(row.inputs),
        batch_count=sum(len(source.get("batches", ())) for source in row.inputs),
        version=row.version,
        digest=row.digest,
        records=row.records,
        entities=row.entities,
        step_seconds=row.step_seconds,
        error=row.error,
    )
