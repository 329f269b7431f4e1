"""Answering live calls: the node asks the hub for calls, reads its own tables, and sends signed answers back.

Only agreed columns are read and only masked values, or match and no match, leave the node. Everything is outbound.
"""

import base64
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Protocol

import pyarrow as pa

from datong.exchange import Answering, Column, Connector, Containing, LookupQuery
from datong.kernel import Clock, Conflict, DatongError, NotFound, Text, TooLarge
from datong.ledger import Signer
from datong.node.hub_calls import delay_seconds
from datong.sharing import (
    LiveAnswer,
    LiveCall,
    LiveKey,
    LiveKind,
    RowCondition,
    RowOperator,
    SealedLiveAnswer,
    SealedLiveCall,
    SignedLiveAnswer,
    apply_mask,
    best_answers,
    passes,
    sealed_answer,
)

WAIT_SECONDS = 20.0
CALLS_AT_ONCE_MAX = 8
SCHEMA_SECONDS = 60.0
"""How long the columns of a table are remembered: a source is not inspected anew for each call."""
DELAY_ATTEMPT_MAX = 13
ROWS_READ_MAX = 1_000
"""Rows with one key that a node reads to look which of them a row filter lets pass."""
_OCCURRING = frozenset({RowOperator.IS, RowOperator.ONE_OF, RowOperator.STARTS_WITH})
UNKNOWN_SECONDS = 60.0


class LiveHub(Protocol):
    """Where calls come from and answers go: `HubClient`."""

    def live_calls(self, key: bytes, wait_seconds: float) -> tuple[SealedLiveCall, ...]:
        """Return the calls that wait for this node, sealed to `key`, waiting up to `wait_seconds` for some."""
        ...

    def answer_live_call(self, sealed: SealedLiveAnswer) -> None:
        """Hand in the answer to a call."""
        ...


