"""Overlaps of what departments hold, found at the hub from sketches and found again when a sketch changes."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, and_, delete, or_, select, update

from datong.catalogue.records import select_published
from datong.catalogue.sketch_estimates import Estimate, OverlapEstimate, cardinality, overlap
from datong.catalogue.sketch_keys import running_epoch
from datong.catalogue.sketches import (
    SKETCHES_PER_TABLE_MAX,
    ColumnSketch,
    SketchKind,
    SketchWork,
    folded,
    sketch_requests,
)
from datong.catalogue.source_tables import holding, sketch, sketch_set
from datong.catalogue.source_tables import overlap as overlaps
from datong.catalogue.tables import listing, resource, version
from datong.catalogue.values import ResourceContent
from datong.kernel import (
    Actor,
    Clock,
    Conflict,
    Database,
    DepartmentCode,
    Invalid,
    NodeId,
    Refused,
    ResourceId,
    Text,
    Value,
    canonical_json,
    new_id,
    sha256_hex,
)
from datong.ledger import EntryKind, Ledger
from datong.norms import NormPack

SKETCH_DAYS = 30
"""A sketch older than this is taken again: data change even where nobody changes the catalogue."""
WORK_TABLES_MAX = 20
COMPARED_AT_ONCE_MAX = 20
HOLDERS_MAX = 200


class HeldColumn(Value):
    """One column of a visible resource that is a data element, with what its sketch tells of it.

    `rows` had a value, `distinct` is estimated; both are None until the node has sketched the table. `too_few` says
    that the node kept the sketch to itself because the column has too few distinct values.
    """

    resource_id: ResourceId
    department: DepartmentCode
    column: str
    title: str
    share_type: str
    update_cycle: str
    rows: int | None = None
    distinct: Estimate | None = None
    too_few: bool = False
    taken_at: datetime | None = None


class Concord(Value):
    """Of whom both hold the item, and the share of them about whom both say the same."""

    common: Estimate
    agreeing: Estimate


class ColumnOverlap(Value):
    """How two columns of one element overlap: by value, by the people or firms they are about, and in what they say."""

    left: ResourceId
    left_column: str
    right: ResourceId
    right_column: str
    values: OverlapEstimate | None = None
    subjects: OverlapEstimate | None = None
    concord: Concord | None = None


class ElementOverlaps(Value):
    """Everything that is known of who holds one element."""

    element: str
    holders: tuple[HeldColumn, ...]
    pairs: tuple[ColumnOverlap, ...]


class Overlaps:
    """Keeps the nodes' sketches and compares them."""

    def __init__(self, *, database: Database, clock: Clock, ledger: Ledger, pack: NormPack) -> None:
        self._database, self._clock, self._ledger, self._pack = database, clock, ledger, pack

    def work(self, actor: Actor) -> tuple[SketchWork, ...]:
        """Return the tables that the acting node shall sketch now: never, for an older epoch, or long ago sketched."""
        with self._database.snapshot() as connection:
            epoch = running_epoch(connection)
            if epoch is None:
                return ()
            stale = or_(
                sketch_set.c.resource_id.is_(None),
                sketch_set.c.epoch != epoch.id,
                sketch_set.c.taken_at < listing.c.published_at,
                sketch_set.c.taken_at < self._clock.now() - timedelta(days=SKETCH_DAYS),
            )
            held = select(holding.c.resource_id).where(holding.c.department == actor.department)
            statement = (
                select_published()
                .outerjoin(sketch_set, sketch_set.c.resource_id == resource.c.id)
                .where(
                    resource.c.department == actor.department,
                    resource.c.id.in_(held),
                    version.c.content["binding"]["node_id"].as_string() == actor.id,
                    stale,
                )
                .order_by(listing.c.published_at, resource.c.id)
                .limit(WORK_TABLES_MAX)
            )
            found = [
                (ResourceId(row["id"]), ResourceContent.model_validate(row["content"]))
                for row in connection.execute(statement).mappings()
            ]
        return tuple(
            SketchWork(
                resource_id=resource_id,
                source=content.binding.source,
                table=content.binding.table,
                requests=sketch_requests(content.items, self._pack),
            )
            for resource_id, content in found
            if content.binding is not None
        )

    def accept(self, actor: Actor, resource_id: ResourceId, sketches: Sequence[ColumnSketch]) -> int:
        """Keep what the acting node sketched of a resource's table, instead of what it sketched before.

        Returns how many sketches tell something; the others had too few values.

        Raises:
            Refused: the table is not bound to this node. Conflict: the sketches are of an epoch that is over.
            Invalid: a sketch is not of an item of the resource, or there are too many.
        """
        if len(sketches) > SKETCHES_PER_TABLE_MAX:
            raise _unfitting(Text(zh="草图过多。", en="There are too many sketches."))
        now = self._clock.now()
        with self._database.transaction() as connection:
            contents = _contents(connection, resource_id)
            _require_bound(contents, actor)
            epoch = running_epoch(connection)
            if epoch is None or any(one.epoch != epoch.id for one in sketches):
                raise _epoch_over()
            _require_fitting(contents, sketches)
            rows = [_row(one, resource_id, actor.department) for one in _different(sketches)]
            digest = sha256_hex(canonical_json([one.model_dump(mode="json") for one in sketches]))
            told = sum(row["registers"] is not None for row in rows)
            entry_id = self._ledger.append(
                connection,
                kind=EntryKind.SKETCH,
                subject=resource_id,
                actor=actor,
                facts={
                    "action": "take",
                    "department": actor.department,
                    "resource_id": resource_id,
                    "epoch": epoch.id,
                    "sketches": len(rows),
                    "too_few": len(rows) - told,
                    "sketches_sha256": digest,
                },
            )
            _forget(connection, resource_id)
            connection.execute(
                sketch_set.insert().values(
                    resource_id=resource_id,
                    department=actor.department,
                    epoch=epoch.id,
                    sketches_sha256=digest,
                    taken_at=now,
                    entry_id=entry_id,
                )
            )
            if rows:
                connection.execute(sketch.insert(), rows)
        return told

    def compare(self) -> bool:
        """Compare some sketches that are new with all others of their element; say whether more may wait."""
        with self._database.snapshot() as connection:
            new = connection.execute(
                select(sketch).where(sketch.c.compared.is_(False)).order_by(sketch.c.id).limit(COMPARED_AT_ONCE_MAX)
            ).mappings()
            pending = [dict(row) for row in new]
            partners = {row["id"]: _partners(connection, row) for row in pending}
        found: dict[tuple[str, str], OverlapEstimate] = {}
        for row in pending:
            for other in partners[row["id"]]:
                left, right = sorted((row, other), key=lambda one: str(one["id"]))
                if (left["id"], right["id"]) not in found:
                    found[left["id"], right["id"]] = _overlap(left["registers"], right["registers"])
        if pending:
            self._keep([row["id"] for row in pending], found)
        return len(pending) == COMPARED_AT_ONCE_MAX

    def of_element(self, element: str) -> ElementOverlaps:
        """Return who visibly holds `element`, and how far the holders' columns overlap and agree."""
        with self._database.snapshot() as connection:
            held = connection.execute(_select_held(element)).mappings()
            holders = sorted(
                (dict(row) for row in held),
                key=lambda row: (row["department"], row["title"], row["resource_id"], row["column_name"]),
            )
            shown = {row["resource_id"] for row in holders}
            epoch = running_epoch(connection)
            rows = connection.execute(
                select(sketch).where(
                    sketch.c.element == element,
                    sketch.c.epoch == (epoch.id if epoch else ""),
                    sketch.c.resource_id.in_(shown),
                )
            ).mappings()
            sketches = {row["id"]: dict(row) for row in rows}
            pairs = connection.execute(
                select(overlaps).where(
                    overlaps.c.left_sketch.in_(sketches.keys()), overlaps.c.right_sketch.in_(sketches.keys())
                )
            ).mappings()
            estimates = [
                (sketches[row["left_sketch"]], sketches[row["right_sketch"]], row["estimate"]) for row in pairs
            ]
        return ElementOverlaps(
            element=element,
            holders=tuple(_held_column(row, sketches.values()) for row in holders),
            pairs=_pairs(estimates),
        )

    def registers(self, element: str, kind: SketchKind = SketchKind.VALUES) -> Mapping[tuple[ResourceId, str], bytes]:
        """Return the registers of the running epoch's sketches of an element that is visibly held, by column."""
        with self._database.snapshot() as connection:
            epoch = running_epoch(connection)
            rows = connection.execute(
                select(sketch.c.resource_id, sketch.c.column_name, sketch.c.registers)
                .join(
                    holding,
                    and_(holding.c.resource_id == sketch.c.resource_id, holding.c.column_name == sketch.c.column_name),
                )
                .where(
                    sketch.c.element == element,
                    sketch.c.kind == kind.value,
                    sketch.c.epoch == (epoch.id if epoch else ""),
                    sketch.c.registers.is_not(None),
                )
            )
            return {(ResourceId(found), column): levels for found, column, levels in rows}

    def _keep(self, ids: Sequence[str], found: Mapping[tuple[str, str], OverlapEstimate]) -> None:
        now = self._clock.now()
        with self._database.transaction() as connection:
            # A node may have replaced a sketch meanwhile: what was compared with it is void.
            wanted = {one for pair in found for one in pair} | set(ids)
            there = set(
                connection.execute(select(sketch.c.id).where(sketch.c.id.in_(wanted)).with_for_update()).scalars()
            )
            rows = [
                {
                    "left_sketch": left,
                    "right_sketch": right,
                    "estimate": estimate.model_dump(mode="json"),
                    "found_at": now,
                }
                for (left, right), estimate in found.items()
                if left in there and right in there
            ]
            for row in rows:
                connection.execute(
                    delete(overlaps).where(
                        overlaps.c.left_sketch == row["left_sketch"], overlaps.c.right_sketch == row["right_sketch"]
                    )
                )
            if rows:
                connection.execute(overlaps.insert(), rows)
            connection.execute(update(sketch).where(sketch.c.id.in_(ids)).values(compared=True))


