"""Statistics with differential privacy under a budget per table, spent in the transaction that keeps the answer.

An answer is computed first and told last: the transaction in between spends the budget, keeps the answer and appends
the evidence, all or nothing. Killed before, nothing was told and nothing is spent; killed after, the same question
finds the answer. Two questions at once cannot both take what is left, since one statement compares and takes.
"""

import math
from collections.abc import Callable
from fractions import Fraction

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from datong.kernel import (
    Actor,
    Clock,
    Conflict,
    Database,
    Invalid,
    Page,
    Refused,
    Text,
    new_id,
    page_of,
)
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger
from datong.library import PUBLISHED, Dataset, has_one_row_each, published_table
from datong.sharing import tables
from datong.sharing.discrete_noise import discrete_laplace
from datong.sharing.mask_columns import quoted
from datong.sharing.open_releases import Datasets
from datong.sharing.statistic_values import MILLI, Answer, Budget, BudgetOrder, Question, StatisticKind

CONFIDENCE = 0.95


class PrivateStatistics:
    """Answers questions about published tables of entities, and keeps the budgets."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ledger: Ledger,
        library: Datasets,
        noise: Callable[[Fraction], int] = discrete_laplace,
    ) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._library = library
        self._noise = noise

    def tables(self) -> tuple[Dataset, ...]:
        """Return the tables that questions can be put to: those of libraries, with one row per entity."""
        return tuple(dataset for dataset in self._library.datasets() if _has_entities(dataset))

    def budget(self, dataset: str) -> Budget:
        """Return the budget of a table; nothing was granted unless somebody did."""
        with self._database.snapshot() as connection:
            return _budget(connection, dataset)

    def grant(self, dataset: str, order: BudgetOrder, actor: Actor) -> Budget:
        """Set what the answers about a table may cost in all.

        Raises:
            NotFound: there is no such dataset.
            Conflict: `sharing.budget_below_spent`: more was spent already.
        """
        self._library.dataset(dataset)
        table = tables.privacy_budget
        with self._database.transaction() as connection:
            values = {"dataset": dataset, "granted_milli": order.granted_milli, "spent_milli": 0}
            dialect = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
            connection.execute(
                dialect(table)
                .values(values)
                .on_conflict_do_update(
                    index_elements=["dataset"],
                    set_={"granted_milli": order.granted_milli},
                    where=table.c.spent_milli <= order.granted_milli,
                )
            )
            after = _budget(connection, dataset)
            if after.granted_milli != order.granted_milli:
                raise Conflict(
                    "sharing.budget_below_spent",
                    what=Text(zh="已用去的预算多于此数。", en="More than that was spent already."),
                    remedy=Text(zh="预算不能低于已用去的部分。", en="A budget cannot be less than what was spent."),
                    field="/granted_milli",
                )
            self._ledger.append(
                connection,
                kind=EntryKind.STATISTIC,
                subject=dataset,
                actor=actor,
                facts={
                    "action": "grant",
                    "dataset": dataset,
                    "granted_milli": order.granted_milli,
                    "spent_milli": after.spent_milli,
                    "statement": order.statement,
                },
            )
        return after

    def ask(self, question: Question, actor: Actor) -> Answer:
        """Answer with noise, and spend what the question costs; an equal question is answered as before, for nothing.

        Raises:
            NotFound: there is no such dataset.
            Invalid: `sharing.question_invalid`: the table has no such column, or not one row per entity.
            Refused: `sharing.budget_spent`: less is left than the question costs; the refusal is on record.
            Unavailable: the table cannot be read.
        """
        dataset = self._library.dataset(question.dataset)
        _require_columns(dataset, question)
        digest = question.digest(dataset.version)
        with self._database.snapshot() as connection:
            known = _answered(connection, digest)
            left = _budget(connection, question.dataset).left_milli
        if known is not None:
            return known
        if left < question.epsilon_milli:
            raise self._refused(question, dataset, actor)
        values = self._noisy(question, dataset)
        answer = Answer(
            id=new_id(),
            question=question,
            version=dataset.version,
            values=values,
            error_95=error_95(question),
            asked_at=self._clock.now(),
            asked_by=actor,
        )
        with self._database.transaction() as connection:
            spent = _spend(connection, question)
            # Whoever asked the same in the meantime was answered already; then this answer must not be told.
            known = _answered(connection, digest)
            if spent and known is None:
                return self._keep(connection, answer, digest)
            if spent:
                _give_back(connection, question)
        if known is not None:
            return known
        raise self._refused(question, dataset, actor)

    def answers(self, dataset: str, *, offset: int = 0, limit: int = 20) -> Page[Answer]:
        """Return what was answered about a table, newest first."""
        table = tables.statistic
        query = select(table).where(table.c.dataset == dataset).order_by(table.c.asked_at.desc(), table.c.id)
        with self._database.snapshot() as connection:
            total = connection.execute(
                select(func.count()).select_from(table).where(table.c.dataset == dataset)
            ).scalar_one()
            rows = connection.execute(query.offset(offset).limit(min(limit, PAGE_ROWS_MAX))).mappings().all()
        found = tuple(Answer.model_validate({**row["content"], "entry_id": row["entry_id"]}) for row in rows)
        return page_of(found, total=total, offset=offset)

    def _noisy(self, question: Question, dataset: Dataset) -> dict[str, int]:
        exact = exact_values(question, dataset)
        scale = Fraction(question.sensitivity * MILLI, question.epsilon_milli)
        return {name: value + self._noise(scale) for name, value in exact.items()}

    def _keep(self, connection: Connection, answer: Answer, digest: str) -> Answer:
        entry_id = self._ledger.append(
            connection,
            kind=EntryKind.STATISTIC,
            subject=answer.id,
            actor=answer.asked_by,
            facts={
                "action": "answer",
                "dataset": answer.question.dataset,
                "version": answer.version,
                "kind": answer.question.kind.value,
                "column": answer.question.column,
                "conditions": len(answer.question.where),
                "epsilon_milli": answer.question.epsilon_milli,
                "spent_milli": _budget(connection, answer.question.dataset).spent_milli,
                "question_digest": digest,
            },
        )
        connection.execute(
            insert(tables.statistic).values(
                id=answer.id,
                digest=digest,
                dataset=answer.question.dataset,
                asked_at=answer.asked_at,
                entry_id=entry_id,
                content=answer.model_dump(mode="json", exclude={"entry_id"}),
            )
        )
        return answer.model_copy(update={"entry_id": entry_id})

    def _refused(self, question: Question, dataset: Dataset, actor: Actor) -> Refused:
        with self._database.transaction() as connection:
            left = _budget(connection, question.dataset).left_milli
            self._ledger.append(
                connection,
                kind=EntryKind.STATISTIC,
                subject=question.dataset,
                actor=actor,
                facts={
                    "action": "refuse",
                    "dataset": question.dataset,
                    "version": dataset.version,
                    "kind": question.kind.value,
                    "epsilon_milli": question.epsilon_milli,
                    "left_milli": left,
                },
            )
        return Refused(
            "sharing.budget_spent",
            what=Text(
                zh=f"该数据集的隐私预算只剩 ε = {left / MILLI:g}，不够回答。",
                en=f"Of the table's privacy budget ε = {left / MILLI:g} is left: not enough for this answer.",
            ),
            remedy=Text(
                zh="请降低本次的 ε，或使用以前的回答；提高预算由主管部门决定。",
                en="Ask with a smaller ε or use earlier answers; the authority decides about a larger budget.",
            ),
            context={"left_milli": left},
        )


def exact_values(question: Question, dataset: Dataset) -> dict[str, int]:
    """Return the answer without noise, by category.

    Raises:
        Invalid: `sharing.question_invalid`: some entity has several rows, so that nothing would be promised to it.
    """
    conditions = [f"CAST({quoted(one.column)} AS VARCHAR) = ?" for one in question.where]
    asked = [one.value for one in question.where]
    chosen = f"FROM {PUBLISHED}" + (f" WHERE {' AND '.join(conditions)}" if conditions else "")
    column = f"CAST({quoted(question.column)} AS VARCHAR)"
    with published_table(dataset) as connection:
        if not has_one_row_each(connection):
            raise _invalid(
                Text(zh="该表中有的实体有多行。", en="Some entities have several rows in this table."), "/dataset"
            )
        if question.kind is StatisticKind.HISTOGRAM:
            found = dict(connection.execute(f"SELECT {column}, count(*) {chosen} GROUP BY ALL", asked).fetchall())
            return {category: int(found.get(category, 0)) for category in question.categories}
        what = "count(*)"
        if question.kind is StatisticKind.SUM:
            # A value that is no number counts as none: whether there is one must not end in an error.
            number = f"TRY_CAST(round(TRY_CAST({column} AS DECIMAL(38, 6))) AS HUGEINT)"
            what = f"coalesce(sum(least(greatest({number}, {question.lower}), {question.upper})), 0)"
        row = connection.execute(f"SELECT {what} {chosen}", asked).fetchone()
    return {"": int(row[0]) if row else 0}


def error_95(question: Question) -> int:
    """Return how large the noise of one value is at most, in 95 of 100 answers."""
    scale = question.sensitivity * MILLI / question.epsilon_milli
    # P(|x| > m) = 2 p^(m+1) / (1 + p) with p = e^(-1/scale).
    ratio = math.exp(-1 / scale)
    return max(0, math.ceil(math.log((1 - CONFIDENCE) * (1 + ratio) / 2) / math.log(ratio) - 1))


def _has_entities(dataset: Dataset) -> bool:
    return dataset.name == dataset.library


def _require_columns(dataset: Dataset, question: Question) -> None:
    if not _has_entities(dataset):
        raise _invalid(
            Text(zh="只能统计以实体为行的资源库表。", en="Only a library's table of entities can be asked."), "/dataset"
        )
    known = {column.name for column in dataset.columns}
    asked = {one.column for one in question.where} | ({question.column} if question.column else set())
    if not asked <= known:
        missing = ", ".join(sorted(asked - known))
        raise _invalid(Text(zh=f"该表没有列 {missing}。", en=f"The table has no column {missing}."), "/column")


def _spend(connection: Connection, question: Question) -> bool:
    table = tables.privacy_budget
    statement = (
        update(table)
        .where(
            table.c.dataset == question.dataset,
            table.c.spent_milli + question.epsilon_milli <= table.c.granted_milli,
        )
        .values(spent_milli=table.c.spent_milli + question.epsilon_milli)
    )
    return connection.execute(statement).rowcount == 1


def _give_back(connection: Connection, question: Question) -> None:
    table = tables.privacy_budget
    connection.execute(
        update(table)
        .where(table.c.dataset == question.dataset)
        .values(spent_milli=table.c.spent_milli - question.epsilon_milli)
    )


def _budget(connection: Connection, dataset: str) -> Budget:
    row = (
        connection.execute(select(tables.privacy_budget).where(tables.privacy_budget.c.dataset == dataset))
        .mappings()
        .first()
    )
    return Budget.model_validate(dict(row)) if row else Budget(dataset=dataset, granted_milli=0, spent_milli=0)


def _answered(connection: Connection, digest: str) -> Answer | None:
    table = tables.statistic
    row = connection.execute(select(table.c.content, table.c.entry_id).where(table.c.digest == digest)).first()
    return None if row is None else Answer.model_validate({**row.content, "entry_id": row.entry_id})


def _invalid(what: Text, field: str) -> Invalid:
    return Invalid(
        "sharing.question_invalid",
        what=what,
        remedy=Text(zh="请对照数据集的列修改。", en="Compare with the columns of the dataset."),
        field=field,
    )
