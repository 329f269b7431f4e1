"""The full-text tables: SQLite FTS5, or PostgreSQL tsvector with GIN, behind one set of functions.

There are two of them. `catalogue_search_all` holds every visible resource; `catalogue_search_open` only open resources
with their open items, so that a search by the public can learn nothing, not even through ranking, about what is not
open.
"""

import hashlib
from collections.abc import Sequence

from sqlalchemy import DDL, Connection, TextClause, event, text

from datong.catalogue.opening import public_part
from datong.catalogue.search_text import (
    SearchQuery,
    fts5_expression,
    pinyin_tokens,
    tokens,
    tsquery_expression,
    tsvector_literal,
)
from datong.catalogue.tables import listing
from datong.catalogue.values import ResourceContent
from datong.kernel import Value

TABLE_ALL = "catalogue_search_all"
TABLE_OPEN = "catalogue_search_open"


def search_ddl(dialect: str) -> tuple[str, ...]:
    """Return the statements that create the search tables on `dialect` ("sqlite" or "postgresql")."""
    if dialect == "sqlite":
        return tuple(
            f"CREATE VIRTUAL TABLE {table} USING fts5(title, items, body, tokenize='unicode61')"
            for table in (TABLE_ALL, TABLE_OPEN)
        )
    return tuple(
        statement
        for table in (TABLE_ALL, TABLE_OPEN)
        for statement in (
            f"CREATE TABLE {table} (search_id bigint PRIMARY KEY, terms tsvector NOT NULL)",
            f"CREATE INDEX ix_{table}_terms ON {table} USING gin (terms)",
        )
    )


def search_drop_ddl() -> tuple[str, ...]:
    """Return the statements that drop the search tables."""
    return tuple(f"DROP TABLE IF EXISTS {table}" for table in (TABLE_ALL, TABLE_OPEN))


for _dialect in ("sqlite", "postgresql"):
    for _statement in search_ddl(_dialect):
        event.listen(listing, "after_create", DDL(_statement).execute_if(dialect=_dialect))
for _statement in search_drop_ddl():
    event.listen(listing, "before_drop", DDL(_statement))


def search_id(resource_id: str) -> int:
    """Return the row number of a resource in the search tables: 62 bits of its digest."""
    return int.from_bytes(hashlib.sha256(resource_id.encode()).digest()[:8], "big") >> 2


class Indexed(Value):
    """One visible resource to be indexed: its row number, its content, and its department's name."""

    row_id: int
    content: ResourceContent
    department_name: str


def put_terms(connection: Connection, resources: Sequence[Indexed]) -> None:
    """Index visible resources, replacing what was indexed of them."""
    remove_terms(connection, [entry.row_id for entry in resources])
    _insert(connection, TABLE_ALL, resources)
    public = [
        entry.model_copy(update={"content": public_part(entry.content)}) for entry in resources if entry.content.open
    ]
    _insert(connection, TABLE_OPEN, public)


def remove_terms(connection: Connection, row_ids: Sequence[int]) -> None:
    """Take resources out of both search tables."""
    key = "rowid" if connection.dialect.name == "sqlite" else "search_id"
    for table in (TABLE_ALL, TABLE_OPEN):
        if row_ids:
            connection.execute(
                text(f"DELETE FROM {table} WHERE {key} = :row_id"), [{"row_id": row_id} for row_id in row_ids]
            )


def _insert(connection: Connection, table: str, resources: Sequence[Indexed]) -> None:
    if not resources:
        return
    rows = [_terms(entry) for entry in resources]
    if connection.dialect.name == "sqlite":
        connection.execute(
            text(f"INSERT INTO {table} (rowid, title, items, body) VALUES (:row_id, :title, :items, :body)"),
            [
                {"row_id": row_id, "title": " ".join(title), "items": " ".join(items), "body": " ".join(body)}
                for row_id, title, items, body in rows
            ],
        )
        return
    connection.execute(
        text(f"INSERT INTO {table} (search_id, terms) VALUES (:row_id, CAST(:terms AS tsvector))"),
        [
            {"row_id": row_id, "terms": tsvector_literal((("A", title), ("B", items), ("C", body)))}
            for row_id, title, items, body in rows
        ],
    )


def _terms(entry: Indexed) -> tuple[int, list[str], list[str], list[str]]:
    content = entry.content
    title = tokens(f"{content.title.zh} {content.title.en}") + pinyin_tokens(content.title.zh)
    items = [token for item in content.items for token in tokens(f"{item.name.zh} {item.name.en}")]
    body = tokens(f"{content.summary.zh} {content.summary.en} {' '.join(content.keywords)} {entry.department_name}")
    return entry.row_id, title, items, body


def match_statement(dialect: str, *, open_only: bool) -> TextClause:
    """Return a SELECT of (search_id, score), higher is better, with the bind parameter `expression`."""
    table = TABLE_OPEN if open_only else TABLE_ALL
    if dialect == "sqlite":
        score = f"-bm25({table}, 10.0, 3.0, 1.0)"
        statement = f"SELECT rowid AS search_id, {score} AS score FROM {table} WHERE {table} MATCH :expression"
    else:
        statement = (
            "SELECT search_id, ts_rank('{0.1, 0.1, 0.3, 1.0}', terms, CAST(:expression AS tsquery), 1) AS score"
            f" FROM {table} WHERE terms @@ CAST(:expression AS tsquery)"
        )
    return text(statement)


def match_expression(dialect: str, query: SearchQuery) -> str:
    """Return `query` in the language of `dialect`."""
    return fts5_expression(query) if dialect == "sqlite" else tsquery_expression(query)
