"""Guards against gaming: what makes an indicator look better without anybody being served better. Pure.

Each guard is a row of `GUARDS`, beside the indicators: what it looks for, which indicators it concerns, and whether
what it finds is taken out of the number or only shown beside it. What it looks for is a function of the entries before
the end of a period (`Story`), so that whoever holds the log finds the same.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from datong.governance.timelines import in_order, instant_of
from datong.kernel import CHINA, DepartmentCode, EntryId, Text, Value
from datong.ledger import EntryKind, RecordedEntry

GUARDS_VERSION = "2"
"""Changes whenever a guard changes; a publication states it, and only one that states it is derived with guards.

Version 2 added `mutual_praise`, about ratings, of which there were none before: it finds nothing else in older logs."""
OLDER_GUARDS = frozenset({"1"})
"""Versions whose publications today's guards derive alike."""
ACTS_SHOWN_MAX = 20
"""Acts named beside what a guard found."""
SMALL_ITEMS_MAX, SPLIT_MIN, SPLIT_SHARE = 3, 5, 0.8
AGAIN_WITHIN = timedelta(days=28)
FRIENDS_WITHIN, FRIENDS_AGE, FRIENDS_REQUESTS_MIN = timedelta(days=180), timedelta(days=30), 3
ROUNDS_MIN, INSTANT, INSTANT_MIN = 3, timedelta(minutes=30), 5
SHELF_AGE, SHELF_MIN, SHELF_SHARE = timedelta(days=180), 5, 0.8
SATISFIED_MIN = 4
"""Points from which on an aspect of a delivery counts as satisfied (ratings go from 1 to 5)."""
PRAISE_WITHIN, PRAISE_MIN, PRAISE_POINTS, PRAISE_OTHERS_SHARE = timedelta(days=180), 2, 5, 0.9
STORY_KINDS = (
    EntryKind.CATALOGUE_STEP,
    EntryKind.REQUEST,
    EntryKind.DECISION,
    EntryKind.AGREEMENT,
    EntryKind.BATCH,
    EntryKind.CORRECTION,
    EntryKind.RATING,
)
"""What guards read from the beginning; of calls they read the period's, and half a year's of suspected friends."""


class Effect(StrEnum):
    """What is made of what a guard finds."""

    DISCOUNT = "discount"
    FLAG = "flag"


class Part(StrEnum):
    """What of an indicator a thing is taken out of."""

    COUNTED = "counted"
    BOTH = "both"


class Guard(Value):
    """One rule: `indicators` are the keys of those it concerns; `rule` says in words when it strikes."""

    key: str
    name: Text
    rule: Text
    indicators: tuple[str, ...]
    effect: Effect


class Taken(Value):
    """A thing that does not count in an indicator: `key` is that of the observations about it."""

    indicator: str
    key: str
    part: Part


class Suspicion(Value):
    """What a guard found at a department: about what, which things do not count, and the acts that show it."""

    guard: str
    department: DepartmentCode
    subject: str
    taken: tuple[Taken, ...] = ()
    evidence: tuple[EntryId, ...]


