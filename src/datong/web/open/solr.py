"""The part of Solr's query language that clients of CKAN use in `q` and `fq`, read into a tree of clauses.

    query   = either*                     what stands side by side must all hold
    either  = both (OR both)*
    both    = clause (AND clause)*
    clause  = [+|-|NOT] (group | field)
    group   = "(" query ")"
    field   = [name ":"] (word | "phrase" | range | group)
    range   = ("[" | "{") bound TO bound ("]" | "}")

Anything else is refused with the place where it stands; nothing typed can raise anything but `Invalid`.
"""

from __future__ import annotations

import re

from datong.kernel import Invalid, Text, Value

QUERY_CHARS_MAX = 4000
CLAUSES_MAX = 200
DEPTH_MAX = 20

_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<all>\*:\*)
  | (?P<range>[\[{]\s*(?P<low>"[^"]*"|\S+?)\s+TO\s+(?P<high>"[^"]*"|\S+?)\s*[\]}])
  | (?P<open>\()
  | (?P<close>\))
  | (?P<field>[A-Za-z_][A-Za-z0-9_.-]*):
  | "(?P<phrase>(?:[^"\\]|\\.)*)"(?:~\d*)?(?:\^[\d.]+)?
  | (?P<operator>&&|\|\||(?:AND|OR|NOT)(?=[\s()]|$))
  | (?P<sign>[+\-!](?=\S))
  | (?P<word>(?:[^\s()"\[\]{}\\]|\\.)+)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_BOOST = re.compile(r"(?:\^\d+(?:\.\d+)?|~\d*)$")


class Term(Value):
    """A value that a field (empty: any text) must have; `phrase` was quoted; `prefix` ended with an asterisk."""

    field: str = ""
    text: str
    phrase: bool = False
    prefix: bool = False


class Range(Value):
    """A field's value must lie between two bounds; an asterisk is no bound."""

    field: str = ""
    low: str
    high: str


class Every(Value):
    """Every member must hold."""

    members: tuple[Clause, ...]


class Some(Value):
    """At least one member must hold."""

    members: tuple[Clause, ...]


class Without(Value):
    """The member must not hold."""

    member: Clause


Clause = Term | Range | Every | Some | Without
Every.model_rebuild()
Some.model_rebuild()
Without.model_rebuild()


class _Token(Value):
    kind: str
    text: str
    place: int
    low: str = ""
    high: str = ""


def parse(query: str) -> Every:
    """Return what `query` asks for; an empty one asks for nothing in particular.

    Raises:
        Invalid: it is too long, too deep, or not in the language.
    """
    if len(query) > QUERY_CHARS_MAX:
        raise _unreadable(QUERY_CHARS_MAX, Text(zh="查询太长", en="the query is too long"))
    reader = _Reader(_tokens(query))
    found = reader.query("", 0)
    left = reader.peek()
    if left is not None:
        raise _unreadable(left.place, Text(zh="多余的右括号", en="a closing bracket too many"))
    return found


def _tokens(query: str) -> list[_Token]:
    found: list[_Token] = []
    place = 0
    while place < len(query):
        match = _TOKEN.match(query, place)
        if match is None:
            seen = query[place : place + 10]
            raise _unreadable(place, Text(zh=f"看不懂“{seen}”", en=f"{seen!r} makes no sense"))
        kind = match.lastgroup or ""
        kind = "range" if match["range"] is not None else kind
        if kind != "space":
            found.append(
                _Token(
                    kind=kind,
                    text=match[kind] or "",
                    place=place,
                    low=(match["low"] or "").strip('"'),
                    high=(match["high"] or "").strip('"'),
                )
            )
        place = match.end()
    if len(found) > CLAUSES_MAX:
        raise _unreadable(found[CLAUSES_MAX].place, Text(zh="查询的条件太多", en="the query has too many clauses"))
    return found


class _Reader:
    """Reads clauses from tokens; one pass, depth bounded."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens, self._next = tokens, 0

    def peek(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _take(self) -> _Token:
        self._next += 1
        return self._tokens[self._next - 1]

    def query(self, field: str, depth: int) -> Every:
        """Read clauses up to a closing bracket or the end."""
        if depth > DEPTH_MAX:
            at = self.peek()
            raise _unreadable(at.place if at else 0, Text(zh="括号嵌套太深", en="brackets are nested too deeply"))
        # Side by side, then alternatives, then what is joined by AND.
        runs: list[list[list[Clause]]] = []
        operator = ""
        while (token := self.peek()) is not None and token.kind != "close":
            if token.kind == "operator" and token.text != "NOT":
                operator = self._between(token, started=bool(runs))
                continue
            clause = self._clause(field, depth)
            if operator in _OR:
                runs[-1].append([clause])
            elif operator in _AND:
                runs[-1][-1].append(clause)
            else:
                runs.append([[clause]])
            operator = ""
        return Every(members=tuple(_either(run) for run in runs))

    def _between(self, token: _Token, *, started: bool) -> str:
        self._take()
        after = self.peek()
        if not started or after is None or after.kind == "close" or (after.kind == "operator" and after.text != "NOT"):
            why = Text(zh=f"{token.text} 两边要有条件", en=f"{token.text} needs two sides")
            raise _unreadable(token.place, why)
        return token.text

    def _clause(self, field: str, depth: int) -> Clause:
        token = self._take()
        if token.kind == "sign" or (token.kind == "operator" and token.text == "NOT"):
            member = self._deeper(token, field, depth)
            return member if token.text == "+" else Without(member=member)
        if token.kind == "field":
            return self._deeper(token, token.text, depth)
        if token.kind == "open":
            inside = self.query(field, depth + 1)
            if self.peek() is None:
                raise _unreadable(token.place, Text(zh="括号没有闭合", en="a bracket is not closed"))
            self._take()
            return inside
        return _leaf(field, token)

    def _deeper(self, token: _Token, field: str, depth: int) -> Clause:
        if self.peek() is None:
            raise _unreadable(token.place, Text(zh=f"“{token.text}”后面没有值", en=f"nothing follows {token.text!r}"))
        if depth > DEPTH_MAX:
            raise _unreadable(token.place, Text(zh="嵌套太深", en="nested too deeply"))
        return self._clause(field, depth + 1)


_OR = frozenset({"OR", "||"})
_AND = frozenset({"AND", "&&"})


def _either(run: list[list[Clause]]) -> Clause:
    alternatives: list[Clause] = [both[0] if len(both) == 1 else Every(members=tuple(both)) for both in run]
    return alternatives[0] if len(alternatives) == 1 else Some(members=tuple(alternatives))


def _leaf(field: str, token: _Token) -> Clause:
    match token.kind:
        case "all":
            return Every(members=())
        case "range":
            return Range(field=field, low=token.low, high=token.high)
        case "phrase":
            return Term(field=field, text=_ESCAPE.sub(r"\1", token.text), phrase=True)
        case "word":
            return _word(field, token)
        case _:
            why = Text(zh=f"这里不能是“{token.text}”", en=f"{token.text!r} cannot stand here")
            raise _unreadable(token.place, why)


def _word(field: str, token: _Token) -> Term:
    text = _BOOST.sub("", token.text)
    prefix = len(text) > 1 and text.endswith("*") and not text.endswith("\\*")
    return Term(field=field, text=_ESCAPE.sub(r"\1", text[:-1] if prefix else text), prefix=prefix)


def _unreadable(place: int, why: Text) -> Invalid:
    return Invalid(
        "ckan.query_unreadable",
        what=Text(zh=f"查询第 {place + 1} 个字符处：{why.zh}。", en=f"The query, at character {place + 1}: {why.en}."),
        remedy=Text(
            zh="可用的写法见 docs/interfaces.md；普通文字请加引号。",
            en="See docs/interfaces.md for what can be written; put plain text in quotes.",
        ),
        field="/q",
    )
