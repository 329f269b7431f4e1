"""The small language of derived libraries: expressions over named columns, read, typed, and rendered as SQL (ADR 0100).

An expression is never SQL: it is parsed here, every name must be in the scope, every type must fit, and the SQL is
composed from the parts. So nothing that an operator writes can reach a table, a file or a function that is not listed.

    total       = or
    or          = and {"or" and}            comparison = sum [("=" | "!=" | "<" | "<=" | ">" | ">=") sum]
    and         = not {"and" not}                      | sum ["not"] "in" "(" literal {"," literal} ")"
    not         = "not" not | comparison               | sum "is" ("missing" | "known")
    sum         = product {("+" | "-") product}
    product     = unary {("*" | "/") unary}
    unary       = "-" unary | literal | name | function "(" or {"," or} ")" | "(" or ")"

A missing value makes what is computed from it missing; so does a division by zero.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from datong.kernel import Invalid, Text

EXPRESSION_CHARS_MAX = 500
DEPTH_MAX = 20
NUMBER_SQL = "DECIMAL(24, 4)"
"""Every number: exact, so that the order of a sum does not matter and two engines agree."""


class Kind(StrEnum):
    """The type of a value."""

    NUMBER = "number"
    TEXT = "text"
    DATE = "date"
    BOOLEAN = "boolean"


KIND_NAMES: Mapping[Kind, Text] = {
    Kind.NUMBER: Text(zh="数值", en="number"),
    Kind.TEXT: Text(zh="文本", en="text"),
    Kind.DATE: Text(zh="日期", en="date"),
    Kind.BOOLEAN: Text(zh="真假", en="true or false"),
}
SQL_TYPES: Mapping[Kind, str] = {
    Kind.NUMBER: NUMBER_SQL,
    Kind.TEXT: "VARCHAR",
    Kind.DATE: "DATE",
    Kind.BOOLEAN: "BOOLEAN",
}


class Compiled(NamedTuple):
    """An expression that may run: its SQL, its type, and the names that it reads."""

    sql: str
    kind: Kind
    names: frozenset[str]


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


class _Term(NamedTuple):
    sql: str
    kind: Kind


_TOKEN = re.compile(
    r"\s*(?:(?P<number>[0-9]{1,15}(?:\.[0-9]{1,4})?(?![0-9.A-Za-z_]))|(?P<name>[A-Za-z_][A-Za-z0-9_]{0,63})"
    r"|'(?P<text>[^'\x00-\x1f]{0,200})'|(?P<sign><=|>=|!=|<>|[-+*/=<>(),]))"
)
_WORDS = frozenset({"and", "or", "not", "in", "is", "missing", "known", "true", "false"})
_COMPARISONS = {"=": "=", "!=": "<>", "<>": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


def compile_expression(text: str, scope: Mapping[str, Kind], *, field: str) -> Compiled:
    """Return `text` as SQL over the columns of `scope` (quoted as they are named there).

    Raises:
        Invalid: it is no expression, names what is not in scope, or its types do not fit; `field` is in the error.
    """
    if len(text) > EXPRESSION_CHARS_MAX:
        raise _invalid(
            field,
            Text(zh=f"表达式超过 {EXPRESSION_CHARS_MAX} 个字符", en=f"longer than {EXPRESSION_CHARS_MAX} characters"),
        )
    return _Parser(text, scope, field).whole()


def literal_sql(text: str) -> str:
    """Return `text` as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


