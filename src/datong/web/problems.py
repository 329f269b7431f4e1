"""The one error shape of every route: RFC 9457 problem details, with a stable code and a remedy, in both languages.

One table maps the classes of `datong.kernel` errors to HTTP statuses. What a framework refuses by itself (no such
route, wrong method, malformed body) takes the same shape, and an unexpected exception tells nothing but its request id.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import Field
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from datong.kernel import (
    Conflict,
    Corrupt,
    DatongError,
    Invalid,
    Language,
    Misconfigured,
    NotFound,
    Overloaded,
    Refused,
    StorageFull,
    Text,
    TimedOut,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unreachable,
    Value,
)

LOGGER = logging.getLogger("datong.web")
MEDIA_TYPE = "application/problem+json"
LANGUAGE_COOKIE = "datong_language"
RETRY_AFTER_SECONDS = 2
RETRIED_LATER = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.INSUFFICIENT_STORAGE,
}
MACHINE_PREFIXES = ("/api/", "/gateway/", "/delta-sharing", "/log/", "/ogc", "/healthz", "/readyz", "/metrics")
"""Below these paths every answer is for machines; elsewhere a browser gets errors as pages."""

STATUS_OF: Mapping[type[DatongError], HTTPStatus] = {
    Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    Refused: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Corrupt: HTTPStatus.UNPROCESSABLE_ENTITY,
    Overloaded: HTTPStatus.TOO_MANY_REQUESTS,
    TimedOut: HTTPStatus.GATEWAY_TIMEOUT,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    Unreachable: HTTPStatus.FAILED_DEPENDENCY,
    StorageFull: HTTPStatus.INSUFFICIENT_STORAGE,
    Misconfigured: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""The one table from causes to statuses."""

TITLES: Mapping[int, Text] = {
    400: Text(zh="请求不可用", en="Bad request"),
    401: Text(zh="未能识别身份", en="Not authenticated"),
    403: Text(zh="不允许", en="Refused"),
    404: Text(zh="没有找到", en="Not found"),
    405: Text(zh="方法不适用", en="Method not allowed"),
    409: Text(zh="与当前状态不符", en="Conflict"),
    413: Text(zh="超出大小限制", en="Too large"),
    416: Text(zh="范围不可用", en="Range not satisfiable"),
    422: Text(zh="内容不符合要求", en="Invalid"),
    424: Text(zh="对方没有应答", en="The other party does not answer"),
    429: Text(zh="调用过多", en="Too many at once"),
    500: Text(zh="内部错误", en="Internal error"),
    503: Text(zh="暂时不可用", en="Unavailable"),
    504: Text(zh="等待超时", en="Timed out"),
    507: Text(zh="存储空间不足", en="Insufficient storage"),
}


class Problem(Value):
    """One problem, ready to be rendered in either language."""

    status: int
    code: str
    what: Text
    remedy: Text
    field: str | None = None
    context: dict[str, object] = Field(default_factory=dict)
    errors: tuple[dict[str, str], ...] = ()

    @property
    def title(self) -> Text:
        """The kind of problem, by status."""
        return TITLES.get(self.status, TITLES[400])


class ProblemDocument(Value):
    """The JSON object of every error, as it is sent."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    remedy: str
    field: str | None
    context: dict[str, object]
    errors: tuple[dict[str, str], ...]
    detail_zh: str
    detail_en: str
    remedy_zh: str
    remedy_en: str
    request_id: str


PageRenderer = Callable[[Request, Problem], Response]
"""Renders a problem as a page for browsers; the console provides it."""


INTERNAL = Problem(
    status=500,
    code="web.internal",
    what=Text(zh="平台内部出错，未完成这次请求。", en="The platform failed inside and did not complete the request."),
    remedy=Text(zh="请把 request_id 告诉运维人员。", en="Tell the operators the request_id."),
)

DATABASE_DOWN = Problem(
    status=503,
    code="web.database_unavailable",
    what=Text(zh="控制数据库没有应答，未完成这次请求。", en="The control database did not answer this request."),
    remedy=Text(zh="请稍后重试；持续出现时请告知运维人员。", en="Try again later; if it lasts, tell the operators."),
)
"""What a lost connection, a locked database or an exhausted pool is to a client: nobody's fault, and worth a retry."""


DATABASE_ERRORS = (OperationalError, InterfaceError, PoolTimeout)


def problem_of(error: DatongError) -> Problem:
    """Return the problem that `error` is to an HTTP client."""
    status = next((STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF), HTTPStatus.BAD_REQUEST)
    return Problem(
        status=int(status),
        code=error.code,
        what=error.what,
        remedy=error.remedy,
        field=error.field,
        context=error.context,
    )


