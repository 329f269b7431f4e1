"""What stands in the log for what opens an account: commitments to values that themselves never enter it."""

from datong.kernel import canonical_json, sha256_hex
from datong.ledger import commitment
from datong.sharing.tables import Row

SALT_BYTES = 32


def sign_in_commitment(account: Row) -> str:
    """Return the commitment to what opens an account, and to whom: its names, its citizen's number, its password.

    The salt is the password's hash, which nobody can guess: it begins with 16 random bytes of its own.
    """
    told = {name: account[name] for name in ("username", "name", "citizen_id")}
    return commitment(account["password_hash"].encode(), canonical_json(told).decode())


def identity_commitment(link: Row) -> str | None:
    """Return the commitment to the person at a provider whom a link means; None for links that are older than these."""
    if link["salt"] is None:
        return None
    told = canonical_json({"issuer": link["issuer"], "subject": link["subject"]})
    return commitment(bytes.fromhex(link["salt"]), told.decode())


def passkey_digest(passkey: Row) -> str:
    """Return the digest of a passkey with its name; ids of credentials are random, so it tells nothing of either."""
    names = ("credential_id", "public_key", "transports", "name")
    return sha256_hex(canonical_json({name: passkey[name] for name in names}))
