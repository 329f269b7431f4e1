"""Conformed → linked where a build of before is at hand: only what a change can reach is linked again.

Records hang together by a claimed identifier, by a pair that came near, or by a person's decision; what becomes of a
record depends on the records that hang together with it, now or before, and on nothing else but the frequency classes
of values. So the step (1) finds the records that are compared differently now, (2) compares their pairs again, (3)
takes all that hangs together with them, and links that as a whole build would. Everything else stays.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from datong.library.conform import ConformedSource
from datong.library.conform_changes import changes_file
from datong.library.decisions import create_decided, decisions_table
from datong.library.definition import Definition, Identity, Linkage
from datong.library.doubts import REVIEW
from datong.library.engine import Workspace, parquet_sql, sql_text
from datong.library.features import claims_sql, compared_names
from datong.library.frequencies import change_frequencies, count_changes, create_classes, frequency_files
from datong.library.layers import CHANGED, REMOVED, changed_file, table_sql, write_changes
from datong.library.link import (
    COUNTS,
    DECISIONS,
    LINK_KEYS,
    LINKS,
    WEIGHTS,
    Settled,
    create_described_records,
    settle,
    source_key,
    write_counts,
    write_successions,
    write_weights,
)
from datong.library.link_state import (
    CLAIM,
    LINKABLE,
    PAIR,
    PAIRS,
    RECORD,
    UNJOINED,
    keep_unjoined,
    sought_by,
)
from datong.library.pair_changes import (
    Bins,
    create_differing_pairs,
    pair_again,
    rescore,
    sources_sql,
)
from datong.library.twins import create_few, write_twin
from datong.library.values import LinkDecision

CHANGED_RECORDS = "changed.parquet"
DOUBTFUL = "doubtful.parquet"
_KEPT = (LINKABLE, PAIRS, UNJOINED, LINKS, DECISIONS)


def link_changed(
    work: Workspace,
    definition: Definition,
    sources: tuple[ConformedSource, ...],
    conformed: Path,
    former: Path,
    successions: Sequence[tuple[str, str, str]],
    decisions: Sequence[LinkDecision],
    folder: Path,
    known: Callable[[Path], None] = lambda _doubtful: None,
) -> bool:
    """Write the step's files into `folder`, from those in the step folder `former` and what changed in `conformed`.

    `successions` are those up to the former build. `known` is told the file of the records that may be linked
    otherwise (source, row_key, entity_id before, changed) before they are linked. False if everything has to be linked
    anew, because the number of records crossed a class of frequency, or because the former build kept too little;
    nothing is written then.
    """
    if not all((former / name).exists() for name in (*_KEPT, *frequency_files(definition.linkage))):
        return False
    _create_dirty(work, sources, conformed, former)
    _create_told(work, sources, decisions, former)
    limits = _regroup(work, definition, sources, conformed, former, decisions, folder)
    if isinstance(limits, Linkage):
        if not count_changes(work, limits, former):
            return False
        change_frequencies(work, limits, former, folder)
    if write_changes(
        work, former / LINKABLE, folder / LINKABLE, keys=RECORD, replaced="differing", changed="gained", order=RECORD
    ):
        write_twin(work, folder / LINKABLE, *sought_by(limits))
    bins = _pair(work, limits, former, folder)
    _create_affected(work, former)
    _create_doubtful(work, former, folder)
    known(folder / DOUBTFUL)
    (folder / DOUBTFUL).unlink()
    settled = _settle(work, limits, sources, former, decisions, folder)
    _merge(work, sources, former, settled, folder)
    if isinstance(limits, Linkage):
        write_weights(list(bins.items()), folder)
    pq.write_table(decisions_table(decisions), folder / DECISIONS)
    write_successions(successions, settled.successions, folder)
    vetoes = "'identifiers', 'decided', 'cap'"
    [(vetoed,)] = work.rows(f"SELECT count(*) FROM {parquet_sql(folder / UNJOINED)} WHERE reason IN ({vetoes})")
    [(ambiguous, distrusted)] = work.rows(
        "SELECT coalesce(sum(sign) FILTER (rule = 'ambiguous'), 0), coalesce(sum(sign) FILTER (distrusted), 0) FROM "
        "(SELECT *, -1 AS sign FROM links_was SEMI JOIN relinked USING (source, row_key) "
        "UNION ALL SELECT *, 1 FROM links_anew)"
    )
    counted = json.loads((former / COUNTS).read_text())
    write_counts(
        folder,
        vetoed=int(vetoed),
        ambiguous=counted["ambiguous_records"] + int(ambiguous),
        distrusted=counted["distrusted_identifiers"] + int(distrusted),
        contradicted=settled.clustering.contradicted,
    )
    _write_changed(work, sources, conformed, folder)
    return True


def _create_dirty(work: Workspace, sources: tuple[ConformedSource, ...], conformed: Path, former: Path) -> None:
    """Create `dirty`: the records whose conformed rows are not as they were; of a source made anew, all there were."""
    anew = [source.number for source in sources if not (conformed / changes_file(source)).exists()]
    query = " UNION ".join(_changed_sql(source, conformed) for source in sources)
    if anew:
        listed = ", ".join(map(str, anew))
        query += f" UNION SELECT source, row_key FROM {table_sql(former / LINKABLE)} w WHERE source IN ({listed})"
    work.create("dirty", query)


def _create_told(
    work: Workspace, sources: tuple[ConformedSource, ...], decisions: Sequence[LinkDecision], former: Path
) -> None:
    """Create `told`: the records of which somebody decided something, now or before."""
    work.lend("decision_rows", decisions_table(decisions))
    keys = " UNION ".join(
        f"SELECT {side} AS key FROM {table}"
        for table in ("decision_rows", parquet_sql(former / DECISIONS))
        for side in ("left_key", "right_key")
    )
    named = sources_sql([(source.number, source.source.resource_id) for source in sources])
    work.create(
        "told",
        f"SELECT source, substr(key, strpos(key, chr(31)) + 1) AS row_key FROM ({keys}) JOIN {named} "
        "named(source, resource) ON resource = split_part(key, chr(31), 1)",
    )
    work.drop("decision_rows")


def _regroup(
    work: Workspace,
    definition: Definition,
    sources: tuple[ConformedSource, ...],
    conformed: Path,
    former: Path,
    decisions: Sequence[LinkDecision],
    folder: Path,
) -> Linkage | Identity:
    """Create `regrouped` and `former_rows`: the records that changed, and all that claim or claimed an identifier of
    theirs, as they are and as they were; and `lost` and `gained`, those of them that differ.
    """
    was = former / LINKABLE
    work.create("begun", "FROM dirty UNION FROM told")
    create_few(work, "begun_rows", was, RECORD, "begun")
    work.create("touched_ids", "SELECT DISTINCT claimed FROM begun_rows")
    _append_claims(work, definition, sources, conformed, decisions, folder)
    create_few(work, "claimants", was, CLAIM, "touched_ids")
    work.create("grouped", "FROM begun UNION SELECT source, row_key FROM claimants")
    limits = _describe(work, definition, sources, conformed, decisions, folder)
    work.create("regrouped", "SELECT * EXCLUDE (unique_id) FROM linkable")
    work.create(
        "former_rows",
        "FROM begun_rows UNION ALL SELECT c.* FROM claimants c ANTI JOIN begun_rows USING (source, row_key)",
    )
    work.drop("begun_rows", "claimants")
    work.create(
        "differing",
        "SELECT coalesce(n.source, w.source) AS source, coalesce(n.row_key, w.row_key) AS row_key FROM regrouped n "
        "FULL JOIN former_rows w ON n.source = w.source AND n.row_key = w.row_key WHERE n IS DISTINCT FROM w",
    )
    work.create("lost", "SELECT w.* FROM former_rows w SEMI JOIN differing USING (source, row_key)")
    work.create("gained", "SELECT n.* FROM regrouped n SEMI JOIN differing USING (source, row_key)")
    return limits


def _append_claims(
    work: Workspace,
    definition: Definition,
    sources: tuple[ConformedSource, ...],
    conformed: Path,
    decisions: Sequence[LinkDecision],
    folder: Path,
) -> None:
    """Add to `touched_ids` what the changed records claim now: their rows alone tell it, and of people one column."""
    work.create("grouped", "FROM dirty")
    if definition.linkage is None:
        _describe(work, definition, sources, conformed, decisions, folder)
        work.append("touched_ids", "SELECT DISTINCT claimed FROM linkable")
    elif not definition.linkage.features:
        for source in sources:
            layer = changed_file(conformed / source.file)
            if layer.exists():
                wanted = f"(SELECT row_key FROM dirty WHERE source = {source.number})"
                rows = f"(SELECT kept.* FROM {parquet_sql(layer)} kept SEMI JOIN {wanted} w USING (row_key))"
            else:
                rows = source.sql(conformed)
            work.append("touched_ids", claims_sql(source, rows))


def _describe(
    work: Workspace,
    definition: Definition,
    sources: tuple[ConformedSource, ...],
    conformed: Path,
    decisions: Sequence[LinkDecision],
    folder: Path,
) -> Linkage | Identity:
    """Create `linkable` and `decided` of the records in `grouped` alone."""
    part = folder / ".grouped"
    part.mkdir()
    for source in sources:
        compared = compared_names(conformed / source.file)
        wanted = f"(SELECT row_key FROM grouped WHERE source = {source.number})"
        create_few(work, "described_rows", conformed / source.file, ("row_key",), wanted, columns=compared)
        work.write("FROM described_rows", part / source.file)
    limits = create_described_records(work, definition, sources, part, decisions)
    shutil.rmtree(part)
    return limits


def _pair(work: Workspace, limits: Linkage | Identity, former: Path, folder: Path) -> Bins:
    """Compare pairs again, and write `pairs.parquet`; return how many there are by weight, if they have one."""
    bins: Bins = {}
    if isinstance(limits, Linkage):
        known = {row["low"]: row["pairs"] for row in json.loads((former / WEIGHTS).read_text())}
        bins = rescore(work, limits, former / LINKABLE, known)
    else:
        pair_again(work, limits, table_sql(folder / LINKABLE), former)
        work.create("crossing", "SELECT source, row_key FROM lost WHERE false")
    create_differing_pairs(work)
    work.create("pairs_anew", f"SELECT n.* FROM pairs_now n SEMI JOIN pairs_differing USING ({', '.join(PAIR)})")
    write_changes(
        work,
        former / PAIRS,
        folder / PAIRS,
        keys=PAIR,
        replaced="pairs_differing",
        changed="pairs_anew",
        order=PAIR,
    )
    return bins


def _create_affected(work: Workspace, former: Path) -> None:
    """Create `affected`: all records that hang together with a changed one, now or before, by claims or pairs.

    Records that a person decided on are all among them, so their bonds need not be followed.
    """
    ends = " UNION ".join(
        f"SELECT source_{end} AS source, row_key_{end} AS row_key FROM pairs_differing" for end in "ab"
    )
    seeds = f"FROM differing UNION FROM told UNION SELECT source, row_key FROM crossing UNION {ends}"
    work.create("affected", seeds)
    names = ", ".join(PAIR)
    work.create("edges", f"SELECT {names} FROM {table_sql(former / PAIRS)} w UNION ALL SELECT {names} FROM pairs_anew")
    work.create("reached", "FROM affected")
    while True:
        beside = " UNION ".join(
            f"SELECT e.source_{far} AS source, e.row_key_{far} AS row_key FROM edges e "
            f"JOIN reached r ON r.source = e.source_{near} AND r.row_key = e.row_key_{near}"
            for near, far in ("ab", "ba")
        )
        # A record may claim another identifier than it did: it hangs together with both.
        create_few(work, "claims", former / LINKABLE, RECORD, "reached", columns=CLAIM)
        work.append("claims", "SELECT claimed FROM gained SEMI JOIN reached USING (source, row_key)")
        create_few(work, "alike", former / LINKABLE, CLAIM, "claims", columns=RECORD)
        work.append("alike", "SELECT source, row_key FROM gained SEMI JOIN claims USING (claimed)")
        work.create(
            "reached",
            f"SELECT source, row_key FROM ({beside} UNION FROM alike) ANTI JOIN affected USING (source, row_key)",
        )
        if not work.rows("SELECT 1 FROM reached LIMIT 1"):
            break
        work.append("affected", "FROM reached")


def _create_doubtful(work: Workspace, former: Path, folder: Path) -> None:
    """Write the file of the records that changed or are `affected`, with their entity of before; of the latter, leave
    `links_was`."""
    work.create("doubtful", "FROM dirty UNION FROM affected")
    create_few(work, "doubtful_links", former / LINKS, RECORD, "doubtful")
    work.write(
        "SELECT source, row_key, entity_id, d.row_key IS NOT NULL AS changed FROM doubtful "
        "LEFT JOIN (SELECT source, row_key, entity_id FROM doubtful_links) USING (source, row_key) "
        "LEFT JOIN dirty d USING (source, row_key)",
        folder / DOUBTFUL,
    )
    work.create("links_was", "FROM doubtful_links SEMI JOIN affected USING (source, row_key)")
    work.drop("doubtful", "doubtful_links")


def _settle(
    work: Workspace,
    limits: Linkage | Identity,
    sources: tuple[ConformedSource, ...],
    former: Path,
    decisions: Sequence[LinkDecision],
    folder: Path,
) -> Settled:
    """Link the `affected` records; leave their links and review in the folder `.affected`."""
    create_few(work, "affected_rows", folder / LINKABLE, RECORD, "affected")
    work.create(
        "linkable",
        "SELECT row_number() OVER (ORDER BY source, row_key) - 1 AS unique_id, * FROM affected_rows ORDER BY unique_id",
    )
    work.drop("affected_rows")
    create_decided(work, "linkable", sources, decisions)
    work.create(
        "pairs",
        f"""
        SELECT a.unique_id AS a, b.unique_id AS b, weight FROM {table_sql(folder / PAIRS)} p
        JOIN linkable a ON a.source = source_a AND a.row_key = row_key_a
        JOIN linkable b ON b.source = source_b AND b.row_key = row_key_b""",
    )
    if isinstance(limits, Linkage):
        create_classes(work, limits, "now", former)
    named = sources_sql([(source.number, source_key(source)) for source in sources])
    work.create(
        "previous_ids",
        f"SELECT name || chr(31) || row_key AS key, entity_id FROM links_was JOIN {named} n(source, name) "
        "USING (source)",
    )
    (folder / ".affected").mkdir()

    def held(ids: str) -> str:
        create_few(work, "links_held", former / LINKS, ("entity_id",), ids, columns=("entity_id", *RECORD))
        return "SELECT entity_id FROM links_held ANTI JOIN affected USING (source, row_key)"

    return settle(work, limits, sources, folder / ".affected", held)


def _merge(work: Workspace, sources: tuple[ConformedSource, ...], former: Path, settled: Settled, folder: Path) -> None:
    """Write links, review and unjoined pairs: those of `affected` records as they are now, all others as they were."""
    part = folder / ".affected"
    links = parquet_sql(part / LINKS)
    work.create(
        "relinked",
        "SELECT coalesce(n.source, w.source) AS source, coalesce(n.row_key, w.row_key) AS row_key FROM "
        f"{links} n FULL JOIN links_was w ON n.source = w.source AND n.row_key = w.row_key WHERE n IS DISTINCT FROM w",
    )
    work.create("links_anew", f"SELECT n.* FROM {links} n SEMI JOIN relinked USING (source, row_key)")
    if write_changes(
        work, former / LINKS, folder / LINKS, keys=RECORD, replaced="relinked", changed="links_anew", order=RECORD
    ):
        write_twin(work, folder / LINKS, *LINK_KEYS)
    named = sources_sql([(source.number, source.source.resource_id) for source in sources])
    number = {
        side: f"(SELECT source FROM {named} n(source, resource) WHERE resource = split_part({side}, chr(31), 1))"
        for side in ('"left"', '"right"')
    }
    place = ", ".join(f"{number[side]}, substr({side}, strpos({side}, chr(31)) + 1)" for side in number)
    work.create(
        "affected_keys",
        f"SELECT resource || chr(31) || row_key AS key FROM affected JOIN {named} n(source, resource) USING (source)",
    )
    work.write(
        f'SELECT * FROM (SELECT w.* FROM {parquet_sql(former / REVIEW)} w WHERE "left" NOT IN (FROM affected_keys) '
        f"UNION ALL SELECT * FROM {parquet_sql(part / REVIEW)}) ORDER BY {place}",
        folder / REVIEW,
    )
    keep_unjoined(work, settled.clustering.open_pairs, part)
    work.write(
        f"SELECT * FROM (SELECT w.* FROM {parquet_sql(former / UNJOINED)} w ANTI JOIN affected ON source = source_a "
        f"AND row_key = row_key_a UNION ALL SELECT * FROM {parquet_sql(part / UNJOINED)}) ORDER BY {', '.join(PAIR)}",
        folder / UNJOINED,
    )
    shutil.rmtree(part)


def write_changed_records(
    work: Workspace,
    sources: tuple[ConformedSource, ...],
    conformed: Path,
    former: Path,
    folder: Path,
) -> None:
    """Write `changed.parquet` (source, row_key, change) into the step's `folder`: every record whose row in `conformed`
    or whose link is not that of the former build, whose links are `former`.

    A source that was conformed whole counts as changed in every row.
    """
    links, was = table_sql(folder / LINKS), table_sql(former)
    work.create(
        "relinked",
        f"""
        SELECT coalesce(l.source, f.source) AS source, coalesce(l.row_key, f.row_key) AS row_key
        FROM {links} l FULL JOIN {was} f ON l.source = f.source AND l.row_key = f.row_key WHERE l IS DISTINCT FROM f""",
    )
    _write_changed(work, sources, conformed, folder)


def _write_changed(work: Workspace, sources: tuple[ConformedSource, ...], conformed: Path, folder: Path) -> None:
    """Write `changed.parquet`, where `relinked` has the records whose links differ."""
    changed = " UNION ".join(_changed_sql(source, conformed) for source in sources)
    work.create("touched", f"SELECT source, row_key FROM relinked UNION {changed}")
    create_few(work, "there", folder / LINKS, RECORD, "touched", columns=RECORD)
    work.write(
        f"""
        SELECT touched.source, touched.row_key,
            CASE WHEN l.row_key IS NULL THEN {sql_text(REMOVED)} ELSE {sql_text(CHANGED)} END AS change
        FROM touched LEFT JOIN there l
        ON l.source = touched.source AND l.row_key = touched.row_key ORDER BY touched.source, touched.row_key""",
        folder / CHANGED_RECORDS,
    )


def _changed_sql(source: ConformedSource, conformed: Path) -> str:
    path = conformed / changes_file(source)
    rows = parquet_sql(path) if path.exists() else source.sql(conformed)
    return f"SELECT {source.number} AS source, row_key FROM {rows} c"
