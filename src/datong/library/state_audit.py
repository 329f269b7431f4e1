"""What of the library `fsck` compares with the log: published versions, definitions, and reports of wrong cells."""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from datong.kernel import EntryId, JsonValue, Text, sha256_hex
from datong.ledger import Area, EntryContent, EntryKind, Held, Stated, commitment, of_act, of_subject, streamed
from datong.library.corrections import committed
from datong.library.definition_reading import read_definition
from datong.library.tables import BUILDS, CORRECTION_ACTS, CORRECTIONS, CURRENT, DATASETS, DEFINITIONS
from datong.library.values import BuildState


def _version(entry: EntryContent) -> Stated:
    listed = sorted(entry.facts["tables"], key=lambda table: str(table["name"]))
    return Stated(entry.subject, {**entry.facts, "tables": listed})


def _versions(connection: Connection) -> Iterator[Held]:
    published = select(BUILDS).where(BUILDS.c.state == BuildState.PUBLISHED)
    tables: dict[str, list[JsonValue]] = {}
    for row in connection.execute(select(DATASETS).order_by(DATASETS.c.name)).mappings():
        digest = {"name": row["name"], "rows": row["details"]["rows"], "digest": row["details"]["digest"]}
        tables.setdefault(f"{row['library']}/{row['version']}", []).append(digest)
    for row in connection.execute(published).mappings():
        own = {name: row[name] for name in ("records", "entities", "input_digest")}
        own |= {"build": row["id"], "golden_digest": row["digest"]}
        key = f"{row['library']}/{row['version']}"
        yield Held(key, {"library_build": own, "library_dataset": {"tables": tables.get(key, [])}})


def _current(entry: EntryContent) -> Stated:
    library, _, number = entry.subject.rpartition("/")
    return Stated(library, {"version": int(number), "build": entry.facts["build"]})


def _currents(connection: Connection) -> Iterator[Held]:
    for row in connection.execute(select(CURRENT)).mappings():
        yield Held(row["library"], {"library_current": {"version": row["version"], "build": row["build_id"]}})


def _definition(entry: EntryContent) -> Stated:
    return Stated(f"{entry.subject}/{entry.facts['version']}", entry.facts)


def _definitions(connection: Connection) -> Iterator[Held]:
    for row in connection.execute(select(DEFINITIONS)).mappings():
        key, (definition, _) = f"{row['name']}/{row['version']}", read_definition(row["text"])
        says: dict[str, dict[str, JsonValue]] = {"library_definition": {"digest": row["digest"]}}
        if definition is not None:
            # What an older program wrote need not be readable any more.
            says["library_definition.text"] = {"digest": definition.digest}
        yield Held(key, says, EntryId(row["entry_id"]))


def _corrections(connection: Connection) -> Iterator[Held]:
    for row in streamed(connection, select(CORRECTIONS)):
        own: dict[str, JsonValue] = {
            name: row[name] for name in ("library", "resource_id", "element", "provider", "consumer", "disputes")
        }
        own |= {"to_state": row["state"], "due_at": row["due_at"].isoformat()}
        says = {"library_correction": own}
        if row["disposed_at"] is None:
            salts = row["personal"]["salts"]
            says["library_correction.personal"] = {
                f"{name}_commitment": None if value is None else commitment(bytes.fromhex(salts[name]), value)
                for name, value in committed(row).items()
            }
        yield Held(row["id"], says)


def _acts(connection: Connection) -> Iterator[Held]:
    for row in streamed(connection, select(CORRECTION_ACTS)):
        own = {
            "action": row["action"],
            "from_state": row["state_before"],
            "to_state": row["state_after"],
            "actor": row["actor"]["id"],
            "statement_sha256": sha256_hex(row["statement"].encode()) if row["statement"] else None,
        }
        key = f"{row['correction_id']}: {row['action']}"
        yield Held(key, {"library_correction_act": own}, EntryId(row["entry_id"]))


_DATASET = frozenset({EntryKind.DATASET})
_CORRECTION = frozenset({EntryKind.CORRECTION})
LIBRARY_AREAS = (
    Area("library.version", Text(zh="资源库版本", en="Version of a library"), _DATASET, _version, _versions),
    Area(
        "library.current", Text(zh="资源库的当前版本", en="Version served of a library"), _DATASET, _current, _currents
    ),
    Area(
        "library.definition",
        Text(zh="资源库定义", en="Definition of a library"),
        frozenset({EntryKind.LIBRARY_DEFINITION}),
        _definition,
        _definitions,
        own_entry=True,
    ),
    Area("library.correction", Text(zh="校核", en="Report of a wrong cell"), _CORRECTION, of_subject, _corrections),
    Area(
        "library.correction_act",
        Text(zh="校核的办理", en="Act on a report"),
        _CORRECTION,
        of_act,
        _acts,
        own_entry=True,
    ),
)
