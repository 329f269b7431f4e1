"""What a derived library is made of: inputs, who is judged, what is measured, by which rules. Pure values, no data.

A derived library has one entity per value of `subject.by` in the golden records of its first input: per household, per
firm. Every measure is counted over an input's rows that belong to the entity, or computed from other measures; every
rule compares a measure with a threshold and gives a verdict; the verdicts together say in or out.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Literal

from pydantic import Field, model_validator

from datong.kernel import Text, Value
from datong.library.expressions import EXPRESSION_CHARS_MAX, Kind

CODE_PATTERN = r"^[a-z][a-z0-9_]{0,39}$"
INPUTS_MAX = 12
MEASURES_MAX = 60
RULES_MAX = 40
OWN_ID = "entity_id"
VERDICT_COLUMN = "verdict"
EDGE_COLUMNS = ("kind", "from_type", "from_id", "to_type", "to_id", "attribute")
VERDICT_TITLE = Text(zh="结论", en="Verdict")


class Faulty(ValueError):
    """A fault that a model finds in itself, in both languages."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.text = Text(zh=zh, en=en)


class Verdict(StrEnum):
    """What a rule says of an entity, and what all rules say together."""

    MET = "pass"
    NOT_MET = "fail"
    UNKNOWN = "unknown"


class DerivedInput(Value):
    """A published table: the golden records of `library`, or (with `role`) its sources' records of that role.

    Rows belong to an entity if their `column` equals `to` of one of the subject's golden records.
    """

    name: str = Field(pattern=CODE_PATTERN)
    library: str = Field(pattern=CODE_PATTERN)
    role: str | None = Field(None, pattern=CODE_PATTERN)
    column: str = Field(OWN_ID, pattern=CODE_PATTERN)
    to: str = Field(OWN_ID, pattern=CODE_PATTERN)


class Subject(Value):
    """Who is judged: the golden records of the first input that meet `where`, together by their value of `by`."""

    by: str = Field(OWN_ID, pattern=CODE_PATTERN)
    where: str | None = Field(None, max_length=EXPRESSION_CHARS_MAX)


class Parameter(Value):
    """A number that a city sets: a limit, a share. `basis` cites what it follows from."""

    code: str = Field(pattern=CODE_PATTERN)
    title: Text
    value: float = Field(ge=-1e12, le=1e12)
    unit: str = Field("", max_length=20)
    basis: str = Field("", max_length=200)


class Measure(Value):
    """A column of the derived table: `take` of `of` over the rows of `input` that meet `where`, or `compute`.

    `missing` says what a sum does with rows whose value is missing: `skip` them, or be `unknown` itself.
    """

    code: str = Field(pattern=CODE_PATTERN)
    title: Text
    unit: str = Field("", max_length=20)
    input: str | None = Field(None, pattern=CODE_PATTERN)
    take: Literal["count", "distinct", "sum", "min", "max", "first", "any", "all"] | None = None
    of: str | None = Field(None, max_length=EXPRESSION_CHARS_MAX)
    where: str | None = Field(None, max_length=EXPRESSION_CHARS_MAX)
    missing: Literal["skip", "unknown"] = "skip"
    compute: str | None = Field(None, max_length=EXPRESSION_CHARS_MAX)

    @model_validator(mode="after")
    def _one_way(self) -> "Measure":
        if (self.compute is None) == (self.take is None):
            raise Faulty("度量只能有 take 或 compute 之一", "a measure has either `take` or `compute`")
        if self.compute is not None and (self.of or self.where or self.input):
            raise Faulty("用 compute 的度量没有 input、of、where", "a computed measure has no `input`, `of` or `where`")
        if self.take is not None and self.input is None:
            raise Faulty("take 需要 input", "`take` needs an `input`")
        if self.take is not None and (self.of is None) != (self.take == "count"):
            raise Faulty("除 count 外，take 须用 of 说明对什么计算", "every `take` but `count` says of what (`of`)")
        return self


class Rule(Value):
    """`value` must stand in the relation `must` to `threshold`; `missing` is the verdict where the value is missing."""

    code: str = Field(pattern=CODE_PATTERN)
    title: Text
    value: str = Field(min_length=1, max_length=EXPRESSION_CHARS_MAX)
    must: Literal["at_most", "at_least", "below", "above", "equal", "differ"]
    threshold: str = Field(min_length=1, max_length=EXPRESSION_CHARS_MAX)
    unit: str = Field("", max_length=20)
    missing: Verdict = Verdict.UNKNOWN
    basis: str = Field("", max_length=200)