GUARDS: Mapping[str, Guard] = {
    guard.key: guard
    for guard in (
        Guard(
            key="empty_resource",
            name=Text(zh="空资源", en="Empty resource"),
            rule=Text(
                zh="已发布的资源没有信息项，或者所有交换批次合计零行且没有查到过数据。",
                en="A published resource has no items, or all its batches together had no row and no call got one.",
            ),
            indicators=("catalogue_rate", "binding_rate", "zero_use_share"),
            effect=Effect.DISCOUNT,
        ),
        Guard(
            key="split_resource",
            name=Text(zh="拆分资源", en="Split resource"),
            rule=Text(
                zh="同一天发布至少 5 个信息项不超过 3 个、类别相同的资源，占当天发布的八成以上，且无人使用：只计一个。",
                en="At least 5 resources of one kind with at most 3 items each, published on one day, four fifths of "
                "what was published that day, and used by nobody: they count as one.",
            ),
            indicators=("catalogue_rate",),
            effect=Effect.DISCOUNT,
        ),
        Guard(
            key="cosmetic_refusal",
            name=Text(zh="先拒后批", en="Cosmetic refusal"),
            rule=Text(
                zh="拒绝后 28 天内就同样的内容重新申请即获批准，且批准时已过首次申请的答复期限：不计为按时答复。",
                en="Refused, asked again for the same within 28 days and granted, after the first request's deadline: "
                "the reply does not count as in time.",
            ),
            indicators=("reply_on_time_rate",),
            effect=Effect.DISCOUNT,
        ),
        Guard(
            key="own_requests",
            name=Text(zh="自己申请自己", en="Requests to oneself"),
            rule=Text(zh="部门向自己提出的申请不计。", en="What a department asks of itself does not count."),
            indicators=("reply_on_time_rate", "demand_satisfaction_rate"),
            effect=Effect.DISCOUNT,
        ),
        Guard(
            key="friendly_requests",
            name=Text(zh="互相申请", en="Requests between friends"),
            rule=Text(
                zh="半年内两个部门互相批准各至少 3 件满 30 天的申请而全部没有使用：这些申请不计。",
                en="In half a year two departments granted each other at least 3 requests each, 30 days old or more, "
                "and none was ever used: requests between them that nobody uses do not count.",
            ),
            indicators=("reply_on_time_rate", "demand_satisfaction_rate"),
            effect=Effect.DISCOUNT,
        ),
        Guard(
            key="own_use",
            name=Text(zh="自己使用自己", en="Use by oneself"),
            rule=Text(
                zh="统计期内只有本部门自己调用的资源，不计为被使用。",
                en="A resource that only its own department called in the period does not count as used.",
            ),
            indicators=("zero_use_share",),
            effect=Effect.DISCOUNT,
        ),
        Guard(
            key="own_corrections",
            name=Text(zh="自报自改", en="Correcting one's own reports"),
            rule=Text(
                zh="数源部门自己报告自己的错误，不计入校核。",
                en="Errors that the source department reports to itself do not count.",
            ),
            indicators=("correction_on_time_rate",),
            effect=Effect.DISCOUNT,
        ),
        Guard(
            key="correction_rounds",
            name=Text(zh="来回校核", en="Corrections back and forth"),
            rule=Text(
                zh="同一报告来回 3 轮以上：只计第一轮。",
                en="One report that went back and forth 3 times or more: only its first round counts.",
            ),
            indicators=("correction_on_time_rate",),
            effect=Effect.DISCOUNT,
        ),
        Guard(
            key="instant_corrections",
            name=Text(zh="秒改", en="Instant corrections"),
            rule=Text(
                zh="同一部门就同一资源同一数据元报告至少 5 次，均在 30 分钟内办结：只计一次。",
                en="At least 5 reports of one data element of one resource by one department, each answered within 30 "
                "minutes: they count once.",
            ),
            indicators=("correction_on_time_rate",),
            effect=Effect.DISCOUNT,
        ),
        Guard(
            key="mutual_praise",
            name=Text(zh="互评满分", en="Mutual praise"),
            rule=Text(
                zh="半年内两个部门互相评价各至少 2 次且全部满分，而其他部门对其中一方的评价不到九成满意"
                "（或没有其他评价）：双方的互评不计。",
                en="In half a year two departments rated each other at least twice each, with full points throughout, "
                "while others were satisfied with one of them in fewer than nine of ten aspects (or none rated it): "
                "what they gave each other does not count.",
            ),
            indicators=("satisfaction_rate",),
            effect=Effect.DISCOUNT,
        ),
        Guard(
            key="shelf_ware",
            name=Text(zh="束之高阁", en="On the shelf"),
            rule=Text(
                zh="至少 5 个资源发布满 180 天，其中八成从未交换且统计期内无人调用。",
                en="At least 5 resources published 180 days ago or earlier, four fifths of which were never delivered, "
                "nor called by anybody in the period.",
            ),
            indicators=("catalogue_rate",),
            effect=Effect.FLAG,
        ),
    )
}


