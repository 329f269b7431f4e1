"""What the library has published: datasets, point lookups, entities, reports. Reading only."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, bindparam, select

from datong.kernel import BuildId, Database, DepartmentCode, EntityId, NotFound, ResourceId, Text
from datong.library import score_store
from datong.library.definition import Definition
from datong.library.division_names import DivisionNames, known_divisions
from datong.library.lookup import open_lookup
from datong.library.quality_scores import SourceScore
from datong.library.score_store import ScoreAt
from datong.library.shelf import Shelf
from datong.library.shelving import Shelving
from datong.library.spatial import SpatialLibrary
from datong.library.tables import CURRENT, DATASETS
from datong.library.thresholds import OperatingPoint, WeightBin, operating_points
from datong.library.values import Dataset, EntityHit, EntityView, FailingRow, GoldenRow, LinkReport
from datong.norms import Mask, NormPack, mask_value

if TYPE_CHECKING:
    import pyarrow as pa

HITS_MAX = 200
ENTITY_KEYS = frozenset({"entity_id", "member_id", "from_id", "to_id"})
"""Keys whose value is an entity's id: one that was merged into another finds what is now."""
FAILING_ROWS_MAX = 500
_DATASET = (
    select(DATASETS)
    .join(CURRENT, (CURRENT.c.library == DATASETS.c.library) & (CURRENT.c.version == DATASETS.c.version))
    .where(DATASETS.c.name == bindparam("of_name"))
)
_STAMPS = (
    select(DATASETS.c.name, CURRENT.c.version, CURRENT.c.build_id)
    .join(CURRENT, (CURRENT.c.library == DATASETS.c.library) & (CURRENT.c.version == DATASETS.c.version))
    .where(DATASETS.c.name.in_(bindparam("of_names", expanding=True)))
)
"""Made once: the calls of the gateway run them."""


