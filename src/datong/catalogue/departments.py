"""Departments and the public keys with which their nodes sign."""

import hashlib
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import RowMapping, select, update
from sqlalchemy.exc import IntegrityError

from datong.catalogue.faults import department_code_invalid, department_not_found, key_not_found
from datong.catalogue.key_rotation import RotationProof, rotation_message
from datong.catalogue.tables import department as departments
from datong.catalogue.tables import department_key as keys
from datong.catalogue.values import Department, DepartmentKey
from datong.kernel import Actor, Clock, Conflict, Database, DepartmentCode, Invalid, NodeId, Refused, Text
from datong.ledger import EntryKind, Ledger, verify_signature
from datong.norms import validate_uscc

PUBLIC_KEY_BYTES = 32


class Succession(NamedTuple):
    """What the evidence says of a key that takes another's place."""

    replaces: str
    signature: str


class Departments:
    """The register of departments; every entry and every key is evidenced in the ledger."""

    def __init__(self, *, database: Database, clock: Clock, ledger: Ledger) -> None:
        self._database, self._clock, self._ledger = database, clock, ledger

    def register(self, department: Department, actor: Actor) -> Department:
        """Register a department, or correct the names of a registered one.

        Raises:
            Invalid: its code is no unified social credit code.
        """
        if not validate_uscc(department.code).valid:
            raise department_code_invalid(department.code)
        row: dict[str, str | bool] = {
            "name_zh": department.name.zh,
            "name_en": department.name.en,
            "short_name_zh": department.short_name.zh,
            "short_name_en": department.short_name.en,
            "is_authority": department.is_authority,
        }
        with self._database.transaction() as connection:
            known = (
                connection.execute(select(departments).where(departments.c.code == department.code).with_for_update())
                .mappings()
                .first()
            )
            if known is not None and department_of(known) == department:
                return department
            if known is None:
                connection.execute(
                    departments.insert().values(code=department.code, registered_at=self._clock.now(), **row)
                )
            else:
                connection.execute(departments.update().where(departments.c.code == department.code).values(**row))
            self._ledger.append(
                connection,
                kind=EntryKind.DEPARTMENT_KEY,
                subject=department.code,
                actor=actor,
                facts={"action": "register_department", "department": department.code, **row},
            )
        return department

    def get(self, code: DepartmentCode) -> Department:
        """Return the department `code`, or raise NotFound."""
        with self._database.snapshot() as connection:
            row = connection.execute(select(departments).where(departments.c.code == code)).mappings().first()
        if row is None:
            raise department_not_found(code)
        return department_of(row)

    def all(self) -> tuple[Department, ...]:
        """Return every department, in the order of registration."""
        with self._database.snapshot() as connection:
            rows = connection.execute(
                select(departments).order_by(departments.c.registered_at, departments.c.code)
            ).mappings()
            return tuple(department_of(row) for row in rows)

    def register_key(
        self,
        code: DepartmentCode,
        public_key: bytes,
        node_id: NodeId | None,
        actor: Actor,
        succession: Succession | None = None,
    ) -> DepartmentKey:
        """Register a raw Ed25519 public key of a department; the same key again returns the same record.

        With a `succession` the key before it vouches for it, which `replace_key` has checked.

        Raises:
            Invalid: the key has not 32 bytes.
            NotFound: no such department.
            Conflict: the key belongs to another department, or was revoked.
        """
        if len(public_key) != PUBLIC_KEY_BYTES:
            raise Invalid(
                "catalogue.key_malformed",
                what=Text(zh="公钥应为 32 字节的 Ed25519 公钥。", en="The public key must be 32 bytes of Ed25519."),
                remedy=Text(zh="请由前置机重新生成登记请求。", en="Let the node make its registration again."),
                field="/public_key",
            )
        self.get(code)
        record = DepartmentKey(
            key_id=hashlib.sha256(public_key).hexdigest()[:16],
            department=code,
            public_key=public_key,
            node_id=node_id,
            registered_at=self._clock.now(),
        )
        try:
            with self._database.transaction() as connection:
                known = connection.execute(select(keys).where(keys.c.key_id == record.key_id)).mappings().first()
                if known is not None:
                    return _same_key(DepartmentKey.model_validate(dict(known)), record)
                connection.execute(keys.insert().values(**record.model_dump()))
                self._ledger.append(
                    connection,
                    kind=EntryKind.DEPARTMENT_KEY,
                    subject=record.key_id,
                    actor=actor,
                    facts={
                        "action": "register_key",
                        "department": code,
                        "public_key": public_key.hex(),
                        "node_id": node_id,
                        **({} if succession is None else succession._asdict()),
                    },
                )
        except IntegrityError:
            # Another process registered the same key between our look and our insert.
            return _same_key(self.key(record.key_id), record)
        return record

    def replace_key(self, old_key_id: str, public_key: bytes, proof: RotationProof, actor: Actor) -> DepartmentKey:
        """Register the key that a node signs with from now on; the old one stays valid until it is revoked.

        Raises:
            NotFound: there is no such old key. Refused: it was revoked, or is no node's.
            Corrupt: the old or the new key did not sign for it. Invalid, Conflict: see `register_key`.
        """
        old = self.key(old_key_id)
        if old.revoked_at is not None or old.node_id is None:
            raise Refused(
                "catalogue.key_not_replaceable",
                what=Text(zh="该密钥已撤销，或不属于前置机。", en="The key was revoked, or is no node's."),
                remedy=Text(zh="请重新登记前置机。", en="Enrol the node anew."),
            )
        message = rotation_message(old.department, old.node_id, old_key_id, public_key)
        verify_signature(old.public_key, message, proof.by_old)
        verify_signature(public_key, message, proof.by_new)
        succession = Succession(replaces=old_key_id, signature=proof.by_old.hex())
        return self.register_key(old.department, public_key, old.node_id, actor, succession)

    def revoke_key(self, key_id: str, actor: Actor, reason: str, since: datetime | None = None) -> DepartmentKey:
        """Revoke a key from now on; what it signed before stays valid evidence.

        `since`: others may have held it since then, so that acts between then and now are in doubt (`key_history`).
        """
        with self._database.transaction() as connection:
            row = connection.execute(select(keys).where(keys.c.key_id == key_id).with_for_update()).mappings().first()
            if row is None:
                raise key_not_found(key_id)
            record = DepartmentKey.model_validate(dict(row))
            if record.revoked_at is not None:
                return record
            now = self._clock.now()
            connection.execute(update(keys).where(keys.c.key_id == key_id).values(revoked_at=now))
            self._ledger.append(
                connection,
                kind=EntryKind.DEPARTMENT_KEY,
                subject=key_id,
                actor=actor,
                facts={
                    "action": "revoke_key",
                    "department": record.department,
                    "reason": reason,
                    **({} if since is None else {"since": since.astimezone(UTC).isoformat()}),
                },
            )
        return record.model_copy(update={"revoked_at": now})

    def keys(self, code: DepartmentCode) -> tuple[DepartmentKey, ...]:
        """Return a department's keys, revoked ones included, oldest first."""
        with self._database.snapshot() as connection:
            rows = connection.execute(
                select(keys).where(keys.c.department == code).order_by(keys.c.registered_at, keys.c.key_id)
            ).mappings()
            return tuple(DepartmentKey.model_validate(dict(row)) for row in rows)

    def all_keys(self) -> tuple[DepartmentKey, ...]:
        """Return the keys of every department, revoked ones included, oldest first."""
        with self._database.snapshot() as connection:
            rows = connection.execute(select(keys).order_by(keys.c.registered_at, keys.c.key_id)).mappings()
            return tuple(DepartmentKey.model_validate(dict(row)) for row in rows)

    def key(self, key_id: str) -> DepartmentKey:
        """Return the key `key_id`, or raise NotFound."""
        with self._database.snapshot() as connection:
            row = connection.execute(select(keys).where(keys.c.key_id == key_id)).mappings().first()
        if row is None:
            raise key_not_found(key_id)
        return DepartmentKey.model_validate(dict(row))


def department_of(row: RowMapping) -> Department:
    """Return the department that a row of `department` states."""
    return Department(
        code=DepartmentCode(row["code"]),
        name=Text(zh=row["name_zh"], en=row["name_en"]),
        short_name=Text(zh=row["short_name_zh"], en=row["short_name_en"]),
        is_authority=row["is_authority"],
    )


def _same_key(known: DepartmentKey, wanted: DepartmentKey) -> DepartmentKey:
    if known.department != wanted.department or known.revoked_at is not None:
        raise Conflict(
            "catalogue.key_taken",
            what=Text(zh="该公钥已属于别的部门或已被撤销。", en="The key belongs to another department or is revoked."),
            remedy=Text(zh="请为前置机生成新的密钥。", en="Generate a new key for the node."),
            field="/public_key",
        )
    return known