def _contents(connection: Connection, resource_id: ResourceId) -> list[ResourceContent]:
    """The working and the published content of a resource, which is held until the transaction ends."""
    row = connection.execute(
        select(resource.c.version, resource.c.published_version)
        .where(resource.c.id == resource_id)
        .with_for_update(of=resource)
    ).first()
    if row is None:
        return []
    found = connection.execute(
        select(version.c.content).where(
            version.c.resource_id == resource_id,
            version.c.version.in_([number for number in row if number is not None]),
        )
    ).scalars()
    return [ResourceContent.model_validate(content) for content in found]


def _require_bound(contents: Sequence[ResourceContent], actor: Actor) -> None:
    if not any(content.binding is not None and content.binding.node_id == NodeId(actor.id) for content in contents):
        raise Refused(
            "catalogue.sketch_of_other_node",
            what=Text(zh="该资源没有挂接到本前置机。", en="The resource is not bound to this node."),
            remedy=Text(zh="请由挂接的前置机提交。", en="Let the node to which it is bound hand it in."),
        )


def _require_fitting(contents: Sequence[ResourceContent], sketches: Sequence[ColumnSketch]) -> None:
    mapped = {(item.column, item.element) for content in contents for item in content.items}
    for place, one in enumerate(sketches):
        about = one.kind is not SketchKind.VALUES
        fits = (one.column, one.element) in mapped and (not about or (one.key_column, one.key_element) in mapped)
        if not fits or (not about and (one.key_column or one.key_element)):
            raise _unfitting(
                Text(
                    zh=f"第 {place + 1} 个草图不属于该资源的信息项。",
                    en=f"Sketch {place + 1} is of no item of the resource.",
                )
            )