class _Parser:
    def __init__(self, text: str, scope: Mapping[str, Kind], field: str) -> None:
        self.text = text
        self.scope = scope
        self.field = field
        self.tokens = self._cut()
        self.place = 0
        self.depth = 0
        self.names: set[str] = set()

    def whole(self) -> Compiled:
        term = self._either()
        if self._peek().kind != "end":
            raise self._unexpected()
        return Compiled(term.sql, term.kind, frozenset(self.names))

    def _cut(self) -> list[_Token]:
        tokens, place = [], 0
        end = len(self.text.rstrip())
        while place < end:
            found = _TOKEN.match(self.text, place)
            if found is None or found.lastgroup is None:
                raise self._wrong(
                    Text(zh=f"第 {place + 1} 个字符起无法识别", en=f"cannot be read from character {place + 1} on")
                )
            kind, value = found.lastgroup, found.group(found.lastgroup)
            word = value.lower()
            known = kind == "name" and word in _WORDS
            tokens.append(_Token("word" if known else kind, word if known else value, found.start(found.lastgroup)))
            place = found.end()
        tokens.append(_Token("end", "", end))
        return tokens

    def _peek(self) -> _Token:
        return self.tokens[self.place]

    def _next(self) -> _Token:
        token = self.tokens[self.place]
        self.place = min(self.place + 1, len(self.tokens) - 1)
        return token

    def _take(self, *texts: str) -> str | None:
        """Take the next token if it is one of these words or signs."""
        token = self._peek()
        if token.kind in ("word", "sign") and token.text in texts:
            self._next()
            return token.text
        return None

    def _expect(self, text: str) -> None:
        if self._take(text) is None:
            raise self._unexpected()

    def _either(self) -> _Term:
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise self._wrong(Text(zh="括号或嵌套过深", en="nested too deeply"))
        term = self._both()
        while self._take("or"):
            term = self._logical(term, self._both(), "OR")
        self.depth -= 1
        return term

    def _both(self) -> _Term:
        term = self._negated()
        while self._take("and"):
            term = self._logical(term, self._negated(), "AND")
        return term

    def _logical(self, left: _Term, right: _Term, word: str) -> _Term:
        self._require(left, Kind.BOOLEAN)
        self._require(right, Kind.BOOLEAN)
        return _Term(f"({left.sql} {word} {right.sql})", Kind.BOOLEAN)

    def _negated(self) -> _Term:
        times = 0
        while self._take("not"):
            times += 1
        term = self._comparison()
        if not times:
            return term
        self._require(term, Kind.BOOLEAN)
        return _Term(f"(NOT {term.sql})", Kind.BOOLEAN) if times % 2 else term

    def _comparison(self) -> _Term:
        left = self._sum()
        sign = self._take(*_COMPARISONS)
        if sign is not None:
            right = self._sum()
            self._require(right, left.kind)
            if left.kind is Kind.BOOLEAN and sign not in ("=", "!=", "<>"):
                raise self._wrong(Text(zh="真假值只能比较是否相等", en="true and false can only be equal or not"))
            return _Term(f"({left.sql} {_COMPARISONS[sign]} {right.sql})", Kind.BOOLEAN)
        if self._take("is"):
            word = self._take("missing", "known")
            if word is None:
                raise self._unexpected()
            return _Term(f"({left.sql} IS {'NOT ' if word == 'known' else ''}NULL)", Kind.BOOLEAN)
        outside = self._take("not") is not None
        if self._take("in"):
            return self._among(left, outside)
        if outside:
            raise self._unexpected()
        return left

    def _among(self, left: _Term, outside: bool) -> _Term:
        self._expect("(")
        choices = []
        while True:
            choice = self._unary()
            self._require(choice, left.kind)
            choices.append(choice.sql)
            if self._take(",") is None:
                break
        self._expect(")")
        return _Term(f"({left.sql} {'NOT ' if outside else ''}IN ({', '.join(choices)}))", Kind.BOOLEAN)

    def _sum(self) -> _Term:
        term = self._product()
        while sign := self._take("+", "-"):
            term = self._number(term, self._product(), f"({{}} {sign} {{}})")
        return term

    def _product(self) -> _Term:
        term = self._unary()
        while sign := self._take("*", "/"):
            form = "({} * {})" if sign == "*" else "({} / nullif({}, 0))"
            term = self._number(term, self._unary(), form)
        return term

    def _number(self, left: _Term, right: _Term, form: str) -> _Term:
        # Doubles in between, so that a product cannot overflow; every result is rounded to an exact number.
        self._require(left, Kind.NUMBER)
        self._require(right, Kind.NUMBER)
        doubles = (f"CAST({left.sql} AS DOUBLE)", f"CAST({right.sql} AS DOUBLE)")
        return _Term(_exact(form.format(*doubles)), Kind.NUMBER)

    def _unary(self) -> _Term:
        negative = 0
        while self._take("-"):
            negative += 1
        term = self._primary()
        if not negative:
            return term
        self._require(term, Kind.NUMBER)
        return _Term(f"(-{term.sql})", Kind.NUMBER) if negative % 2 else term

    def _primary(self) -> _Term:
        token = self._peek()
        if self._take("("):
            term = self._either()
            self._expect(")")
            return term
        if word := self._take("true", "false"):
            return _Term(word, Kind.BOOLEAN)
        if token.kind == "number":
            self._next()
            return _Term(f"CAST({token.text} AS {NUMBER_SQL})", Kind.NUMBER)
        if token.kind == "text":
            self._next()
            return _Term(literal_sql(token.text), Kind.TEXT)
        if token.kind != "name":
            raise self._unexpected()
        self._next()
        if self._take("("):
            return self._call(token)
        kind = self.scope.get(token.text)
        if kind is None:
            known = "、".join(sorted(self.scope)) or "-"
            raise self._wrong(
                Text(
                    zh=f"没有名为 {token.text} 的列（可用：{known}）",
                    en=f"there is no {token.text} (there are: {known})",
                )
            )
        self.names.add(token.text)
        return _Term(f'"{token.text}"', kind)

    def _call(self, name: _Token) -> _Term:
        function = _FUNCTIONS.get(name.text.lower())
        if function is None:
            known = "、".join(_FUNCTIONS)
            raise self._wrong(
                Text(zh=f"没有函数 {name.text}（可用：{known}）", en=f"there is no function {name.text} (use: {known})")
            )
        arguments = []
        while True:
            arguments.append(self._either())
            if self._take(",") is None:
                break
        self._expect(")")
        return function(self, arguments)

    def same(self, arguments: list[_Term], least: int, most: int) -> Kind:
        """Return the one kind of all arguments, of which there must be `least` to `most`."""
        self.counted(arguments, least, most)
        for argument in arguments:
            self._require(argument, arguments[0].kind)
        return arguments[0].kind

    def counted(self, arguments: list[_Term], least: int, most: int) -> None:
        """Refuse a wrong number of arguments."""
        if not least <= len(arguments) <= most:
            raise self._wrong(
                Text(
                    zh=f"函数应有 {least} 到 {most} 个参数，实际 {len(arguments)} 个",
                    en=f"the function takes {least} to {most} arguments, not {len(arguments)}",
                )
            )

    def require(self, term: _Term, kind: Kind) -> None:
        """Refuse a term of another kind."""
        self._require(term, kind)

    def _require(self, term: _Term, kind: Kind) -> None:
        if term.kind is not kind:
            raise self._wrong(
                Text(
                    zh=f"此处应为{KIND_NAMES[kind].zh}，实际是{KIND_NAMES[term.kind].zh}",
                    en=f"a {KIND_NAMES[kind].en} is needed here, not a {KIND_NAMES[term.kind].en}",
                )
            )

    def wrong_date(self, text: str) -> Invalid:
        """Return the error of a date that does not exist."""
        return self._wrong(Text(zh=f"{text} 不是日期（应如 2025-01-31）", en=f"{text} is no date (write 2025-01-31)"))

    def _unexpected(self) -> Invalid:
        token = self._peek()
        if token.kind == "end":
            return self._wrong(Text(zh="表达式不完整", en="the expression breaks off"))
        return self._wrong(
            Text(
                zh=f"第 {token.position + 1} 个字符处不应有“{token.text}”",
                en=f"“{token.text}” is not expected at character {token.position + 1}",
            )
        )

    def _wrong(self, problem: Text) -> Invalid:
        return _invalid(self.field, problem)


