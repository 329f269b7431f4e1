"""Whose a confirmed address of e-mail is: what people set for their notices, read the other way round."""

from sqlalchemy import select

from datong.governance.notifications.preferences import Preferences
from datong.governance.notifications.tables import SETTING
from datong.kernel import Database


class StoredAddresses:
    """A `sharing.oidc.ConfirmedAddresses`: the addresses of which people proved that they read what is sent there."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def people_at(self, address: str) -> tuple[str, ...]:
        """Return the ids of the accounts with this address, in any case of its letters.

        Everybody's settings are read: it happens once in the life of an account, before it is linked.
        """
        with self._database.snapshot() as connection:
            rows = connection.execute(select(SETTING.c.person, SETTING.c.content)).all()
        wanted = address.casefold()
        found = ((person, Preferences.model_validate(content)) for person, content in rows)
        return tuple(person for person, one in found if one.email_confirmed and one.email.casefold() == wanted)
