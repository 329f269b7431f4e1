"""Delta Sharing: whole tables under agreements, by version, with changes; decided, recorded and only then answered.

A consumer sees a table where an agreement in force lets its department use something of a resource in bulk, for the
service item that is the table's schema. Files are cut down to the agreed columns and masked before anybody gets one.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from datong.kernel import AccessId, Clock, DepartmentCode, EntryId, NotFound, Refused, ResourceId, Text, Value
from datong.norms import ShareMode
from datong.sharing.actions import Action, DataAccess, Decision
from datong.sharing.agreements import Agreements
from datong.sharing.applications.registrations import Registrations
from datong.sharing.delta_evidence import DeltaEvidence, HandedFile, Handover
from datong.sharing.delta_hints import kept_files
from datong.sharing.delta_names import find_table, shared_tables
from datong.sharing.delta_release import Releases
from datong.sharing.delta_urls import FileGrant, FileSigner
from datong.sharing.delta_values import (
    AgreedTable,
    PlannedColumn,
    Release,
    ReleasePlan,
    SharedTable,
    SharedTableName,
    TableSource,
    TableVersion,
)
from datong.sharing.delta_versions import (
    ChangesAsk,
    current_since,
    first_since,
    in_both,
    last_until,
    numbered,
    span_of,
    version_invalid,
)
from datong.sharing.mask_keys import MaskKeys
from datong.sharing.masks import UNSHOWN, ColumnMask, MaskKind
from datong.sharing.policy import PolicyEngine, refusal
from datong.sharing.ports import DepartmentBook, PublishedResources
from datong.sharing.principals import Principal
from datong.sharing.subjects import CITIZEN_ELEMENT
from datong.sharing.terms import Agreement, AgreementState


class FileAction(Value):
    """One line of an answer: a file with its signed address, and which version it belongs to."""

    kind: str
    url: str
    release: str
    name: str
    bytes: int
    rows: int
    version: int
    at: datetime


class TableAnswer(Value):
    """What a call about a table answers; `types` are its columns in order, in Delta Lake's names."""

    table: SharedTable
    version: int
    types: Mapping[str, str]
    titles: Mapping[str, Text]
    files: tuple[FileAction, ...] = ()
    access_id: AccessId | None = None
    urls_until: datetime | None = None


class QueryAsk(Value):
    """What a query asks for."""

    sql_hints: tuple[str, ...] = ()
    tree_hint: str | None = None
    limit: int | None = None
    version: int | None = None
    at: datetime | None = None
    starting_version: int | None = None


class OpenedTable(NamedTuple):
    """A table as a caller may read it now, and its versions, oldest first."""

    agreed: AgreedTable
    versions: tuple[TableVersion, ...]
    at: datetime


