"""The one error system of the platform.

An error has a stable `code` (`package.what`), says what happened, why, and what to do, in both languages, and carries
the facts that explain it. Its class names the cause; the web layer maps classes to HTTP statuses in one table.
Only `Unavailable` is transient: only it may be retried, with a bound.
"""

from collections.abc import Mapping
from typing import ClassVar

from datong.kernel.texts import Text


class DatongError(Exception):
    """The base of every error of the platform.

    `what` says what happened and why; `remedy` what to do about it. `field` names the offending input, if there is one,
    as a JSON pointer. `context` holds public facts only: never a secret, never a personal value.
    """

    transient: ClassVar[bool] = False

    def __init__(
        self,
        code: str,
        *,
        what: Text,
        remedy: Text,
        field: str | None = None,
        context: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(f"{code}: {what.en} {remedy.en}")
        self.code = code
        self.what = what
        self.remedy = remedy
        self.field = field
        self.context = dict(context or {})


class Invalid(DatongError):
    """The input does not say what it must."""


class Unauthenticated(DatongError):
    """Nobody could be recognised from the credentials."""


class Refused(DatongError):
    """A rule, an agreement or a policy forbids the act; the reasons are in the text."""


class NotFound(DatongError):
    """No such thing, or not for this actor."""


class Conflict(DatongError):
    """The act does not fit the present state: an illegal transition, a duplicate, a gap, a fork."""


class TooLarge(DatongError):
    """A body, page, name or count is over its limit."""


class Corrupt(DatongError):
    """Evidence does not verify: a digest, a signature or a proof is wrong."""


class Unavailable(DatongError):
    """Something needed does not answer now; the same call may succeed later."""

    transient = True


class Unreachable(Unavailable):
    """Another party, which the call is about, does not answer; the platform itself is well."""


class StorageFull(Unavailable):
    """There is no room left where something must be kept; the same call may succeed once there is."""


class Overloaded(Unavailable):
    """More is asked at once than a named limit allows; the same call may succeed in a moment."""


class TimedOut(Unavailable):
    """Something needed did not answer in the time that it is given."""


class Misconfigured(DatongError):
    """The installation's own settings, keys or files are wrong; an operator must act."""