class Story:
    """The entries that guards read: of `STORY_KINDS` all before `until`, and the calls of the period.

    `calls_since` returns the calls from some moment before the period to its end.
    """

    def __init__(
        self,
        entries: Iterable[RecordedEntry],
        calls: Iterable[RecordedEntry],
        calls_since: Callable[[datetime], Iterable[RecordedEntry]],
        *,
        since: datetime,
        until: datetime,
    ) -> None:
        self.since, self.until = since, until
        self.calls_since = calls_since
        self._of_kind: dict[EntryKind, list[RecordedEntry]] = defaultdict(list)
        for entry in in_order(entries):
            self._of_kind[entry.kind].append(entry)
        self.called: set[str] = set()
        """Resources that somebody else called in the period."""
        self.answered: set[str] = set()
        """Resources of which a call by somebody else got at least one row."""
        self.own_calls: dict[str, list[RecordedEntry]] = defaultdict(list)
        for call in calls:
            facts = call.facts
            if "resource_id" not in facts or not facts.get("provider"):
                continue
            if facts.get("consumer") == facts["provider"]:
                self.own_calls[facts["resource_id"]].append(call)
            else:
                self.called.add(facts["resource_id"])
                if facts.get("rows") != 0:
                    self.answered.add(facts["resource_id"])
        self.batches: dict[str, list[RecordedEntry]] = defaultdict(list)
        for batch in self._of_kind[EntryKind.BATCH]:
            self.batches[batch.facts["resource"]].append(batch)
        self.steps: dict[str, list[RecordedEntry]] = defaultdict(list)
        for step in self._of_kind[EntryKind.CATALOGUE_STEP]:
            self.steps[step.subject].append(step)
        self.requests: dict[str, list[RecordedEntry]] = defaultdict(list)
        for act in in_order([*self._of_kind[EntryKind.REQUEST], *self._of_kind[EntryKind.DECISION]]):
            self.requests[act.facts["request_id"]].append(act)
        self.corrections: dict[str, list[RecordedEntry]] = defaultdict(list)
        for act in self._of_kind[EntryKind.CORRECTION]:
            self.corrections[act.subject].append(act)
        self.ratings = {rating.subject: rating for rating in self._of_kind[EntryKind.RATING]}

    def published(self) -> Iterator[tuple[str, RecordedEntry, RecordedEntry]]:
        """Yield each resource that is published at the end, with the steps that first and last published it."""
        for resource, steps in self.steps.items():
            live = [step for step in steps if step.facts["to_state"] == "published"]
            if live and live[-1] is steps[-1]:
                yield resource, live[0], live[-1]

    def rows_of(self, resource: str) -> int:
        """Return how many rows were ever sent of a resource."""
        return sum(int(batch.facts.get("rows", 0)) for batch in self.batches.get(resource, ()))


def suspicions(story: Story) -> list[Suspicion]:
    """Return what the guards find; a thing is taken out of an indicator once, by the first guard that takes it."""
    found: list[Suspicion] = []
    gone: set[tuple[str, DepartmentCode, str]] = set()
    for guard in GUARDS:
        for one in _LOOKING[guard](story):
            taken = tuple(thing for thing in one.taken if (thing.indicator, one.department, thing.key) not in gone)
            gone |= {(thing.indicator, one.department, thing.key) for thing in taken}
            if taken or GUARDS[guard].effect is Effect.FLAG:
                found.append(one.model_copy(update={"taken": taken}))
    return found


def _empty(story: Story) -> Iterator[Suspicion]:
    for resource, _, step in story.published():
        batches = story.batches.get(resource, [])
        delivered = any(batch.facts.get("last") for batch in batches)
        void = delivered and story.rows_of(resource) == 0 and resource not in story.answered
        if step.facts.get("items") == 0 or void:
            keys = GUARDS["empty_resource"].indicators
            parts = [Taken(indicator=key, key=resource, part=Part.COUNTED) for key in keys]
            yield _found("empty_resource", step.facts["department"], resource, parts, [step, *batches])


def _split(story: Story) -> Iterator[Suspicion]:
    days: dict[tuple[str, str], list[tuple[str, RecordedEntry, RecordedEntry]]] = defaultdict(list)
    for resource, first, last in story.published():
        days[last.facts["department"], f"{first.at.astimezone(CHINA):%Y-%m-%d}"].append((resource, first, last))
    for (department, day), those in days.items():
        alike: dict[tuple[str, ...], list[tuple[str, RecordedEntry]]] = defaultdict(list)
        for resource, first, last in those:
            unused = not story.rows_of(resource) and resource not in story.called
            if 1 <= int(last.facts.get("items", 0)) <= SMALL_ITEMS_MAX and unused:
                kind = tuple(str(last.facts.get(name)) for name in ("share_type", "update_cycle", "data_category"))
                alike[kind].append((resource, first))
        for kind, small in sorted(alike.items()):
            if len(small) < SPLIT_MIN or len(small) < SPLIT_SHARE * len(those):
                continue
            small.sort(key=lambda one: one[0])
            parts = [Taken(indicator="catalogue_rate", key=resource, part=Part.BOTH) for resource, _ in small[1:]]
            subject = f"{department}/{day}/{'-'.join(kind)}"
            yield _found("split_resource", department, subject, parts, [step for _, step in small])


