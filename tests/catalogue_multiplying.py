"""Multiplies the catalogue that `tests.catalogue_filling` filled, inside PostgreSQL: millions of resources in minutes.

Filling makes each resource in Python, by the functions of publishing, at some 800 a second; here the database copies
their rows. A copy has an id, a code (in a detail class of its own, since a class has serials for 99,999), a table and a
place in the search's log of its own; title, items, ratings and dates are those of its original, and so are the words
that searches find it by. Ids of distributions are the originals' changed by the copy's number, where publishing
hashes the resource's id. For benchmarks that need the catalogue's size, not its variety. The sums of holders do not
know the copies until `catalogue.recount`.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, Table, insert, select, text

from datong.catalogue.source_tables import holding
from datong.catalogue.tables import listing, open_edition, open_listing, open_term, quality, resource, version
from datong.kernel import Database

COPIES_MAX = 99
"""Detail classes of two digits, from 01."""
CHOSEN = (
    """CREATE TABLE original AS
    SELECT r.id FROM catalogue_resource r
    JOIN catalogue_version v ON v.resource_id = r.id AND v.version = r.version
    WHERE v.content -> 'binding' ->> 'node_id' = 'filling' AND r.code ~ '^[0-9]{6}/'""",
    "ANALYZE original",
)
"""Once, since looking for them among all their copies would take longer each round."""
# Sixteen bits of a UUID, changed by the number, so that no copy is its original; the others tell originals apart.
COPIED = """CREATE OR REPLACE FUNCTION pg_temp.copied(id text, number int) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT left(id, 24) || lpad(to_hex(CAST(CAST('x' || substr(id, 25, 4) AS bit(16)) AS int) # number), 4, '0')
        || right(id, 8) $$"""
DETAIL = "lpad(CAST(:number AS text), 2, '0')"
TABLE_NAME = "content -> 'binding' ->> 'table' || '_' || CAST(:number AS text)"
CHANGED = {
    resource: {
        "code": f"replace(code, '/', {DETAIL} || '/')",
        # What `catalogue.records.binding_key` makes of the copy's binding, whose table is named below.
        "binding_key": f"""(SELECT encode(sha256(convert_to(concat_ws(chr(31), content -> 'binding' ->> 'node_id',
            content -> 'binding' ->> 'source', {TABLE_NAME}), 'UTF8')), 'hex')
            FROM catalogue_version v WHERE v.resource_id = original.id AND v.version = catalogue_resource.version)""",
    },
    version: {
        "content": f"""content || jsonb_build_object('classification', content ->> 'classification' || {DETAIL},
            'binding', content -> 'binding' || jsonb_build_object('table', {TABLE_NAME}))""",
    },
    listing: {},
    holding: {},
    open_edition: {
        "content": f"""jsonb_set(content, '{{classification}}',
        to_jsonb(content ->> 'classification' || {DETAIL}))"""
    },
    open_listing: {},
    open_term: {"value": "CASE field WHEN 'distribution' THEN pg_temp.copied(value, :number) ELSE value END"},
    quality: {},
}
FOLLOWING = (
    f"""INSERT INTO catalogue_code_counter SELECT classification || {DETAIL}, last FROM catalogue_code_counter
    WHERE length(classification) = 6""",
    """INSERT INTO catalogue_search_change
    SELECT (SELECT coalesce(max(sequence), 0) FROM catalogue_search_change) + row_number() OVER (ORDER BY id),
    CAST(gen_random_uuid() AS text), pg_temp.copied(id, :number) FROM original""",
)


def multiply(database: Database, copies: int) -> Iterator[int]:
    """Copy every filled resource until there are `copies` of each, itself included; yield how many there are so far.

    Each round is one transaction. Nobody else may change the catalogue meanwhile.

    Raises:
        ValueError: `copies` is over what codes have room for, or the database is not PostgreSQL.
    """
    if not 1 <= copies <= COPIES_MAX + 1 or database.is_sqlite:
        raise ValueError(f"1 to {COPIES_MAX + 1} copies, on PostgreSQL")
    if copies == 1:
        return
    with database.transaction() as connection:
        for statement in CHOSEN:
            connection.execute(text(statement))
    for number in range(1, copies):
        with database.transaction() as connection:
            connection.execute(text(COPIED))
            for table in CHANGED:
                _copy(connection, table, number)
            for statement in FOLLOWING:
                connection.execute(text(statement), {"number": number})
            if number == copies - 1:
                connection.execute(text("DROP TABLE original"))
        yield number + 1


def _copy(connection: Connection, table: Table, number: int) -> None:
    key = next(column.name for column in table.primary_key)
    values = {column.name: f"{table.name}.{column.name}" for column in table.columns}
    values |= {key: "pg_temp.copied(original.id, :number)"} | CHANGED[table]
    joined = text(f"original JOIN {table.name} ON {table.name}.{key} = original.id")
    rows = select(*map(text, values.values())).select_from(joined)
    connection.execute(insert(table).from_select(list(values), rows), {"number": number})
