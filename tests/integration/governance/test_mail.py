"""Letters to a real server of e-mail: in plain, by STARTTLS, over TLS, with a password; and what it refuses."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from datong.adapters.smtp_post import SmtpPost
from datong.governance.notifications import Letter, Mailer, RecordingMailer, mail_refused, mail_unanswered
from datong.kernel import CHINA, Refused, Settings, Unreachable
from tests.free_ports import free_port

HOST = "127.0.0.1"
LETTER = Letter(
    message_id="msg_1",
    to="ming.li@example.gov.cn",
    subject="【紧急】打通平台：2 条\r\nBcc: x@example.com",
    text="[待办] 资源\n待答复。\n.\n.一行以点开头\n",
    at=datetime(2026, 11, 2, 9, 0, tzinfo=CHINA),
)


class Box:
    """Keeps what the server took; answers recipients as their names say."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.secured: list[bool] = []

    async def handle_RCPT(  # noqa: N802 (the library names its hooks so)
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Refuse whom the server does not know."""
        answers = {"nobody": "550 5.1.1 no such mailbox <nobody@example.gov.cn>", "later": "451 4.2.0 try again"}
        answer = answers.get(address.partition("@")[0])
        if answer is not None:
            return answer
        self.secured.append(session.ssl is not None)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep a letter."""
        self.taken.append(envelope)
        return "250 OK"


def certified(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server's context with a new certificate, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cafile=str(file))


@contextmanager
def serving(box: Box, port: int, **options: Any) -> Iterator[None]:
    """Run a server of e-mail."""
    controller = Controller(box, hostname=HOST, port=port, **options)
    controller.start()
    try:
        yield
    finally:
        controller.stop()


def settings(port: int, security: str, **more: str) -> Settings:
    values = {
        "smtp_host": "localhost",
        "smtp_port": port,
        "smtp_security": security,
        "smtp_sender": "datong@hub.gov.cn",
    }
    return Settings.model_validate({**values, **more})


def test_letters_arrive_whole_and_refusals_are_told_apart() -> None:
    box, port = Box(), free_port()
    post = SmtpPost(settings(port, "none"))
    assert post.ready
    assert not SmtpPost(Settings()).ready
    with pytest.raises(Unreachable):
        post.send(LETTER)
    with serving(box, port):
        post.send(LETTER)
        with pytest.raises(Refused) as refused:
            post.send(LETTER.model_copy(update={"to": "nobody@example.gov.cn"}))
        assert "nobody@" not in refused.value.what.en
        with pytest.raises(Unreachable):
            post.send(LETTER.model_copy(update={"to": "later@example.gov.cn"}))
        # A server that cannot secure the line gets nothing.
        with pytest.raises(Unreachable):
            SmtpPost(settings(port, "starttls")).send(LETTER)
        with pytest.raises(Unreachable):
            SmtpPost(settings(port, "tls")).send(LETTER)
    (envelope,) = box.taken
    assert (envelope.mail_from, envelope.rcpt_tos) == ("datong@hub.gov.cn", [LETTER.to])
    assert isinstance(envelope.content, bytes)
    message = message_from_bytes(envelope.content, policy=policy.default)
    assert message["Message-ID"] == "<msg_1@hub.gov.cn>"
    assert message["Subject"] == "【紧急】打通平台：2 条 Bcc: x@example.com"
    assert message["Bcc"] is None
    assert message["Auto-Submitted"] == "auto-generated"
    body = message.get_body()
    assert body is not None
    assert body.get_content().replace("\r\n", "\n") == LETTER.text


def test_the_line_is_secured_and_the_password_sent_over_nothing_else(tmp_path: Path) -> None:
    server, client = certified(tmp_path)
    box, port = Box(), free_port()

    def known(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: object) -> AuthResult:
        right = isinstance(given, LoginPassword) and (given.login, given.password) == (b"datong", b"right")
        return AuthResult(success=right, handled=False)

    account = {"smtp_username": "datong", "smtp_password": "right"}
    with serving(box, port, tls_context=server, authenticator=known, auth_required=True, require_starttls=True):
        SmtpPost(settings(port, "starttls", **account), client).send(LETTER)
        with pytest.raises(Unreachable):
            SmtpPost(settings(port, "starttls", **{**account, "smtp_password": "wrong"}), client).send(LETTER)
        # A certificate that nobody vouches for.
        with pytest.raises(Unreachable):
            SmtpPost(settings(port, "starttls", **account)).send(LETTER)
    assert (len(box.taken), box.secured) == (1, [True])


def test_the_fake_fails_as_the_real_one_does() -> None:
    fake = RecordingMailer()
    mailer: Mailer = fake
    fake.faults = [mail_unanswered("x"), mail_refused("y")]
    with pytest.raises(Unreachable):
        mailer.send(LETTER)
    with pytest.raises(Refused):
        mailer.send(LETTER)
    mailer.send(LETTER)
    assert fake.letters == [LETTER]
    assert mailer.ready
