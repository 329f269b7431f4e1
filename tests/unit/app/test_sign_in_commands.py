"""The command line of ways to sign in: providers, links, rules, roles; as an operator types it beside a running hub."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from datong.app.hub import Hub
from datong.app.hub_commands import app
from datong.kernel import PLATFORM_ACTOR, Invalid, NotFound, Settings
from datong.ledger import EntryKind
from datong.sharing import Role
from datong.sharing.oidc import Provider
from tests.new_control import new_control

PROVIDERS = """
providers:
  - id: city
    name: {zh: 市认证, en: City}
    issuer: http://127.0.0.1:9
    client_id: datong
    client_secret: s3cret
"""


def test_an_operator_sees_and_changes_who_comes_in_how(tmp_path: Path) -> None:
    new_control(tmp_path).close()
    file = tmp_path / "providers.yaml"
    file.write_text(PROVIDERS)
    file.chmod(0o600)
    settings = Settings(home=tmp_path, oidc_providers=file)
    surroundings = {"DATONG_HOME": str(tmp_path), "DATONG_OIDC_PROVIDERS": str(file)}

    def said(*words: str, code: int = 0) -> str:
        result = CliRunner(env=surroundings).invoke(app, list(words), catch_exceptions=False)
        assert result.exit_code == code, result.output
        assert "s3cret" not in result.output
        return result.output

    hub = Hub(settings)
    identity, links = hub.services.identity, hub.services.identity_links
    account = identity.open_recognised(username="wang", name="王芳", actor=PLATFORM_ACTOR)
    provider: Provider = hub.services.openid.provider("city")
    links.link(account.id, provider, "s-1", actor=PLATFORM_ACTOR, how="claim")
    assert said("sign-in", "providers").startswith("city  http://127.0.0.1:9  -=username  refuse")
    # A provider on this machine that nobody allowed, and that does not answer.
    assert "adapters.provider_forbidden" in said("sign-in", "providers", "--check", code=1)
    assert said("sign-in", "links", "wang").startswith("wang  city  s-1  ")
    assert said("sign-in", "require", "operator", "passkey", "password+passkey").split() == [
        "operator",
        "passkey",
        "password+passkey",
    ]
    assert said("sign-in", "rules").startswith("operator  passkey password+passkey")
    with pytest.raises(Invalid):
        said("sign-in", "require", "operator", "fax")
    said("sign-in", "require", "operator")
    assert said("sign-in", "rules") == ""
    assert said("sign-in", "unlink", "wang", "city") == "wang city\n"
    with pytest.raises(NotFound):
        said("sign-in", "unlink", "wang", "city")
    assert said("set-roles", "wang", "--role", "operator") == "wang operator\n"
    assert identity.account(account.id).roles == {Role.OPERATOR}
    steps = [entry.facts["step"] for entry in hub.services.ledger.entries(kind=EntryKind.ACCOUNT).rows]
    assert steps == ["roles", "unlink", "sign_in_rule", "sign_in_rule", "link", "open"]
    hub.close()