def _different(sketches: Iterable[ColumnSketch]) -> list[ColumnSketch]:
    return list({(one.kind, one.column, one.key_column): one for one in sketches}.values())


def _row(one: ColumnSketch, resource_id: ResourceId, department: DepartmentCode | None) -> dict[str, Any]:
    levels = one.levels
    distinct = cardinality(levels) if levels else None
    return {
        "id": new_id(),
        "resource_id": resource_id,
        "department": department,
        "kind": one.kind.value,
        "column_name": one.column,
        "element": one.element,
        "key_column": one.key_column,
        "key_element": one.key_element,
        "epoch": one.epoch,
        "rows": one.rows,
        "registers": levels or None,
        "distinct": distinct.value if distinct else None,
        "distinct_error": distinct.error if distinct else None,
        # What tells nothing has nothing to be compared with.
        "compared": not levels,
    }


def _forget(connection: Connection, resource_id: ResourceId) -> None:
    mine = select(sketch.c.id).where(sketch.c.resource_id == resource_id)
    connection.execute(delete(overlaps).where(or_(overlaps.c.left_sketch.in_(mine), overlaps.c.right_sketch.in_(mine))))
    connection.execute(delete(sketch).where(sketch.c.resource_id == resource_id))
    connection.execute(delete(sketch_set).where(sketch_set.c.resource_id == resource_id))


