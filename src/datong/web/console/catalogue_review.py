"""The authority's desk for one resource: what changed, what to check, and the decision with comments per field."""

from typing import Annotated

from fastapi import Depends
from fastapi.responses import Response

from datong.catalogue import (
    RESOURCE_FIELDS,
    AssessmentConclusion,
    ContentChange,
    ContentDifference,
    FieldComment,
    Item,
    Resource,
    ResourceAction,
    ResourceContent,
    content_digest,
    content_problems,
    in_words,
)
from datong.kernel import DatongError, Invalid, ResourceId, Text, Value
from datong.kernel.limits import FIELD_COMMENTS_MAX, TEXT_CHARS_MAX
from datong.sharing import Action, AgreementState, Target
from datong.web.api.resources import ResourceStepRequest, act_on_resource
from datong.web.console.catalogue_editor import SentForm
from datong.web.console.desk import PAGE_ROWS, Desk, SignedIn
from datong.web.console.editing import typed_in
from datong.web.routing import unlisted_routes

router = unlisted_routes()
DECISIONS = (ResourceAction.APPROVE, ResourceAction.PUBLISH, ResourceAction.RETURN, ResourceAction.REJECT)


class ReviewedField(Value):
    """A field of the resource as the reviewer reads it, with what it was before where that differs."""

    pointer: str
    label: Text
    value: Text
    before: Text | None = None
    problems: tuple[Text, ...] = ()


class ReviewedItem(Value):
    """An item with what is new about it and what is missing in it."""

    pointer: str
    item: Item
    changes: tuple[Text, ...] = ()
    problems: tuple[Text, ...] = ()


class Check(Value):
    """One line of the checklist: whether it stands, and the finding."""

    good: bool
    name: Text
    finding: Text


class Decided(Value):
    """What the reviewer typed, kept when it cannot be accepted."""

    reason: str
    comments: dict[str, str]


def decisions_for(desk: Desk, resource: Resource) -> tuple[tuple[ResourceAction, bool], ...]:
    """Return the decisions that state and policy leave to the caller, and whether each needs a reason."""
    if not desk.may(Action.RESOURCE_REVIEW, Target.of_department(resource.department, name=resource.id)):
        return ()
    possible = {row.action: row.needs_reason for row in desk.services.catalogue.possible(resource)}
    return tuple((action, possible[action]) for action in DECISIONS if action in possible)


def _for_review(desk: SignedIn, resource_id: ResourceId) -> Resource:
    resource = desk.services.catalogue.get(resource_id)
    desk.require(Action.RESOURCE_REVIEW, Target.of_department(resource.department, name=resource.id))
    return resource


Reviewed = Annotated[Resource, Depends(_for_review)]


@router.get("/catalogue/{resource_id}/review")
def review_page(desk: SignedIn, resource: Reviewed) -> Response:
    """Show what there is to decide; a resource that nobody has to decide on is shown on its own page."""
    if not decisions_for(desk, resource):
        return desk.go(f"/catalogue/{resource.id}")
    return _page(desk, resource, Decided(reason="", comments={}))


@router.post("/catalogue/{resource_id}/review")
def decide(desk: SignedIn, resource: Reviewed, form: SentForm) -> Response:
    """Approve, return or reject; what cannot be accepted comes back as it was typed."""
    typed = {name: values[-1] for name, values in typed_in(form).items()}
    said = {pointer: text for pointer in _pointers(resource.content) if (text := typed.get(f"comment:{pointer}", ""))}
    decided = Decided(reason=typed.get("reason", ""), comments=said)
    try:
        step = ResourceStepRequest(
            action=_action(typed.get("action", "")),
            reason=_short_enough(decided.reason),
            comments=_comments(said),
            expected_digest=typed.get("expected_digest", "")[:64],
        )
        act_on_resource(resource.id, step, desk.caller, desk.services)
    except DatongError as problem:
        # Somebody may have decided or edited meanwhile: the page shows the present state beside what was typed.
        return _page(desk, desk.services.catalogue.get(resource.id), decided, problem)
    return desk.go(f"/catalogue/{resource.id}", done="resource")


def _page(desk: Desk, resource: Resource, decided: Decided, problem: DatongError | None = None) -> Response:
    pack, content = desk.services.pack, resource.content
    difference = _difference(desk, resource)
    problems = content_problems(content, pack)
    decisions = decisions_for(desk, resource)
    return desk.page(
        "catalogue/review.html",
        resource=resource,
        digest=content_digest(content),
        difference=difference,
        checks=_checks(desk, resource, problems, difference),
        fields=_fields(desk, content, problems, difference),
        nothing=in_words(None, desk.services.pack),
        items=_items(content, problems, difference),
        gone=() if difference is None else _gone(difference),
        decisions=decisions,
        decided=decided,
        problem=problem,
    )


def _action(value: str) -> ResourceAction:
    found = next((action for action in DECISIONS if action.value == value), None)
    if found is None:
        raise Invalid(
            "catalogue.no_decision",
            what=Text(zh="没有选择审核结论。", en="No decision was chosen."),
            remedy=Text(zh="请选择通过、退回或驳回。", en="Choose to approve, return or reject."),
            field="/action",
        )
    return found


