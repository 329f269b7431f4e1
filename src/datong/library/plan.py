"""From a derivation to what may run: every name resolved, every expression typed. Pure; what it refuses is not run.

Used when a definition is checked and again when it is built, so that a build cannot meet a definition that was never
checked against the libraries it reads.
"""

from collections.abc import Mapping
from typing import NamedTuple

from datong.kernel import Invalid, Text
from datong.library.definition import Definition
from datong.library.derivation import OWN_ID, VERDICT_COLUMN, DerivedInput, EdgeRule, Measure, Rule, measure_kind
from datong.library.expressions import Compiled, Kind, compile_expression
from datong.norms import DataElement, DataType, NormPack

NUMBERS = (DataType.NUMERIC, DataType.CURRENCY, DataType.DOUBLE, DataType.INTEGER, DataType.FLOAT)

Columns = Mapping[str, Kind]


class PlannedInput(NamedTuple):
    """An input and the columns that are read of it."""

    input: DerivedInput
    columns: Columns


class PlannedMeasure(NamedTuple):
    """A measure with its expressions."""

    measure: Measure
    kind: Kind
    of: Compiled | None
    where: Compiled | None
    compute: Compiled | None


class PlannedRule(NamedTuple):
    """A rule with its expressions."""

    rule: Rule
    value: Compiled
    threshold: Compiled


class Plan(NamedTuple):
    """A derivation that may run."""

    inputs: tuple[PlannedInput, ...]
    by: Kind
    where: Compiled | None
    measures: tuple[PlannedMeasure, ...]
    rules: tuple[PlannedRule, ...]


def element_kind(element: DataElement) -> Kind:
    """Return the type that an element's values have in expressions."""
    if element.codes or element.data_type not in (*NUMBERS, DataType.DATE):
        return Kind.TEXT
    return Kind.DATE if element.data_type is DataType.DATE else Kind.NUMBER


def library_columns(definition: Definition, libraries: Mapping[str, Definition], pack: NormPack) -> dict[str, Kind]:
    """Return the columns of a library's published table."""
    if definition.derivation is not None:
        plan = plan_derivation(definition, libraries, pack)
        own = {known.measure.code: known.kind for known in plan.measures}
        by = definition.derivation.subject.by
        return {OWN_ID: Kind.TEXT, by: plan.by, VERDICT_COLUMN: Kind.TEXT, **own}
    return {OWN_ID: Kind.TEXT} | {
        rule.code: element_kind(pack.element(rule.code)) for rule in definition.elements if pack.has_element(rule.code)
    }


def input_columns(
    given: DerivedInput, libraries: Mapping[str, Definition], pack: NormPack, *, field: str
) -> dict[str, Kind]:
    """Return the columns that an input has: a library's own, or (of a role) every data element.

    Raises:
        Invalid: there is no such library, or it has no such role.
    """
    library = libraries.get(given.library)
    if library is None:
        known = "、".join(libraries)
        raise _invalid(
            f"{field}/library",
            Text(zh=f"没有名为 {given.library} 的资源库（现有：{known}）", en=f"there is no {given.library} ({known})"),
        )
    if given.role is None:
        return library_columns(library, libraries, pack)
    if given.role not in {role.key for role in library.roles}:
        roles = "、".join(role.key for role in library.roles) or "-"
        raise _invalid(
            f"{field}/role",
            Text(
                zh=f"资源库 {given.library} 没有角色 {given.role}（现有：{roles}）",
                en=f"{given.library} has no role {given.role} (it has: {roles})",
            ),
        )
    return {OWN_ID: Kind.TEXT} | {element.code: element_kind(element) for element in pack.elements}


