"""The error that another hub answers with, as the error that it was there: the one error shape, read (RFC 9457)."""

from http import HTTPStatus

from datong.kernel.errors import (
    Conflict,
    Corrupt,
    DatongError,
    Invalid,
    NotFound,
    Refused,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unreachable,
)
from datong.kernel.texts import Text

_CLASSES: dict[int, type[DatongError]] = {
    HTTPStatus.BAD_REQUEST: Invalid,
    HTTPStatus.UNAUTHORIZED: Unauthenticated,
    HTTPStatus.FORBIDDEN: Refused,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: TooLarge,
    HTTPStatus.UNPROCESSABLE_ENTITY: Invalid,
    HTTPStatus.FAILED_DEPENDENCY: Unreachable,
    HTTPStatus.TOO_MANY_REQUESTS: Unavailable,
}


def answered_error(status: int, answer: object, *, corrupt_codes: tuple[str, ...] = ()) -> DatongError | None:
    """Return the error of an HTTP answer that is no success; None when it does not say its code.

    A status tells corrupt input from invalid input as little as HTTP does: what begins with one of `corrupt_codes`
    becomes `Corrupt`. Statuses that no error of the platform has become `Unavailable` from 500 on, else `Refused`.
    """
    if not isinstance(answer, dict) or not isinstance(answer.get("code"), str):
        return None
    code, detail, remedy = answer["code"], answer.get("detail", f"HTTP {status}"), answer.get("remedy", "")
    kind = error_class(status)
    if code.startswith(corrupt_codes) and kind is Invalid:
        kind = Corrupt
    context = answer.get("context")
    return kind(
        code,
        what=Text(zh=str(answer.get("detail_zh", detail)), en=str(answer.get("detail_en", detail))),
        remedy=Text(zh=str(answer.get("remedy_zh", remedy)), en=str(answer.get("remedy_en", remedy))),
        context=context if isinstance(context, dict) else None,
    )


def error_class(status: int) -> type[DatongError]:
    """Return the class of the errors that are answered with an HTTP status."""
    internal = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return _CLASSES.get(status, Unavailable if internal else Refused)
