"""Linkage by keys: which records of firms, certificates and other registered things speak of the same one.

Most registered things bear a number, so no statistics are needed: a sound identifier decides, and records without one
join by other keys, each with a weight in bits that the definition states. What follows is the same for all libraries:
clustering that resists chaining, stable ids, reasons (see `link`).
"""

from pathlib import Path

from datong.library.conform import ConformedSource
from datong.library.definition import Definition, Identity, KeyPart
from datong.library.engine import Workspace, sql_name, sql_text

BLOCK_IDENTIFIERS_MAX = 20
"""A key that so many different identifiers share (a firm name such as 供销社) tells nobody apart."""
BLOCK_OPEN_MAX = 50
"""Records without an identifier that are all compared with each other when they share a key."""
_PUNCTUATION = r"[\s()（）\[\]【】《》〈〉「」“”\"'’‘·•.。,，、&＆_-]+"
# Brackets and dots are typing habits; 有限责任公司, 有限公司 and 公司 are written for one another (《公司法》第七条).
_FIRM = (
    "replace(replace(upper(regexp_replace(regexp_replace({value}, '^ *[（(][^（）()]{{2,8}}[）)]', ''),"
    " {punctuation}, '', 'g')), '有限责任公司', '公司'), '有限公司', '公司')"
)
# A name begins with a division, which is left out where everybody knows it: 广东省佛山市, 佛山市 or nothing.
_DIVISION = "(?:[^省市]{{2,3}}省|[^市区]{{2,7}}自治区)?(?:[^省市区县]{{1,4}}[^超夜菜集书鱼都股]市)?"
_ORGANISATION = f"coalesce(nullif(regexp_extract({_FIRM}, '^{_DIVISION}(.{{{{4,}}}})$', 1), ''), nullif({_FIRM}, ''))"
FORMS = {
    "exact": "{value}",
    "code": r"nullif(upper(regexp_replace({value}, '[\s-]+', '', 'g')), '')",
    "organisation": _ORGANISATION,
    # Within one registration authority a company's name is its own (《企业名称登记管理规定》第十七条); a shop's is not.
    "company": f"nullif(regexp_extract({_ORGANISATION}, '^.{{{{4,}}}}公司$', 0), '')",
    "person": "nullif(upper(regexp_replace({value}, {punctuation}, '', 'g')), '')",
    # The road's last characters and the numbers: 广东省示例市汾江路12号 and 汾江路12号 are one address.
    "address": "nullif(regexp_extract({value}, '([^0-9]{{1,3}})[0-9]', 1) || "
    "array_to_string(regexp_extract_all({value}, '[0-9]+'), '-'), '')",
}
"""SQL per form of a key part; an identifier with a flaw is no key in the form `exact`."""


def create_keyed(
    work: Workspace,
    definition: Definition,
    identity: Identity,
    sources: tuple[ConformedSource, ...],
    folder: Path,
) -> None:
    """Create `linkable`: one row per record with its number, key, claimed and trusted identifier."""
    ranks = definition.authority(identity.trusted[0].element)
    guards = [f"guard_{place}" for place, _ in enumerate(identity.guard)]
    parts = " UNION ALL ".join(
        f"SELECT {source.number} AS source, {ranks[source.role.key]} AS rank, row_key, first_sequence, "
        + ", ".join(f"{expression} AS {name}" for name, expression in _keys(source, identity).items())
        + f" FROM {source.sql(folder)}"
        for source in sources
    )
    work.create(
        "records",
        f"SELECT row_number() OVER (ORDER BY source, row_key) - 1 AS unique_id, * FROM ({parts}) ORDER BY unique_id",
    )
    held = ", ".join([*guards, *_alone(identity)]) or "NULL AS no_keys"
    work.create(
        "linkable",
        f"""
        WITH reference AS (
            SELECT * FROM records WHERE identifier IS NOT NULL
            QUALIFY row_number() OVER (PARTITION BY identifier ORDER BY rank, first_sequence, source, row_key) = 1
        ), judged AS (
            SELECT records.unique_id, {_coherent(guards)} AS coherent
            FROM records JOIN reference USING (identifier)
        )
        SELECT unique_id, source, row_key, first_sequence, rank, identifier AS claimed,
            CASE WHEN coherent THEN identifier END AS trusted,
            coalesce(NOT coherent, false) AS distrusted, coherent IS DISTINCT FROM true AS is_open, {held}
        FROM records LEFT JOIN judged USING (unique_id) ORDER BY unique_id""",
    )
    work.drop("records")


def _alone(identity: Identity) -> list[str]:
    """Return the columns of the rules. A company's name by itself speaks for records that say nothing else.

    A record that claims an identifier, or names a representative or seat, is believed by these: they agree, or the name
    is not enough.
    """
    found = []
    for place, rule in enumerate(identity.rules):
        said = {part.element for part in rule.parts}
        others = [
            f"guard_{number} IS NOT NULL" for number, part in enumerate(identity.guard) if part.element not in said
        ]
        speaks = " OR ".join(["identifier IS NOT NULL", *others])
        alone = any(part.form == "company" for part in rule.parts)
        silenced = f"CASE WHEN coherent IS DISTINCT FROM true AND ({speaks}) THEN NULL ELSE rule_{place} END"
        found.append(f"{silenced} AS rule_{place}" if alone else f"rule_{place}")
    return found


