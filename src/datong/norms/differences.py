"""What a new version of a pack breaks: every difference between two packs, and how grave it is.

Pure. A difference is *breaking* when data, agreements or numbers that were right by the old pack may be wrong by the
new one; *compatible* when everything that was right stays right; *editorial* when only words change.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum

from datong.kernel import Text, Value, both
from datong.norms.cross_checks import entry_key
from datong.norms.entries import CodeList, Entry
from datong.norms.pack import SECTION_FIELDS, NormPack
from datong.norms.terms import Grade, Mask

_SHOWN_CHARS_MAX = 200
_IGNORED = frozenset({"code", "key", "codes", "null_markers"})


class Severity(StrEnum):
    """How grave a difference is."""

    BREAKING = "breaking"
    COMPATIBLE = "compatible"
    EDITORIAL = "editorial"

    @property
    def label(self) -> Text:
        """The severity in words."""
        return _SEVERITIES[self]


class ChangeKind(StrEnum):
    """What happened to an entry or a field."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class PackChange(Value):
    """One difference: its place (YAML path), what stood there before and after (None: nothing), and what follows."""

    path: str
    kind: ChangeKind
    severity: Severity
    before: str | None
    after: str | None
    effect: Text


class PackDifference(Value):
    """Every difference between two packs, the gravest first."""

    before: str
    after: str
    changes: tuple[PackChange, ...]

    def of(self, severity: Severity) -> tuple[PackChange, ...]:
        """The changes of one severity."""
        return tuple(change for change in self.changes if change.severity is severity)

    @property
    def breaking(self) -> bool:
        """Whether anything breaks."""
        return bool(self.of(Severity.BREAKING))


Verdict = tuple[Severity, Text]
Rule = Callable[[object, object], Verdict]


def compare_packs(before: NormPack, after: NormPack) -> PackDifference:
    """Return every difference between two packs; a pack does not differ from itself."""
    changes = [
        *(
            change
            for section in SECTION_FIELDS
            for change in _section(section, getattr(before, section), getattr(after, section))
        ),
        *_divisions(before, after),
        *_calendar(before, after),
        *_settings(before, after),
    ]
    order = list(Severity)
    changes.sort(key=lambda change: (order.index(change.severity), change.path))
    return PackDifference(before=before.version, after=after.version, changes=tuple(changes))


def _section(section: str, before: Sequence[Entry], after: Sequence[Entry]) -> Iterable[PackChange]:
    old = {entry_key(entry): entry for entry in before}
    new = {entry_key(entry): entry for entry in after}
    for key in old.keys() | new.keys():
        path = f"{section}.{key}"
        if key not in new:
            yield _change(path, _name(old[key]), None, (Severity.BREAKING, _REMOVED))
        elif key not in old:
            yield _change(path, None, _name(new[key]), (Severity.COMPATIBLE, _ADDED))
        elif old[key] is not new[key] and old[key] != new[key]:
            yield from _fields(section, path, old[key], new[key])


def _fields(section: str, path: str, before: Entry, after: Entry) -> Iterable[PackChange]:
    for field in type(before).model_fields:
        if field in _IGNORED:
            continue
        was, becomes = getattr(before, field), getattr(after, field)
        if was == becomes:
            continue
        if field == "name" and isinstance(was, Text) and isinstance(becomes, Text):
            yield _renamed(section, path, was, becomes)
            continue
        rule = _RULES.get((section, field)) or _RULES.get(("", field)) or _editorial
        yield _change(f"{path}.{field}", was, becomes, rule(was, becomes))
    if isinstance(before, CodeList) and isinstance(after, CodeList):
        yield from _codes(path, before, after)


def _renamed(section: str, path: str, was: Text, becomes: Text) -> PackChange:
    """The Chinese name of a class says what it means; other names are words."""
    grave = section == "classifications" and was.zh != becomes.zh
    return _change(f"{path}.name", was, becomes, (Severity.BREAKING, _MEANING) if grave else _editorial(was, becomes))


def _codes(path: str, before: CodeList, after: CodeList) -> Iterable[PackChange]:
    for code in {member.code: None for member in (*before.codes, *after.codes)}:
        old, new = before.code(code), after.code(code)
        place = f"{path}.codes.{code}"
        if new is None and old is not None:
            yield _change(place, old.name, None, (Severity.BREAKING, _CODE_GONE))
        elif old is None and new is not None:
            yield _change(place, None, new.name, (Severity.COMPATIBLE, _ADDED))
        elif old is not None and new is not None and old != new:
            if old.name.zh != new.name.zh:
                yield _change(f"{place}.name", old.name, new.name, (Severity.BREAKING, _MEANING))
            elif old.name != new.name:
                yield _change(f"{place}.name", old.name, new.name, _editorial(old, new))
            if old.aliases != new.aliases:
                yield _change(f"{place}.aliases", old.aliases, new.aliases, _fewer(old.aliases, new.aliases))
            for field in ("valid_from", "valid_until"):
                was, becomes = getattr(old, field), getattr(new, field)
                if was != becomes:
                    yield _change(f"{place}.{field}", was, becomes, _RULES["", field](was, becomes))


