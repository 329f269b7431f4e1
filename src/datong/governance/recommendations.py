"""What departments ought to publish, to share more widely and to request, mined from what the platform saw. Pure.

Four sources: searches that found nothing (`catalogue.UnmetDemand`), wishes of the public (`sharing.wishes`), requests
that were refused and not granted since, and what departments that use much the same use besides. What few did is
nobody's recommendation: each needs at least `DEPARTMENTS_MIN` departments, which are counted and not named, so that no
search and no use is led back to one, or `WISHERS_MIN` people.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from datong.catalogue import DemandState, UnmetDemand
from datong.governance.timelines import in_order
from datong.kernel import DepartmentCode, ResourceId, Text, Value
from datong.ledger import EntryKind, RecordedEntry
from datong.sharing.wishes import SUPPORTED, Wish, WishState

DEPARTMENTS_MIN = 2
"""Departments that a recommendation rests on, at the least."""
SHARED_MIN = 2
"""Resources that two departments both use before they count as similar."""
WISHERS_MIN = 3
"""People who want the same before it is recommended."""
REFUSED_WITHIN = timedelta(days=365)
RECOMMENDATIONS_MAX = 200
_ASKED = Text(zh="主管部门已转请本部门编目。", en="the authority asked this one to catalogue it.")
_NEAREST = Text(zh="本部门的资源与之最接近。", en="its resources come nearest.")
_OPEN = frozenset({DemandState.NEW, DemandState.ASKED})


class RecommendationKind(StrEnum):
    """What a department is recommended to do."""

    PUBLISH = "publish"
    OPEN = "open"
    SHARE = "share"
    REQUEST = "request"


RECOMMENDATION_NAMES: Mapping[RecommendationKind, Text] = {
    RecommendationKind.PUBLISH: Text(zh="建议编目", en="Publish"),
    RecommendationKind.OPEN: Text(zh="建议开放", en="Open to the public"),
    RecommendationKind.SHARE: Text(zh="建议放宽共享", en="Share more widely"),
    RecommendationKind.REQUEST: Text(zh="建议申请", en="Request"),
}


class Recommendation(Value):
    """One recommendation to `department`, with its reasons and the counts that they rest on.

    `subject` is the key of an unmet demand (publish), a wish (open) or a resource (share, request); `departments`
    counts the departments and `times` the searches, people, refusals or uses behind it. `score` orders those of one
    kind.
    """

    kind: RecommendationKind
    department: DepartmentCode
    subject: str
    title: Text
    reason: Text
    departments: int
    times: int
    score: float


class Usage(Value):
    """A resource in an agreement that is in force: who gives it and who uses it."""

    resource_id: ResourceId
    provider: DepartmentCode
    consumer: DepartmentCode


def usages_of(entries: Iterable[RecordedEntry]) -> set[Usage]:
    """Return what is used under agreements in force, by the newest entry of each agreement."""
    newest = {entry.facts["agreement_id"]: entry.facts for entry in in_order(entries)}
    return {
        Usage(
            resource_id=ResourceId(facts["resource_id"]),
            provider=DepartmentCode(facts["provider"]),
            consumer=DepartmentCode(facts["consumer"]),
        )
        for facts in newest.values()
        if facts["state"] == "active" and facts["consumer"] != facts["provider"]
    }


def to_publish(needs: Iterable[UnmetDemand]) -> list[Recommendation]:
    """Return, for each need that several departments have and nothing meets, who holds what comes nearest to it."""
    found = []
    for need in needs:
        asked = (need.department,) if need.department else need.likely[:1]
        if need.state not in _OPEN or need.hits or need.departments < DEPARTMENTS_MIN:
            continue
        for department in asked:
            why = _ASKED if need.department else _NEAREST
            zh = f"{need.departments} 个部门检索“{need.query}”{need.times} 次没有结果；{why.zh}"
            en = f"{need.departments} departments searched for “{need.query}” {need.times} times in vain; {why.en}"
            found.append(
                Recommendation(
                    kind=RecommendationKind.PUBLISH,
                    department=department,
                    subject=need.key,
                    title=Text(zh=need.query, en=need.query),
                    reason=Text(zh=zh, en=en),
                    departments=need.departments,
                    times=need.times,
                    score=need.departments + need.times / 1000,
                )
            )
    return found


def to_open(wishes: Iterable[Wish]) -> list[Recommendation]:
    """Return, for each wish of the public that many joined and nothing meets, the department that has it in hand."""
    found = []
    for wish in wishes:
        many = wish.supporters + 1
        if wish.department is None or wish.state not in SUPPORTED or many < WISHERS_MIN:
            continue
        declined = wish.state is WishState.DECLINED
        found.append(
            Recommendation(
                kind=RecommendationKind.OPEN,
                department=wish.department,
                subject=wish.id,
                title=Text(zh=wish.draft.title, en=wish.draft.title),
                reason=Text(
                    zh=f"需求墙上 {many} 人需要，" + ("已答复不予开放：请再考虑。" if declined else "尚未开放。"),
                    en=f"{many} people on the demand wall need it; "
                    + ("it was declined: think again." if declined else "it is not open yet."),
                ),
                departments=0,
                times=many,
                score=float(many),
            )
        )
    return found


def to_share(
    entries: Iterable[RecordedEntry], titles: Mapping[ResourceId, Text], *, now: datetime
) -> list[Recommendation]:
    """Return the resources that several departments were refused within a year and have not been granted since."""
    refused: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for entry in in_order(entries):
        facts = entry.facts
        consumers = refused[facts["provider"], facts["resource_id"]]
        if facts["state"] == "granted":
            consumers.pop(facts["consumer"], None)
        elif facts["state"] == "refused" and entry.at >= now - REFUSED_WITHIN:
            consumers[facts["consumer"]] = consumers.get(facts["consumer"], 0) + 1
    found = []
    for (provider, resource), consumers in refused.items():
        title = titles.get(ResourceId(resource))
        if len(consumers) < DEPARTMENTS_MIN or title is None:
            continue
        times = sum(consumers.values())
        found.append(
            Recommendation(
                kind=RecommendationKind.SHARE,
                department=DepartmentCode(provider),
                subject=resource,
                title=title,
                reason=Text(
                    zh=f"一年内 {len(consumers)} 个部门的 {times} 件申请被拒绝，至今没有获批：请核对共享类型和条件。",
                    en=f"{times} requests of {len(consumers)} departments were refused within a year and none has been "
                    "granted since: check its type and conditions of sharing.",
                ),
                departments=len(consumers),
                times=times,
                score=len(consumers) + times / 1000,
            )
        )
    return found


def to_request(
    usages: Collection[Usage], titles: Mapping[ResourceId, Text], *, asked: Collection[tuple[DepartmentCode, str]]
) -> list[Recommendation]:
    """Return what departments do not use that departments which use much the same do; `asked` is asked for already.

    Departments are similar by the share of resources they have in common among all that either uses (Jaccard).
    """
    own: dict[DepartmentCode, set[ResourceId]] = defaultdict(set)
    provider_of: dict[ResourceId, DepartmentCode] = {}
    for one in usages:
        own[one.consumer].add(one.resource_id)
        provider_of[one.resource_id] = one.provider
    found = []
    for department, used in sorted(own.items()):
        weights: dict[ResourceId, float] = {}
        users: Counter[ResourceId] = Counter()
        shared: dict[ResourceId, int] = {}
        for other, theirs in sorted(own.items()):
            common = len(used & theirs)
            if other == department or common < SHARED_MIN:
                continue
            for resource in theirs - used:
                weights[resource] = weights.get(resource, 0.0) + common / len(used | theirs)
                users[resource] += 1
                shared[resource] = min(common, shared.get(resource, common))
        for resource, weight in weights.items():
            fresh = provider_of[resource] != department and (department, resource) not in asked
            if users[resource] < DEPARTMENTS_MIN or not fresh or resource not in titles:
                continue
            found.append(
                Recommendation(
                    kind=RecommendationKind.REQUEST,
                    department=department,
                    subject=resource,
                    title=titles[resource],
                    reason=Text(
                        zh=f"{users[resource]} 个与本部门至少共用 {shared[resource]} 项资源的部门在用它，本部门没有。",
                        en=f"{users[resource]} departments that use at least {shared[resource]} of the same resources "
                        "use it, and this one does not.",
                    ),
                    departments=users[resource],
                    times=users[resource],
                    score=round(weight, 4),
                )
            )
    return found


def ordered(found: Iterable[Recommendation], department: DepartmentCode | None) -> Sequence[Recommendation]:
    """Return recommendations to one department or to all, by kind, the weightiest first."""
    kinds = list(RecommendationKind)
    wanted = [one for one in found if department in {None, one.department}]
    wanted.sort(key=lambda one: (kinds.index(one.kind), -one.score, one.department, one.subject))
    return wanted[:RECOMMENDATIONS_MAX]


RECOMMENDED_KINDS = (EntryKind.REQUEST, EntryKind.DECISION, EntryKind.AGREEMENT)
