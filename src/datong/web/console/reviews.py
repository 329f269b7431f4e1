"""Review pages: the queue of doubtful pairs, a pair side by side, the decisions, and the threshold tool."""

from typing import Annotated

from fastapi import Form
from fastapi.responses import Response

from datong.kernel import Value
from datong.kernel.limits import TEXT_CHARS_MAX
from datong.library import OperatingPoint, PairVerdict, Verdict, WeightsAct, WeightsOrder, WeightsState
from datong.sharing import Action
from datong.web.api.reviews import (
    decide_pair,
    decide_weights,
    list_decisions,
    list_pairs,
    list_weights,
    read_pair,
    read_thresholds,
    read_weights,
    train_weights,
    withdraw_decision,
)
from datong.web.console.desk import PAGE_ROWS, Desk, Offset, SignedIn
from datong.web.console.library import in_words
from datong.web.routing import unlisted_routes

router = unlisted_routes("/library/{name}")

PICTURE_WIDTH, PICTURE_HEIGHT = 720, 260
MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 44, 44, 12, 34
TICKS_MAX = 12


WEIGHTS_TONES = {WeightsState.ACTIVE: "good", WeightsState.PROPOSED: "info"}


class Column(Value):
    """One column of the histogram, in the picture's units; its threshold, its pairs, both estimates in percent."""

    x: float
    y: float
    width: float
    height: float
    point: OperatingPoint
    pairs: int
    ticked: bool
    accepted: bool


class Picture(Value):
    """The histogram of weights with the lines of precision and recall, ready to be drawn as SVG."""

    width: int = PICTURE_WIDTH
    height: int = PICTURE_HEIGHT
    bottom: float
    left: float = MARGIN_LEFT
    right: float
    top: float = MARGIN_TOP
    columns: tuple[Column, ...]
    precision: str
    recall: str
    accept_x: float | None


@router.get("/review")
def queue(desk: SignedIn, name: str, offset: Offset, show: str = "") -> Response:
    """Show the pairs that wait, or were put off, and the threshold tool."""
    postponed = show == "later"
    page = list_pairs(name, desk.caller, desk.services, postponed=postponed, offset=offset, limit=PAGE_ROWS)
    points = read_thresholds(name, desk.caller, desk.services)
    linkage = desk.services.library.definition(name).linkage
    accept = None if linkage is None else linkage.accept_bits
    return desk.page(
        "library/review.html",
        name=name,
        library_title=_library_title(desk, name),
        page=page,
        offset=offset,
        step=PAGE_ROWS,
        show=show,
        picture=picture_of(points, accept) if points else None,
        learned=() if linkage is None else list_weights(name, desk.caller, desk.services),
        usable=(0, 0) if linkage is None else desk.services.library.weights.usable_decisions(name),
        states=WEIGHTS_TONES,
        accept=accept,
        present=next((point for point in points if accept is not None and point.threshold >= accept), None),
        source_title=lambda resource_id: desk.speech.say(desk.resource_title(resource_id)),
    )


@router.get("/review/{version}/{number}")
def pair(desk: SignedIn, name: str, version: int, number: int) -> Response:
    """Show one pair: both records side by side, and what speaks for and against."""
    view = read_pair(name, version, number, desk.caller, desk.services)
    return desk.page(
        "library/pair.html",
        name=name,
        library_title=_library_title(desk, name),
        view=view,
        verdicts=tuple(Verdict),
        in_words=lambda element, value: in_words(desk, element, value),
        statement_max=TEXT_CHARS_MAX,
        bits_max=max((abs(level.bits) for level in view.pair.levels), default=1) or 1,
    )


@router.post("/review/{version}/{number}")
def decide(
    desk: SignedIn,
    name: str,
    version: int,
    number: int,
    verdict: Annotated[Verdict, Form()],
    statement: Annotated[str, Form(max_length=TEXT_CHARS_MAX)] = "",
) -> Response:
    """Decide about the pair and go on with the queue."""
    decide_pair(name, version, number, PairVerdict(verdict=verdict, statement=statement), desk.caller, desk.services)
    return desk.go(f"/library/{name}/review", done="review")


