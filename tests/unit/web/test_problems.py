"""One error shape: every class of error, every way in which a framework refuses, in both languages."""

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from datong.kernel import DatongError, Language, Refused, Text, Unavailable
from datong.web.problems import (
    MEDIA_TYPE,
    STATUS_OF,
    TITLES,
    Problem,
    ProblemDocument,
    install_problem_handlers,
    problem_of,
    wants_page,
)
from tests.unit.web.asking import ask

WHAT = Text(zh="不行", en="No")
REMEDY = Text(zh="另想办法", en="Find another way")


def error_of(kind: type[DatongError]) -> DatongError:
    """Return an error of `kind` with everything filled in."""
    return kind("test.code", what=WHAT, remedy=REMEDY, field="/name", context={"limit": 3, "kinds": {"a"}, "of": kind})


def page(_request: Request, problem: Problem) -> Response:
    """Render a problem as the plainest of pages."""
    return PlainTextResponse(f"page {problem.code}", status_code=problem.status)


def application() -> FastAPI:
    """Return an application that fails in every way."""
    app = FastAPI()
    app.state.language = Language.ZH
    install_problem_handlers(app, page=page)

    @app.get("/api/domain/{name}")
    def domain(name: str) -> None:
        raise error_of(next(kind for kind in STATUS_OF if kind.__name__ == name))

    @app.get("/api/numbers/{number}")
    def numbers(number: int) -> int:
        return number

    @app.get("/api/broken")
    def broken() -> None:
        raise RuntimeError("the password is 123456")

    @app.get("/api/database/{name}")
    def database(name: str) -> None:
        if name == "connection":
            raise OperationalError("SELECT secret", {}, ConnectionError("server closed the connection"))
        raise PoolTimeout("QueuePool limit reached")

    @app.get("/api/teapot")
    def teapot() -> None:
        raise HTTPException(418)

    @app.get("/page")
    def a_page() -> None:
        raise error_of(Refused)

    return app


@pytest.mark.parametrize("kind", list(STATUS_OF))
def test_every_class_of_error_has_a_status_and_the_one_shape(kind: type[DatongError]) -> None:
    """Code, remedy and both languages leave with every error; nothing else does."""
    answer = ask(application(), "GET", f"/api/domain/{kind.__name__}", headers={"Accept-Language": "en-GB,en;q=0.9"})
    assert answer.status_code == STATUS_OF[kind]
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.headers["content-language"] == "en"
    document = ProblemDocument.model_validate(answer.json())
    assert set(answer.json()) == set(ProblemDocument.model_fields)
    assert (document.code, document.detail, document.detail_zh, document.remedy) == (
        "test.code",
        "No",
        "不行",
        "Find another way",
    )
    assert document.type == "urn:datong:problem:test.code"
    assert (document.field, document.context["limit"], document.context["kinds"]) == ("/name", 3, ["a"])


def test_no_class_of_error_is_without_a_status() -> None:
    """A new class of error in the kernel needs a row in the table, and every status a title."""
    direct = set(DatongError.__subclasses__())
    refined = {kind for cause in direct for kind in cause.__subclasses__() if kind.__module__ == DatongError.__module__}
    assert direct | refined == set(STATUS_OF)
    assert {int(status) for status in STATUS_OF.values()} <= set(TITLES)


def test_a_subclass_takes_the_status_of_its_cause() -> None:
    """A package may refine an error without touching the table."""

    class Forbidden(Refused):
        """A refinement."""

    assert problem_of(error_of(Forbidden)).status == 403


@pytest.mark.parametrize("name", ["connection", "pool"])
def test_a_database_that_does_not_answer_is_worth_a_retry(name: str) -> None:
    """A lost connection or an exhausted pool is 503 with the time to come back, and tells nothing of the statement."""
    answer = ask(application(), "GET", f"/api/database/{name}")
    assert (answer.status_code, answer.json()["code"]) == (503, "web.database_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/nothing", 404, "web.route_not_found"),
        ("DELETE", "/api/broken", 405, "web.method_not_allowed"),
        ("GET", "/api/numbers/many", 422, "web.input_invalid"),
        ("GET", "/api/broken", 500, "web.internal"),
        ("GET", "/api/teapot", 418, "web.request_invalid"),
    ],
)
def test_what_a_framework_refuses_has_the_same_shape(method: str, path: str, status: int, code: str) -> None:
    """No route leaves with another shape, and an internal error tells nothing."""
    answer = ask(application(), method, path)
    assert answer.status_code == status
    document = ProblemDocument.model_validate(answer.json())
    assert (document.status, document.code) == (status, code)
    assert "123456" not in answer.text


def test_malformed_input_names_its_places() -> None:
    """Each error says where, as a JSON pointer."""
    document = ask(application(), "GET", "/api/numbers/many").json()
    assert document["field"] == "/path/number"
    assert document["errors"][0]["field"] == "/path/number"


def test_headers_that_errors_need() -> None:
    """401 names its scheme, 503 says when to come back, 405 what is allowed."""
    app = application()
    assert ask(app, "GET", "/api/domain/Unauthenticated").headers["www-authenticate"] == "Bearer"
    assert int(ask(app, "GET", f"/api/domain/{Unavailable.__name__}").headers["retry-after"]) > 0
    assert "GET" in ask(app, "DELETE", "/api/broken").headers["allow"]


@pytest.mark.parametrize(
    ("headers", "language"),
    [
        ({}, "zh"),
        ({"Accept-Language": "fr, en;q=0.5"}, "en"),
        ({"Accept-Language": "en", "Cookie": "datong_language=zh"}, "zh"),
        ({"Cookie": "datong_language=xx"}, "zh"),
    ],
)
def test_the_language_is_chosen(headers: dict[str, str], language: str) -> None:
    """The cookie wins over the browser's languages, and those over the default."""
    assert ask(application(), "GET", "/api/nothing", headers=headers).headers["content-language"] == language


def test_browsers_get_pages_and_machines_get_data() -> None:
    """Only outside the machine paths, and only who asks for HTML."""
    app = application()
    browser = {"Accept": "text/html,application/xhtml+xml"}
    assert ask(app, "GET", "/page", headers=browser).text == "page test.code"
    assert ask(app, "GET", "/page").headers["content-type"] == MEDIA_TYPE
    assert ask(app, "GET", "/api/broken", headers=browser).headers["content-type"] == MEDIA_TYPE
    assert ask(app, "GET", "/nowhere", headers=browser).text == "page web.route_not_found"
    request = Request({"type": "http", "path": "/log/x", "headers": [(b"accept", b"text/html")], "query_string": b""})
    assert not wants_page(request)
