"""Definitions that operators supply: planned, kept by version with evidence, and in force from the next build on.

The definitions in force are those that ship with the platform, overlaid by the newest stored version of each name. A
stored text that a later release no longer understands is passed over for the newest one that it does: a library that
worked goes on working.
"""

from datetime import datetime
from functools import lru_cache

from sqlalchemy import Connection, Row, insert, select
from sqlalchemy.exc import IntegrityError

from datong.kernel import Actor, Clock, Conflict, Database, EntryId, JsonValue, NotFound, Text, Value
from datong.ledger import EntryKind, Ledger
from datong.library.definition import Definition
from datong.library.definition_reading import DefinitionProblem, check_definition, problems_error, read_definition
from datong.library.learned import with_weights
from datong.library.tables import DEFINITIONS as STORED
from datong.library.tables import WEIGHTS
from datong.norms import NormPack

CHANGES_MAX = 200
_SHOWN_CHARS_MAX = 120
_LIST_KEYS = ("code", "key", "name")


class DefinitionChange(Value):
    """One difference between two definitions: the field, what was there and what will be (None: nothing)."""

    field: str
    before: str | None
    after: str | None


class DefinitionPlan(Value):
    """What defining would do. With `problems`, nothing may be done; without `changes`, nothing has to be."""

    name: str
    title: Text | None
    version: int
    present_version: int
    """0 where there is no such library."""
    problems: tuple[DefinitionProblem, ...]
    changes: tuple[DefinitionChange, ...]
    digest: str


class DefinitionRecord(Value):
    """One stored version of a definition."""

    name: str
    version: int
    title: Text
    digest: str
    text: str
    defined_by: Actor
    defined_at: datetime
    entry_id: EntryId


class Definitions:
    """The definitions in force, and the way to add to them."""

    def __init__(
        self, *, database: Database, clock: Clock, ledger: Ledger, pack: NormPack, shipped: tuple[Definition, ...]
    ) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._pack = pack
        self._shipped = {definition.name: definition for definition in shipped}

    def all(self) -> tuple[Definition, ...]:
        """Return the definitions in force, in their order."""
        with self._database.snapshot() as connection:
            return self._all(connection)

    def base(self, name: str) -> Definition:
        """Return the definition `name` without learned weights, or raise NotFound."""
        with self._database.snapshot() as connection:
            known = self._written(connection)
        if name not in known:
            raise _unknown(name)
        return known[name]

    def _all(self, connection: Connection) -> tuple[Definition, ...]:
        """Return the definitions in force: as written, with the weights that were learned for just that."""
        known = self._written(connection)
        rows = connection.execute(
            select(WEIGHTS.c.library, WEIGHTS.c.base_digest, WEIGHTS.c.weights).where(WEIGHTS.c.state == "active")
        )
        for row in rows:
            written = known.get(row.library)
            if written is not None and written.digest == row.base_digest:
                known[row.library] = with_weights(written, row.weights)
        return tuple(sorted(known.values(), key=lambda definition: (definition.precedence, definition.name)))

    def _written(self, connection: Connection) -> dict[str, Definition]:
        known = dict(self._shipped)
        rows = connection.execute(select(STORED.c.text).order_by(STORED.c.name, STORED.c.version))
        for row in rows:
            definition = _read(row.text)
            if definition is not None:
                known[definition.name] = definition
        return known

    def plan(self, text: str) -> DefinitionPlan:
        """Return what defining `text` would change, and everything that is wrong with it."""
        with self._database.snapshot() as connection:
            return self._plan(connection, text)[0]

    def _plan(self, connection: Connection, text: str) -> tuple[DefinitionPlan, Definition | None]:
        definition, problems = read_definition(text)
        if definition is None:
            nothing = DefinitionPlan(
                name="", title=None, version=0, present_version=0, problems=problems, changes=(), digest=""
            )
            return nothing, None
        libraries = {known.name: known for known in self._all(connection)}
        present = libraries.get(definition.name)
        problems = check_definition(definition, libraries, self._shipped, self._pack)
        changes = definition_changes(present, definition)
        if present is not None and changes and definition.version <= present.version:
            problems = (*problems, _not_raised(present.version))
        plan = DefinitionPlan(
            name=definition.name,
            title=definition.title,
            version=definition.version,
            present_version=present.version if present else 0,
            problems=problems,
            changes=changes,
            digest=definition.digest,
        )
        return plan, definition

    def define(self, text: str, *, actor: Actor) -> DefinitionPlan:
        """Put a definition in force; the same one again changes nothing.

        Raises:
            Invalid: it has problems; the present one stays in force.
            Conflict: somebody else defined this version meanwhile.
        """
        with self._database.transaction() as connection:
            plan, definition = self._plan(connection, text)
            if plan.problems or definition is None:
                raise problems_error(plan.problems)
            if not plan.changes:
                return plan
            entry_id = self._ledger.append(
                connection,
                kind=EntryKind.LIBRARY_DEFINITION,
                subject=plan.name,
                actor=actor,
                facts=_facts(definition, plan.present_version),
            )
            values = {
                "name": plan.name,
                "version": plan.version,
                "digest": plan.digest,
                "text": text,
                "defined_by": actor.model_dump(mode="json"),
                "defined_at": self._clock.now(),
                "entry_id": entry_id,
            }
            try:
                connection.execute(insert(STORED).values(**values))
            except IntegrityError as error:
                raise _taken(plan) from error
        return plan

    def stored(self) -> tuple[DefinitionRecord, ...]:
        """Return every version that operators defined, by name, newest first."""
        query = select(STORED).order_by(STORED.c.name, STORED.c.version.desc())
        with self._database.snapshot() as connection:
            return tuple(_record(row) for row in connection.execute(query))

    def versions(self, name: str) -> tuple[DefinitionRecord, ...]:
        """Return the stored versions of one definition, newest first; none if it is as it ships.

        Raises:
            NotFound: there is no such library.
        """
        found = tuple(record for record in self.stored() if record.name == name)
        if not found and name not in self._shipped:
            raise _unknown(name)
        return found


