"""The guarded deterministic stage: records with the same valid citizen id are one person, if they also look like one.

An id that is valid but mistyped would otherwise merge strangers. The records of one id are compared with one coherent
reference (the name that most of them give; of equals, one whose birth is that of the id); a record that fits neither by
name nor by birth loses its claim on the id and takes its chance in the probabilistic stage, where the id counts neither
for nor against it.
"""

from datong.library.engine import Workspace

BIRTH_EDITS_MAX = 2

_POSITIONS = (1, 2, 3, 4)


def identify(work: Workspace) -> None:
    """Create `linkable` from `records` and `decided`.

    `trusted` is the id whose claim holds; `distrusted` marks a rejected claim.
    Further columns are those that the linkage model compares and blocks on, all ASCII.
    """
    same_places = " + ".join(
        f"(CASE WHEN records.character_{place} = chosen.character_{place} THEN 1 ELSE 0 END)" for place in _POSITIONS
    )
    length = "length(records.name)"
    work.create(
        "judged",
        f"""
        WITH tally AS (
            SELECT identifier, name, pinyin, character_1, character_2, character_3, character_4,
                   count(*) AS votes, min(rank) AS best_rank,
                   count(*) FILTER (own_birth = substr(identifier, 7, 8)) AS fitting
            FROM records WHERE identifier IS NOT NULL AND name IS NOT NULL GROUP BY ALL
        ), chosen AS (
            SELECT * FROM tally
            QUALIFY row_number() OVER (PARTITION BY identifier ORDER BY votes DESC, fitting DESC, best_rank, name) = 1
        ), compared AS (
            SELECT records.unique_id,
                records.name = chosen.name OR records.pinyin = chosen.pinyin AS same_name,
                {same_places} >= greatest(1, {length} - 1) AS near_name,
                records.own_birth IS NULL AS birth_unknown,
                damerau_levenshtein(records.own_birth, substr(records.identifier, 7, 8)) <= {BIRTH_EDITS_MAX}
                    AS birth_fits,
                records.checked, records.name IS NULL OR chosen.name IS NULL AS name_unknown
            FROM records LEFT JOIN chosen USING (identifier) WHERE records.identifier IS NOT NULL
        )
        SELECT unique_id, coalesce(CASE
            WHEN name_unknown THEN birth_fits
            WHEN same_name THEN checked OR birth_unknown OR birth_fits
            WHEN near_name THEN birth_fits OR (birth_unknown AND checked)
            ELSE false END, false) AS coherent
        FROM compared""",
    )
    # Two records of one id that a person told apart: the one of less authority loses its claim.
    work.create(
        "parted",
        """
        SELECT DISTINCT CASE WHEN (l.rank, a) < (r.rank, b) THEN b ELSE a END AS record
        FROM decided JOIN records l ON l.unique_id = a JOIN records r ON r.unique_id = b
        WHERE NOT same AND l.identifier = r.identifier""",
    )
    work.create(
        "linkable",
        """
        WITH claims AS (
            SELECT records.*, CASE WHEN fits THEN identifier END AS trusted,
                   identifier IS NOT NULL AND NOT fits AS distrusted
            FROM records LEFT JOIN (
                SELECT unique_id, coherent AND record IS NULL AS fits
                FROM judged LEFT JOIN parted ON record = unique_id
            ) USING (unique_id)
        ), texts AS (
            SELECT *, CASE WHEN NOT distrusted THEN identifier_text END AS shown FROM claims
        )
        SELECT unique_id, source, row_key, first_sequence, rank, identifier AS claimed, trusted,
            coalesce(distrusted, false) AS distrusted, trusted IS NULL AS is_open, hex(name) AS name_code, pinyin,
            character_1, character_2, character_3, character_4,
            CASE WHEN trusted IS NOT NULL THEN substr(trusted, 7, 8) ELSE own_birth END AS birth,
            CASE WHEN trusted IS NOT NULL
                 THEN CASE WHEN CAST(substr(trusted, 17, 1) AS INTEGER) % 2 = 1 THEN '1' ELSE '2' END
                 ELSE own_sex END AS sex,
            shown AS identifier_text,
            CASE WHEN length(shown) = 18 THEN substr(shown, 1, 10) END AS identifier_head,
            CASE WHEN length(shown) = 18 THEN substr(shown, 13, 6) END AS identifier_tail,
            phone, address, household
        FROM texts ORDER BY unique_id""",
    )
    work.drop("judged", "parted")