def _exact(sql: str) -> str:
    return f"TRY_CAST(round({sql}, 4) AS {NUMBER_SQL})"


def _extreme(name: str) -> Callable[[_Parser, list[_Term]], _Term]:
    def function(parser: _Parser, arguments: list[_Term]) -> _Term:
        kind = parser.same(arguments, 2, 10)
        return _Term(f"{name}({', '.join(argument.sql for argument in arguments)})", kind)

    return function


def _absolute(parser: _Parser, arguments: list[_Term]) -> _Term:
    parser.counted(arguments, 1, 1)
    parser.require(arguments[0], Kind.NUMBER)
    return _Term(f"abs({arguments[0].sql})", Kind.NUMBER)


def _rounded(parser: _Parser, arguments: list[_Term]) -> _Term:
    parser.counted(arguments, 1, 1)
    parser.require(arguments[0], Kind.NUMBER)
    return _Term(_exact(f"round({arguments[0].sql}, 0)"), Kind.NUMBER)


def _choice(parser: _Parser, arguments: list[_Term]) -> _Term:
    parser.counted(arguments, 3, 3)
    parser.require(arguments[0], Kind.BOOLEAN)
    parser.require(arguments[2], arguments[1].kind)
    condition, yes, no = (argument.sql for argument in arguments)
    return _Term(f"(CASE WHEN {condition} THEN {yes} ELSE {no} END)", arguments[1].kind)


def _day(parser: _Parser, arguments: list[_Term]) -> _Term:
    parser.counted(arguments, 1, 1)
    parser.require(arguments[0], Kind.TEXT)
    text = arguments[0].sql.strip("'")
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise parser.wrong_date(text) from error
    return _Term(f"DATE '{day.isoformat()}'", Kind.DATE)


_FUNCTIONS: Mapping[str, Callable[[_Parser, list[_Term]], _Term]] = {
    "coalesce": _extreme("coalesce"),
    "least": _extreme("least"),
    "greatest": _extreme("greatest"),
    "abs": _absolute,
    "round": _rounded,
    "if": _choice,
    "date": _day,
}


def _invalid(field: str, problem: Text) -> Invalid:
    return Invalid(
        "library.expression_invalid",
        what=Text(zh=f"{field} 的表达式有误：{problem.zh}。", en=f"The expression at {field}: {problem.en}."),
        remedy=Text(
            zh="请按 docs/library/definitions.md 的“表达式”一节改正。",
            en="Correct it by “Expressions” in docs/library/definitions.md.",
        ),
        field=field,
    )
