"""Files, whole and by range."""

from pathlib import Path

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import Response
from hypothesis import given
from hypothesis import strategies as st

from datong.kernel import Language
from datong.web.downloads import file_response, requested_range
from datong.web.problems import ProblemDocument, install_problem_handlers
from tests.unit.web.asking import ask

CONTENT = bytes(range(256)) * 4


def application(path: Path) -> FastAPI:
    """Return an application that serves one file."""
    app = FastAPI()
    app.state.language = Language.ZH
    install_problem_handlers(app)

    @app.get("/api/file", response_class=Response)
    def read(request: Request) -> Response:
        return file_response(request, path, media_type="application/octet-stream")

    return app


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    """An application over a file of 1,024 bytes."""
    path = tmp_path / "payload"
    path.write_bytes(CONTENT)
    return application(path)


@pytest.mark.parametrize("header", ["", "bytes=", "bytes=-", "lines=1-2", "bytes=1-2,5-6"])
def test_without_one_range_the_whole_file_is_sent(app: FastAPI, header: str) -> None:
    """What is not one byte range is ignored."""
    answer = ask(app, "GET", "/api/file", headers={"Range": header})
    assert answer.status_code == 200
    assert answer.content == CONTENT
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-0", CONTENT[:1]),
        ("bytes=1000-", CONTENT[1000:]),
        ("bytes=-24", CONTENT[-24:]),
        ("bytes=1000-9999", CONTENT[1000:]),
    ],
)
def test_a_range_is_sent_as_partial_content(app: FastAPI, header: str, part: bytes) -> None:
    """An interrupted download goes on where it stopped."""
    answer = ask(app, "GET", "/api/file", headers={"Range": header})
    assert answer.status_code == 206
    assert answer.content == part
    assert answer.headers["content-range"].endswith("/1024")


@pytest.mark.parametrize("header", ["bytes=1024-", "bytes=5-4", "bytes=-0"])
def test_a_range_outside_the_file_is_a_problem(app: FastAPI, header: str) -> None:
    """416 in the one shape, with the length."""
    answer = ask(app, "GET", "/api/file", headers={"Range": header})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */1024"
    assert ProblemDocument.model_validate(answer.json()).code == "web.range_not_satisfiable"


@given(st.text(max_size=40), st.integers(0, 10**6))
def test_no_header_breaks_the_parser(header: str, size: int) -> None:
    """Whatever a client sends, the answer is a range or nothing."""
    span = requested_range(header, size)
    assert span is None or (span[0] >= 0 and span[1] >= 0)
