"""One build over published tables: derive, then publish; like `pipeline`, over files only, and resumable by step."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from datetime import datetime
from pathlib import Path

from datong.kernel import BuildId, JsonValue, ResourceId
from datong.library.definition import Definition
from datong.library.engine import Engine
from datong.library.pipeline import REPORT, Previous, read_report, read_tables, run_steps
from datong.library.publish import PublishedTable, read_json, write_json
from datong.library.values import BuildStep, InputTable, LandedSource, LinkReport
from datong.norms import NormPack

INPUTS = "inputs.json"
DERIVED_DIGEST = "digest.txt"


class TablePipeline(ABC):
    """The steps of one build over published tables; `library` is the folder below which all libraries' tables lie."""

    def __init__(
        self,
        *,
        build_id: BuildId,
        definition: Definition,
        libraries: Mapping[str, Definition],
        tables: tuple[InputTable, ...],
        pack: NormPack,
        engine: Engine,
        folder: Path,
        delta: Path,
        library: Path,
        previous: Previous,
    ) -> None:
        self.build_id = build_id
        self.definition = definition
        self.libraries = libraries
        self.inputs = tables
        self.pack = pack
        self.engine = engine
        self.folder = folder
        self.delta = delta
        self.library = library
        self.previous = previous

    def steps(self) -> Generator[BuildStep, None, None]:
        """Run the steps that have not been run; yield each before it starts."""
        return run_steps(self.folder, {BuildStep.DERIVE: self._begin, BuildStep.PUBLISH: self._publish})

    def tables(self) -> tuple[PublishedTable, ...]:
        """Return what the finished build publishes."""
        return read_tables(self.folder)

    def report(self) -> LinkReport:
        """Return the finished build's report."""
        return read_report(self.folder)

    def golden_digest(self) -> str:
        """Return the digest of the entities and of what every rule says of them."""
        return self._file(BuildStep.DERIVE, DERIVED_DIGEST).read_text()

    def base_version(self) -> int:
        """Return the version that this build follows."""
        return int(read_json(self._file(BuildStep.DERIVE, INPUTS))["base_version"])

    def source(self, number: int) -> LandedSource:
        """Raise: a derived library publishes no records of sources."""
        raise AssertionError(f"a derived library has no source {number}")

    def departments(self) -> list[str]:
        """Return whose records the inputs are, as far as one department's."""
        return sorted({table.department for table in self.inputs if table.department})

    def newest_batches(self) -> dict[ResourceId, datetime]:
        """Return nothing: tables are read, not batches."""
        return {}

    def input_facts(self) -> list[JsonValue]:
        """Return the versions that were read: never a value."""
        return [
            {"dataset": table.dataset, "version": table.version, "digest": table.digest, "input": table.input}
            for table in self.inputs
        ]

    def _file(self, step: BuildStep, name: str) -> Path:
        return self.folder / step.value / name

    def _begin(self, scratch: Path) -> None:
        write_json(scratch / INPUTS, {"base_version": self.previous.version, "inputs": self.input_facts()})
        write_json(scratch / REPORT, self._derive(scratch).model_dump(mode="json"))

    @abstractmethod
    def _derive(self, scratch: Path) -> LinkReport:
        """Write the step's tables and `digest.txt` into `scratch`; return what was made."""

    @abstractmethod
    def _publish(self, scratch: Path) -> None:
        """Write the published tables and `tables.json` into `scratch`."""