class VerdictTitles(Value):
    """What the verdicts are called in this library."""

    passed: Text = Text(zh="纳入", en="in")
    failed: Text = Text(zh="不纳入", en="out")
    unknown: Text = Text(zh="待核实", en="to be verified")


class Derivation(Value):
    """How a derived library is made; `combine` says whether all rules must pass or one suffices."""

    inputs: tuple[DerivedInput, ...] = Field(min_length=1, max_length=INPUTS_MAX)
    subject: Subject = Subject()
    parameters: tuple[Parameter, ...] = Field((), max_length=MEASURES_MAX)
    measures: tuple[Measure, ...] = Field(min_length=1, max_length=MEASURES_MAX)
    rules: tuple[Rule, ...] = Field(min_length=1, max_length=RULES_MAX)
    combine: Literal["all", "any"] = "all"
    verdicts: VerdictTitles = VerdictTitles()

    @model_validator(mode="after")
    def _names_are_unique(self) -> "Derivation":
        for names in (
            [known.name for known in self.inputs],
            [*(known.code for known in self.measures), *(known.code for known in self.parameters)],
            [known.code for known in self.rules],
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise Faulty(f"名称重复：{'、'.join(twice)}", f"names that occur twice: {', '.join(twice)}")
        reserved = {OWN_ID, VERDICT_COLUMN, "reasons_zh", "reasons_en", self.subject.by} & {
            m.code for m in self.measures
        }
        if reserved:
            told = ", ".join(sorted(reserved))
            raise Faulty(f"表自身要用的名称：{told}", f"names that the table needs itself: {told}")
        if self.inputs[0].role is not None:
            raise Faulty(
                "第一个输入是主体所在的资源库（主记录），不带 role",
                "the first input is the subject's library: golden records, without a role",
            )
        return self

    def expressions(self) -> Iterator[tuple[str, str, str]]:
        """Yield every expression over an input's rows: the input's name, the field, the text."""
        first = self.inputs[0].name
        if self.subject.where is not None:
            yield first, "/derivation/subject/where", self.subject.where
        for place, measure in enumerate(self.measures):
            for name in ("of", "where"):
                text = getattr(measure, name)
                if text is not None:
                    yield measure.input or first, f"/derivation/measures/{place}/{name}", text


class EdgeTarget(Value):
    """What an edge leads to: the entities of another input whose `column` has the value, or a node of its own."""

    input: str | None = Field(None, pattern=CODE_PATTERN)
    column: str = Field(OWN_ID, pattern=CODE_PATTERN)
    where: str | None = Field(None, max_length=EXPRESSION_CHARS_MAX)
    node: str | None = Field(None, pattern=CODE_PATTERN)

    @model_validator(mode="after")
    def _one_way(self) -> "EdgeTarget":
        if (self.input is None) == (self.node is None):
            raise Faulty("边的另一端是 input 或 node 之一", "an edge leads to an `input` or to a `node`")
        return self


class EdgeRule(Value):
    """One kind of relation: from the entity of an input's row to where the row's `element` leads.

    `attribute` is a further column of the row that says more (the relation to the head, the share held).
    """

    kind: str = Field(pattern=CODE_PATTERN)
    title: Text
    input: str = Field(pattern=CODE_PATTERN)
    element: str = Field(pattern=CODE_PATTERN)
    where: str | None = Field(None, max_length=EXPRESSION_CHARS_MAX)
    attribute: str | None = Field(None, pattern=CODE_PATTERN)
    to: EdgeTarget


class Graph(Value):
    """How a graph of entities is made; an input that nobody published has no edges."""

    inputs: tuple[DerivedInput, ...] = Field(min_length=1, max_length=INPUTS_MAX)
    edges: tuple[EdgeRule, ...] = Field(min_length=1, max_length=RULES_MAX)

    @model_validator(mode="after")
    def _kinds_are_unique(self) -> "Graph":
        kinds = [edge.kind for edge in self.edges]
        if len(set(kinds)) < len(kinds) or len({given.name for given in self.inputs}) < len(self.inputs):
            raise Faulty("边的类型或输入的名称重复", "a kind of edge or the name of an input occurs twice")
        return self


def measure_kind(measure: Measure, of: Kind | None) -> Kind:
    """Return the type of a taken measure, given the type of what it is taken of."""
    if measure.take in ("count", "distinct", "sum"):
        return Kind.NUMBER
    if measure.take in ("any", "all"):
        return Kind.BOOLEAN
    return of or Kind.TEXT
