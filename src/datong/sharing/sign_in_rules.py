"""Which ways of signing in suffice for a role: set by an operator, on record, and in force with the next sign-in."""

from datong.kernel import Actor, Clock, Database
from datong.ledger import EntryKind, Ledger
from datong.sharing.principals import Role
from datong.sharing.sign_in_methods import SignInMethod, SignInRule, rules_of, write_rule


class SignInRules:
    """The rules of a hub; sessions that are open stay so."""

    def __init__(self, *, database: Database, clock: Clock, ledger: Ledger) -> None:
        self._database, self._clock, self._ledger = database, clock, ledger

    def all(self) -> tuple[SignInRule, ...]:
        """Return every rule, by role."""
        with self._database.snapshot() as connection:
            return rules_of(connection)

    def set(self, role: Role, methods: frozenset[SignInMethod], *, actor: Actor) -> tuple[SignInRule, ...]:
        """Let these ways suffice for a role, and no other; none named lifts the rule. Return the rules as they are."""
        with self._database.transaction() as connection:
            write_rule(connection, role, methods, self._clock.now())
            facts = {"step": "sign_in_rule", "role": role.value, "methods": sorted(one.value for one in methods)}
            self._ledger.append(
                connection, kind=EntryKind.ACCOUNT, subject=f"role:{role.value}", actor=actor, facts=facts
            )
            return rules_of(connection)
