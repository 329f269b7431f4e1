"""Small adapters that satisfy one package's Protocol with another package's service."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from datong.catalogue import (
    Catalogue,
    Departments,
    FieldState,
    RepeatCollection,
    ServiceAction,
    ServiceItem,
    ServiceItems,
)
from datong.exchange import Delivery, Exchange, TransferMode
from datong.kernel import PLATFORM_ACTOR, BatchId, Clock, Database, DepartmentCode, NotFound, ResourceId, Settings, Text
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger import ExpectedWitness, QuorumWatch, Signer
from datong.library import LandedBatch, LandedSource, LandingMode, Library, RecordLookups, published_column
from datong.sharing import (
    Agreements,
    AgreementState,
    EndedItem,
    Identity,
    Record,
    Request,
    Requests,
    RequestState,
    TableVersion,
)


class ThingNames:
    """What notices call things."""

    def __init__(self, *, catalogue: Catalogue, departments: Departments) -> None:
        self._catalogue = catalogue
        self._departments = departments

    def resource(self, resource_id: ResourceId) -> Text:
        """Return a resource's title."""
        try:
            return self._catalogue.get(resource_id).content.title
        except NotFound:
            return Text(zh=resource_id, en=resource_id)

    def department(self, code: DepartmentCode) -> Text:
        """Return a department's short name."""
        try:
            return self._departments.get(code).short_name
        except NotFound:
            return Text(zh=code, en=code)


class ExchangeLanding:
    """The library's landing zone is what the exchange has committed for it; what columns mean is in the catalogue."""

    def __init__(self, *, exchange: Exchange, catalogue: Catalogue) -> None:
        self._exchange = exchange
        self._catalogue = catalogue

    def sources(self) -> tuple[LandedSource, ...]:
        """Return every resource with batches for the library, by resource id."""
        by_resource: dict[ResourceId, list[Delivery]] = {}
        for delivery in _usable(self._exchange.library.deliveries()):
            if delivery.receipted:
                by_resource.setdefault(delivery.task.resource_id, []).append(delivery)
        return tuple(self._source(resource_id, by_resource[resource_id]) for resource_id in sorted(by_resource))

    def _source(self, resource_id: ResourceId, deliveries: list[Delivery]) -> LandedSource:
        resource = self._catalogue.published(resource_id)
        elements = {item.column: item.element for item in resource.content.items}
        task = deliveries[-1].task
        return LandedSource(
            resource_id=resource_id,
            department=resource.department,
            title=resource.content.title,
            columns={column.column: elements.get(column.column) for column in task.columns},
            key_columns=task.key_columns,
            batches=tuple(_landed(delivery) for delivery in deliveries),
            resource_version=resource.version,
            cycle_days=resource.content.update_cycle.days,
        )


class LibraryRecords:
    """The gateway reads a resource from the newest dataset that the library has published for it."""

    def __init__(self, library: Library) -> None:
        self._lookups = RecordLookups(library)

    def lookup(
        self, resource_id: ResourceId, key_element: str, key_values: Sequence[str]
    ) -> Sequence[tuple[Record, ...]]:
        """Return for each of `key_values` the records whose element (or column) `key_element` has that value.

        Raises:
            NotFound: the library has published nothing of that resource yet.
        """
        found = self._lookups.values(f"resource:{resource_id}", key_element, key_values)
        return [
            tuple(Record({name.removeprefix("column:"): value for name, value in row.items()}) for row in rows)
            for rows in found
        ]


class LibraryTables:
    """Delta Sharing reads a resource's table from the datasets that the library has published for it."""

    def __init__(self, *, library: Library, catalogue: Catalogue) -> None:
        self._library = library
        self._catalogue = catalogue

    def versions(self, resource_id: ResourceId) -> tuple[TableVersion, ...]:
        """Return the versions that are kept, oldest first; none if the library has published nothing of it."""
        published = self._library.dataset_versions(f"resource:{resource_id}")
        if not published:
            return ()
        kept = self._library.versions.readable(published[0].library)
        columns = {
            published_column(item.column): item.column for item in self._catalogue.published(resource_id).content.items
        }
        return tuple(
            TableVersion(
                version=one.version,
                published_at=one.published_at,
                rows=one.rows,
                digest=one.digest,
                columns={columns[column.name]: column.name for column in one.columns if column.name in columns},
            )
            for one in reversed(published)
            if one.version in kept
        )

    def files(self, resource_id: ResourceId, version: int) -> tuple[Path, ...]:
        """Return the Parquet files of a version.

        Raises:
            NotFound: there is no such version.
            Unavailable: it cannot be read now.
        """
        for one in self._library.dataset_versions(f"resource:{resource_id}"):
            if one.version == version:
                return self._library.table_files(one)
        raise NotFound(
            "app.table_version_unknown",
            what=Text(zh=f"没有第 {version} 版。", en=f"There is no version {version}."),
            remedy=Text(zh="请重新查询该表。", en="Query the table again."),
        )


class BatchArrivals:
    """Says when the hub committed a batch: that is when a correction in it was reported back."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __call__(self, batch_id: BatchId) -> datetime | None:
        """Return when the batch was committed; None for one that the exchange does not know."""
        try:
            return self._exchange.batch(batch_id).committed_at
        except NotFound:
            return None


class ResourceColumns:
    """Says in which columns a resource has an element, as a library names it: `column:` and the column without one."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def __call__(self, resource_id: ResourceId, element: str) -> frozenset[str]:
        """Return the columns of the resource's newest version."""
        items = self._catalogue.get(resource_id).content.items
        return frozenset(item.column for item in items if element in (item.element, f"column:{item.column}"))