def _short_enough(text: str) -> str:
    if len(text) > TEXT_CHARS_MAX:
        raise Invalid(
            "catalogue.comment_too_long",
            what=Text(zh=f"一条意见最多 {TEXT_CHARS_MAX} 字。", en=f"At most {TEXT_CHARS_MAX} characters each."),
            remedy=Text(zh="请写得短一些。", en="Write less."),
            field="/reason",
        )
    return text


def _comments(said: dict[str, str]) -> tuple[FieldComment, ...]:
    if len(said) > FIELD_COMMENTS_MAX:
        raise Invalid(
            "catalogue.too_many_comments",
            what=Text(
                zh=f"一次最多写 {FIELD_COMMENTS_MAX} 条意见。", en=f"At most {FIELD_COMMENTS_MAX} comments at once."
            ),
            remedy=Text(zh="请合并到审核意见中。", en="Say the rest in the reason."),
            field="/comments",
        )
    return tuple(FieldComment(field=pointer, text=_short_enough(text)) for pointer, text in said.items())


def _pointers(content: ResourceContent) -> list[str]:
    """Return what can be commented on: every field of the resource, and every item."""
    own = [f"/{name}" for name in RESOURCE_FIELDS if name != "items"]
    return [*own, *(f"/items/{place}" for place in range(len(content.items)))]


def _difference(desk: Desk, resource: Resource) -> ContentDifference | None:
    published = resource.published_version
    if published is None or published == resource.version:
        return None
    return desk.services.catalogue.compare(resource.id, published, resource.version)


def _fields(
    desk: Desk,
    content: ResourceContent,
    problems: tuple[tuple[str, Text], ...],
    difference: ContentDifference | None,
) -> tuple[ReviewedField, ...]:
    changes = () if difference is None else difference.changes
    found = []
    for name, label in RESOURCE_FIELDS.items():
        if name == "items":
            continue
        change = next((one for one in changes if one.field == f"/{name}"), None)
        found.append(
            ReviewedField(
                pointer=f"/{name}",
                label=label,
                value=in_words(getattr(content, name), desk.services.pack, field=name),
                before=None if change is None else change.before,
                problems=_under(problems, f"/{name}"),
            )
        )
    return tuple(found)


def _items(
    content: ResourceContent, problems: tuple[tuple[str, Text], ...], difference: ContentDifference | None
) -> tuple[ReviewedItem, ...]:
    changed: dict[str, list[Text]] = {}
    for change in () if difference is None else difference.changes:
        if change.field.startswith("/items/") and not _is_gone(change):
            changed.setdefault("/".join(change.field.split("/")[:3]), []).append(change.words)
    return tuple(
        ReviewedItem(
            pointer=f"/items/{place}",
            item=item,
            changes=tuple(changed.get(f"/items/{place}", ())),
            problems=_under(problems, f"/items/{place}"),
        )
        for place, item in enumerate(content.items)
    )


def _is_gone(change: ContentChange) -> bool:
    return change.kind == "removed"


def _gone(difference: ContentDifference) -> tuple[ContentChange, ...]:
    return tuple(change for change in difference.changes if _is_gone(change))


def _under(problems: tuple[tuple[str, Text], ...], pointer: str) -> tuple[Text, ...]:
    return tuple(text for field, text in problems if field == pointer or field.startswith(f"{pointer}/"))


def _checks(
    desk: Desk, resource: Resource, problems: tuple[tuple[str, Text], ...], difference: ContentDifference | None
) -> tuple[Check, ...]:
    assessment, signature = resource.content.assessment, resource.content.sign_off
    assessed = (
        assessment.conclusion.label if assessment is not None else Text(zh="没有评估", en="there is no assessment")
    )
    signed = (
        Text(zh=f"{signature.by}（{signature.position}）", en=f"{signature.by} ({signature.position})")
        if signature is not None
        else Text(zh="没有签批", en="not signed")
    )
    open_points = Text(zh=f"尚缺 {len(problems)} 处", en=f"missing: {len(problems)}")
    checks = [
        Check(
            good=assessment is not None and assessment.conclusion is not AssessmentConclusion.NOT_PASSED,
            name=Text(zh="保密审查和个人信息评估", en="Secrecy and personal information"),
            finding=assessed,
        ),
        Check(good=signature is not None, name=Text(zh="负责人签批", en="Sign-off by the head"), finding=signed),
        Check(
            good=not problems,
            name=Text(zh="内容完整", en="Complete content"),
            finding=open_points if problems else Text(zh="齐全", en="nothing is missing"),
        ),
    ]
    if difference is not None:
        checks.append(_effect(desk, resource, len(difference.breaking)))
    return tuple(checks)


def _effect(desk: Desk, resource: Resource, breaking: int) -> Check:
    """Say how many agreements the breaking changes touch."""
    count = desk.services.agreements.find(resource_id=resource.id, state=AgreementState.ACTIVE, limit=PAGE_ROWS).total
    return Check(
        good=not (breaking and count),
        name=Text(zh="对使用方的影响", en="Effect on those who use it"),
        finding=Text(
            zh=f"影响使用的变化 {breaking} 处，生效协议 {count} 份",
            en=f"breaking changes: {breaking}, agreements in force: {count}",
        ),
    )
