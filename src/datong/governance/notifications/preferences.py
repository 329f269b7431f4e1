"""What a person wants to be told of, where, and how often.

An address of e-mail is used only after its owner has entered the code that was sent there: nobody can have another
person's inbox filled, and a typing error sends nobody's notices to a stranger.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from enum import StrEnum

from pydantic import Field

from datong.governance.notifications.matters import Topic
from datong.kernel import Invalid, Language, Text, Value

ADDRESS_CHARS_MAX = 254
_ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*"
    r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
_LABEL = b"datong notice address v1\n"
CODE_CHARS = 8


class Pace(StrEnum):
    """How often notices that are not urgent leave the console."""

    AT_ONCE = "at_once"
    HOURLY = "hourly"
    WORKING_DAY = "working_day"


PACE_NAMES: Mapping[Pace, Text] = {
    Pace.AT_ONCE: Text(zh="随时（合并后发出）", en="at once (folded)"),
    Pace.HOURLY: Text(zh="每小时一封", en="one an hour"),
    Pace.WORKING_DAY: Text(zh="每个工作日一封（8:30）", en="one each working day (8:30)"),
}


class Choices(Value):
    """What a person may set. Topics that are `muted` stay in the console; `urgent_at_once` hurries urgent ones."""

    language: Language = Language.ZH
    pace: Pace = Pace.WORKING_DAY
    urgent_at_once: bool = True
    muted: frozenset[Topic] = frozenset()
    email: str = Field("", max_length=ADDRESS_CHARS_MAX)
    webhook: str = Field("", max_length=2000)


class Preferences(Choices):
    """What a person has set: `email_confirmed` once the code was entered; `generation` numbers the webhook's secret."""

    email_confirmed: bool = False
    generation: int = 1

    @property
    def channels(self) -> tuple[str, ...]:
        """Where notices go besides the console."""
        email = ("email",) if self.email and self.email_confirmed else ()
        return (*email, "webhook") if self.webhook else email


def require_address(address: str) -> str:
    """Return an address of e-mail without blanks around it; empty stands for none.

    Raises:
        Invalid: it has not the form of one (RFC 5321, ASCII).
    """
    address = address.strip()
    if address and (len(address) > ADDRESS_CHARS_MAX or _ADDRESS.fullmatch(address) is None):
        raise Invalid(
            "governance.email_invalid",
            what=Text(zh="这不是电子邮件地址。", en="This is not an address of e-mail."),
            remedy=Text(zh="请填写如 name@example.gov.cn 的地址。", en="Write one such as name@example.gov.cn."),
            field="/email",
        )
    return address


def confirmation_code(secret: bytes, person: str, address: str) -> str:
    """Return the code that proves that `person` reads what is sent to `address`."""
    said = _LABEL + f"{person}\n{address}".encode()
    return hmac.new(secret, said, hashlib.sha256).hexdigest()[:CODE_CHARS].upper()
