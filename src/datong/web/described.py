"""How answers stand in the description of the interface (OpenAPI): their media types where it is not JSON of a model,
the statuses that go with them, and the errors of every route.
"""

from typing import Any

from datong.web.problems import MEDIA_TYPE, ProblemDocument

Answers = dict[int | str, dict[str, Any]]
"""Answers by status, as FastAPI takes them."""
PROBLEM_SCHEMA = "ProblemDocument"
_PROBLEM = {"content": {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{PROBLEM_SCHEMA}"}}}}
ERRORS: Answers = {
    "4XX": {"description": "The call cannot be answered as it is: RFC 9457 problem details.", **_PROBLEM},
    503: {"description": "Something needed does not answer now; `Retry-After` says when to call again.", **_PROBLEM},
    504: {"description": "A node did not answer in its time.", **_PROBLEM},
    507: {"description": "There is no room left; `Retry-After` says when to call again.", **_PROBLEM},
}
"""What every route may answer instead of what it is for."""


def told_in(*media_types: str, in_parts: bool = False) -> Answers:
    """Return the description of an answer 200 in one of some media types; `in_parts`: a byte range of it is 206.

    JSON and YAML are described as any document, everything else as bytes. Without media types, FastAPI describes the
    route's model.
    """
    names = [media_type.partition(";")[0] for media_type in media_types]
    content = {name: {"schema": {} if name.endswith(_DOCUMENTS) else _BYTES} for name in names}
    answers: Answers = {200: {"content": content}} if content else {}
    if in_parts:
        answers[206] = {"description": "The byte range that `Range` asks for.", "content": content}
    return answers


def public(*media_types: str) -> Answers:
    """Return the description of a public answer, which is 304 to who has it already."""
    return {**told_in(*media_types), 304: {"description": "As it was when the caller last asked."}}


def problem_component() -> dict[str, Any]:
    """Return the schema of every error."""
    return ProblemDocument.model_json_schema()


_DOCUMENTS = ("json", "yaml")
_BYTES: dict[str, Any] = {"type": "string", "format": "binary"}