def _cosmetic(story: Story) -> Iterator[Suspicion]:
    asked: dict[tuple[str, ...], list[list[RecordedEntry]]] = defaultdict(list)
    for acts in story.requests.values():
        facts = acts[0].facts
        asked[facts["consumer"], facts["provider"], facts["resource_id"], _wanted(facts)].append(acts)
    for those in asked.values():
        for before, after in pairwise(those):
            refused, granted = before[-1], after[-1]
            if refused.facts["state"] != "refused" or granted.facts["state"] != "granted":
                continue
            due = refused.facts.get("due_at")
            soon = timedelta(0) <= after[0].at - refused.at <= AGAIN_WITHIN
            if due and soon and refused.at < instant_of(due) <= granted.at:
                request = granted.facts["request_id"]
                parts = [Taken(indicator="reply_on_time_rate", key=f"reply:{request}", part=Part.COUNTED)]
                acts = [before[0], refused, after[0], granted]
                yield _found("cosmetic_refusal", granted.facts["provider"], request, parts, acts)


def _own_requests(story: Story) -> Iterator[Suspicion]:
    for request, acts in story.requests.items():
        facts = acts[-1].facts
        if facts["consumer"] == facts["provider"]:
            yield _found("own_requests", facts["provider"], request, _of_request(request), acts)


def _friendly(story: Story) -> Iterator[Suspicion]:
    granted: dict[tuple[str, str], list[RecordedEntry]] = defaultdict(list)
    for acts in story.requests.values():
        last = acts[-1]
        if last.facts["state"] == "granted" and last.at >= story.until - FRIENDS_WITHIN:
            granted[last.facts["provider"], last.facts["consumer"]].append(last)
    old = story.until - FRIENDS_AGE

    def many(provider: str, consumer: str) -> bool:
        return sum(one.at < old for one in granted.get((provider, consumer), ())) >= FRIENDS_REQUESTS_MIN

    pairs = [pair for pair in granted if pair[0] < pair[1] and many(*pair) and many(pair[1], pair[0])]
    if not pairs:
        return
    used = {
        (batch.facts["resource"], batch.facts.get("consumer"))
        for batches in story.batches.values()
        for batch in batches
        if batch.facts.get("rows")
    }
    used |= {
        (call.facts.get("resource_id"), call.facts.get("consumer"))
        for call in story.calls_since(story.until - FRIENDS_WITHIN)
    }
    for one, other in sorted(pairs):
        grants = [*granted[one, other], *granted[other, one]]
        idle = [act for act in grants if (act.facts["resource_id"], act.facts["consumer"]) not in used]
        if [act for act in grants if act.at < old] != [act for act in idle if act.at < old]:
            continue
        for provider in (one, other):
            own = [act for act in idle if act.facts["provider"] == provider]
            parts = [part for act in own for part in _of_request(act.facts["request_id"])]
            yield _found("friendly_requests", provider, f"{one}/{other}", parts, idle)


def _own_use(story: Story) -> Iterator[Suspicion]:
    for resource, calls in story.own_calls.items():
        delivered = any(story.since <= batch.at < story.until for batch in story.batches.get(resource, ()))
        if resource not in story.called and not delivered:
            parts = [Taken(indicator="zero_use_share", key=resource, part=Part.COUNTED)]
            yield _found("own_use", calls[0].facts["provider"], resource, parts, calls)


def _own_corrections(story: Story) -> Iterator[Suspicion]:
    for report, acts in story.corrections.items():
        if acts[0].facts.get("consumer") == acts[0].facts["provider"]:
            parts = [_of_correction(act) for act in acts if act.facts["action"] in {"report", "dispute"}]
            yield _found("own_corrections", acts[0].facts["provider"], report, parts, acts)


def _rounds(story: Story) -> Iterator[Suspicion]:
    for report, acts in story.corrections.items():
        begun = [act for act in acts if act.facts["action"] in {"report", "dispute"}]
        if len(begun) >= ROUNDS_MIN:
            parts = [_of_correction(act) for act in begun[1:]]
            yield _found("correction_rounds", acts[0].facts["provider"], report, parts, acts)