class DeltaShares:
    """The shares of every consumer. `address` is where files are handed out."""

    def __init__(
        self,
        *,
        clock: Clock,
        agreements: Agreements,
        departments: DepartmentBook,
        catalogue: PublishedResources,
        policy: PolicyEngine,
        mask_keys: MaskKeys,
        tables: TableSource,
        releases: Releases,
        evidence: DeltaEvidence,
        signer: FileSigner,
        address: str,
        registrations: Registrations | None = None,
    ) -> None:
        self._clock = clock
        self._agreements = agreements
        self._departments = departments
        self._catalogue = catalogue
        self._policy = policy
        self._mask_keys = mask_keys
        self._tables = tables
        self._releases = releases
        self._evidence = evidence
        self._signer = signer
        self._address = address
        self._registrations = registrations

    def tables(self, caller: Principal) -> tuple[SharedTable, ...]:
        """Return the tables that the caller may read now, by share, schema and name. Nothing is recorded: no data."""
        now = self._clock.now()
        return tuple(
            table
            for table in self._known(caller)
            if not isinstance(self._decided(caller, table, now), Decision) and self._tables.versions(table.resource_id)
        )

    def name_of(self, agreement: Agreement) -> SharedTableName:
        """Return how clients of the consumer name the table that an agreement is about."""
        known = self._of_consumer(agreement.consumer)
        return next(table.name for table in known if agreement.id in {one.id for one in table.agreements})

    def version(self, caller: Principal, name: SharedTableName, *, since: datetime | None = None) -> int:
        """Return a table's newest version, or the first one that was published at `since` or later.

        Raises:
            NotFound, Refused: see `metadata`.
            Invalid: no version is as new as that.
        """
        _, versions, _ = self._opened(caller, name)
        return versions[-1].version if since is None else first_since(versions, since).version

    def metadata(self, caller: Principal, name: SharedTableName) -> TableAnswer:
        """Return a table's newest version and its columns.

        Raises:
            NotFound: the caller's department has no agreement about such a table, or it was not published yet.
            Refused: no agreement allows to read it now; the refusal is on record.
        """
        agreed, versions, _ = self._opened(caller, name)
        plan = self._plan(agreed, versions[-1])
        return self._answer(agreed, versions[-1].version, self._releases.types(plan))

    def opened(self, caller: Principal, resource_id: ResourceId, purpose: str) -> OpenedTable:
        """Return the table of a resource as the caller may read it now for a service item.

        Raises:
            NotFound, Refused: see `metadata`.
        """
        known = [one for one in self._known(caller) if one.resource_id == resource_id]
        table = next((one for one in known if one.purpose == purpose), None)
        name = SharedTableName(share="", schema_name=purpose, table=resource_id) if table is None else table.name
        return OpenedTable(*self._opened(caller, name))

    def release(self, opened: OpenedTable, version: TableVersion, former: TableVersion | None = None) -> Release:
        """Return what may be handed out of a version, or of its changes since the `former` one.

        Raises:
            Unavailable: see `Releases.prepared`.
        """
        return self._releases.prepared(self._plan(opened.agreed, version, former))

    def record(
        self,
        caller: Principal,
        opened: OpenedTable,
        release: Release,
        *,
        kind: str,
        columns: Sequence[str],
        content_sha256: str,
    ) -> tuple[AccessId, EntryId]:
        """Put on record that a caller is told something of a release: which columns, and the digest of what it is."""
        titles = {item.column: item.name for agreement in opened.agreed.agreements for item in agreement.items}
        handover = Handover(
            table=opened.agreed.table,
            at=opened.at,
            agreements=opened.agreed.agreements,
            columns=tuple(columns),
            names=tuple(titles[column] for column in columns),
            versions=(release.plan.version,),
            files=tuple(HandedFile(release=release, file=file) for file in release.files),
            policy_ids=("data.agreed",),
            allowed=True,
            kind=kind,
            content_sha256=content_sha256,
        )
        return self._evidence.recorded(caller, handover)

    def query(self, caller: Principal, name: SharedTableName, ask: QueryAsk) -> TableAnswer:
        """Return the files of a version, or with `starting_version` those that came and went since.

        Raises:
            NotFound, Refused: see `metadata`.
            Invalid: there is no such version (any more), or several are asked for.
        """
        agreed, versions, now = self._opened(caller, name)
        if [ask.version, ask.at, ask.starting_version].count(None) < 2:
            raise version_invalid(
                "version",
                "version、timestamp、startingVersion 只能给出一个。",
                "Give one of version, timestamp, startingVersion.",
            )
        if ask.starting_version is not None:
            return self._since(caller, agreed, versions, ask.starting_version, now)
        chosen = versions[-1]
        if ask.version is not None:
            chosen = numbered(versions, ask.version)
        elif ask.at is not None:
            chosen = last_until(versions, ask.at)
        release = self._releases.prepared(self._plan(agreed, chosen))
        files = kept_files(release.files, release.types, sql=ask.sql_hints, tree=ask.tree_hint, limit=ask.limit)
        handed = [("file", HandedFile(release=release, file=file), chosen) for file in files]
        return self._hand_over(caller, agreed, chosen.version, release.types, handed, now)

    def changes(self, caller: Principal, name: SharedTableName, ask: ChangesAsk) -> TableAnswer:
        """Return the changes between published versions, row by row; of the first version, all rows as inserts.

        Raises:
            NotFound, Refused: see `metadata`.
            Invalid: no start is given, or there is no such version.
            TooLarge: more than CHANGES_VERSIONS_MAX versions are asked for.
        """
        agreed, versions, now = self._opened(caller, name)
        span = span_of(versions, ask)
        handed: list[tuple[str, HandedFile, TableVersion]] = []
        for one in span:
            place = versions.index(one)
            former = versions[place - 1] if place else None
            release = self._releases.prepared(self._plan(agreed, one, former))
            kind = "cdf" if former is not None else "add"
            handed += [(kind, HandedFile(release=release, file=file), one) for file in release.files]
        types = self._releases.types(self._plan(agreed, versions[-1]))
        return self._hand_over(caller, agreed, span[0].version, types, handed, now)

    def file(self, release: str, name: str, fields: Mapping[str, str], caller: Principal | None) -> Path:
        """Return the file that a signed address is for; whoever says who it is must be the one it was signed for.

        Raises:
            Refused: the address was changed or is too old, is another consumer's, or its agreement is not in force.
            NotFound: the file is gone.
        """
        grant = self._signer.check(release, name, fields, self._clock.now())
        if caller is not None and caller.actor.id != grant.client_id:
            raise _other_consumer()
        self._require_in_force(grant)
        path = self._releases.file(grant.release, grant.file)
        if path is None:
            raise NotFound(
                "sharing.release_gone",
                what=Text(zh="文件已被清理。", en="The file has been cleared away."),
                remedy=Text(zh="请重新查询该表。", en="Query the table again."),
            )
        return path

    def _require_in_force(self, grant: FileGrant) -> None:
        """Let an address pass whose agreements are in force still: a suspended agreement ends it before its time."""
        handed = self._evidence.handed_under(grant.access_id)
        now = self._clock.now()
        known = {one.id: one for one in self._agreements.of_consumer(handed[0])} if handed is not None else {}
        used = [known.get(agreement_id) for agreement_id in handed[1]] if handed is not None else [None]
        if not all(
            one is not None and one.state is AgreementState.ACTIVE and one.valid_from <= now < one.valid_until
            for one in used
        ):
            raise Refused(
                "sharing.url_agreement_ended",
                what=Text(
                    zh="签发该地址所依据的协议已不在生效状态。",
                    en="The agreement behind the address is no longer in force.",
                ),
                remedy=Text(zh="请查看协议状态。", en="Look at the agreement's state."),
            )

    def _known(self, caller: Principal) -> tuple[SharedTable, ...]:
        return () if caller.department is None else self._of_consumer(caller.department)

    def _of_consumer(self, consumer: DepartmentCode) -> tuple[SharedTable, ...]:
        agreements = self._agreements.of_consumer(consumer)
        providers = {agreement.provider for agreement in agreements}
        return shared_tables(agreements, {code: self._departments.get(code).name for code in providers})

    def _opened(
        self, caller: Principal, name: SharedTableName
    ) -> tuple[AgreedTable, tuple[TableVersion, ...], datetime]:
        """Return a table as it may be read now, and its versions from when the first agreement began."""
        now = self._clock.now()
        table = find_table(self._known(caller), name)
        if table is None:
            raise _unknown(name)
        found = self._decided(caller, table, now)
        if isinstance(found, Decision):
            raise self._refused(caller, table, found, now)
        begun = min(agreement.valid_from for agreement in found.agreements)
        versions = current_since(self._tables.versions(table.resource_id), begun)
        if not versions:
            raise _unpublished(name)
        return found, versions, now

    def _decided(self, caller: Principal, table: SharedTable, now: datetime) -> AgreedTable | Decision:
        """Return what the policy lets the caller read of a table, or the shortest of its refusals."""
        masks: dict[str, ColumnMask] = {}
        used: list[Agreement] = []
        denials: list[Decision] = []
        registrations, client = self._registrations, caller.actor.id
        bound = registrations.bound([client])[client] if registrations is not None else None
        for agreement in table.agreements:
            # What is for verification only is not handed out: its column would say nothing.
            shown = {item.column for item in agreement.items if item.mask is not MaskKind.HIDDEN}
            access = DataAccess(
                resource_id=table.resource_id,
                provider=table.provider,
                items=frozenset(shown),
                mode=ShareMode.BULK,
                purpose=table.purpose,
                rows_filtered=True,
                bound=bound is None or agreement.id in bound,
            )
            decision = self._policy.authorise_data(caller, Action.DATA_SHARE, access, agreement, now)
            if decision.allowed:
                used.append(agreement)
                told = self._mask_keys.of(agreement)
                masks = {**{column: told[column] for column in shown}, **masks}
            else:
                denials.append(decision)
        if not used:
            return min(denials, key=lambda decision: len(decision.policy_ids))
        return AgreedTable(table=table, masks=masks, agreements=tuple(used))

    def _refused(self, caller: Principal, table: SharedTable, decision: Decision, now: datetime) -> Refused:
        handover = Handover(
            table=table,
            at=now,
            agreements=table.agreements[:1],
            columns=(),
            names=(),
            policy_ids=decision.policy_ids,
            allowed=False,
        )
        access_id = self._evidence.record(caller, handover)
        return refusal("sharing.access_refused", decision, access_id=access_id)

    def _plan(self, agreed: AgreedTable, version: TableVersion, former: TableVersion | None = None) -> ReleasePlan:
        """Return what of a version may be handed out, by published columns in the order of the table.

        Of several agreements every one's row filter holds, as at the gateway; of a column that the version lacks,
        nothing is known, so no row passes.
        """
        resource = self._catalogue.published(agreed.table.resource_id)
        citizens = {
            item.column
            for item in resource.content.items
            if item.element == CITIZEN_ELEMENT
            or (item.column in agreed.masks and (item.element or "").endswith(CITIZEN_ELEMENT))
        }
        conditions = dict.fromkeys(one for agreement in agreed.agreements for one in agreement.row_filter)
        keys = [item.column for item in resource.content.items if item.key]
        there = version.columns if former is None else in_both(version.columns, former.columns)
        return ReleasePlan(
            resource_id=agreed.table.resource_id,
            version=version.version,
            former=None if former is None else former.version,
            table_digest=version.digest,
            columns=tuple(
                PlannedColumn.masked(published, agreed.masks[column])
                for column, published in there.items()
                if column in agreed.masks
            ),
            conditions=tuple(
                one.model_copy(update={"column": version.columns.get(one.column, f"{one.column}?")})
                for one in conditions
            ),
            citizens=tuple(sorted(published for column, published in there.items() if column in citizens)),
            in_order=bool(keys) and all(agreed.masks.get(key, UNSHOWN).kind is MaskKind.NONE for key in keys),
        )

    def _since(
        self, caller: Principal, agreed: AgreedTable, versions: tuple[TableVersion, ...], start: int, now: datetime
    ) -> TableAnswer:
        """Return which files came and went from version `start` on: a new version replaces every file."""
        span = span_of(versions, ChangesAsk(starting_version=start))
        handed: list[tuple[str, HandedFile, TableVersion]] = []
        before: Release | None = None
        for one in span:
            release = self._releases.prepared(self._plan(agreed, one))
            gone = before.files if before is not None else ()
            handed += [("remove", HandedFile(release=before, file=file), one) for file in gone if before is not None]
            handed += [("add", HandedFile(release=release, file=file), one) for file in release.files]
            before = release
        types = before.types if before is not None else {}
        return self._hand_over(caller, agreed, start, types, handed, now)

    def _hand_over(
        self,
        caller: Principal,
        agreed: AgreedTable,
        version: int,
        types: Mapping[str, str],
        handed: Sequence[tuple[str, HandedFile, TableVersion]],
        now: datetime,
    ) -> TableAnswer:
        """Put the answer on record, then sign the addresses."""
        columns = tuple(sorted(agreed.masks))
        handover = Handover(
            table=agreed.table,
            at=now,
            agreements=agreed.agreements,
            columns=columns,
            names=_names(agreed),
            versions=tuple(sorted({one.version for _, _, one in handed})),
            files=tuple(one for _, one, _ in handed),
            policy_ids=("data.agreed",),
            allowed=True,
        )
        access_id = self._evidence.record(caller, handover)
        grants = [self._grant(one, access_id, caller, now) for _, one, _ in handed]
        files = tuple(
            FileAction(
                kind=kind,
                url=f"{self._address}/files/{grant.release}/{grant.file}?{self._signer.query(grant)}",
                release=grant.release,
                name=grant.file,
                bytes=one.file.bytes,
                rows=one.file.rows,
                version=of.version,
                at=of.published_at,
            )
            for (kind, one, of), grant in zip(handed, grants, strict=True)
        )
        answer = self._answer(agreed, version, types)
        until = min((grant.expires_at for grant in grants), default=None)
        return answer.model_copy(update={"files": files, "access_id": access_id, "urls_until": until})

    def _grant(self, one: HandedFile, access_id: AccessId, caller: Principal, now: datetime) -> FileGrant:
        return self._signer.grant(
            release=one.release.id, file=one.file.name, access_id=access_id, client_id=caller.actor.id, now=now
        )

    @staticmethod
    def _answer(agreed: AgreedTable, version: int, types: Mapping[str, str]) -> TableAnswer:
        titles = {item.column: item.name for agreement in agreed.agreements for item in agreement.items}
        return TableAnswer(table=agreed.table, version=version, types=types, titles=titles)


