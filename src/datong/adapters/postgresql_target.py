"""How a snapshot's stage becomes the table on PostgreSQL: by renaming, where nobody could tell the difference."""

from datong.adapters.sql_places import block

SAME_COLUMNS = """
SELECT count(*) = ?
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.oid = to_regclass(?) AND c.relkind IN ('r', 'p') AND NOT c.relhasrules AND NOT c.relrowsecurity
      AND NOT a.attisdropped
      AND a.attname = ANY (string_to_array(?, chr(31))) AND format_type(a.atttypid, a.atttypmod) =
          (string_to_array(?, chr(31)))[array_position(string_to_array(?, chr(31)), a.attname::text)]
"""
"""Whether a table has columns of these names and types: rows may then be copied into it in binary form."""

INTERCHANGEABLE = """
WITH one AS (SELECT * FROM pg_class WHERE oid = to_regclass(?)),
     other AS (SELECT * FROM pg_class WHERE oid = to_regclass(?))
SELECT count(*) = 1 FROM one, other
WHERE one.relkind = 'r' AND other.relkind = 'r'
  AND (one.relnamespace, one.relowner, one.relam, one.reltablespace, one.relpersistence, one.relnatts, one.relreplident)
    = (other.relnamespace, other.relowner, other.relam, other.reltablespace, other.relpersistence, other.relnatts,
       other.relreplident)
  AND one.relacl IS NOT DISTINCT FROM other.relacl AND one.reloptions IS NOT DISTINCT FROM other.reloptions
  AND pg_has_role(one.relowner, 'USAGE')
  AND NOT (one.relhasindex OR one.relhasrules OR one.relhastriggers OR one.relrowsecurity OR one.relforcerowsecurity
           OR one.relispartition OR one.relhassubclass OR one.reloftype <> 0)
  AND NOT EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhrelid = one.oid)
  AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE one.oid IN (c.conrelid, c.confrelid))
  AND NOT EXISTS (SELECT 1 FROM pg_description d WHERE d.classoid = 'pg_class'::regclass AND d.objoid = one.oid)
  AND NOT EXISTS (SELECT 1 FROM pg_seclabel s WHERE s.classoid = 'pg_class'::regclass AND s.objoid = one.oid)
  AND NOT EXISTS (SELECT 1 FROM pg_publication_tables p JOIN pg_namespace n ON n.nspname = p.schemaname
                  WHERE n.oid = one.relnamespace AND p.tablename = one.relname)
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = one.oid
                  AND d.deptype IN ('e', 'x'))
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.deptype <> 'i'
                  AND ((d.refclassid = 'pg_class'::regclass AND d.refobjid = one.oid)
                       OR (d.refclassid = 'pg_type'::regclass AND d.refobjid = one.reltype)))
  AND NOT EXISTS (
    SELECT 1 FROM pg_attribute a LEFT JOIN pg_attribute b ON b.attrelid = other.oid AND b.attnum = a.attnum
    WHERE a.attrelid = one.oid AND a.attnum > 0
      AND (a.attname, a.atttypid, a.atttypmod, a.attcollation, a.attstorage, a.attnotnull, a.attisdropped, a.atthasdef,
           a.attidentity::text, a.attgenerated::text, a.attacl, a.attoptions, a.attstattarget)
        IS DISTINCT FROM
          (b.attname, b.atttypid, b.atttypmod, b.attcollation, b.attstorage, b.attnotnull, b.attisdropped, b.atthasdef,
           b.attidentity::text, b.attgenerated::text, b.attacl, b.attoptions, b.attstattarget))
"""
"""Whether the first table may be put in the second one's place by renaming both, with nobody the wiser.

That is so for a table that has nothing but rows, as the platform makes it: no index, constraint, default, trigger,
rule, view, policy, partition, publication or comment hangs on it, and owner, grants, columns and types are the same.
"""
SWAP_LOCK_SECONDS_MAX = 5
"""How long a swap waits for those who read the table now, and makes new readers wait behind it."""


def lock_statement(table: str) -> str:
    """Return the statement that locks `table` (SQL) against everybody, and says in `datong.fault` if it could not."""
    return block(
        f"SET LOCAL lock_timeout = '{SWAP_LOCK_SECONDS_MAX}s'; "
        f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; SET LOCAL lock_timeout = 0; "
        "PERFORM set_config('datong.fault', '', true); EXCEPTION WHEN lock_not_available THEN "
        "PERFORM set_config('datong.fault', 'locked', true);"
    )


STORED_COLUMNS = """
SELECT a.attname, t.typname, format_type(a.atttypid, a.atttypmod),
       a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND a.attgenerated = ''
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = to_regclass(?) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
UNIQUE = """
SELECT EXISTS (
    SELECT 1 FROM pg_index i WHERE i.indrelid = to_regclass(?) AND i.indisunique AND i.indpred IS NULL
    AND i.indexprs IS NULL AND i.indisvalid AND (
        SELECT string_agg(a.attname, chr(31) ORDER BY a.attname COLLATE "C") FROM unnest(i.indkey::int[]) AS k
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k) = ?)
"""