def _partners(connection: Connection, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    statement = (
        select(sketch.c.id, sketch.c.registers)
        .where(
            and_(
                sketch.c.element == row["element"],
                sketch.c.kind == row["kind"],
                sketch.c.key_element == row["key_element"],
                sketch.c.epoch == row["epoch"],
            ),
            sketch.c.registers.is_not(None),
            sketch.c.resource_id != row["resource_id"],
        )
        .order_by(sketch.c.id)
        .limit(HOLDERS_MAX)
    )
    return [dict(found) for found in connection.execute(statement).mappings()]


def _overlap(left: bytes, right: bytes) -> OverlapEstimate:
    bins = min(len(left), len(right))
    return overlap(folded(left, bins), folded(right, bins))


def _select_held(element: str) -> Select[Any]:
    return (
        select(
            holding.c.resource_id,
            holding.c.department,
            holding.c.column_name,
            holding.c.share_type,
            listing.c.title,
            listing.c.update_cycle,
            sketch_set.c.taken_at,
        )
        .join(listing, listing.c.resource_id == holding.c.resource_id)
        .outerjoin(sketch_set, sketch_set.c.resource_id == holding.c.resource_id)
        .where(holding.c.element == element)
        .order_by(holding.c.department, holding.c.share_type, holding.c.resource_id, holding.c.column_name)
        .limit(HOLDERS_MAX)
    )


def _held_column(row: Mapping[str, Any], sketches: Iterable[Mapping[str, Any]]) -> HeldColumn:
    own = [
        one for one in sketches if one["resource_id"] == row["resource_id"] and one["column_name"] == row["column_name"]
    ]
    # Where a code list makes values few, the keys of the rows that have one tell how many are covered.
    own.sort(key=lambda one: one["kind"] != SketchKind.VALUES.value)
    shown = next((one for one in own if one["kind"] != SketchKind.PAIRS.value), None)
    distinct = None
    if shown is not None and shown["kind"] == SketchKind.VALUES.value and shown["distinct"] is not None:
        distinct = Estimate(value=shown["distinct"], error=shown["distinct_error"])
    return HeldColumn(
        resource_id=row["resource_id"],
        department=row["department"],
        column=row["column_name"],
        title=row["title"],
        share_type=row["share_type"],
        update_cycle=row["update_cycle"],
        rows=None if shown is None else shown["rows"],
        distinct=distinct,
        too_few=shown is not None and shown["registers"] is None,
        taken_at=row["taken_at"] if shown is not None else None,
    )


def _pairs(
    estimates: Iterable[tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]],
) -> tuple[ColumnOverlap, ...]:
    gathered: dict[tuple[str, str, str, str], dict[str, OverlapEstimate]] = {}
    for left, right, estimate in estimates:
        place = (left["resource_id"], left["column_name"], right["resource_id"], right["column_name"])
        found = OverlapEstimate.model_validate(estimate)
        if place[:2] > place[2:]:
            place, found = (*place[2:], *place[:2]), found.turned
        gathered.setdefault(place, {})[left["kind"]] = found
    return tuple(
        ColumnOverlap(
            left=ResourceId(left),
            left_column=left_column,
            right=ResourceId(right),
            right_column=right_column,
            values=kinds.get(SketchKind.VALUES.value),
            subjects=kinds.get(SketchKind.KEYED.value),
            concord=_concord(kinds.get(SketchKind.KEYED.value), kinds.get(SketchKind.PAIRS.value)),
        )
        for (left, left_column, right, right_column), kinds in sorted(gathered.items())
    )


def _concord(keyed: OverlapEstimate | None, pairs: OverlapEstimate | None) -> Concord | None:
    """The share of common subjects whose pairs coincide; the two estimates are taken as independent."""
    if keyed is None or pairs is None or keyed.both.value <= 2 * keyed.both.error:
        return None
    share = pairs.both.value / keyed.both.value
    error = ((pairs.both.error / keyed.both.value) ** 2 + (share * keyed.both.error / keyed.both.value) ** 2) ** 0.5
    return Concord(common=keyed.both, agreeing=Estimate(value=min(share, 1.0), error=error))


def _unfitting(what: Text) -> Invalid:
    return Invalid(
        "catalogue.sketch_unfitting",
        what=what,
        remedy=Text(zh="请按平台给出的清单重新提交。", en="Hand in what the hub's list asks for."),
        field="/sketches",
    )


def _epoch_over() -> Conflict:
    return Conflict(
        "catalogue.sketch_epoch_over",
        what=Text(zh="该草图密钥已不在使用。", en="That sketch key is no longer in use."),
        remedy=Text(zh="前置机会自动改用新的密钥。", en="The node takes the new key by itself."),
    )
