"""Renders the pipeline's SQL, which is written as DuckDB reads it, as Spark reads it: the same rows, in the same order.

sqlglot knows both grammars and most functions. What follows is what would mean something else on Spark: regular
expressions of Java instead of RE2, replacements of the first match only, trimming of all blanks of Unicode, unsigned
numbers, logarithms and rounding to the last bit, filters inside windows, NULLs in `arg_min`.
"""

import hashlib
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

BORROWED: dict[str, str] = {
    "damerau_levenshtein": "bigint",
    "jaro_winkler_similarity": "double",
    "strip_accents": "string",
}
"""Functions that Spark lacks, with the type they return; they run in DuckDB's code (see `spark_functions`)."""
_SIGNED_LIMIT = 1 << 63
_BLANKS = r"\t\n\f\r "
_STATEMENTS_KEPT = 500


class Rendered(NamedTuple):
    """A query for Spark, and the Parquet files that it reads as tables named by `file_table`."""

    sql: str
    files: frozenset[str]


def file_table(path: str) -> str:
    """Return the name under which the Parquet file at `path` is a table."""
    return f"file_{hashlib.sha256(path.encode()).hexdigest()[:32]}"


@lru_cache(maxsize=_STATEMENTS_KEPT)
def spark_sql(query: str, *, ordered: bool = True) -> Rendered:
    """Return `query` for Spark; without its final order if the rows need not be `ordered`.

    Raises:
        ValueError: it uses what has no equal on Spark.
    """
    try:
        tree = parse_one(query, dialect="duckdb")
    except SqlglotError as error:
        raise ValueError(f"no query: {query}") from error
    if not ordered and isinstance(tree, exp.Query):
        tree.set("order", None)
    files = set()
    for read in list(tree.find_all(exp.ReadParquet)):
        [path] = read.expressions
        files.add(path.this)
        read.replace(exp.to_identifier(file_table(path.this)))
    for kind, change in _CHANGES:
        # Innermost first, so that what is put in the place of a node holds what was put in its parts' places.
        for node in reversed(list(tree.find_all(kind))):
            changed = change(node)
            if changed is not node:
                node.replace(changed)
    return Rendered(tree.sql(dialect="spark"), frozenset(files))


def java_pattern(pattern: str) -> str:
    """Return an RE2 pattern as a pattern of Java that matches the same texts.

    Raises:
        ValueError: it has a part that Java reads in another way.
    """
    parts: list[str] = []
    inside, place = False, 0
    while place < len(pattern):
        sign = pattern[place]
        if sign == "\\":
            following = pattern[place + 1 : place + 2]
            taken, part = _escape(pattern, place, inside)
            if following in "SWwbB":
                raise ValueError(f"\\{following} is not the same in Java: {pattern}")
            parts.append(part)
            place += taken
            continue
        if inside:
            if pattern.startswith("[:", place):
                raise ValueError(f"a named class: {pattern}")
            # Java takes these inside a class for a class within, or an intersection.
            parts.append(f"\\{sign}" if sign in "[&" else sign)
            inside = sign != "]"
        else:
            # The end is the end of the text, never before a last line break; a dot is anything but a line feed.
            parts.append({"$": r"\z", ".": r"[^\n]"}.get(sign, sign))
            inside = sign == "["
            if inside and pattern.startswith("^", place + 1):
                parts.append("^")
                place += 1
        place += 1
    return "".join(parts)


def _escape(pattern: str, place: int, inside: bool) -> tuple[int, str]:
    """Return how many characters the escape at `place` has, and what it is in Java."""
    if pattern.startswith(r"\s", place):
        return 2, _BLANKS if inside else f"[{_BLANKS}]"
    if pattern.startswith(r"\p{Han}", place):
        return 7, r"\p{IsHan}"
    return 2, pattern[place : place + 2]


def _pattern(node: exp.Expression) -> str:
    if not isinstance(node, exp.Literal) or not node.is_string:
        raise ValueError(f"a pattern that is not written out: {node.sql(dialect='duckdb')}")
    return java_pattern(node.this)