class AuthorityKey:
    """Registers the hub's public key as the authority's, so that what the hub signs for it can be verified."""

    def __init__(self, *, departments: Departments, signer: Signer) -> None:
        self._departments = departments
        self._signer = signer

    def register(self) -> bool:
        """Register the key where it is missing; return False, since there is never more to do at once."""
        for department in self._departments.all():
            if department.is_authority and not self._known():
                self._departments.register_key(department.code, self._signer.public_key, None, PLATFORM_ACTOR)
        return False

    def _known(self) -> bool:
        try:
            self._departments.key(self._signer.key_id)
        except NotFound:
            return False
        return True


class LibraryReceipts:
    """Signs a receipt for every batch that has landed for the library: its file is there, whole and verified."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def acknowledge(self) -> bool:
        """Sign what is missing, in the order of each task's chain; return whether anything was signed."""
        missing = self._exchange.library.deliveries(unreceipted=True)
        for delivery in missing:
            self._exchange.library.record_receipt(delivery.record.manifest.batch_id)
        return bool(missing)


def _usable(deliveries: tuple[Delivery, ...]) -> Iterator[Delivery]:
    """Yield what the library may read: no snapshot that is not whole yet, or was given up half-way."""
    whole = {
        (one.task.id, one.record.manifest.run)
        for one in deliveries
        if one.receipted and one.record.manifest.last and one.record.manifest.mode is TransferMode.SNAPSHOT
    }
    for one in deliveries:
        manifest = one.record.manifest
        if manifest.mode is not TransferMode.SNAPSHOT or (one.task.id, manifest.run) in whole:
            yield one


def _landed(delivery: Delivery) -> LandedBatch:
    manifest = delivery.record.manifest
    whole = manifest.mode is TransferMode.SNAPSHOT
    return LandedBatch(
        batch_id=manifest.batch_id,
        sequence=manifest.sequence,
        path=delivery.path,
        mode=LandingMode.SNAPSHOT if whole else LandingMode.INCREMENT,
        snapshot=manifest.run if whole else 0,
        produced_at=manifest.produced_at,
        payload_digest=manifest.payload_digest,
    )


class SharedInstead:
    """The register of service items follows what sharing does: what an agreement provides is no longer asked."""

    def __init__(self, *, service_items: ServiceItems, requests: Requests, agreements: Agreements) -> None:
        self._service_items, self._requests, self._agreements = service_items, requests, agreements

    def follow(self) -> bool:
        """Mark fields whose element is requested, or obtained, for their service item; nothing more waits afterwards.

        A request serves a service item when it names the item's code or name.
        """
        waiting: dict[str, list[RepeatCollection]] = {}
        for repeat in self._service_items.repeats():
            if repeat.state in (FieldState.ASKED, FieldState.REQUESTED):
                waiting.setdefault(repeat.item_id, []).append(repeat)
        for repeats in waiting.values():
            self._follow_item(repeats)
        return False

    def _follow_item(self, repeats: list[RepeatCollection]) -> None:
        first = repeats[0]
        names = {first.code, first.item_name.zh, first.item_name.en}
        page = self._requests.find(consumer=first.department, limit=PAGE_ROWS_MAX)
        serving = [request for request in page.rows if request.purpose.service_item in names]
        for action, states, requests in (
            (ServiceAction.SHARE, (FieldState.ASKED, FieldState.REQUESTED), self._in_force(serving)),
            (ServiceAction.REQUEST, (FieldState.ASKED,), [one for one in serving if one.state in _UNDER_WAY]),
        ):
            for request in requests:
                elements = {item.element for item in request.items}
                positions = {one.position for one in repeats if one.element in elements and one.state in states}
                if positions:
                    self._service_items.mark(first.item_id, action, positions, PLATFORM_ACTOR, request_id=request.id)
                    repeats = [one for one in repeats if one.position not in positions]

    def _in_force(self, serving: list[Request]) -> list[Request]:
        found = [(request, self._agreements.of_request(request.id)) for request in serving if request.agreement_id]
        return [request for request, one in found if one is not None and one.state is AgreementState.ACTIVE]


_UNDER_WAY = (RequestState.SUBMITTED, RequestState.GRANTED)


class RetiredItems:
    """The service items that were retired since it was last asked; at first, all of them."""

    def __init__(self, service_items: ServiceItems) -> None:
        self._service_items = service_items
        self._known: set[str] = set()

    def new(self) -> tuple[EndedItem, ...]:
        """Return the retired service items that were not returned before."""
        found = _retired(self._service_items)
        new = [item for item in found if item.id not in self._known]
        self._known.update(item.id for item in new)
        return tuple(EndedItem(department=item.department, code=item.code) for item in new)


def _retired(service_items: ServiceItems) -> Iterator[ServiceItem]:
    offset = 0
    while True:
        page = service_items.find(retired=True, offset=offset, limit=PAGE_ROWS_MAX)
        yield from (item for item in page.rows if item.retired)
        offset += len(page.rows)
        if not page.rows or offset >= page.total:
            return


def quorum_watch(settings: Settings, clock: Clock, database: Database, identity: Identity) -> QuorumWatch:
    """Return the watch over the log's witnesses: the enrolled nodes, under the policy of the settings."""
    return QuorumWatch(
        database=database,
        clock=clock,
        expected=lambda: [
            ExpectedWitness(name=node.id, department=node.department, since=node.enrolled_at)
            for node in identity.nodes()
        ],
        names=settings.witnesses,
        required=settings.witness_quorum,
        patience=timedelta(seconds=settings.witness_patience_seconds),
    )
