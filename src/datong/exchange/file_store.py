"""Named queries over the table of files in exchange; each takes the connection of the caller's transaction."""

from datetime import datetime

from sqlalchemy import Connection, RowMapping, func, insert, or_, select, update

from datong.exchange.file_values import FileId, FileRecord, FileState, SignedFile, SignedFileReceipt
from datong.exchange.tables import FILES
from datong.kernel import AgreementId, DepartmentCode, NotFound, Text


def insert_file(connection: Connection, signed: SignedFile, *, at: datetime) -> None:
    """Store a file that was announced."""
    manifest = signed.manifest
    connection.execute(
        insert(FILES).values(
            id=manifest.file_id,
            agreement_id=manifest.agreement_id,
            sender=manifest.sender,
            recipient=manifest.recipient,
            state=FileState.UPLOADING.value,
            payload_bytes=manifest.payload_bytes,
            signed=signed.model_dump(mode="json"),
            opened_at=at,
            changed_at=at,
        )
    )


def file_row(connection: Connection, file_id: FileId, *, lock: bool = False) -> RowMapping | None:
    """Return the row of a file, locked until the transaction ends if `lock`; None when there is none."""
    query = select(FILES).where(FILES.c.id == file_id)
    return connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()


def needed_row(connection: Connection, file_id: FileId, *, lock: bool = False) -> RowMapping:
    """Return the row of a file.

    Raises:
        NotFound: `exchange.file_not_found`.
    """
    row = file_row(connection, file_id, lock=lock)
    if row is None:
        raise NotFound(
            "exchange.file_not_found",
            what=Text(zh=f"没有交换文件 {file_id}。", en=f"There is no file {file_id} in exchange."),
            remedy=Text(zh="请核对文件编号。", en="Check the file's id."),
        )
    return row


def signed_of(row: RowMapping) -> SignedFile:
    """Return the signed manifest that a row holds."""
    return SignedFile.model_validate(row["signed"])


def record_of(row: RowMapping, *, received_bytes: int) -> FileRecord:
    """Return the file that a row holds; how many bytes have arrived is known by the disk."""
    return FileRecord(
        signed=signed_of(row),
        state=FileState(row["state"]),
        received_bytes=received_bytes,
        opened_at=row["opened_at"],
        committed_at=row["committed_at"],
        entry_id=row["entry_id"],
        receipt=None if row["receipt"] is None else SignedFileReceipt.model_validate(row["receipt"]),
        receipt_entry_id=row["receipt_entry_id"],
        received_at=row["received_at"],
        disposed_at=row["disposed_at"],
    )


def set_file(connection: Connection, file_id: FileId, **values: object) -> None:
    """Change columns of a file's row."""
    connection.execute(update(FILES).where(FILES.c.id == file_id).values(**values))


def kept_bytes(connection: Connection, sender: DepartmentCode) -> int:
    """Return how many bytes of a department's files the hub holds or has promised to hold."""
    query = select(func.coalesce(func.sum(FILES.c.payload_bytes), 0)).where(
        FILES.c.sender == sender, FILES.c.disposed_at.is_(None)
    )
    return int(connection.execute(query).scalar_one())


def files(
    connection: Connection,
    *,
    department: DepartmentCode | None,
    recipient: DepartmentCode | None,
    agreement_id: AgreementId | None,
    state: FileState | None,
    offset: int,
    limit: int,
) -> tuple[list[RowMapping], int]:
    """Return files, newest first, and how many there are in all; `department` is sender or recipient."""
    query = select(FILES)
    if department is not None:
        query = query.where(or_(FILES.c.sender == department, FILES.c.recipient == department))
    for column, value in (
        (FILES.c.recipient, recipient),
        (FILES.c.agreement_id, agreement_id),
        (FILES.c.state, None if state is None else state.value),
    ):
        if value is not None:
            query = query.where(column == value)
    total = connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()
    rows = connection.execute(query.order_by(FILES.c.id.desc()).offset(offset).limit(limit)).mappings()
    return list(rows), int(total)


def due(connection: Connection, state: FileState, before: datetime, *, limit: int) -> list[RowMapping]:
    """Return files in a state that have been in it since before a moment, and that the hub still holds."""
    query = (
        select(FILES)
        .where(FILES.c.state == state.value, FILES.c.changed_at <= before, FILES.c.disposed_at.is_(None))
        .order_by(FILES.c.changed_at)
        .limit(limit)
    )
    return list(connection.execute(query).mappings())


def disposed_ids(connection: Connection, ids: list[FileId]) -> set[FileId]:
    """Return those of `ids` whose bytes are to be gone, or that nobody announced."""
    query = select(FILES.c.id).where(FILES.c.id.in_(ids), FILES.c.disposed_at.is_(None))
    return set(ids) - set(connection.execute(query).scalars())