def _divisions(before: NormPack, after: NormPack) -> Iterable[PackChange]:
    old = {(division.code, division.name): division for division in before.divisions}
    new = {(division.code, division.name): division for division in after.divisions}
    for key in old.keys() | new.keys():
        if old.get(key) != new.get(key):
            # A region that is no longer known raises a doubt, never an error: nothing breaks.
            verdict = (Severity.COMPATIBLE, _DIVISION)
            yield _change(f"divisions.{key[0]}", _division(old.get(key)), _division(new.get(key)), verdict)


def _calendar(before: NormPack, after: NormPack) -> Iterable[PackChange]:
    for day in before.calendar.keys() | after.calendar.keys():
        was, becomes = before.calendar.get(day), after.calendar.get(day)
        if was is not becomes:
            yield _change(f"calendar.{day}", was, becomes, (Severity.BREAKING, _DEADLINES))


def _settings(before: NormPack, after: NormPack) -> Iterable[PackChange]:
    for field, verdict in {
        "code_serial_digits": (Severity.BREAKING, _CODES_WIDTH),
        "code_detail_max": (Severity.BREAKING, _CODES_WIDTH),
        "scoring": (Severity.BREAKING, _NUMBERS),
        "synonyms": (Severity.COMPATIBLE, _SEARCH),
    }.items():
        was, becomes = getattr(before, field), getattr(after, field)
        if was != becomes:
            yield _change(field, was, becomes, verdict)
    was, becomes = _null_markers(before), _null_markers(after)
    if was != becomes:
        yield _change("null_markers", was, becomes, (Severity.BREAKING, _MARKERS))


def _null_markers(pack: NormPack) -> tuple[str, ...]:
    return pack.elements[0].null_markers if pack.elements else ()


def _change(path: str, before: object, after: object, verdict: Verdict) -> PackChange:
    severity, effect = verdict
    kind = ChangeKind.ADDED if before is None else ChangeKind.REMOVED if after is None else ChangeKind.CHANGED
    return PackChange(
        path=path, kind=kind, severity=severity, before=_shown(before), after=_shown(after), effect=effect
    )


def _shown(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, Text):
        return both(value)
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= _SHOWN_CHARS_MAX else text[:_SHOWN_CHARS_MAX] + "…"


def _name(entry: Entry) -> Text:
    name = getattr(entry, "name", None)
    return name if isinstance(name, Text) else Text(zh=entry_key(entry), en=entry_key(entry))


def _division(division: object) -> str | None:
    return None if division is None else str(division)


# Rules: what a change of one field means. They look at the values before and after, nothing else.


def _editorial(_was: object, _becomes: object) -> Verdict:
    return Severity.EDITORIAL, _WORDS


def _always(severity: Severity, effect: Text) -> Rule:
    return lambda _was, _becomes: (severity, effect)


def _smaller_breaks(effect: Text) -> Rule:
    def rule(was: object, becomes: object) -> Verdict:
        smaller = isinstance(was, int) and isinstance(becomes, int) and becomes < was
        return (Severity.BREAKING, effect) if smaller else (Severity.COMPATIBLE, _WIDER)

    return rule


def _grade(was: object, becomes: object) -> Verdict:
    raised = isinstance(was, Grade) and isinstance(becomes, Grade) and becomes.rank > was.rank
    return (Severity.BREAKING, _GRADE_UP) if raised else (Severity.COMPATIBLE, _GRADE_DOWN)


def _mask(was: object, _becomes: object) -> Verdict:
    return (Severity.BREAKING, _MASKED) if was is Mask.NONE else (Severity.COMPATIBLE, _MASKED)


def _personal(_was: object, becomes: object) -> Verdict:
    return (Severity.BREAKING, _PERSONAL) if becomes else (Severity.COMPATIBLE, _PERSONAL)


def _fewer(was: object, becomes: object) -> Verdict:
    lost = isinstance(was, tuple) and isinstance(becomes, tuple) and not set(was) <= set(becomes)
    return (Severity.BREAKING, _NAMES_LOST) if lost else (Severity.COMPATIBLE, _NAMES_MORE)


def _pattern(was: object, becomes: object) -> Verdict:
    return (Severity.COMPATIBLE, _WIDER) if was is not None and becomes is None else (Severity.BREAKING, _REFUSED)