def _instant(story: Story) -> Iterator[Suspicion]:
    series: dict[tuple[str, ...], list[list[RecordedEntry]]] = defaultdict(list)
    for acts in story.corrections.values():
        facts = acts[0].facts
        if facts.get("consumer") and story.since <= acts[0].at < story.until:
            series[facts["provider"], facts["consumer"], facts["resource_id"], facts.get("element", "")].append(acts)
    for (provider, consumer, resource, element), those in series.items():
        quick = all(len(acts) > 1 and acts[-1].at - acts[0].at < INSTANT for acts in those)
        if len(those) >= INSTANT_MIN and quick:
            parts = [_of_correction(acts[0]) for acts in those[1:]]
            subject = f"{consumer}/{resource}/{element}"
            yield _found("instant_corrections", provider, subject, parts, [act for acts in those for act in acts])


def _praise(story: Story) -> Iterator[Suspicion]:
    given: dict[tuple[str, str], list[RecordedEntry]] = defaultdict(list)
    for rating in story.ratings.values():
        if rating.at >= story.until - PRAISE_WITHIN and rating.facts["state"] != "withdrawn":
            given[rating.facts["consumer"], rating.facts["provider"]].append(rating)

    def full(one: str, other: str) -> bool:
        points = [points for rating in given.get((one, other), ()) for points in rating.facts["scores"].values()]
        return len(given.get((one, other), ())) >= PRAISE_MIN and all(one == PRAISE_POINTS for one in points)

    def praised(provider: str, friend: str) -> bool:
        others = [
            points >= SATISFIED_MIN
            for (consumer, of), ratings in given.items()
            if of == provider and consumer not in {provider, friend}
            for rating in ratings
            for points in rating.facts["scores"].values()
        ]
        return bool(others) and sum(others) >= PRAISE_OTHERS_SHARE * len(others)

    for one, other in sorted(pair for pair in given if pair[0] < pair[1]):
        if not full(one, other) or not full(other, one) or (praised(one, other) and praised(other, one)):
            continue
        acts = [*given[one, other], *given[other, one]]
        for provider in (one, other):
            own = [act for act in acts if act.facts["provider"] == provider]
            parts = [Taken(indicator="satisfaction_rate", key=act.subject, part=Part.BOTH) for act in own]
            yield _found("mutual_praise", provider, f"{one}/{other}", parts, acts)


def _shelf(story: Story) -> Iterator[Suspicion]:
    old: dict[str, list[tuple[str, RecordedEntry]]] = defaultdict(list)
    for resource, first, last in story.published():
        if first.at < story.until - SHELF_AGE:
            old[last.facts["department"]].append((resource, last))
    for department, those in sorted(old.items()):
        idle = [step for resource, step in those if resource not in story.batches and resource not in story.called]
        if len(those) >= SHELF_MIN and len(idle) >= SHELF_SHARE * len(those):
            yield _found("shelf_ware", department, department, [], idle)


_LOOKING: Mapping[str, Callable[[Story], Iterator[Suspicion]]] = {
    "empty_resource": _empty,
    "split_resource": _split,
    "cosmetic_refusal": _cosmetic,
    "own_requests": _own_requests,
    "friendly_requests": _friendly,
    "own_use": _own_use,
    "own_corrections": _own_corrections,
    "correction_rounds": _rounds,
    "instant_corrections": _instant,
    "mutual_praise": _praise,
    "shelf_ware": _shelf,
}


def _found(
    guard: str, department: str, subject: str, parts: Sequence[Taken], acts: Sequence[RecordedEntry]
) -> Suspicion:
    newest = sorted(acts, key=lambda act: (act.at, act.entry_id), reverse=True)[:ACTS_SHOWN_MAX]
    return Suspicion(
        guard=guard,
        department=DepartmentCode(department),
        subject=subject,
        taken=tuple(parts),
        evidence=tuple(dict.fromkeys(act.entry_id for act in newest)),
    )


def _of_request(request: str) -> list[Taken]:
    return [
        Taken(indicator="reply_on_time_rate", key=f"reply:{request}", part=Part.BOTH),
        Taken(indicator="demand_satisfaction_rate", key=request, part=Part.BOTH),
    ]


def _of_correction(act: RecordedEntry) -> Taken:
    key = f"correction:{act.subject}/{act.facts['disputes']}"
    return Taken(indicator="correction_on_time_rate", key=key, part=Part.BOTH)


def _wanted(facts: Mapping[str, object]) -> str:
    """Return what a request asked for, so that two can be compared."""
    return repr([facts.get(name) for name in ("items", "items_count", "items_sha256", "service_item")])
