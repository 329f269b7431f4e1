"""Spark as the table engine: conform, link and fuse as Spark jobs, on a local cluster or an existing one.

Working tables are Parquet below the step's spill folder, so nothing is computed twice and an executor may be lost. On a
cluster the lake must be a file system that driver and executors share, and its workers need Python with this package
(see docs/library/engines.md).
"""

import shutil
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from datong.adapters import spark_functions
from datong.adapters.spark_sql import BORROWED, file_table, spark_sql
from datong.kernel import Misconfigured, Text
from datong.library import Workspace
from datong.norms import text_literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

SIDE_BY_SIDE = 2
"""Sources that are conformed at the same time: while one waits for the driver, the other keeps the executors busy."""
LOCAL_PARTITIONS = 4
"""Parts of a shuffle on one machine; a cluster has Spark's own number."""
MERGE_ROWS = 100_000
"""Rows that are held while the parts of a file are put together."""


class SparkEngine:
    """Opens workspaces on one Spark application per process, which starts with the first and lives as long as it.

    `master` is Spark's master URL, `memory` the driver's heap in Spark's notation; `options` are more of its settings.
    """

    def __init__(
        self, *, master: str, memory: str, options: Mapping[str, str] | None = None, threads: int = SIDE_BY_SIDE
    ) -> None:
        self.master = master
        self.memory = memory
        self.threads = threads
        self.options = dict(options or {})
        self._session: SparkSession | None = None
        self._starting = threading.Lock()

    @contextmanager
    def open(self, spill: Path) -> Iterator[Workspace]:
        """Yield the workspace of one step; its temporary files lie under `spill`.

        Raises:
            Misconfigured: pyspark or Java is missing, or the master does not answer.
        """
        folder = spill.absolute() / "spark"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        session = self._application().newSession()
        for name, kind in BORROWED.items():
            session.udf.register(name, _borrowed(name, kind))
        try:
            yield SparkWorkspace(session, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Stop the application, if it was started."""
        with self._starting:
            if self._session is not None:
                self._session.stop()
                self._session = None

    def _application(self) -> "SparkSession":
        with self._starting:
            if self._session is None:
                self._session = self._start()
            return self._session

    def _start(self) -> "SparkSession":
        try:
            failures = (import_module("pyspark.errors").PySparkException, import_module("py4j.protocol").Py4JError)
            builder = import_module("pyspark.sql").SparkSession.builder
        except ImportError as error:
            raise Misconfigured(
                "library.spark_missing",
                what=Text(
                    zh="表引擎设为 Spark，但没有安装 pyspark。",
                    en="The table engine is Spark, but pyspark is not there.",
                ),
                remedy=Text(zh="请运行 pip install 'datong[spark]'。", en="Run pip install 'datong[spark]'."),
                field="DATONG_TABLE_ENGINE",
            ) from error
        local = self.master.startswith("local")
        partitions = {"spark.sql.shuffle.partitions": str(LOCAL_PARTITIONS)} if local else {}
        settings = _SETTINGS | {"spark.driver.memory": self.memory} | partitions | self.options
        try:
            session: SparkSession = builder.master(self.master).appName("datong").config(map=settings).getOrCreate()
        except (*failures, OSError) as error:
            raise Misconfigured(
                "library.spark_unreachable",
                what=Text(
                    zh=f"Spark（{self.master}）无法启动：找不到 Java，或集群没有应答。",
                    en=f"Spark ({self.master}) does not start: there is no Java, or the cluster does not answer.",
                ),
                remedy=Text(
                    zh="请安装 Java 17 以上的 JRE（如 openjdk-17-jre-headless）并核对 DATONG_SPARK_MASTER。",
                    en="Install a JRE of Java 17 or later (openjdk-17-jre-headless, say); check DATONG_SPARK_MASTER.",
                ),
                field="DATONG_SPARK_MASTER",
            ) from error
        # The workers of a local cluster are this Python, with this package.
        if local:
            session.sparkContext.pythonExec = sys.executable
        return session


_SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.log.level": "ERROR",
    "spark.ui.showConsoleProgress": "false",
    # What cannot be cast is NULL and sixty-four bits overflow without an error, as the pipeline's queries expect.
    "spark.sql.ansi.enabled": "false",
    "spark.sql.session.timeZone": "UTC",
}


class SparkWorkspace:
    """The working tables of a Spark session: temporary views over Parquet below `folder`."""

    lists_spill = True

    def __init__(self, session: "SparkSession", folder: Path) -> None:
        self._session = session
        self._folder = folder
        self._numbers = count()
        self._parts: dict[str, list[Path]] = {}
        self._seen: dict[Path, tuple[int, int]] = {}

    def create(self, name: str, query: str) -> None:
        """Create or replace the table `name` with the rows of `query`, which may read what it replaces."""
        former = self._parts.get(name, [])
        rows = self._query(query, ordered=False)
        self._show(name, rows.schema, [self._keep(rows)])
        self._forget(former)

    def append(self, name: str, query: str) -> None:
        """Add the rows of `query` to the table `name`; create it if it is not there."""
        if name not in self._parts:
            self.create(name, query)
            return
        schema = self._session.table(name).schema
        more = self._keep(self._query(query, ordered=False).to(schema))
        self._show(name, schema, [*self._parts[name], more])

    def drop(self, *names: str) -> None:
        """Forget tables, created or lent."""
        for name in names:
            self._session.catalog.dropTempView(name)
            self._forget(self._parts.pop(name))

    def lend(self, name: str, rows: pa.Table) -> None:
        """Let queries read `rows` as the table `name` until it is dropped."""
        folder = self._new_folder()
        pq.write_table(rows, folder / "lent.parquet")
        self._show(name, _ddl(rows.schema), [folder])

    def load(self, name: str, parts: Iterable[tuple[pa.RecordBatchReader, str]]) -> None:
        """Create the table `name` from streams, each read once, as the select list beside it says.

        The streams are read here, by DuckDB, so that a value becomes the same text whatever the table engine is.
        """
        folder = self._new_folder()
        with duckdb.connect(":memory:", config={"threads": 1, "autoinstall_known_extensions": False}) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            for number, (reader, columns) in enumerate(parts):
                connection.register("incoming", reader)
                path = text_literal(str(folder / f"{number:06d}.parquet"))
                connection.execute(f"COPY (SELECT {columns} FROM incoming) TO {path} (FORMAT parquet)")
                connection.unregister("incoming")
        self._show(name, _ddl(pq.read_schema(next(folder.iterdir()))), [folder])

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of `query`, which are few."""
        return [tuple(row) for row in self._query(query).collect()]

    def write(self, query: str, path: Path) -> None:
        """Write the rows of `query`, in its order, as one Parquet file."""
        parts = self._keep(self._query(query))
        _merge(sorted(parts.glob("*.parquet")), path)
        self._forget([parts])

    def beside(self) -> "SparkWorkspace":
        """Return a workspace with the same tables for another thread: a session serves any number of them."""
        return self

    def _query(self, query: str, *, ordered: bool = True) -> "DataFrame":
        try:
            rendered = spark_sql(query, ordered=ordered)
        except ValueError as error:
            raise Misconfigured(
                "library.spark_cannot_say",
                what=Text(
                    zh=f"Spark 无法表达资源库所用的规则：{error}", en=f"Spark cannot say what the library asks: {error}"
                ),
                remedy=Text(
                    zh="请改写该规则的正则表达式，或将 DATONG_TABLE_ENGINE 设为 duckdb。",
                    en="Write the rule's pattern in another way, or set DATONG_TABLE_ENGINE to duckdb.",
                ),
                field="DATONG_TABLE_ENGINE",
            ) from error
        for path in sorted(rendered.files):
            self._see(Path(path))
        return self._session.sql(rendered.sql)

    def _see(self, path: Path) -> None:
        """Make the file at `path` a table: once, and again when it was written anew."""
        state = path.stat()
        version = (state.st_mtime_ns, state.st_size)
        if self._seen.get(path) != version:
            rows = self._session.read.schema(_ddl(pq.read_schema(path))).parquet(str(path))
            rows.createOrReplaceTempView(file_table(str(path)))
            self._seen[path] = version

    def _new_folder(self) -> Path:
        folder = self._folder / f"{next(self._numbers):05d}"
        folder.mkdir()
        return folder

    def _keep(self, rows: "DataFrame") -> Path:
        folder = self._new_folder()
        rows.write.mode("overwrite").parquet(str(folder))
        return folder

    def _show(self, name: str, schema: "str | StructType", folders: list[Path]) -> None:
        rows = self._session.read.schema(schema).parquet(*(str(folder) for folder in folders))
        rows.createOrReplaceTempView(name)
        self._parts[name] = folders

    @staticmethod
    def _forget(folders: list[Path]) -> None:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def _borrowed(name: str, kind: str) -> Any:
    return import_module("pyspark.sql.functions").arrow_udf(getattr(spark_functions, name), kind)


_TYPES = {
    pa.string(): "STRING",
    pa.bool_(): "BOOLEAN",
    pa.int32(): "INT",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
}


def _ddl(schema: pa.Schema) -> str:
    """Return an Arrow schema as Spark's: what is said need not be looked for in the files."""
    return ", ".join(f"`{field.name.replace('`', '``')}` {_TYPES[field.type]}" for field in schema)


def _merge(parts: list[Path], path: Path) -> None:
    """Write the rows of Parquet files, in the order of the files, as one."""
    schema = pq.read_schema(parts[0]).remove_metadata()
    with pq.ParquetWriter(path, schema) as writer:
        for part in parts:
            with pq.ParquetFile(part) as file:
                for batch in file.iter_batches(MERGE_ROWS):
                    writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
