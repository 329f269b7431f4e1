"""Errors as pages: what happened, what to do, and the code to quote."""

from http import HTTPStatus
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from datong.kernel import DatongError, Invalid, Text
from datong.sharing import Principal
from datong.web.authentication import SESSION_COOKIE, optional_principal, services_of
from datong.web.console.desk import Desk
from datong.web.problems import Problem


def problem_page(request: Request, problem: Problem) -> Response:
    """Render `problem` for a browser; somebody who is not signed in is sent to sign in and comes back afterwards."""
    if problem.status == HTTPStatus.UNAUTHORIZED:
        response = RedirectResponse(sign_in_address(request), status_code=HTTPStatus.SEE_OTHER)
        response.delete_cookie(SESSION_COOKIE, path="/")
        return response
    desk = Desk(request, services_of(request), _caller(request, problem))
    return desk.page(
        "problem.html",
        status=problem.status,
        found=problem,
        request_id=str(request.scope.get("state", {}).get("request_id", "")),
    )


def sign_in_address(request: Request) -> str:
    """Return the sign-in page that leads back to what was asked for."""
    if request.method != "GET" or request.url.path == "/":
        return "/sign-in"
    query = f"?{request.url.query}" if request.url.query else ""
    return "/sign-in?next=" + quote(request.url.path + query, safe="")


def _caller(request: Request, problem: Problem) -> Principal | None:
    """Return who asks, if that can be told; after an internal error nothing is asked of the database."""
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return None
    try:
        return optional_principal(request)
    except DatongError:
        return None


def form_incomplete() -> Invalid:
    """Return the error of a form whose fields are not what they should be."""
    return Invalid(
        "web.form_incomplete",
        what=Text(zh="表单填写不完整或者有误。", en="The form is incomplete or not valid."),
        remedy=Text(zh="请逐项核对后重新提交。", en="Check each field and submit again."),
    )
