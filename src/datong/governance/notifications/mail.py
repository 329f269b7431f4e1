"""What a message says, and who sends e-mail."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from datong.governance.notifications.matters import TOPIC_NAMES, Topic
from datong.kernel import DatongError, Language, Refused, Text, Unreachable, Value, minute

LINES_MAX = 50
"""Notices that one message names; of more it says how many there are."""


class Letter(Value):
    """One e-mail: plain text, because nothing in it needs more. `message_id` is the same at every attempt."""

    message_id: str
    to: str
    subject: str
    text: str
    at: datetime


class Mailer(Protocol):
    """Sends e-mail."""

    @property
    def ready(self) -> bool:
        """Whether a server is set at all."""
        ...

    def send(self, letter: Letter) -> None:
        """Hand a letter to the server; it has answered that it keeps it.

        Raises:
            Unreachable: it does not answer, or not now: try again.
            Refused: it does not take this letter, and will not.
        """
        ...


class RecordingMailer:
    """Keeps letters instead of sending them, for tests; what `on_sent` raises comes after a letter was taken."""

    def __init__(self) -> None:
        self.ready = True
        self.letters: list[Letter] = []
        self.faults: list[DatongError] = []
        """Raised in turn, before letters are taken again."""
        self.on_sent: Callable[[], None] = lambda: None

    def send(self, letter: Letter) -> None:
        """Keep a letter."""
        if self.faults:
            raise self.faults.pop(0)
        self.letters.append(letter)
        self.on_sent()


class Line(Value):
    """A notice as a message names it."""

    topic: Topic
    urgent: bool
    times: int
    title: Text
    what: Text
    address: str
    told_at: datetime


def subject_of(lines: Sequence[Line], language: Language) -> str:
    """Return the subject of a message: its only notice, or how many there are."""
    mark = Text(zh="【紧急】", en="[Urgent] ").render(language) if any(line.urgent for line in lines) else ""
    if len(lines) == 1:
        return f"{mark}{lines[0].title.render(language)}"
    return mark + Text(zh=f"打通平台：{len(lines)} 条提醒", en=f"Datong: {len(lines)} notices").render(language)


def text_of(lines: Sequence[Line], language: Language, base_url: str) -> str:
    """Return the text of a message, urgent notices first."""
    told = sorted(lines, key=lambda line: (not line.urgent, line.told_at))
    parts = [_told(line, language, base_url) for line in told[:LINES_MAX]]
    more = len(told) - LINES_MAX
    if more > 0:
        parts.append(Text(zh=f"另有 {more} 条，见控制台。", en=f"{more} more are in the console.").render(language))
    end = Text(
        zh=f"全部提醒：{base_url}/notices\n修改发送方式：{base_url}/notices/settings",
        en=f"All notices: {base_url}/notices\nHow they are sent: {base_url}/notices/settings",
    )
    return "\n\n".join([*parts, "--\n" + end.render(language)]) + "\n"


def _told(line: Line, language: Language, base_url: str) -> str:
    urgent = Text(zh="【紧急】", en="[urgent] ").render(language) if line.urgent else ""
    times = "" if line.times == 1 else Text(zh=f"（{line.times} 次）", en=f" ({line.times} times)").render(language)
    at = minute(line.told_at)
    topic, title = TOPIC_NAMES[line.topic].render(language), line.title.render(language)
    return f"{urgent}[{topic}] {title}{times}\n{line.what.render(language)}\n{at}  {base_url}{line.address}"


def confirmation(address: str, code: str, language: Language, *, message_id: str, at: datetime) -> Letter:
    """Return the letter with the code that confirms an address."""
    text = Text(
        zh="有人在打通数据共享平台请求把提醒发到本邮箱。如果是您本人，请在平台“提醒设置”中输入确认码：\n\n"
        f"    {code}\n\n如不是您，请忽略。\n",
        en="Somebody asked the data sharing platform Datong to send notices to this address. If it was you, enter this "
        f"code in your notice settings:\n\n    {code}\n\nIf it was not, ignore this letter.\n",
    )
    subject = Text(zh="打通平台：确认邮箱", en="Datong: confirm your address")
    return Letter(
        message_id=message_id, to=address, subject=subject.render(language), text=text.render(language), at=at
    )


def mail_unanswered(detail: str) -> Unreachable:
    """Return the error of a server of e-mail that does not answer, or not now."""
    return Unreachable(
        "governance.mail_unanswered",
        what=Text(zh=f"邮件服务器没有应答（{detail}）。", en=f"The server of e-mail does not answer ({detail})."),
        remedy=Text(zh="平台会按退避时间重试。", en="It is tried again after a pause."),
    )


def mail_refused(detail: str) -> Refused:
    """Return the error of a letter that the server does not take."""
    return Refused(
        "governance.mail_refused",
        what=Text(zh=f"邮件服务器拒收（{detail}）。", en=f"The server of e-mail refused the letter ({detail})."),
        remedy=Text(zh="请核对邮箱地址和 DATONG_SMTP_* 设置。", en="Check the address and the settings DATONG_SMTP_*."),
    )
