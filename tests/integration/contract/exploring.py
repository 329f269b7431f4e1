"""Schemathesis over the whole description of a live hub, in the names of everybody who can call it.

Every operation gets calls that keep to the description and calls that break it, from everybody in turn. What may not
happen: an answer 5xx, an answer that is not described, a body or a header that is not as described, and something that
breaks the description and is taken all the same. Identifiers in paths, queries and bodies are mostly those of things
that exist, so that calls come further than to a 404.
"""

import ast
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from random import Random
from threading import RLock
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import checks as shipped
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks as openapi_checks

from tests.integration.contract.callers import Caller

DESCRIPTION = "/api/openapi.json"
LEFT_OUT = {"DELETE /api/v1/session": "it ends the session that explores; tests/integration/web calls it"}
"""Operations that are not explored, each with the reason."""
REAL_SHARE = 0.75
"""How often an identifier is one of something that exists."""
TIMEOUT_SECONDS = 300
"""Tests never assert on time: a loaded machine may take as long as it likes."""
BODY_CHARS, MESSAGE_CHARS = 500, 300
CHECKS = (
    shipped.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
)
Known = Mapping[str, Sequence[str]]


@contextmanager
def one_syntax_tree_at_a_time() -> Iterator[None]:
    """Let no two threads make syntax trees at once: CPython 3.11 counts their depth for all of them together.

    Hypothesis makes one of whole modules, to describe a lambda, and who formats a traceback in a thread of the hub
    makes one of each line; met together they end in "AST constructor recursion depth mismatch".
    """
    lock = RLock()
    parse: Callable[..., ast.AST] = ast.parse

    def locked(*given: Any, **named: Any) -> ast.AST:
        with lock:
            return parse(*given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ast, "parse", locked)
        yield


"""What exists, by the name under which a path, a query or a body asks for it."""


@dataclass
class Explored:
    """What an exploration saw: `findings` by operation and kind, and how many answers of each status."""

    findings: dict[str, str] = field(default_factory=dict)
    answers: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))

    @property
    def calls(self) -> int:
        """How many calls were made."""
        return sum(sum(counted.values()) for counted in self.answers.values())

    @property
    def reached(self) -> int:
        """How many operations answered something else than that they refuse or do not know."""
        return len(self.answers) - len(self.unreached)

    @property
    def unreached(self) -> list[str]:
        """Which operations never did anything but refuse."""
        return [label for label, counted in self.answers.items() if all(status >= 400 for status in counted)]


@dataclass(kw_only=True)
class Explorer:
    """Explores the hub at `url` with `examples` calls of each kind per operation, until `deadline` (monotonic)."""

    url: str
    callers: Sequence[Caller]
    known: Known
    examples: int
    seed: int
    deadline: float | None = None
    only: Callable[[str], bool] = lambda _label: True
    told: Callable[[str], object] = lambda _finding: None
    """Called with each finding when it is made."""

    def explore(self, seen: Explored) -> None:
        """Add to what was seen."""
        with one_syntax_tree_at_a_time():
            self._explore(seen)

    def _explore(self, seen: Explored) -> None:
        described = requests.get(self.url + DESCRIPTION, timeout=TIMEOUT_SECONDS).json()
        schema = schemathesis.openapi.from_dict(described)
        random = Random(self.seed)
        turns = cycle(self.callers)
        for found in schema.get_all_operations():
            assert isinstance(found, Ok), found.err()
            operation = found.ok()
            if operation.label in LEFT_OUT or not self.only(operation.label):
                continue
            for mode in modes_of(operation):
                if self.deadline is not None and time.monotonic() > self.deadline:
                    return
                self._explore_operation(operation, mode, seen, random, turns)

    def _explore_operation(self, operation: Any, mode: Any, seen: Explored, random: Random, turns: Any) -> None:
        @seed(self.seed)
        @settings(
            max_examples=self.examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def one(case: Any) -> None:
            self._call(case, next(turns), seen, random, is_positive=mode.is_positive)

        with suppress(Unsatisfiable):
            one()

    def _call(self, case: Any, caller: Caller, seen: Explored, random: Random, *, is_positive: bool) -> None:
        if is_positive:
            self._fill(case, random)
        answer = case.call(base_url=self.url, headers=caller.headers(), timeout=TIMEOUT_SECONDS)
        label = case.operation.label
        seen.answers[label][answer.status_code] += 1
        try:
            case.validate_response(answer, checks=[*CHECKS, *rejections_of(case)])
        except FailureGroup as group:
            for failure in group.exceptions:
                self._note(seen, label, failure, caller, case, answer)
        except Failure as failure:
            self._note(seen, label, failure, caller, case, answer)

    def _note(self, seen: Explored, label: str, failure: Failure, caller: Caller, case: Any, answer: Any) -> None:
        kind = f"{label}: {failure.title} ({answer.status_code})"
        if kind not in seen.findings:
            told = answer.content[:BODY_CHARS].decode(errors="replace")
            seen.findings[kind] = (
                f"{kind}\n  as {caller.name}: {case.method} {answer.request.url} {repr(case.body)[:BODY_CHARS]}\n"
                f"  {failure.message.strip()[:MESSAGE_CHARS]}\n  answered {told}"
            )
            self.told(seen.findings[kind])

    def _fill(self, case: Any, random: Random) -> None:
        """Put identifiers of things that exist where they belong."""
        for place in (case.path_parameters, case.query):
            for name in list(place or ()):
                if name in self.known and random.random() < REAL_SHARE:
                    place[name] = random.choice(self.known[name])
        if isinstance(case.body, dict | list):
            self._fill_body(case.body, random)

    def _fill_body(self, body: Any, random: Random) -> None:
        members = body.items() if isinstance(body, dict) else enumerate(body)
        for name, value in list(members):
            if isinstance(value, dict | list):
                self._fill_body(value, random)
            elif isinstance(value, str) and name in self.known and random.random() < REAL_SHARE:
                body[name] = random.choice(self.known[name])


def rejections_of(case: Any) -> tuple[Any, ...]:
    """Return the check that a call is refused which breaks the description, where its body does.

    What stands in a path or a query is text: a number where a text is asked for is one, and so is taken rightly.
    """
    body = case.meta.components.get(ParameterLocation.BODY)
    is_broken = body is not None and body.mode.is_negative
    return (openapi_checks.negative_data_rejection,) if is_broken else ()


def modes_of(operation: Any) -> tuple[Any, ...]:
    """Return how an operation can be called: against its description only where it says something that can be broken.

    Any text is a good identifier; looking for one that is not took eight seconds for each operation.
    """
    positive, negative = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
    described = operation.definition.raw
    parameters = [
        one.get("schema", {}) for one in described.get("parameters", ()) if one.get("in") in {"path", "query"}
    ]
    typed = any(not _takes_any_text(schema) for schema in parameters)
    return (positive, negative) if typed or "requestBody" in described else (positive,)


def _takes_any_text(schema: Mapping[str, Any]) -> bool:
    """Whether every text is valid by a schema."""
    options = schema.get("anyOf", [schema])
    return any(
        one.get("type") == "string" and not {"enum", "pattern", "format", "minLength", "maxLength"} & one.keys()
        for one in options
    )
