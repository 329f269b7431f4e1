"""Silent edits of accounts and of the ways in to them: fsck names each, and finds nothing where nobody touched them."""

from pathlib import Path

import pytest

from datong.kernel import PLATFORM_ACTOR, JsonValue
from datong.ledger import EntryKind, FsckReport
from datong.ledger.state_audit import differences
from datong.sharing import SignInMethod
from datong.sharing.principals import Role
from datong.sharing.sign_in_rules import SignInRules
from datong.sharing.sign_in_state import SIGN_IN_AREAS
from tests.new_control import new_control
from tests.silent_edits import BARE, DIFFERS, GONE, Edit, edited, fsck_at, laid_to_rest
from tests.unit.ledger.documented import undocumented
from tests.unit.sharing.accounts import open_account
from tests.unit.sharing.oidc.provider import Liar, declared
from tests.unit.sharing.passkeys.authenticator import Authenticator
from tests.unit.sharing.passkeys.test_keys import ORIGIN, added, passkeys
from tests.unit.sharing.samples import BUREAU, person
from tests.unit.sharing.world import World

CITIZEN = "110101199003070011"
ACCOUNT, LINK, KEY, RULE = "sharing.account", "sharing.identity_link", "sharing.passkey", "sharing.sign_in_rule"
WANG = "(SELECT id FROM sharing_account WHERE username = 'wang')"
LI = "(SELECT id FROM sharing_account WHERE username = 'li')"
EDITS = (
    Edit(
        "give oneself another role",
        f"UPDATE sharing_account SET roles = '[\"authority\"]' WHERE id = {WANG}",
        DIFFERS,
        ACCOUNT,
    ),
    Edit("move an account to another department", "UPDATE sharing_account SET department = 'x'", DIFFERS, ACCOUNT),
    Edit(
        "open an account again that was closed",
        "UPDATE sharing_account SET disabled = 0 WHERE disabled",
        DIFFERS,
        ACCOUNT,
    ),
    Edit(
        "give somebody a password that one knows",
        "UPDATE sharing_account SET password_hash = (SELECT password_hash FROM sharing_account WHERE username = 'li') "
        f"WHERE id = {WANG}",
        DIFFERS,
        ACCOUNT,
    ),
    Edit(
        "read another citizen's record",
        "UPDATE sharing_account SET citizen_id = '110101199003070038' WHERE citizen_id IS NOT NULL",
        DIFFERS,
        ACCOUNT,
    ),
    Edit(
        "sign in under another's name",
        f"UPDATE sharing_account SET username = 'wang2' WHERE id = {WANG}",
        DIFFERS,
        ACCOUNT,
    ),
    Edit(
        "open an account without an act",
        "INSERT INTO sharing_account SELECT 'forged', 'forged', name, department, roles, password_hash, citizen_id, "
        "disabled, created_at FROM sharing_account LIMIT 1",
        BARE,
        ACCOUNT,
    ),
    Edit("let an account vanish", f"DELETE FROM sharing_account WHERE id = {LI}", GONE, ACCOUNT),
    Edit("let another person at a provider in", "UPDATE sharing_identity_link SET subject = 's-9'", DIFFERS, LINK),
    Edit(
        "let a linked person into another account", f"UPDATE sharing_identity_link SET account_id = {LI}", DIFFERS, LINK
    ),
    Edit(
        "put back a link that was cut",
        "INSERT INTO sharing_identity_link SELECT 'CUT', account_id, 'https://other.example', subject, provider, "
        "linked_at, used_at, salt FROM sharing_identity_link",
        BARE,
        LINK,
    ),
    Edit("cut a link without an act", "DELETE FROM sharing_identity_link", GONE, LINK),
    Edit("put another key in the place of a passkey", "UPDATE sharing_passkey SET public_key = 'AAAA'", DIFFERS, KEY),
    Edit("let a passkey into another account", f"UPDATE sharing_passkey SET account_id = {LI}", DIFFERS, KEY),
    Edit("say that a passkey sees who it is", "UPDATE sharing_passkey SET verifies = 1 - verifies", DIFFERS, KEY),
    Edit("give a passkey another's name", "UPDATE sharing_passkey SET name = '别的'", DIFFERS, KEY),
    Edit(
        "put back a passkey that was removed",
        "INSERT INTO sharing_passkey SELECT 'REMOVED', account_id, 'x', credential_id, public_key, sign_count, "
        "transports, name, verifies, added_at, used_at FROM sharing_passkey",
        BARE,
        KEY,
    ),
    Edit("remove a passkey without an act", "DELETE FROM sharing_passkey", GONE, KEY),
    Edit("lift a sign-in rule without an act", "DELETE FROM sharing_sign_in_rule", GONE, RULE),
    Edit(
        "let a password suffice where a rule asks for more",
        "UPDATE sharing_sign_in_rule SET methods = '[\"password\"]'",
        DIFFERS,
        RULE,
    ),
    Edit(
        "lock a role out by a rule of one's own",
        "INSERT INTO sharing_sign_in_rule VALUES ('operator', '[\"oidc\"]', '2026-01-01 00:00:00')",
        BARE,
        RULE,
    ),
)