def part_decided(work: Workspace) -> None:
    """Take from `linkable` the claims that people's decisions refute."""
    # Two records of one identifier that a person told apart: the one of less authority loses its claim.
    work.create(
        "parted",
        """
        SELECT DISTINCT CASE WHEN (l.rank, a) < (r.rank, b) THEN b ELSE a END AS record
        FROM decided JOIN linkable l ON l.unique_id = a JOIN linkable r ON r.unique_id = b
        WHERE NOT same AND l.trusted = r.trusted""",
    )
    if work.rows("SELECT 1 FROM parted LIMIT 1"):
        work.create(
            "linkable",
            """
            SELECT l.* EXCLUDE (trusted, distrusted, is_open), CASE WHEN record IS NULL THEN l.trusted END AS trusted,
                l.distrusted OR record IS NOT NULL AS distrusted, l.is_open OR record IS NOT NULL AS is_open
            FROM linkable l LEFT JOIN parted ON record = l.unique_id ORDER BY l.unique_id""",
        )
    work.drop("parted")


def pair_by_keys(work: Workspace, identity: Identity) -> None:
    """Create `pairs` (a, b, bits) from `linkable`."""
    _pair(work, [(f"rule_{place}", rule.bits) for place, rule in enumerate(identity.rules)])


def _keys(source: ConformedSource, identity: Identity) -> dict[str, str]:
    """Return the columns that are compared and how they come from the source's conformed record."""
    return {
        "identifier": _key(source, identity.trusted),
        **{f"guard_{place}": _part(source, part) for place, part in enumerate(identity.guard)},
        **{f"rule_{place}": _key(source, rule.parts) for place, rule in enumerate(identity.rules)},
    }


def _part(source: ConformedSource, part: KeyPart) -> str:
    if not source.has(part.element):
        return "NULL::VARCHAR"
    value = sql_name(part.element)
    if part.form == "exact":
        value = f"(CASE WHEN {sql_name(part.element + '|flag')} IS NULL THEN {value} END)"
    return FORMS[part.form].format(value=value, punctuation=sql_text(_PUNCTUATION))


def _key(source: ConformedSource, parts: tuple[KeyPart, ...]) -> str:
    """Return the key as one text, NULL if a part is missing; a single part stays as it is."""
    return " || chr(31) || ".join(_part(source, part) for part in parts)


def _coherent(guards: list[str]) -> str:
    """Return whether a record fits its identifier's reference: one guard agrees, or none can be compared."""
    if not guards:
        return "true"
    agrees = " OR ".join(f"coalesce(records.{name} = reference.{name}, false)" for name in guards)
    comparable = " OR ".join(f"(records.{name} IS NOT NULL AND reference.{name} IS NOT NULL)" for name in guards)
    return f"({agrees} OR NOT ({comparable}))"


def _pair(work: Workspace, rules: list[tuple[str, float]]) -> None:
    """Pair every open record with each identifier that shares a key with it, and with other open records.

    An identifier stands for all its records, so that what agrees with one of them and with another adds up. A key of
    many open records pairs them with the first of them only: the number of pairs stays linear.
    """
    work.create(
        "heads",
        """
        SELECT unique_id, coalesce(min(unique_id) OVER (PARTITION BY trusted), unique_id) AS head
        FROM linkable WHERE trusted IS NOT NULL""",
    )
    # No two of these have one name: not every engine keeps the names inside a union apart.
    found = " UNION ALL ".join(
        f"""(WITH block_{name} AS (
            SELECT unique_id, head, {name} AS key, count(*) FILTER (is_open) OVER whole AS open_records,
                min(unique_id) FILTER (is_open) OVER whole AS first_open
            FROM linkable LEFT JOIN heads USING (unique_id) WHERE {name} IS NOT NULL
            WINDOW whole AS (PARTITION BY {name})
        ), known_{name} AS (
            SELECT key, head FROM block_{name} WHERE head IS NOT NULL GROUP BY key, head
            QUALIFY count(*) OVER (PARTITION BY key) <= {BLOCK_IDENTIFIERS_MAX}
        ), open_{name} AS (SELECT * FROM block_{name} WHERE head IS NULL)
        SELECT o.unique_id AS one, k.head AS other, {bits}::DOUBLE AS bits FROM open_{name} o
        JOIN known_{name} k USING (key)
        UNION ALL SELECT x.unique_id, y.unique_id, {bits}::DOUBLE FROM open_{name} x JOIN open_{name} y USING (key)
        WHERE x.unique_id > y.unique_id AND (x.open_records <= {BLOCK_OPEN_MAX} OR y.unique_id = x.first_open))"""
        for name, bits in rules
    )
    if not found:
        found = "SELECT NULL::BIGINT AS one, NULL::BIGINT AS other, NULL::DOUBLE AS bits WHERE false"
    work.create(
        "pairs",
        f"""
        SELECT least(one, other) AS a, greatest(one, other) AS b, round(sum(bits), 6) AS weight FROM ({found})
        GROUP BY a, b ORDER BY a, b""",
    )
    work.drop("heads")