def _text(value: str) -> exp.Literal:
    return exp.Literal.string(value)


def _call(name: str, *arguments: exp.Expression) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=[argument.copy() for argument in arguments])


def _whole_match(node: exp.Expression) -> exp.Expression:
    return exp.RegexpLike(this=node.this.copy(), expression=_text(rf"\A(?:{_pattern(node.expression)})\z"))


def _match(node: exp.Expression) -> exp.Expression:
    if isinstance(node.expression, exp.Literal) and node.expression.this.startswith(r"\A(?:"):
        return node
    return exp.RegexpLike(this=node.this.copy(), expression=_text(_pattern(node.expression)))


def _replacement(node: exp.Expression) -> exp.Expression:
    pattern, modifiers = _pattern(node.expression), node.args.get("modifiers")
    # Spark replaces every match; a pattern that is bound to the beginning has one only.
    if (modifiers is None or modifiers.this != "g") and not pattern.startswith("^"):
        raise ValueError(f"only the first match would be replaced: {node.sql(dialect='duckdb')}")
    replaced = node.args["replacement"].this.replace("$", r"\$")
    for group in range(10):
        replaced = replaced.replace(f"\\{group}", f"${group}")
    return _call("REGEXP_REPLACE", node.this, _text(pattern), _text(replaced))


def _extract(node: exp.Expression) -> exp.Expression:
    group = node.args.get("group") or exp.Literal.number(0)
    name = "REGEXP_EXTRACT_ALL" if isinstance(node, exp.RegexpExtractAll) else "REGEXP_EXTRACT"
    return _call(name, node.this, _text(_pattern(node.expression)), group)


def _length(node: exp.Expression) -> exp.Expression:
    named = node.this
    lists = isinstance(named, exp.Anonymous) and str(named.this) == "REGEXP_EXTRACT_ALL"
    return _call("ARRAY_SIZE", named) if lists else node


def _trim(node: exp.Expression) -> exp.Expression:
    if node.args.get("expression") is not None:
        return node
    return _call("REGEXP_REPLACE", node.this, _text(r"^\p{Zs}+|\p{Zs}+\z"), _text(""))


def _upper(node: exp.Expression) -> exp.Expression:
    # One character stays one character.
    return exp.Upper(this=_call("REPLACE", node.this, _text("ß"), _text("ẞ")))


def _split(node: exp.Expression) -> exp.Expression:
    if not isinstance(node.expression, exp.Literal) or node.expression.this != "":
        raise ValueError(f"only characters are split: {node.sql(dialect='duckdb')}")
    return _call("SPLIT", node.this, node.expression)


def _anonymous(node: exp.Expression) -> exp.Expression:
    if str(node.this).lower() == "list_reduce":
        listed, function, start = node.expressions
        return _call("AGGREGATE", listed, start, function)
    return node


def _similarity(node: exp.Expression) -> exp.Expression:
    return _call("jaro_winkler_similarity", node.this, node.expression)


def _cast(node: exp.Expression) -> exp.Expression:
    to = node.args["to"].this
    if to == exp.DataType.Type.UBIGINT:
        # Sixty-four bits are what they are; as a signed number, Spark has them, too.
        digits = node.this.expression if isinstance(node.this, exp.DPipe) else None
        if digits is None or node.this.this.this != "0x":
            raise ValueError(f"an unsigned number that is not written as hexadecimal: {node.sql(dialect='duckdb')}")
        sixty_four = _call("CONV", digits, exp.Literal.number(16), exp.Literal.number(-10))
        return exp.Cast(this=sixty_four, to=exp.DataType.build("BIGINT"))
    if to == exp.DataType.Type.INT128:
        return exp.Cast(this=node.this.copy(), to=exp.DataType.build("DECIMAL(38, 0)"))
    return node