class Lived(World):
    """A world in which accounts were opened, changed and closed, links and passkeys made and given up, rules set."""

    def __init__(self, folder: Path) -> None:
        super().__init__(new_control(folder))
        wang, li, gone = (open_account(self, name) for name in ("wang", "li", "gone"))
        citizens = frozenset({Role.CITIZEN})
        open_account(self, "zhang", roles=citizens, department=None, citizen_id=CITIZEN)
        actor, mine = person(BUREAU), wang.principal.actor
        self.identity.set_roles(li.id, frozenset({Role.BUSINESS, Role.DATA_OFFICER}), actor=actor)
        self.identity.set_password(wang.id, "another good password", actor=actor)
        self.identity.set_disabled(gone.id, disabled=True, actor=actor)
        links = Liar(self).links
        links.link(wang.id, declared(), "s-1", actor=mine, how="session")
        links.link(li.id, declared(), "s-2", actor=actor, how="claim")
        self.cut = links.of(li.id)[0].id
        links.unlink(li.id, self.cut, actor=actor)
        service = passkeys(self)
        kept = added(service, wang, Authenticator(ORIGIN))
        service.rename(wang.id, kept, "手机", actor=mine)
        self.removed = added(service, wang, Authenticator(ORIGIN))
        service.remove(wang.id, self.removed, actor=mine)
        rules = SignInRules(database=self.database, clock=self.clock, ledger=self.ledger)
        for methods in (frozenset({SignInMethod.OIDC}), frozenset[SignInMethod]()):
            rules.set(Role.AUDITOR, methods, actor=PLATFORM_ACTOR)
        rules.set(Role.DATA_OFFICER, frozenset({SignInMethod.PASSWORD_PASSKEY}), actor=PLATFORM_ACTOR)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lived, Path]:
    """That world, and its database as it lay on disk."""
    folder = tmp_path_factory.mktemp("lived")
    world = Lived(folder)
    return world, laid_to_rest(folder / "control.sqlite", folder / "resting.sqlite")


def check(world: World, path: Path) -> FsckReport:
    return fsck_at(path, SIGN_IN_AREAS, clock=world.clock, signer=world.signer, origin=world.ledger.origin)


def test_what_nobody_touched_has_no_fault(lived: tuple[Lived, Path]) -> None:
    report = check(*lived)
    assert report.faults == ()
    assert report.compared == {ACCOUNT: 4, LINK: 1, KEY: 1, RULE: 1}


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.aim)
def test_a_silent_edit_is_found(lived: tuple[Lived, Path], tmp_path: Path, edit: Edit) -> None:
    world, resting = lived
    statement = edit.statement.replace("CUT", world.cut).replace("REMOVED", world.removed)
    report = check(world, edited(resting, tmp_path, edit._replace(statement=statement)))
    assert (edit.code, edit.area) in {(fault.code, fault.area) for fault in report.faults}


def test_nothing_that_opens_an_account_stands_in_the_log(lived: tuple[Lived, Path]) -> None:
    entries = lived[0].ledger.entries(kind=EntryKind.ACCOUNT, limit=500).rows
    said = "".join(entry.model_dump_json() for entry in entries)
    for secret in ("wang", "王芳", CITIZEN, "argon2", "s-1", "手机"):
        assert secret not in said
    assert undocumented(entries) == {}


def test_accounts_of_older_releases_have_no_commitment_and_no_fault(world: World) -> None:
    account = open_account(world)
    facts: dict[str, JsonValue] = {"account_id": account.id, "step": "open", "department": account.department}
    facts |= {"roles": ["business"], "disabled": False}
    entry = world.ledger.entries(kind=EntryKind.ACCOUNT, subject=account.id).rows[0]
    old = SIGN_IN_AREAS[0].stated(entry.model_copy(update={"facts": facts}))
    assert old is not None
    with world.database.snapshot() as connection:
        (held,) = SIGN_IN_AREAS[0].held(connection)
    assert differences(old.facts, held, later=SIGN_IN_AREAS[0].later) == []
    assert [one.fact for one in differences(old.facts, held)] == ["sign_in_commitment"]