def plan_derivation(definition: Definition, libraries: Mapping[str, Definition], pack: NormPack) -> Plan:
    """Return how to derive `definition` from `libraries`.

    Raises:
        Invalid: a name or an expression in it does not fit; the error's field says which.
    """
    derivation = definition.derivation
    if derivation is None:
        raise AssertionError("only a derived library is derived")
    refuse_circles(definition, libraries)
    columns = {
        given.name: input_columns(given, libraries, pack, field=f"/derivation/inputs/{place}")
        for place, given in enumerate(derivation.inputs)
    }
    subject = columns[derivation.inputs[0].name]
    needed: dict[str, set[str]] = {given.name: {OWN_ID} for given in derivation.inputs}
    first = derivation.inputs[0].name
    needed[first].add(_column(derivation.subject.by, subject, "/derivation/subject/by"))
    for place, given in enumerate(derivation.inputs[1:], start=1):
        field = f"/derivation/inputs/{place}"
        needed[given.name].add(_column(given.column, columns[given.name], f"{field}/column"))
        needed[first].add(_column(given.to, subject, f"{field}/to"))
    compiled: dict[str, Compiled] = {}
    for name, field, text in derivation.expressions():
        if name not in columns:
            raise _invalid(
                field.rsplit("/", 1)[0] + "/input", Text(zh=f"没有名为 {name} 的输入", en=f"there is no input {name}")
            )
        compiled[field] = compile_expression(text, columns[name], field=field)
        needed[name] |= compiled[field].names
    where = compiled.get("/derivation/subject/where")
    _boolean(where, "/derivation/subject/where")
    measures, rules = _plan_measures(definition, columns, compiled)
    return Plan(
        inputs=tuple(
            PlannedInput(given, {name: columns[given.name][name] for name in sorted(needed[given.name])})
            for given in derivation.inputs
        ),
        by=subject[derivation.subject.by],
        where=where,
        measures=measures,
        rules=rules,
    )


class PlannedEdge(NamedTuple):
    """A kind of relation with its conditions."""

    edge: EdgeRule
    where: Compiled | None
    to_where: Compiled | None


class GraphPlan(NamedTuple):
    """A graph that may be made."""

    inputs: tuple[PlannedInput, ...]
    edges: tuple[PlannedEdge, ...]


def plan_graph(definition: Definition, libraries: Mapping[str, Definition], pack: NormPack) -> GraphPlan:
    """Return how to make the graph `definition` from `libraries`.

    Raises:
        Invalid: a name or a condition in it does not fit; the error's field says which.
    """
    if definition.graph is None:
        raise AssertionError("only a graph has edges")
    refuse_circles(definition, libraries)
    columns = {
        given.name: input_columns(given, libraries, pack, field=f"/graph/inputs/{place}")
        for place, given in enumerate(definition.graph.inputs)
    }
    needed: dict[str, set[str]] = {name: {OWN_ID} for name in columns}
    edges = []
    for place, edge in enumerate(definition.graph.edges):
        field = f"/graph/edges/{place}"
        where = _condition(edge.input, edge.where, columns, needed, f"{field}/input", f"{field}/where")
        for name, code in (("element", edge.element), ("attribute", edge.attribute)):
            if code is not None:
                needed[edge.input].add(_column(code, columns[edge.input], f"{field}/{name}"))
        to_where = None
        if edge.to.input is not None:
            to_where = _condition(
                edge.to.input, edge.to.where, columns, needed, f"{field}/to/input", f"{field}/to/where"
            )
            needed[edge.to.input].add(_column(edge.to.column, columns[edge.to.input], f"{field}/to/column"))
        edges.append(PlannedEdge(edge, where, to_where))
    return GraphPlan(
        inputs=tuple(
            PlannedInput(given, {name: columns[given.name][name] for name in sorted(needed[given.name])})
            for given in definition.graph.inputs
        ),
        edges=tuple(edges),
    )


def _condition(
    name: str,
    text: str | None,
    columns: Mapping[str, Columns],
    needed: Mapping[str, set[str]],
    input_field: str,
    field: str,
) -> Compiled | None:
    """Return the condition `text` over the rows of the input `name`."""
    if name not in columns:
        raise _invalid(input_field, Text(zh=f"没有名为 {name} 的输入", en=f"there is no input {name}"))
    if text is None:
        return None
    compiled = compile_expression(text, columns[name], field=field)
    _boolean(compiled, field)
    needed[name].update(compiled.names)
    return compiled


