"""Commands of `datong govern` about ratings: what waits, what was said, what it adds up to."""

from typing import Annotated
from urllib.parse import urlencode

import typer

from datong.cli.hub_call import HubOption, JsonOption, TokenOption, call_hub
from datong.cli.shell import say_json
from datong.governance.satisfaction import ASPECT_NAMES, RATING_STATE_NAMES, Rating, RatingSummary
from datong.kernel import Invalid, Page, Text, both

RatingArgument = Annotated[str, typer.Argument(help="评价编号 · id of a rating")]


def ratings(
    hub: HubOption,
    token: TokenOption,
    period: Annotated[str, typer.Option(help="季度，如 2026-Q4 · a quarter")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON · print JSON")] = False,
) -> None:
    """列出评价：收到数据的部门怎么说 · list what departments said of the data they received."""
    answer = call_hub(hub, token, "GET", f"/ratings?{urlencode({'period': period} if period else {})}")
    if as_json:
        say_json(answer)
        return
    for one in Page[Rating].model_validate(answer).rows:
        points = ", ".join(f"{both(ASPECT_NAMES[aspect])} {points}" for aspect, points in one.scores.items())
        state = both(RATING_STATE_NAMES[one.state])
        typer.echo(f"{one.period} {one.consumer} → {one.provider} [{state}] {points} {one.id}")


def rate(
    agreement: Annotated[str, typer.Argument(help="协议编号 · id of an agreement")],
    hub: HubOption,
    token: TokenOption,
    score: Annotated[
        list[str], typer.Option(help="评价项=分值（1–5），如 quality=4，可重复 · aspect=points, may repeat")
    ],
    reason: Annotated[list[str] | None, typer.Option(help="评价项=理由，可重复 · aspect=reason, may repeat")] = None,
) -> None:
    """评价收到的数据，或修改本季度的评价 · rate what an agreement delivers, or change the rating of this quarter."""
    body = {"scores": _pairs(score), "reasons": _pairs(reason or [])}
    one = Rating.model_validate(call_hub(hub, token, "PUT", f"/agreements/{agreement}/rating", body))
    typer.echo(f"{one.id}: {one.period} {both(RATING_STATE_NAMES[one.state])}")


def answer_rating(
    rating: RatingArgument,
    hub: HubOption,
    token: TokenOption,
    text: Annotated[str, typer.Option(help="回应 · the answer")],
) -> None:
    """以提供部门的名义回应评价 · answer a rating in the provider's name."""
    one = Rating.model_validate(call_hub(hub, token, "POST", f"/ratings/{rating}/answer", {"answer": text}))
    typer.echo(f"{one.id}: {both(RATING_STATE_NAMES[one.state])}")


def _pairs(said: list[str]) -> dict[str, str]:
    """Return what stands before and behind each first equals sign."""
    unusable = [one for one in said if "=" not in one]
    if unusable:
        raise Invalid(
            "cli.pair_expected",
            what=Text(zh=f"“{unusable[0]}”中没有等号。", en=f"“{unusable[0]}” has no equals sign."),
            remedy=Text(zh="请写成 quality=4。", en="Write it like quality=4."),
        )
    return {name.strip(): value.strip() for name, _, value in (one.partition("=") for one in said)}


def withdraw_rating(rating: RatingArgument, hub: HubOption, token: TokenOption) -> None:
    """撤回评价，不再计入 · take a rating back; it counts no more."""
    one = Rating.model_validate(call_hub(hub, token, "POST", f"/ratings/{rating}/withdrawal"))
    typer.echo(f"{one.id}: {both(RATING_STATE_NAMES[one.state])}")


def to_rate(hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """列出本季度收到而未评价的 · list what was received and not rated in this quarter."""
    answer = call_hub(hub, token, "GET", "/ratings/waiting")
    if as_json:
        say_json(answer)
        return
    for one in answer if isinstance(answer, list) else ():
        typer.echo(f"{one['provider']} {one['title']['zh']} · {one['title']['en']} {one['agreement_id']}")


def ratings_summary(
    hub: HubOption,
    token: TokenOption,
    provider: Annotated[str, typer.Option(help="提供部门代码，默认本部门 · code of the provider")] = "",
    period: Annotated[str, typer.Option(help="季度，如 2026-Q4 · a quarter")] = "",
    as_json: JsonOption = False,
) -> None:
    """一个部门一季度收到的评价汇总 · what the ratings of a department's deliveries add up to in a quarter."""
    query = urlencode({name: value for name, value in (("provider", provider), ("period", period)) if value})
    answer = call_hub(hub, token, "GET", f"/ratings/summary?{query}")
    if as_json:
        say_json(answer)
        return
    found = RatingSummary.model_validate(answer)
    typer.echo(f"{found.provider} {found.period}: {found.ratings} ({found.answered} 已回应 · answered)")
    for one in found.aspects:
        typer.echo(f"  {both(ASPECT_NAMES[one.aspect])}: {one.mean_centi / 100:.2f} ({one.satisfied}/{one.ratings})")


COMMANDS = (ratings, to_rate, rate, answer_rating, withdraw_rating, ratings_summary)
"""What `datong govern` takes in from here."""