def language_of(request: Request) -> Language:
    """Return the language for this request: the cookie, else `Accept-Language`, else the installation's default."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    if chosen in set(Language):
        return Language(chosen)
    for part in request.headers.get("accept-language", "").split(","):
        tag = part.split(";")[0].strip().lower()[:2]
        if tag in set(Language):
            return Language(tag)
    application = request.scope.get("app")
    return Language(application.state.language) if application is not None else Language.ZH


def wants_page(request: Request) -> bool:
    """Return whether a browser asks for a page (and not a machine, or htmx, for data)."""
    return not request.url.path.startswith(MACHINE_PREFIXES) and "text/html" in request.headers.get("accept", "")


def problem_document(problem: Problem, language: Language, *, instance: str, request_id: str) -> ProblemDocument:
    """Return `problem` as it is sent; fields without a value are null, never absent."""
    return ProblemDocument(
        type=f"urn:datong:problem:{problem.code}",
        title=problem.title.render(language),
        status=problem.status,
        detail=problem.what.render(language),
        instance=instance,
        code=problem.code,
        remedy=problem.remedy.render(language),
        field=problem.field,
        context={name: _public(value) for name, value in problem.context.items()},
        errors=problem.errors,
        detail_zh=problem.what.zh,
        detail_en=problem.what.en,
        remedy_zh=problem.remedy.zh,
        remedy_en=problem.remedy.en,
        request_id=request_id,
    )


def problem_response(request: Request, problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """Render `problem` as JSON in the language of `request`."""
    language = language_of(request)
    extra = dict(headers or {})
    extra["Content-Language"] = language.value
    extra["Cache-Control"] = "no-store"
    if problem.status == HTTPStatus.UNAUTHORIZED:
        extra["WWW-Authenticate"] = "Bearer"
    if problem.status in RETRIED_LATER:
        extra.setdefault("Retry-After", str(problem.context.get("retry_after_seconds", RETRY_AFTER_SECONDS)))
    document = problem_document(
        problem,
        language,
        instance=request.url.path,
        request_id=str(request.scope.get("state", {}).get("request_id", "")),
    )
    return JSONResponse(
        document.model_dump(mode="json"), status_code=problem.status, headers=extra, media_type=MEDIA_TYPE
    )


def expected_problem(request: Request, error: Exception) -> Problem | None:
    """Return the problem that an error of a route is; None: nobody expects such an error."""
    if isinstance(error, DatongError):
        return problem_of(error)
    if isinstance(error, RequestValidationError):
        return _malformed_problem(error.errors())
    if isinstance(error, HTTPException):
        return _framework_problem(error.status_code)
    if isinstance(error, DATABASE_ERRORS):
        LOGGER.warning("the control database did not answer %s: %s", request.url.path, error)
        return DATABASE_DOWN
    return None


def install_problem_handlers(app: FastAPI, *, page: PageRenderer | None = None) -> None:
    """Make every error of `app` leave in the one shape; `page` renders it for browsers outside the machine paths."""

    def answer(request: Request, problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
        if page is not None and wants_page(request):
            return page(request, problem)
        return problem_response(request, problem, headers)

    def expected(request: Request, error: Exception) -> Response:
        return answer(request, expected_problem(request, error) or INTERNAL)

    def framework(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            return answer(request, INTERNAL)
        return answer(request, _framework_problem(error.status_code), error.headers)

    def unexpected(request: Request, _error: Exception) -> Response:
        return answer(request, INTERNAL)

    app.add_exception_handler(HTTPException, framework)
    for kind in (DatongError, RequestValidationError, *DATABASE_ERRORS):
        app.add_exception_handler(kind, expected)
    app.add_exception_handler(Exception, unexpected)


def _framework_problem(status: int) -> Problem:
    code, what, remedy = _FRAMEWORK.get(status, _FRAMEWORK[400])
    return Problem(status=status, code=code, what=what, remedy=remedy)


def _malformed_problem(details: Sequence[Mapping[str, object]]) -> Problem:
    errors = tuple({"field": _pointer(detail.get("loc")), "message": str(detail.get("msg", ""))} for detail in details)
    first = errors[0]["field"] if errors else None
    return Problem(
        status=422,
        code="web.input_invalid",
        what=Text(
            zh=f"请求有 {len(errors)} 处不符合接口说明，见 errors。",
            en=f"The request departs from the interface description in {len(errors)} place(s); see errors.",
        ),
        remedy=Text(zh="请按 /api/openapi.json 修改后重发。", en="Correct it by /api/openapi.json and send it again."),
        field=first,
        errors=errors,
    )


def _pointer(location: object) -> str:
    """Return a JSON pointer for pydantic's location of an error; its first part says body, query or path."""
    if not isinstance(location, Sequence) or isinstance(location, str):
        return ""
    parts = [str(part) for part in location]
    return "/" + "/".join(parts[1:] if parts[:1] == ["body"] else parts)


def _public(value: object) -> object:
    """Return `value` as JSON can hold it."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Mapping):
        return {str(key): _public(member) for key, member in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes):
        return [_public(member) for member in value]
    return str(value)


_FRAMEWORK: Mapping[int, tuple[str, Text, Text]] = {
    400: (
        "web.request_invalid",
        Text(zh="服务器看不懂这个请求。", en="The server cannot make sense of the request."),
        Text(zh="请检查请求的格式。", en="Check the form of the request."),
    ),
    404: (
        "web.route_not_found",
        Text(zh="没有这个地址。", en="There is no such address."),
        Text(zh="可用地址见 /api/openapi.json。", en="See /api/openapi.json for the addresses there are."),
    ),
    405: (
        "web.method_not_allowed",
        Text(zh="这个地址不接受这种方法。", en="This address does not take this method."),
        Text(zh="可用方法见 Allow 头。", en="See the Allow header for the methods it takes."),
    ),
    413: (
        "web.body_too_large",
        Text(zh="请求体超过上限。", en="The body of the request is over its limit."),
        Text(zh="请分批发送。", en="Send it in parts."),
    ),
    416: (
        "web.range_not_satisfiable",
        Text(zh="请求的字节范围不在内容之内。", en="The byte range asked for is not within the content."),
        Text(zh="请从内容长度以内重新请求。", en="Ask again within the length of the content."),
    ),
}