def _try_cast(node: exp.Expression) -> exp.Expression:
    if node.args["to"].this != exp.DataType.Type.TIMESTAMPNTZ:
        return node
    # The end of a day is a time of that day for DuckDB, and none for Spark.
    midnight = _call("REGEXP_REPLACE", node.this, _text(r" 24:00:00\z"), _text(" 00:00:00"))
    at_end = exp.RegexpLike(this=node.this.copy(), expression=_text(r"\A(?:.* 24:00:00)\z"))
    next_day = exp.Add(
        this=exp.TryCast(this=midnight, to=node.args["to"].copy(), safe=True), expression=exp.var("INTERVAL 1 DAY")
    )
    return exp.Case(ifs=[exp.If(this=at_end, true=next_day)], default=node.copy())


def _number(node: exp.Expression) -> exp.Expression:
    if node.is_string or not str(node.this).isdigit() or int(node.this) < _SIGNED_LIMIT:
        return node
    return exp.Paren(this=exp.Neg(this=exp.Literal.number(2 * _SIGNED_LIMIT - int(node.this))))


def _shift(node: exp.Expression) -> exp.Expression:
    return _call("SHIFTRIGHTUNSIGNED", node.this, node.expression)


def _logarithm(node: exp.Expression) -> exp.Expression:
    # Java's logarithm misses powers of two by a bit, and `floor` would then be one too low.
    number, log = node.expression, _call("LOG2", node.expression)
    nearest = exp.Round(this=log)
    exact = exp.EQ(this=_call("POWER", exp.Literal.number(2), nearest), expression=number.copy())
    return exp.Case(ifs=[exp.If(this=exact, true=nearest.copy())], default=log.copy())


def _round(node: exp.Expression) -> exp.Expression:
    decimals = node.args.get("decimals")
    if decimals is None:
        return node
    # DuckDB rounds what a power of ten makes of the number; Spark would round its decimal notation.
    power = exp.Cast(this=exp.Literal.number(10 ** int(decimals.this)), to=exp.DataType.build("DOUBLE"))
    whole = exp.Round(this=exp.Mul(this=exp.Paren(this=node.this.copy()), expression=power))
    return exp.Paren(this=exp.Div(this=whole, expression=power.copy()))


def _least_of(node: exp.Expression) -> exp.Expression:
    known = exp.Not(this=exp.Is(this=node.this.copy(), expression=exp.Null()))
    return exp.Filter(this=_call("MIN_BY", node.this, node.expression), expression=exp.Where(this=known))


def _window(node: exp.Expression) -> exp.Expression:
    if isinstance(node.this, exp.RowNumber):
        return node if isinstance(node.parent, exp.Cast) else exp.cast(node.copy(), "BIGINT")
    if isinstance(node.this, exp.Filter):
        aggregate, condition = node.this.this.copy(), node.this.expression.this
        value = exp.Literal.number(1) if isinstance(aggregate.this, exp.Star) else aggregate.this.copy()
        aggregate.set("this", exp.Case(ifs=[exp.If(this=condition.copy(), true=value)]))
        node.this.replace(aggregate)
    return node


_Change = Callable[[exp.Expression], exp.Expression]
_CHANGES: Iterable[tuple[type[exp.Expression], _Change]] = (
    (exp.RegexpFullMatch, _whole_match),
    (exp.RegexpLike, _match),
    (exp.RegexpReplace, _replacement),
    (exp.RegexpExtract, _extract),
    (exp.RegexpExtractAll, _extract),
    (exp.Length, _length),
    (exp.Trim, _trim),
    (exp.Upper, _upper),
    (exp.Split, _split),
    (exp.Anonymous, _anonymous),
    (exp.JarowinklerSimilarity, _similarity),
    (exp.Cast, _cast),
    (exp.TryCast, _try_cast),
    (exp.Literal, _number),
    (exp.BitwiseRightShift, _shift),
    (exp.Log, _logarithm),
    (exp.Round, _round),
    (exp.ArgMin, _least_of),
    (exp.Window, _window),
)