@router.post("/weights")
def train(desk: SignedIn, name: str) -> Response:
    """Learn weights from the decisions, and show the proposal."""
    made = train_weights(name, desk.caller, desk.services)
    return desk.go(f"/library/{name}/weights/{made.number}", done="weights")


@router.get("/weights/{number}")
def weights(desk: SignedIn, name: str, number: int) -> Response:
    """Show learned weights: what they make of the decisions, and what changes, level by level."""
    found = read_weights(name, number, desk.caller, desk.services)
    acts = [WeightsAct.ACTIVATE, WeightsAct.DECLINE] if found.state is WeightsState.PROPOSED else []
    acts += [WeightsAct.END] if found.state is WeightsState.ACTIVE else []
    return desk.page(
        "library/weights.html",
        name=name,
        library_title=_library_title(desk, name),
        found=found,
        states=WEIGHTS_TONES,
        acts=acts if desk.may(Action.LIBRARY_DEFINE) else [],
        statement_max=TEXT_CHARS_MAX,
    )


@router.post("/weights/{number}")
def weigh(
    desk: SignedIn,
    name: str,
    number: int,
    act: Annotated[WeightsAct, Form()],
    statement: Annotated[str, Form(min_length=1, max_length=TEXT_CHARS_MAX)],
) -> Response:
    """Put weights in force, decline or end them."""
    decide_weights(name, number, WeightsOrder(act=act, statement=statement), desk.caller, desk.services)
    return desk.go(f"/library/{name}/weights/{number}", done="weights")


@router.get("/decisions")
def decisions(desk: SignedIn, name: str, offset: Offset) -> Response:
    """Show what was decided, by whom, and whether the library was built with it."""
    page = list_decisions(name, desk.caller, desk.services, offset=offset, limit=PAGE_ROWS)
    return desk.page(
        "library/decisions.html",
        name=name,
        library_title=_library_title(desk, name),
        page=page,
        offset=offset,
        step=PAGE_ROWS,
        tones={Verdict.SAME: "good", Verdict.DIFFERENT: "warn", Verdict.LATER: ""},
    )


@router.post("/decisions/{decision_id}/withdraw")
def withdraw(desk: SignedIn, name: str, decision_id: str) -> Response:
    """Withdraw a decision."""
    withdraw_decision(name, decision_id, desk.caller, desk.services)
    return desk.go(f"/library/{name}/decisions", done="review")


def picture_of(points: tuple[OperatingPoint, ...], accept: float | None) -> Picture:
    """Return the histogram of `points` with their estimates, placed in the picture."""
    in_bin = [
        point.pairs - (points[place + 1].pairs if place + 1 < len(points) else 0) for place, point in enumerate(points)
    ]
    most = max(in_bin) or 1
    bottom, right = PICTURE_HEIGHT - MARGIN_BOTTOM, PICTURE_WIDTH - MARGIN_RIGHT
    wide, high = (right - MARGIN_LEFT) / len(points), bottom - MARGIN_TOP
    every = max(1, -(-len(points) // TICKS_MAX))
    columns = tuple(
        Column(
            x=round(MARGIN_LEFT + place * wide, 2),
            y=round(bottom - high * pairs / most, 2),
            width=round(max(1.0, wide - 1), 2),
            height=round(high * pairs / most, 2),
            point=point,
            pairs=pairs,
            ticked=place % every == 0,
            accepted=accept is not None and point.threshold >= accept,
        )
        for place, (point, pairs) in enumerate(zip(points, in_bin, strict=True))
    )

    def line(shares: list[float]) -> str:
        places = (MARGIN_LEFT + place * wide for place in range(len(shares)))
        return " ".join(f"{x:.1f},{bottom - high * share:.1f}" for x, share in zip(places, shares, strict=True))

    low = points[0].threshold
    span = (points[-1].threshold - low) / max(1, len(points) - 1) or 1
    inside = accept is not None and low <= accept <= points[-1].threshold + span
    return Picture(
        bottom=bottom,
        right=right,
        columns=columns,
        precision=line([point.precision for point in points]),
        recall=line([point.recall for point in points]),
        accept_x=round(MARGIN_LEFT + (accept - low) / span * wide, 2) if inside and accept is not None else None,
    )


def _library_title(desk: Desk, name: str) -> str:
    desk.require(Action.LIBRARY_READ)
    return desk.speech.say(desk.services.library.definition(name).title)