def _names(agreed: AgreedTable) -> tuple[Text, ...]:
    names = {item.column: item.name for agreement in agreed.agreements for item in agreement.items}
    return tuple(names[column] for column in sorted(agreed.masks))


def _unknown(name: SharedTableName) -> NotFound:
    return NotFound(
        "sharing.table_unknown",
        what=Text(
            zh=f"本部门没有关于表 {name.share}.{name.schema_name}.{name.table} 的协议。",
            en=f"Your department has no agreement about a table {name.share}.{name.schema_name}.{name.table}.",
        ),
        remedy=Text(
            zh="请列出可读的表，或先申请共享。", en="List the tables you may read, or request the resource first."
        ),
    )


def _unpublished(name: SharedTableName) -> NotFound:
    return NotFound(
        "sharing.table_unpublished",
        what=Text(
            zh=f"表 {name.table} 尚未发布可读的版本。",
            en=f"No version of the table {name.table} has been published yet.",
        ),
        remedy=Text(zh="请等待资源库构建完成。", en="Wait until the library has been built."),
    )


def _other_consumer() -> Refused:
    return Refused(
        "sharing.url_of_other",
        what=Text(zh="这个文件地址是签发给其他应用的。", en="The file's address was signed for another application."),
        remedy=Text(zh="请用本应用的凭据查询该表。", en="Query the table with this application's own profile."),
    )