@lru_cache(maxsize=256)
def _read(text: str) -> Definition | None:
    return read_definition(text)[0]


def _record(row: Row[tuple[object, ...]]) -> DefinitionRecord:
    definition = _read(row.text)
    return DefinitionRecord(
        name=row.name,
        version=row.version,
        title=definition.title if definition else Text(zh=row.name, en=row.name),
        digest=row.digest,
        text=row.text,
        defined_by=Actor.model_validate(row.defined_by),
        defined_at=row.defined_at,
        entry_id=row.entry_id,
    )


def _facts(definition: Definition, replaces: int) -> dict[str, JsonValue]:
    return {
        "version": definition.version,
        "replaces": replaces,
        "digest": definition.digest,
        "kind": definition.kind.value,
        "inputs": sorted(definition.inputs),
    }


def _not_raised(present: int) -> DefinitionProblem:
    return DefinitionProblem(
        field="/version",
        message=Text(
            zh=f"内容有变化，而现行版本已是 {present}", en=f"it says something new, and version {present} is in force"
        ),
        remedy=Text(zh=f"请把 version 改为 {present + 1} 或更高。", en=f"Set `version` to {present + 1} or higher."),
    )


def _unknown(name: str) -> NotFound:
    return NotFound(
        "library.unknown",
        what=Text(zh=f"没有名为 {name} 的资源库。", en=f"There is no library called {name}."),
        remedy=Text(zh="请从资源库列表中选择。", en="Choose one from the list of libraries."),
        context={"library": name},
    )


def _taken(plan: DefinitionPlan) -> Conflict:
    return Conflict(
        "library.definition_taken",
        what=Text(
            zh=f"{plan.name} 的第 {plan.version} 版已被定义过。",
            en=f"Version {plan.version} of {plan.name} exists already.",
        ),
        remedy=Text(zh="请提高 version 后重试。", en="Raise `version` and try again."),
        context={"library": plan.name},
    )


def definition_changes(before: Definition | None, after: Definition) -> tuple[DefinitionChange, ...]:
    """Return the differences by field, in the order of the fields; entries of lists are told by their code or name."""
    old = _flat("", before.model_dump()) if before else {}
    new = _flat("", after.model_dump())
    fields = [field for field in dict.fromkeys([*old, *new]) if old.get(field) != new.get(field)]
    return tuple(
        DefinitionChange(field=field, before=_shown(old.get(field)), after=_shown(new.get(field)))
        for field in fields[:CHANGES_MAX]
    )


def _shown(value: str | None) -> str | None:
    return value if value is None or len(value) <= _SHOWN_CHARS_MAX else value[: _SHOWN_CHARS_MAX - 1] + "…"


def _flat(path: str, value: object) -> dict[str, str]:
    if isinstance(value, dict):
        return {key: text for name, part in value.items() for key, text in _flat(f"{path}/{name}", part).items()}
    if isinstance(value, tuple) and any(isinstance(part, dict) for part in value):
        return {
            key: text
            for place, part in enumerate(value)
            for key, text in _flat(f"{path}/{_named(part, place)}", part).items()
        }
    if value is None or value in ((), frozenset(), ""):
        return {}
    if isinstance(value, frozenset):
        return {path: ", ".join(sorted(map(str, value)))}
    return {path: ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)}


def _named(part: object, place: int) -> str:
    if isinstance(part, dict):
        return next((str(part[key]) for key in _LIST_KEYS if isinstance(part.get(key), str)), str(place))
    return str(place)
