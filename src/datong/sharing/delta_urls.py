"""Signed addresses of prepared files: valid for minutes, for one consumer, for one access on record."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from datong.kernel import AccessId, Refused, Text, Value

LIFETIME_SECONDS_MAX = 15 * 60
_LABEL = b"datong delta sharing url v1\n"
_FIELDS = ("access", "client", "expires", "signature")
_FIELD_CHARS_MAX = 128


class FileGrant(Value):
    """What a signed address lets its bearer read: one file of a release, for an access of one client."""

    release: str
    file: str
    access_id: AccessId
    client_id: str
    expires_at: datetime


class FileSigner:
    """Signs and checks addresses with a key that only the hub has; `lifetime` is at most a quarter of an hour."""

    def __init__(self, *, key: bytes, lifetime: timedelta) -> None:
        self._key = hashlib.sha256(_LABEL + key).digest()
        self._lifetime = min(lifetime, timedelta(seconds=LIFETIME_SECONDS_MAX))

    def grant(self, *, release: str, file: str, access_id: AccessId, client_id: str, now: datetime) -> FileGrant:
        """Return a grant that begins now."""
        expires_at = datetime.fromtimestamp(int((now + self._lifetime).timestamp()), tz=UTC)
        return FileGrant(release=release, file=file, access_id=access_id, client_id=client_id, expires_at=expires_at)

    def query(self, grant: FileGrant) -> str:
        """Return the query string that makes the address of the granted file valid."""
        fields = {"access": grant.access_id, "client": grant.client_id, "expires": str(_seconds(grant.expires_at))}
        return urlencode({**fields, "signature": self._signature(grant)})

    def check(self, release: str, file: str, fields: Mapping[str, str], now: datetime) -> FileGrant:
        """Return what an address grants.

        Raises:
            Refused: it is not one of ours, was changed, or is too old.
        """
        given = [fields.get(name, "") for name in _FIELDS]
        access, client, expires, signature = given
        if not expires.isascii() or not expires.isdecimal() or any(len(one) > _FIELD_CHARS_MAX for one in given):
            raise _refused("form")
        try:
            expires_at = datetime.fromtimestamp(int(expires), tz=UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise _refused("form") from error
        grant = FileGrant(
            release=release, file=file, access_id=AccessId(access), client_id=client, expires_at=expires_at
        )
        if not hmac.compare_digest(signature.encode(), self._signature(grant).encode()):
            raise _refused("signature")
        if now >= expires_at:
            raise Refused(
                "sharing.url_expired",
                what=Text(zh="文件地址已过有效期。", en="The file's address has expired."),
                remedy=Text(zh="请重新查询该表，取得新的地址。", en="Query the table again for a fresh one."),
            )
        return grant

    def _signature(self, grant: FileGrant) -> str:
        said = "\n".join((grant.release, grant.file, grant.access_id, grant.client_id, str(_seconds(grant.expires_at))))
        return hmac.new(self._key, said.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()


def _seconds(at: datetime) -> int:
    return int(at.timestamp())


def _refused(part: str) -> Refused:
    return Refused(
        "sharing.url_invalid",
        what=Text(
            zh="文件地址不是平台签发的，或者被改动过。",
            en="The file's address was not signed by this hub, or was changed.",
        ),
        remedy=Text(
            zh="请使用查询该表时得到的完整地址。", en="Use the whole address that the query of the table gave."
        ),
        context={"part": part},
    )
