"""Names of shares, schemas and tables: readable, without what clients split names at, and the same at each call.

A share is a provider, a schema the service item that the data may be used for, a table a resource: whoever names a
table states the purpose of reading it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from datong.kernel import DepartmentCode, Text, sha256_hex
from datong.sharing.delta_values import SharedTable, SharedTableName
from datong.sharing.terms import Agreement

_SEPARATORS = re.compile(r"[\s.#/\\?%&:`'\"]+")
SUFFIX_CHARS = 6
NAME_CHARS = 80


def readable(text: str) -> str:
    """Return `text` without characters at which clients split names."""
    return _SEPARATORS.sub("_", text.strip())[:NAME_CHARS].strip("_") or "_"


def names_of(titles: Mapping[str, str]) -> dict[str, str]:
    """Return a readable name for each key; keys whose titles would share one have a digest of the key behind it."""
    wished = {key: readable(title) for key, title in titles.items()}
    times = Counter(name.lower() for name in wished.values())
    return {
        key: name if times[name.lower()] == 1 else f"{name}_{sha256_hex(key.encode())[:SUFFIX_CHARS]}"
        for key, name in wished.items()
    }


def shared_tables(
    agreements: Iterable[Agreement], departments: Mapping[DepartmentCode, Text]
) -> tuple[SharedTable, ...]:
    """Return the tables that a consumer's `agreements` are about, by name.

    Agreements that ended give names, too: a table keeps its own whatever becomes of another, and a refusal can say why.
    """
    grouped: dict[tuple[str, str, str], list[Agreement]] = {}
    for agreement in agreements:
        key = (agreement.provider, agreement.purpose.service_item, agreement.resource_id)
        grouped.setdefault(key, []).append(agreement)
    shares = names_of({provider: departments[DepartmentCode(provider)].zh for provider, _, _ in grouped})
    found = []
    for provider in shares:
        purposes = {purpose for owner, purpose, _ in grouped if owner == provider}
        schemas = names_of({purpose: purpose for purpose in purposes})
        titles = {
            resource: min(group, key=lambda one: (one.drawn_up_at, one.id)).resource_title
            for (owner, _, resource), group in grouped.items()
            if owner == provider
        }
        tables = names_of({resource: title.zh for resource, title in titles.items()})
        found += [
            SharedTable(
                name=SharedTableName(share=shares[provider], schema_name=schemas[purpose], table=tables[resource]),
                provider=group[0].provider,
                resource_id=group[0].resource_id,
                purpose=purpose,
                title=titles[resource],
                agreements=tuple(group),
            )
            for (owner, purpose, resource), group in grouped.items()
            if owner == provider
        ]
    return tuple(sorted(found, key=lambda one: (one.name.share, one.name.schema_name, one.name.table)))


def find_table(tables: Iterable[SharedTable], asked: SharedTableName) -> SharedTable | None:
    """Return the table that is asked for: names are case-insensitive, codes and ids do as well."""
    share, schema, name = (part.lower() for part in (asked.share, asked.schema_name, asked.table))
    for table in tables:
        if (
            share in {table.name.share.lower(), table.provider.lower()}
            and schema in {table.name.schema_name.lower(), table.purpose.lower()}
            and name in {table.name.table.lower(), table.resource_id.lower()}
        ):
            return table
    return None
