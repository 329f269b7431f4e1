"""E-mail over SMTP (RFC 5321), with TLS from the first byte, by STARTTLS (RFC 3207), or without.

A letter was taken when the server answered the end of its data with 250. What happens between that answer and our own
note of it may send a letter a second time: with the same Message-ID, so that mail programs show it once.
"""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

from datong.governance.notifications import Letter, mail_refused, mail_unanswered
from datong.kernel import Settings

DISPLAY_NAME = "打通数据共享平台"
PORTS = {"tls": 465, "starttls": 587, "none": 25}
PERMANENT = range(500, 600)


class SmtpPost:
    """Hands letters to one server; `context` judges its certificate (by default: the system's authorities)."""

    def __init__(self, settings: Settings, context: ssl.SSLContext | None = None) -> None:
        self._host = settings.smtp_host
        self._port = settings.smtp_port or PORTS[settings.smtp_security]
        self._security = settings.smtp_security
        self._username, self._password = settings.smtp_username, settings.smtp_password
        self._sender = settings.smtp_sender
        self._timeout_seconds = settings.smtp_timeout_seconds
        self._context = context

    @property
    def ready(self) -> bool:
        """Whether a server and a sender are set."""
        return bool(self._host and self._sender)

    def send(self, letter: Letter) -> None:
        """Hand a letter to the server; see `Mailer.send`."""
        message = self._message(letter)
        try:
            with self._connected() as server:
                server.send_message(message, from_addr=self._sender, to_addrs=[letter.to])
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            raise (mail_refused if code in PERMANENT else mail_unanswered)(_said(code, said)) from error
        except smtplib.SMTPResponseException as error:
            # A wrong password or sender is the operators' to mend: the letter waits for it.
            mended = isinstance(error, smtplib.SMTPAuthenticationError | smtplib.SMTPSenderRefused)
            final = error.smtp_code in PERMANENT and not mended
            raise (mail_refused if final else mail_unanswered)(_said(error.smtp_code, error.smtp_error)) from error
        except (smtplib.SMTPException, OSError) as error:
            raise mail_unanswered(type(error).__name__) from error

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        """Yield a connection that is as secure as is set, and signed in."""
        context = self._context or ssl.create_default_context()
        if self._security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self._host, self._port, timeout=self._timeout_seconds, context=context
            )
        else:
            server = smtplib.SMTP(self._host, self._port, timeout=self._timeout_seconds)
        with server:
            if self._security == "starttls":
                server.starttls(context=context)
            if self._username:
                server.login(self._username, self._password)
            yield server

    def _message(self, letter: Letter) -> EmailMessage:
        message = EmailMessage()
        message["From"] = Address(display_name=DISPLAY_NAME, addr_spec=self._sender)
        message["To"] = letter.to
        message["Subject"] = " ".join(letter.subject.split())
        message["Date"] = format_datetime(letter.at)
        message["Message-ID"] = f"<{letter.message_id}@{self._sender.partition('@')[2]}>"
        # RFC 3834: programs that answer by themselves leave it alone.
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text)
        return message


def _said(code: int, said: bytes | str) -> str:
    """Return what a server answered, without the address that it may repeat."""
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return f"{code} {' '.join(word for word in text.split() if '@' not in word)[:100]}".strip()