class Published:
    """The published side of the libraries under `folder`, which `shelf` brings there from another machine, if any."""

    def __init__(
        self,
        *,
        database: Database,
        folder: Path,
        definitions: Callable[[], tuple[Definition, ...]],
        pack: NormPack,
        shelf: Shelf | None = None,
    ) -> None:
        self._database = database
        self._folder = folder
        self.shelving = None if shelf is None else Shelving(database=database, folder=folder, shelf=shelf)
        self._pack = pack
        self._definitions = definitions
        self.spatial = SpatialLibrary(self)

    def definitions(self) -> tuple[Definition, ...]:
        """Return the libraries that this installation can build."""
        return self._definitions()

    def _by_name(self) -> dict[str, Definition]:
        return {known.name: known for known in self._definitions()}

    def definition(self, library: str) -> Definition:
        """Return the definition of `library`, or raise NotFound."""
        known = self._by_name()
        if library not in known:
            raise NotFound(
                "library.unknown",
                what=Text(zh=f"没有名为 {library} 的资源库。", en=f"There is no library called {library}."),
                remedy=Text(zh="请从资源库列表中选择。", en="Choose one from the list of libraries."),
                context={"library": library},
            )
        return known[library]

    def datasets(self) -> tuple[Dataset, ...]:
        """Return the current version of every published dataset, by name."""
        query = (
            select(DATASETS)
            .join(CURRENT, (CURRENT.c.library == DATASETS.c.library) & (CURRENT.c.version == DATASETS.c.version))
            .order_by(DATASETS.c.name)
        )
        with self._database.snapshot() as connection:
            return tuple(self._described(row) for row in connection.execute(query))

    def dataset(self, name: str) -> Dataset:
        """Return the current version of the dataset `name`, or raise NotFound.

        On a cache its lookup files are fetched first, unless they are there.
        """
        with self._database.snapshot() as connection:
            row = connection.execute(_DATASET, {"of_name": name}).first()
        if row is None:
            raise NotFound(
                "library.dataset_unknown",
                what=Text(zh=f"数据集 {name} 尚未发布。", en=f"The dataset {name} has not been published."),
                remedy=Text(zh="请先完成资源库构建。", en="Build the library first."),
                context={"dataset": name},
            )
        found = self._described(row)
        if self.shelving is not None:
            self.shelving.take_builds(found)
        return found

    def dataset_stamps(self, names: Sequence[str]) -> dict[str, object]:
        """Return what changes whenever the current versions of datasets do; one that is not published has none."""
        with self._database.reading() as connection:
            rows = connection.execute(_STAMPS, {"of_names": list(names)}).all()
        return {row.name: (row.version, row.build_id) for row in rows}

    def resource_dataset(self, resource_id: ResourceId) -> Dataset:
        """Return the current dataset of a source's records, or raise NotFound."""
        return self.dataset(f"resource:{resource_id}")

    def dataset_versions(self, name: str) -> tuple[Dataset, ...]:
        """Return every version of the dataset `name`, newest first."""
        query = select(DATASETS).where(DATASETS.c.name == name).order_by(DATASETS.c.version.desc())
        with self._database.snapshot() as connection:
            return tuple(self._described(row) for row in connection.execute(query))

    def take_tables(self, dataset: Dataset) -> None:
        """See that the tables of a version are on this machine; on one that builds they always are.

        Raises:
            Unavailable: a cache cannot fetch them.
        """
        if self.shelving is not None:
            self.shelving.take_tables(dataset)

    def table_files(self, dataset: Dataset) -> tuple[Path, ...]:
        """Return the Parquet files that hold `dataset`, for readers of whole tables.

        Raises:
            Unavailable: its Delta table cannot be read.
        """
        self.take_tables(dataset)
        # Delta Lake takes half a second to import: only who reads whole tables pays for it.
        files = import_module("datong.library.version_files")
        with files.told_unreadable(dataset.library):
            found: tuple[Path, ...] = files.files_of(dataset.delta_path, dataset.delta_version)
        return found

    def _described(self, row: Row[Any]) -> Dataset:
        details = dict(row.details)
        for path in ("delta_path", "lineage_path", "lookup_path"):
            details[path] = self._folder / details[path] if details[path] else None
        return Dataset(
            name=row.name,
            library=row.library,
            version=row.version,
            build_id=BuildId(row.build_id),
            published_at=row.published_at,
            **details,
        )

    def lookup(self, dataset: str, key_element: str, key_value: str) -> tuple[GoldenRow, ...]:
        """Return the rows of the current version whose `key_element` has the value `key_value`.

        `key_element` is one of the dataset's `key_elements` (`entity_id` is among them), or `row_key` for a record.

        Raises:
            NotFound: no such dataset, or it is not looked up by that element.
        """
        found = self.dataset(dataset)
        if key_element not in (*found.key_elements, "row_key"):
            raise key_unknown(found, key_element)
        with open_lookup(found.lookup_path) as file:
            rows = file.rows(key_element, key_value)
            if rows or key_element not in ENTITY_KEYS:
                return rows
            for known in self._other_ids(self._by_name().get(found.library), EntityId(key_value)):
                rows = file.rows(key_element, known)
                if rows:
                    return rows
        return ()

    def entity(self, library: str, entity_id: EntityId) -> EntityView:
        """Return all about one entity in the current version; former ids resolve to the present one.

        Raises:
            NotFound: the library has no such entity, or no version yet.
        """
        definition = self.definition(library)
        found = self.dataset(library)
        with open_lookup(found.lookup_path) as file:
            try:
                return file.view(entity_id, found.version)
            except NotFound:
                for known in self._other_ids(definition, entity_id):
                    with suppress(NotFound):
                        view = file.view(known, found.version)
                        return view.model_copy(update={"former_ids": (*view.former_ids, entity_id)})
                raise

    def _other_ids(self, definition: Definition | None, entity_id: EntityId) -> tuple[EntityId, ...]:
        """Return by what other ids the libraries that `definition` derives from know an entity: now, and before merges.

        A derived library holds the ids of the versions it read: its inputs may have merged entities since, or it may
        have been built again while somebody holds an id from before.
        """
        found: list[EntityId] = []
        for name in sorted({given.library for given in definition.reads} if definition is not None else ()):
            with suppress(NotFound), open_lookup(self.dataset(name).lookup_path) as file:
                present = file.present_id(entity_id)
                found += [present, *file.former_ids(present)]
            found += self._other_ids(self._by_name().get(name), entity_id)
        return tuple(known for known in dict.fromkeys(found) if known != entity_id)

    def relations(self, entity_id: EntityId) -> tuple[GoldenRow, ...]:
        """Return the edges of every published graph that begin or end at an entity, each cell with its origin."""
        published = {dataset.name for dataset in self.datasets()}
        graphs = [known.name for known in self.definitions() if known.graph is not None and known.name in published]
        found = [
            row
            for name in graphs
            for known in (entity_id, *self._other_ids(self._by_name()[name], entity_id))
            for end in ("from_id", "to_id")
            for row in self.lookup(name, end, known)
        ]
        return tuple({row.entity_id: row for row in found}.values())

    def find_entities(self, library: str, query: str, *, limit: int = 20) -> tuple[EntityHit, ...]:
        """Return entities by identifier, id or the beginning of the name, at most `limit`; none for an empty query.

        A list is for finding the right one: names are shown, every other value as its element's mask shows it.
        """
        definition = self.definition(library)
        if not query.strip():
            return ()
        with open_lookup(self.dataset(library).lookup_path) as file:
            hits = file.find(query, definition.summary_elements, min(limit, HITS_MAX))
        return tuple(
            hit.model_copy(update={"summary": {code: self._shown(code, value) for code, value in hit.summary.items()}})
            for hit in hits
        )

    def _shown(self, element: str, value: str) -> str:
        mask = self._pack.element(element).mask if self._pack.has_element(element) else Mask.NONE
        return value if mask is Mask.NAME else mask_value(mask, value) or value

    def known_divisions(self) -> DivisionNames:
        """Return code, name and level of the divisions that the norms know under their newest names."""
        return known_divisions(self._pack)

    def links(self, library: str) -> "pa.Table":
        """Return which record stands for which entity, and why.

        Columns: resource_id, department, row_key, entity_id, rule, weight, joined_to.
        """
        folder = self._build_folder(library)
        table: pa.Table = import_module("datong.library.pipeline").read_links(folder)
        return table

    def review_pairs(self, library: str) -> "pa.Table":
        """Return the pairs of the current version that are worth a person's look (`doubts.write_review`)."""
        folder = self._build_folder(library)
        table: pa.Table = import_module("datong.library.pipeline").read_review(folder)
        return table

    def operating_points(self, library: str) -> tuple[OperatingPoint, ...]:
        """Return what thresholds would follow from the weights of the current version's compared pairs; maybe none."""
        read = import_module("datong.library.pipeline").read_weights
        bins: tuple[WeightBin, ...] = read(self._build_folder(library))
        return operating_points(bins)

    def report(self, library: str) -> LinkReport:
        """Return what the current version's build did: links, clusters, conflicts, and the quality of every source."""
        report: LinkReport = import_module("datong.library.pipeline").read_report(self._build_folder(library))
        return report

    def quality(self, library: str) -> tuple[SourceScore, ...]:
        """Return the quality of every source in the current version, the lowest first."""
        self.definition(library)
        with self._database.snapshot() as connection:
            return score_store.current_scores(connection, library)

    def quality_history(self, library: str, resource_id: ResourceId) -> tuple[ScoreAt, ...]:
        """Return a source's quality version by version, the oldest first."""
        self.definition(library)
        with self._database.snapshot() as connection:
            return score_store.score_history(connection, library, resource_id)

    def fallen(self, department: DepartmentCode) -> tuple[ScoreAt, ...]:
        """Return the department's sources whose quality fell in the current versions."""
        with self._database.snapshot() as connection:
            return score_store.fallen_scores(connection, department)

    def failing_rows(
        self, library: str, resource_id: ResourceId, element: str, flag: str, *, limit: int = FAILING_ROWS_MAX
    ) -> tuple[FailingRow, ...]:
        """Return records of a source whose `element` has the flaw `flag` in the current version, by key.

        Raises:
            NotFound: the version has no such source, or the source has no such element.
        """
        folder = self._build_folder(library)
        read = import_module("datong.library.pipeline").read_failing
        rows: tuple[FailingRow, ...] | None = read(folder, resource_id, element, flag, min(limit, FAILING_ROWS_MAX))
        if rows is None:
            raise NotFound(
                "library.source_unknown",
                what=Text(zh="当前版本没有该来源或数据元。", en="The current version has no such source or element."),
                remedy=Text(zh="请从质量报告中选择。", en="Choose one from the quality report."),
                context={"library": library, "resource": resource_id, "element": element},
            )
        return rows

    def _build_folder(self, library: str) -> Path:
        self.definition(library)
        found = self.dataset(library)
        return self._folder / library / "builds" / found.build_id


def key_unknown(dataset: Dataset, key_element: str) -> NotFound:
    """Return the error of a dataset that is not looked up by `key_element`."""
    return NotFound(
        "library.key_unknown",
        what=Text(
            zh=f"数据集 {dataset.name} 不支持按 {key_element} 查询。",
            en=f"The dataset {dataset.name} is not looked up by {key_element}.",
        ),
        remedy=Text(
            zh=f"可用的查询项：{'、'.join(dataset.key_elements)}。",
            en=f"Use one of: {', '.join(dataset.key_elements)}.",
        ),
        context={"dataset": dataset.name, "keys": list(dataset.key_elements)},
    )