class LiveAnswerer:
    """Answers the calls for one node until it is told to stop."""

    def __init__(
        self,
        *,
        client: LiveHub,
        signer: Signer,
        clock: Clock,
        open_source: Callable[[str], Connector],
        tell: Callable[[Text], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._signer = signer
        self._clock = clock
        self._open_source = open_source
        self._tell = tell
        self._sleep = sleep
        self._key = LiveKey()
        self._answering: set[Future[None]] = set()
        self._schemas: dict[tuple[str, str], tuple[float, tuple[Column, ...]]] = {}

    @property
    def public_key(self) -> bytes:
        """To which calls are sealed for this process."""
        return self._key.public_key

    def run(self, stop: Callable[[], bool], *, wait_seconds: float = WAIT_SECONDS) -> None:
        """Take calls and answer them side by side; a hub that does not answer is asked again, ever more slowly."""
        unanswered = 0
        with ThreadPoolExecutor(max_workers=CALLS_AT_ONCE_MAX, thread_name_prefix="live") as pool:
            while not stop():
                try:
                    for call in self._client.live_calls(self._key.public_key, wait_seconds):
                        answering = pool.submit(self._serve, call)
                        self._answering.add(answering)
                        answering.add_done_callback(self._answering.discard)
                    unanswered = 0
                except NotFound:
                    # A hub of an earlier version has no live calls.
                    self._sleep(UNKNOWN_SECONDS)
                except DatongError as error:
                    self._tell(error.what)
                    self._sleep(delay_seconds(min(unanswered, DELAY_ATTEMPT_MAX)))
                    unanswered += 1

    def finish(self, seconds: float) -> None:
        """Wait at most so long for what is being answered now."""
        wait(tuple(self._answering), seconds)

    def answer(self, call: LiveCall) -> SignedLiveAnswer:
        """Return the signed answer to one call; what goes wrong is an answer too, without any value."""
        try:
            found = self._rows(call)
        except DatongError as error:
            return self._signed(LiveAnswer(call_id=call.id, fault=error.what, answered_at=self._clock.now()))
        subjects = {row[column] for row in found for column in call.subject_columns}
        answer = LiveAnswer(
            call_id=call.id,
            found=min(len(found), call.rows_max),
            too_many=len(found) > call.rows_max,
            subjects=tuple(sorted(subject for subject in subjects if subject)),
            conditions=call.conditions,
            answered_at=self._clock.now(),
        )
        kept = found[: call.rows_max]
        if call.kind is LiveKind.VERIFY:
            facts = [{column: row[column] for column in call.claims} for row in kept]
            return self._signed(answer.model_copy(update={"results": best_answers(call.claims, facts)}))
        rows = tuple(
            {name: apply_mask(mask, row[name], call.mask_keys.get(name)) for name, mask in call.columns.items()}
            for row in kept
        )
        return self._signed(answer.model_copy(update={"rows": rows}))

    def _serve(self, sealed: SealedLiveCall) -> None:
        try:
            call = self._key.open_call(sealed)
            self._client.answer_live_call(sealed_answer(self.answer(call), call))
        except DatongError as error:
            self._tell(error.what)

    def _signed(self, answer: LiveAnswer) -> SignedLiveAnswer:
        signature = base64.b64encode(self._signer.sign(answer.signing_bytes())).decode()
        return SignedLiveAnswer(answer=answer, key_id=self._signer.key_id, signature=signature)

    def _rows(self, call: LiveCall) -> list[dict[str, str | None]]:
        """Return the rows whose key has exactly the asked text, every value as text."""
        source = self._open_source(call.source)
        try:
            if not isinstance(source, Answering):
                raise Conflict(
                    "node.not_answering",
                    what=Text(zh="该数据源不能实时应答。", en="This source cannot answer live."),
                    remedy=Text(zh="请改用数据库类数据源。", en="Use a database."),
                )
            names = (call.key_column, *call.columns, *call.claims, *call.subject_columns)
            filtered = (one.column for one in call.conditions)
            columns = self._columns(source, call, tuple(dict.fromkeys((*names, *filtered))))
            query = LookupQuery(
                table=call.table,
                columns=columns,
                key_column=call.key_column,
                key_value=call.key_value,
                rows_max=(ROWS_READ_MAX if call.conditions else call.rows_max) + 1,
                containing=containing(call.conditions, columns),
                timeout_seconds=call.timeout_seconds,
            )
            found = source.lookup(query)
        finally:
            source.close()
        texts = pa.table([column.cast(pa.string()) for column in _readable(found)], names=found.column_names)
        # Databases compare by collation, and a text with a number by its value: here the text itself must be equal.
        rows = [row for row in texts.to_pylist() if row[call.key_column] == call.key_value]
        if len(rows) > ROWS_READ_MAX:
            raise TooLarge(
                "node.key_too_wide",
                what=Text(zh="查询键对应的记录过多。", en="The key meets too many records."),
                remedy=Text(zh="请使用能唯一确定对象的查询键。", en="Use a key that identifies one thing."),
            )
        return [row for row in rows if passes(call.conditions, row.get)]

    def _columns(self, source: Connector, call: LiveCall, names: tuple[str, ...]) -> tuple[Column, ...]:
        key = (call.source, call.table)
        known = self._schemas.get(key)
        if known is None or time.monotonic() - known[0] > SCHEMA_SECONDS:
            schema = source.schema(call.table)
            known = (time.monotonic(), () if schema is None else schema.columns)
            self._schemas[key] = known
        by_name = {column.name: column for column in known[1]}
        missing = [name for name in names if name not in by_name]
        if missing:
            raise Conflict(
                "node.source_changed",
                what=Text(zh="数据源缺少约定的列。", en="The source lacks columns that were agreed."),
                remedy=Text(zh="请修订资源目录。", en="Revise the resource."),
            )
        return tuple(by_name[name] for name in names)


def containing(conditions: Iterable[RowCondition], columns: Iterable[Column]) -> tuple[Containing, ...]:
    """Return what of row filters the source itself can look for: texts in columns of texts.

    It is told less than the filter says (that the text occurs somewhere), so that no difference between databases in
    comparing and trimming leaves out a row that passes; what comes back is looked at again.
    """
    texts = {column.name for column in columns if column.type == "string"}
    return tuple(
        Containing(column=one.column, texts=one.values)
        for one in conditions
        if one.column in texts and one.operator in _OCCURRING
    )


def _readable(table: pa.Table) -> list["pa.ChunkedArray[pa.Scalar[pa.DataType]]"]:
    """Return columns that can be cast to text: blobs have none and are left empty."""
    return [
        pa.chunked_array([pa.nulls(table.num_rows, pa.string())]) if pa.types.is_binary(column.type) else column
        for column in table.columns
    ]
