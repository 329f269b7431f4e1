"""One call of a hub's REST interface, for command groups that are thin over it."""

from typing import Annotated

import httpx
import typer

from datong.kernel import Refused, Text, Unavailable
from datong.kernel.tls import tls_context

TIMEOUT_SECONDS = 60.0
HubOption = Annotated[str, typer.Option("--hub", envvar="DATONG_HUB", help="枢纽地址 · address of the hub")]
TokenOption = Annotated[str, typer.Option("--token", envvar="DATONG_TOKEN", help="访问令牌 · access token")]
JsonOption = Annotated[bool, typer.Option("--json", help="输出 JSON · print JSON")]


def call_hub(
    hub: str,
    token: str,
    method: str,
    path: str,
    body: object = None,
    *,
    content: bytes | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> object:
    """Return what the hub answers at `path` under /api/v1; `body` goes as JSON, `content` as it is.

    Raises:
        Refused: it refuses; its own words are in the text.
        Unavailable: it answers with something else than a hub.
    """
    response = httpx.request(
        method,
        f"{hub.rstrip('/')}/api/v1{path}",
        json=body,
        content=content,
        headers={"Authorization": f"Bearer {token}"},
        timeout=timeout_seconds,
        trust_env=False,
        verify=tls_context(hub),
    )
    try:
        answer: object = response.json()
    except ValueError as error:
        raise Unavailable(
            "cli.hub_unreadable",
            what=Text(zh=f"{hub} 的应答不是枢纽的应答。", en=f"{hub} does not answer like a hub."),
            remedy=Text(zh="请核对 --hub。", en="Check --hub."),
        ) from error
    if response.is_success:
        return answer
    raise _refused(answer)


def fetch_from_hub(hub: str, token: str, path: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> bytes:
    """Return the file that the hub answers with at `path` under /api/v1.

    Raises:
        Refused: it refuses; its own words are in the text.
    """
    response = httpx.get(
        f"{hub.rstrip('/')}/api/v1{path}",
        headers={"Authorization": f"Bearer {token}"},
        timeout=timeout_seconds,
        trust_env=False,
        verify=tls_context(hub),
    )
    if response.is_success:
        return response.content
    is_json = response.headers.get("content-type", "").partition(";")[0].endswith("json")
    raise _refused(response.json() if is_json else {})


def _refused(answer: object) -> Refused:
    problem = answer if isinstance(answer, dict) else {}
    context = problem.get("context")
    places = context.get("problems") if isinstance(context, dict) else None
    cells = [one for one in places if isinstance(one, dict)] if isinstance(places, list) else []

    def told(language: str) -> str:
        """Return what is wrong, with each faulty cell of a file on a line of its own."""
        lines = (f"{one.get('place', '')}: {one.get(language, '')}" for one in cells)
        return "\n".join([str(problem.get(f"detail_{language}", "")), *lines])

    return Refused(
        str(problem.get("code", "cli.refused")),
        what=Text(zh=told("zh"), en=told("en")),
        remedy=Text(zh=str(problem.get("remedy_zh", "")), en=str(problem.get("remedy_en", ""))),
    )
