"""The node's part in private matchings: it reads its own set, and hands points to the other node, sealed, over the hub.

What is decided once is on disk before anything that rests on it leaves: the secret with the digest of the very set that
it is for, the order, each sealed part. So a node that was killed sends the same bytes again or ends the matching, and
never uses a secret with another set. When a matching is over its secret is deleted; results stay in the node's folder.
"""

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import duckdb
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from datong.exchange import Connector, ReadQuery
from datong.kernel import Clock, Conflict, Corrupt, DepartmentCode, NodeId, Refused, Text, sha256_hex
from datong.ledger import Signer, verify_signature
from datong.node.owned_files import write_owned
from datong.norms import NormPack, clean_sql, flag_sql
from datong.sharing import (
    PART_BYTES_MAX,
    SIZE_MAX,
    Matching,
    MatchingPart,
    MatchingReport,
    MatchingStep,
    MatchingTerms,
    NodeWord,
)
from datong.sharing.private_sets import (
    blinded,
    common_places,
    malformed,
    new_order,
    new_secret,
    ordered,
    packed_order,
    raised,
    read_order,
    values_digest,
)

FOLDER = "matchings"
STATE, VALUES, RESULT = "state.json", "values.txt", "common.txt"
READ_ROWS = 50_000
PAIR_DAYS, PAIR_MATCHINGS_MAX = 30, 4
"""The node counts for itself: a hub that lets more through finds it refusing."""
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class MatchingHub(Protocol):
    """What a node needs of its hub; `HubClient` is one."""

    def matching_work(self) -> tuple[Matching, ...]:
        """Return the approved matchings in which this node takes part."""
        ...

    def sign_matching(self, matching_id: str, word: NodeWord) -> Matching:
        """Hand in this node's signature of the terms."""
        ...

    def hand_in_part(self, part: MatchingPart, sealed: bytes) -> Matching:
        """Hand in a sealed part."""
        ...

    def matching_part(self, matching_id: str, step: MatchingStep, number: int) -> bytes:
        """Return a sealed part of the other node's."""
        ...

    def report_matching(self, report: MatchingReport) -> Matching:
        """Say how the matching ended."""
        ...

    def department_keys(self, department: DepartmentCode) -> dict[str, bytes]:
        """Return the public keys in force of a department's nodes, by key id."""
        ...