_REMOVED = Text(zh="引用它的目录、映射和约定将失效", en="catalogue entries, mappings and agreements that name it break")
_ADDED = Text(zh="新增，原有数据不受影响", en="new; what was right stays right")
_CODE_GONE = Text(zh="使用该代码的数据将被判为未知代码", en="data with this code will count as unknown")
_MEANING = Text(zh="含义可能改变，已有数据须核对", en="the meaning may change: data must be looked at")
_DIVISION = Text(zh="区划变化只影响存疑提示", en="divisions only raise or drop doubts")
_DEADLINES = Text(zh="跨越该日的期限将移动", en="deadlines that span this day move")
_CODES_WIDTH = Text(zh="信息资源代码的写法改变", en="the form of resource codes changes")
_NUMBERS = Text(zh="得分与以前不可比", en="scores no longer compare with earlier ones")
_SEARCH = Text(zh="检索结果可能不同", en="searches may find something else")
_MARKERS = Text(zh="视为缺失的写法改变", en="other spellings count as missing")
_WORDS = Text(zh="仅文字变化", en="only words change")
_WIDER = Text(zh="放宽，原有数据仍合规", en="wider; what was right stays right")
_REFUSED = Text(zh="原来合规的值可能不合规", en="values that were right may be wrong")
_GRADE_UP = Text(zh="分级提高，原先允许的使用可能被拒绝或掩码", en="uses that were allowed may be refused or masked")
_GRADE_DOWN = Text(zh="分级降低，保护减弱", en="less protection than before")
_MASKED = Text(zh="显示方式改变", en="it is shown in another way")
_PERSONAL = Text(zh="个人信息属性改变，开放与使用条件随之改变", en="whether it may be open or used changes")
_NAMES_LOST = Text(zh="按旧名称识别的列或值将不再识别", en="columns or values under the old names are no longer known")
_NAMES_MORE = Text(zh="可识别更多写法", en="more spellings are known")
_CANONICAL = Text(
    zh="标准形式改变，已标准化的数据须重做", en="the canonical form changes: standardised data must be redone"
)
_DUTIES = Text(zh="进行中的期限可能提前到期", en="duties that run now may be due sooner")
_LONGER = Text(zh="期限放宽", en="duties have more time")
_INDICATOR = Text(zh="指标数值与以前不可比", en="the indicator no longer compares with earlier periods")
_TREE = Text(zh="在分类体系中的位置改变", en="its place in the classification changes")
_VALIDITY = Text(zh="有效期改变", en="it is in force on other days")

_RULES: Mapping[tuple[str, str], Rule] = {
    ("elements", "data_type"): _always(Severity.BREAKING, _CANONICAL),
    ("elements", "identifier"): _always(Severity.BREAKING, _CANONICAL),
    ("elements", "unit"): _always(Severity.BREAKING, _CANONICAL),
    ("elements", "decimals"): _always(Severity.BREAKING, _CANONICAL),
    ("elements", "code_list"): _always(Severity.BREAKING, _CANONICAL),
    ("elements", "max_length"): _smaller_breaks(_REFUSED),
    ("elements", "pattern"): _pattern,
    ("elements", "grade"): _grade,
    ("elements", "mask"): _mask,
    ("elements", "personal"): _personal,
    ("elements", "aliases"): _fewer,
    ("elements", "category"): _always(Severity.COMPATIBLE, _TREE),
    ("elements", "domain"): _always(Severity.COMPATIBLE, _TREE),
    ("elements", "future"): _always(Severity.COMPATIBLE, _WIDER),
    ("identifiers", "structure"): _always(Severity.EDITORIAL, _WORDS),
    ("time_limits", "amount"): _smaller_breaks(_DUTIES),
    ("time_limits", "unit"): _always(Severity.BREAKING, _DUTIES),
    ("time_limits", "bound"): _always(Severity.BREAKING, _DUTIES),
    ("time_limits", "statutory"): _always(Severity.COMPATIBLE, _LONGER),
    ("roles", "duty"): _always(Severity.BREAKING, _MEANING),
    ("indicators", "formula"): _always(Severity.BREAKING, _INDICATOR),
    ("indicators", "unit"): _always(Severity.BREAKING, _INDICATOR),
    ("indicators", "higher_is_better"): _always(Severity.BREAKING, _INDICATOR),
    ("indicators", "group"): _always(Severity.BREAKING, _INDICATOR),
    ("indicators", "target"): _always(Severity.BREAKING, _INDICATOR),
    ("indicators", "weight"): _always(Severity.BREAKING, _INDICATOR),
    ("themes", "words"): _always(Severity.COMPATIBLE, _SEARCH),
    ("grades", "level"): _always(Severity.BREAKING, _MEANING),
    ("data_categories", "grade_min"): _grade,
    ("data_categories", "parent"): _always(Severity.BREAKING, _TREE),
    ("licences", "url"): _always(Severity.BREAKING, _MEANING),
    ("licences", "attribution"): _always(Severity.BREAKING, _MEANING),
    ("licences", "share_alike"): _always(Severity.BREAKING, _MEANING),
    ("", "valid_from"): _always(Severity.BREAKING, _VALIDITY),
    ("", "valid_until"): _always(Severity.BREAKING, _VALIDITY),
    ("", "revisions"): _always(Severity.COMPATIBLE, _VALIDITY),
}
_SEVERITIES = {
    Severity.BREAKING: Text(zh="破坏性", en="Breaking"),
    Severity.COMPATIBLE: Text(zh="兼容", en="Compatible"),
    Severity.EDITORIAL: Text(zh="文字", en="Editorial"),
}