def _plan_measures(
    definition: Definition, columns: Mapping[str, Columns], compiled: Mapping[str, Compiled]
) -> tuple[tuple[PlannedMeasure, ...], tuple[PlannedRule, ...]]:
    derivation = definition.derivation
    if derivation is None:
        raise AssertionError("only a derived library is derived")
    limits = {known.code: Kind.NUMBER for known in derivation.parameters}
    scope: dict[str, Kind] = dict(limits)
    measures = []
    # Taken measures first: what is computed may use all of them, and computed ones above it.
    ordered = sorted(enumerate(derivation.measures), key=lambda pair: pair[1].compute is not None)
    for place, measure in ordered:
        field = f"/derivation/measures/{place}"
        of, where = compiled.get(f"{field}/of"), compiled.get(f"{field}/where")
        computed = None
        if measure.compute is not None:
            computed = compile_expression(measure.compute, scope, field=f"{field}/compute")
            kind = computed.kind
        else:
            if measure.input not in columns:
                raise _invalid(
                    f"{field}/input",
                    Text(zh=f"没有名为 {measure.input} 的输入", en=f"there is no input {measure.input}"),
                )
            _boolean(where, f"{field}/where")
            if measure.take == "sum" and of is not None and of.kind is not Kind.NUMBER:
                raise _invalid(f"{field}/of", Text(zh="只有数值可以求和", en="only numbers have a sum"))
            if measure.take in ("any", "all"):
                _boolean(of, f"{field}/of")
            kind = measure_kind(measure, of.kind if of else None)
        scope[measure.code] = kind
        measures.append(PlannedMeasure(measure, kind, of, where, computed))
    rules = []
    for place, rule in enumerate(derivation.rules):
        field = f"/derivation/rules/{place}"
        value = compile_expression(rule.value, scope, field=f"{field}/value")
        threshold = compile_expression(rule.threshold, limits, field=f"{field}/threshold")
        if value.kind is not threshold.kind:
            raise _invalid(
                f"{field}/threshold", Text(zh="值与阈值的类型不同", en="value and threshold are of different types")
            )
        if value.kind in (Kind.BOOLEAN, Kind.TEXT) and rule.must not in ("equal", "differ"):
            raise _invalid(
                f"{field}/must", Text(zh="文本和真假只能用 equal 或 differ", en="text and truth are equal or differ")
            )
        rules.append(PlannedRule(rule, value, threshold))
    return tuple(measures), tuple(rules)


def refuse_circles(definition: Definition, libraries: Mapping[str, Definition]) -> None:
    """Raise Invalid if `definition` derives from itself, directly or through others."""
    waiting = list(definition.inputs)
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name == definition.name:
            raise _invalid(
                "/derivation/inputs", Text(zh="资源库直接或间接由自身派生", en="the library derives from itself")
            )
        if name not in seen and name in libraries:
            seen.add(name)
            waiting.extend(libraries[name].inputs)


def _column(name: str, columns: Columns, field: str) -> str:
    if name not in columns:
        raise _invalid(field, Text(zh=f"没有列 {name}", en=f"there is no column {name}"))
    return name


def _boolean(found: Compiled | None, field: str) -> None:
    if found is not None and found.kind is not Kind.BOOLEAN:
        raise _invalid(field, Text(zh="此处应是条件（真或假）", en="a condition is needed here"))


def _invalid(field: str, problem: Text) -> Invalid:
    return Invalid(
        "library.derivation_invalid",
        what=Text(zh=f"{field}：{problem.zh}。", en=f"{field}: {problem.en}."),
        remedy=Text(zh="请改正该处后重试。", en="Correct that place and try again."),
        field=field,
    )