class Matcher:
    """Takes part in matchings under `folder`, one step of each at a time."""

    def __init__(
        self,
        *,
        client: MatchingHub,
        folder: Path,
        signer: Signer,
        clock: Clock,
        department: DepartmentCode,
        node_id: NodeId,
        open_source: Callable[[str], Connector],
        load_pack: Callable[[], NormPack],
        passed: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._folder = folder / FOLDER
        self._signer = signer
        self._clock = clock
        self._department = department
        self._node_id = node_id
        self._open_source = open_source
        self._load_pack = load_pack
        self._passed = passed

    def attend(self) -> int:
        """Do what can be done now in every matching; return in how many something was done.

        A matching that cannot go on is reported as failed, with the error's code: values stand in no report.
        """
        done = 0
        waiting = self._client.matching_work()
        for matching in waiting:
            try:
                done += self._advance(matching)
            except Conflict:
                # Somebody was quicker, or it is over: what the hub says in the next round counts.
                continue
            except (Corrupt, Refused) as error:
                with suppress(Conflict):
                    self._report(matching.terms, outcome="failed", reason=error.code)
                self._forget(matching.terms.id)
        self._tidy({one.terms.id for one in waiting})
        return done

    def results(self) -> list[dict[str, object]]:
        """Return what this node has learned, newest first: sizes, and where the values in common lie."""
        found: list[dict[str, object]] = []
        for path in sorted(self._folder.glob(f"*/{STATE}"), reverse=True):
            state = _read(path)
            if "result" in state:
                common = path.with_name(RESULT)
                found.append(
                    {
                        "matching_id": path.parent.name,
                        **state["result"],
                        "file": str(common) if common.exists() else None,
                    }
                )
        return found

    # One matching

    def _advance(self, matching: Matching) -> bool:
        terms = matching.terms
        state = self._state(terms.id)
        if any(report.department == self._department for report in matching.reports):
            return False
        if matching.word_of(self._department) is None:
            return self._sign(terms, state)
        theirs = self._theirs(matching)
        if theirs is None:
            return False
        if not state.get("sealing_key"):
            raise _lost()
        if not matching.sent(self._department, MatchingStep.BLINDED):
            return self._send_own(terms, state, theirs)
        other = theirs.department
        if not matching.sent(other, MatchingStep.BLINDED):
            return False
        if not matching.sent(self._department, MatchingStep.DOUBLED):
            return self._send_doubled(matching, state, theirs)
        if not matching.sent(other, MatchingStep.DOUBLED):
            return False
        return self._conclude(matching, state, theirs)

    def _sign(self, terms: MatchingTerms, state: dict[str, Any]) -> bool:
        """Look at the terms and sign them, with a key that is for this matching alone."""
        if "sealing_key" not in state:
            self._require_ours(terms)
            key = X25519PrivateKey.generate().private_bytes_raw().hex()
            pair = sorted([one.resource_id, one.column] for one in (terms.proposer, terms.other))
            state |= {"sealing_key": key, "begun_at": self._clock.now().isoformat(), "pair": pair}
            self._keep(terms.id, state)
            self._passed("key kept")
        public = X25519PrivateKey.from_private_bytes(bytes.fromhex(state["sealing_key"])).public_key()
        sealing_key = public.public_bytes_raw()
        word = NodeWord(
            department=self._department,
            sealing_key=sealing_key,
            key_id=self._signer.key_id,
            signature=self._signed(terms.signing_bytes(sealing_key)),
        )
        self._client.sign_matching(terms.id, word)
        self._passed("signed")
        return True

    def _require_ours(self, terms: MatchingTerms) -> None:
        """Check that this node may take part, and has not done so with the same columns too often.

        Raises:
            Refused: it may not.
        """
        since = self._clock.now() - timedelta(days=PAIR_DAYS)
        pair = sorted([one.resource_id, one.column] for one in (terms.proposer, terms.other))
        earlier = [_read(path) for path in self._folder.glob(f"*/{STATE}")]
        recent = [
            one for one in earlier if one.get("pair") == pair and datetime.fromisoformat(str(one["begun_at"])) > since
        ]
        if terms.side(self._department).node_id != self._node_id or len(recent) >= PAIR_MATCHINGS_MAX:
            raise Refused(
                "node.matching_refused",
                what=Text(zh="本前置机不参与这次求交，或同类求交过多。", en="Not this node's, or one too many."),
                remedy=Text(zh="请核对求交的双方与次数。", en="Look at the sides and at how often they matched."),
            )

    def _send_own(self, terms: MatchingTerms, state: dict[str, Any], theirs: NodeWord) -> bool:
        """Read the own set once, bind a new secret to it, and hand its points over in an order that tells nothing."""
        folder = self._folder / terms.id
        if "secret" not in state:
            values = self._read_set(terms)
            order = new_order(len(values))
            mixed = [values[place] for place in order]
            write_owned(folder / VALUES, "\n".join(mixed).encode())
            self._passed("set kept")
            state |= {"set_sha256": values_digest(mixed), "secret": new_secret().hex(), "size": len(mixed)}
            self._keep(terms.id, state)
            self._passed("secret kept")
        values = self._kept_set(terms.id, state)
        points = _once(folder / "own.points", lambda: blinded(values, bytes.fromhex(state["secret"]), terms.context))
        self._hand_in(terms, theirs, MatchingStep.BLINDED, points, len(values))
        return True

    def _send_doubled(self, matching: Matching, state: dict[str, Any], theirs: NodeWord) -> bool:
        """Raise the other's points to the own secret as well, and hand them back in another order."""
        terms, folder = matching.terms, self._folder / matching.terms.id
        self._kept_set(terms.id, state)
        got = self._fetch(matching, theirs, MatchingStep.BLINDED)
        both = _once(folder / "their.points", lambda: raised(got, bytes.fromhex(state["secret"])))
        size = len(both) // 32
        if "order" not in state:
            state["order"] = new_order(size)
            self._keep(terms.id, state)
            self._passed("order kept")
        self._hand_in(terms, theirs, MatchingStep.DOUBLED, ordered(both, state["order"]), size)
        return True

    def _conclude(self, matching: Matching, state: dict[str, Any], theirs: NodeWord) -> bool:
        """Count what is common; tell the other side which, and learn it, as agreed and if it is enough; report."""
        terms, folder = matching.terms, self._folder / matching.terms.id
        own = self._fetch(matching, theirs, MatchingStep.DOUBLED)
        common = common_places(own, (folder / "their.points").read_bytes())
        enough = len(common) >= terms.common_min
        if len(own) // 32 != state["size"]:
            raise malformed()
        if enough and terms.learns(theirs.department) and not matching.sent(self._department, MatchingStep.ORDER):
            self._hand_in(terms, theirs, MatchingStep.ORDER, packed_order(state["order"]), len(state["order"]))
        revealed = enough and terms.learns(self._department)
        if revealed:
            if not matching.sent(theirs.department, MatchingStep.ORDER):
                return False
            order = read_order(self._fetch(matching, theirs, MatchingStep.ORDER), state["size"])
            values = self._kept_set(terms.id, state)
            told = sorted(values[order[place]] for place in common)
            write_owned(folder / RESULT, "\n".join(told).encode())
        sizes = {"own_size": state["size"], "other_size": len(state["order"]), "revealed": revealed}
        number = len(common) if enough else None
        state["result"] = {**sizes, "common": number}
        self._keep(terms.id, state)
        self._passed("result kept")
        self._report(terms, outcome="done", common=number, **sizes)
        self._passed("reported")
        self._forget(terms.id)
        return True

    # Parts

    def _hand_in(self, terms: MatchingTerms, theirs: NodeWord, step: MatchingStep, data: bytes, elements: int) -> None:
        """Seal, sign and send a step in parts; what was sealed once is sent again as it was."""
        folder = self._folder / terms.id
        pieces = [data[at : at + PART_BYTES_MAX] for at in range(0, len(data), PART_BYTES_MAX)]
        key = X25519PublicKey.from_public_bytes(theirs.sealing_key)
        for number, piece in enumerate(pieces):
            info = _info(terms.id, self._department, step, number)
            sealed = _once(folder / f"{step.value}-{number:02d}.sealed", partial(_SUITE.encrypt, piece, key, info))
            self._passed(f"{step.value} sealed")
            part = MatchingPart(
                matching_id=terms.id,
                department=self._department,
                step=step,
                number=number,
                parts=len(pieces),
                elements=elements,
                sha256=sha256_hex(sealed),
                key_id=self._signer.key_id,
            )
            self._client.hand_in_part(part.model_copy(update={"signature": self._signed(part.signing_bytes())}), sealed)
            self._passed(f"{step.value} sent")

    def _fetch(self, matching: Matching, theirs: NodeWord, step: MatchingStep) -> bytes:
        """Return what the other node handed in at a step: digest, signature and seal hold.

        Raises:
            Corrupt: they do not.
        """
        parts = sorted(matching.sent(theirs.department, step), key=lambda one: one.number)
        private = X25519PrivateKey.from_private_bytes(bytes.fromhex(self._state(matching.terms.id)["sealing_key"]))
        pieces: list[bytes] = []
        for part in parts:
            sealed = self._client.matching_part(matching.terms.id, step, part.number)
            self._verify(theirs.department, part.key_id, part.signing_bytes(), part.signature)
            if sha256_hex(sealed) != part.sha256:
                raise malformed()
            try:
                info = _info(matching.terms.id, theirs.department, step, part.number)
                pieces.append(_SUITE.decrypt(sealed, private, info))
            except (InvalidTag, ValueError) as error:
                raise malformed() from error
        width = 4 if step is MatchingStep.ORDER else 32
        if sum(map(len, pieces)) != parts[0].elements * width or parts[0].elements < matching.terms.size_min:
            raise malformed()
        return b"".join(pieces)

    def _theirs(self, matching: Matching) -> NodeWord | None:
        """Return the other node's signature of the same terms, once it is there."""
        other = next(one for one in matching.terms.departments if one != self._department)
        word = matching.word_of(other)
        if word is not None:
            message = matching.terms.signing_bytes(word.sealing_key)
            self._verify(other, word.key_id, message, word.signature)
        return word

    def _verify(self, department: DepartmentCode, key_id: str, message: bytes, signature: str) -> None:
        key = self._client.department_keys(department).get(key_id)
        if key is None:
            raise malformed()
        try:
            verify_signature(key, message, base64.b64decode(signature, validate=True))
        except ValueError as error:
            raise malformed() from error

    def _report(
        self,
        terms: MatchingTerms,
        *,
        outcome: str,
        own_size: int = 0,
        other_size: int = 0,
        common: int | None = None,
        revealed: bool = False,
        reason: str = "",
    ) -> None:
        report = MatchingReport.model_validate(
            {
                "matching_id": terms.id,
                "department": self._department,
                "outcome": outcome,
                "own_size": own_size,
                "other_size": other_size,
                "common": common,
                "revealed": revealed,
                "reason": reason,
                "key_id": self._signer.key_id,
            }
        )
        self._client.report_matching(report.model_copy(update={"signature": self._signed(report.signing_bytes())}))

    # The set

    def _read_set(self, terms: MatchingTerms) -> list[str]:
        """Return the own set in standard form, each value once; values that are none of the element's are left out.

        Raises:
            Refused: it is smaller than agreed, or too large.
        """
        side = terms.side(self._department)
        element = self._load_pack().element(terms.element)
        source = self._open_source(side.source)
        try:
            rows = source.read(ReadQuery(table=side.table, columns=(side.column,), batch_rows=READ_ROWS))
            with duckdb.connect(":memory:") as connection:
                connection.register("read_rows", rows)
                name = '"' + side.column.replace('"', '""') + '"'
                text = f"CAST({name} AS VARCHAR)"
                found = connection.execute(
                    f"SELECT DISTINCT {clean_sql(element, 'v')} AS clean FROM (SELECT {text} AS v FROM read_rows) "
                    f"WHERE v IS NOT NULL AND {flag_sql(element, 'v')} IS NULL ORDER BY clean"
                ).fetchall()
        finally:
            source.close()
        values = [str(row[0]) for row in found if row[0]]
        if not terms.size_min <= len(values) <= SIZE_MAX:
            raise Refused(
                "node.matching_set_size",
                what=Text(zh="本部门的集合过小或过大。", en="The own set is smaller than agreed, or too large."),
                remedy=Text(zh="请改用更大的集合，或重新约定。", en="Match a larger set, or agree on other terms."),
            )
        return values

    def _kept_set(self, matching_id: str, state: dict[str, Any]) -> list[str]:
        """Return the set that the secret is for.

        Raises:
            Corrupt: it is not there as it was: the secret is then of no use.
        """
        try:
            values = (self._folder / matching_id / VALUES).read_text(encoding="utf-8").split("\n")
        except FileNotFoundError as error:
            raise _lost() from error
        if values_digest(values) != state.get("set_sha256") or "secret" not in state:
            raise _lost()
        return values

    # What is kept

    def _state(self, matching_id: str) -> dict[str, Any]:
        path = self._folder / matching_id / STATE
        return _read(path) if path.exists() else {}

    def _keep(self, matching_id: str, state: dict[str, Any]) -> None:
        write_owned(self._folder / matching_id / STATE, json.dumps(state).encode())

    def _forget(self, matching_id: str) -> None:
        """Delete what a matching that is over leaves: all but the result, and that it took place."""
        folder = self._folder / matching_id
        state = self._state(matching_id)
        kept: dict[str, Any] = {name: state[name] for name in ("pair", "begun_at", "result") if name in state}
        if kept:
            self._keep(matching_id, kept)
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name not in {STATE, RESULT}:
                path.unlink(missing_ok=True)

    def _tidy(self, waiting: set[str]) -> None:
        """Forget the secrets of matchings that the hub no longer has open, withdrawn or expired ones."""
        for folder in self._folder.iterdir() if self._folder.is_dir() else ():
            if folder.name not in waiting and "sealing_key" in self._state(folder.name):
                self._forget(folder.name)

    def _signed(self, message: bytes) -> str:
        return base64.b64encode(self._signer.sign(message)).decode()


def _info(matching_id: str, department: DepartmentCode, step: MatchingStep, number: int) -> bytes:
    return "\x1f".join(("datong matching part 1", matching_id, department, step.value, str(number))).encode()


def _once(path: Path, make: Callable[[], bytes]) -> bytes:
    """Return what `make` made when it was first asked: kept before it is used."""
    if not path.exists():
        write_owned(path, make())
    return path.read_bytes()


def _read(path: Path) -> dict[str, Any]:
    try:
        found: object = json.loads(path.read_bytes())
    except ValueError as error:
        raise _lost() from error
    if not isinstance(found, dict):
        raise _lost()
    return found


def _lost() -> Corrupt:
    return Corrupt(
        "node.matching_state_lost",
        what=Text(zh="求交在前置机上的数据已丢失。", en="What the node kept of the matching is lost or changed."),
        remedy=Text(zh="本次求交已作废，请重新发起。", en="The matching is void: propose it anew."),
    )
