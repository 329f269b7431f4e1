"""Declared tasks: what a file would change (plan), and doing it (apply). Applying a file twice changes nothing."""

from collections.abc import Callable, Mapping

from datong.exchange import store, task_files
from datong.exchange.declarations import (
    NodeChoice,
    PlanAct,
    PlanStep,
    TaskOffer,
    TaskOffers,
    declaration_of,
    draft_of,
    step_of,
)
from datong.exchange.hub import Exchange
from datong.exchange.task_files import TaskText
from datong.exchange.values import Task, TaskDraft, TaskState
from datong.kernel import Actor, AgreementId, Conflict, Database, DepartmentCode, Invalid, NotFound, TaskId, Text

EXPORTED_MAX = 500

Permit = Callable[[TaskDraft, PlanAct], None]
"""Raises when the caller may not do the act to the task."""


class Planning:
    """Plans and applies files of tasks."""

    def __init__(self, *, database: Database, exchange: Exchange, offers: TaskOffers) -> None:
        self._database = database
        self._exchange = exchange
        self.offers = offers

    def plan(self, text: str, permit: Permit) -> tuple[PlanStep, ...]:
        """Return what applying a file would do, in its order; nothing is changed.

        Raises:
            Invalid: what is wrong in the file, with line and column.
            Refused: the caller may not do it, or the agreement does not allow it.
        """
        return tuple(step for step, _ in self._steps(text, permit))

    def apply(self, text: str, permit: Permit, *, allow_replace: bool, actor: Actor) -> tuple[PlanStep, ...]:
        """Do what `plan` says, after the whole file was looked at; each task is a transaction of its own.

        Raises:
            as `plan`. Conflict: `exchange.replace_not_allowed` when a task would have to be ended and created anew.
        """
        steps = self._steps(text, permit)
        replaced = [step.name for step, _ in steps if step.act is PlanAct.REPLACE]
        if replaced and not allow_replace:
            raise Conflict(
                "exchange.replace_not_allowed",
                what=Text(
                    zh=f"{'、'.join(replaced)} 的改动需要结束原任务并重建，接收方会重新得到全部数据。",
                    en=f"{', '.join(replaced)}: these changes need the task ended and created anew; its consumer gets "
                    "everything again.",
                ),
                remedy=Text(zh="确认后请加 --replace。", en="If that is meant, add --replace."),
                context={"tasks": replaced},
            )
        return tuple(self._do(step, draft, actor) for step, draft in steps)

    def create(self, document: Mapping[str, object], permit: Permit, *, actor: Actor) -> Task:
        """Create one task that a form declares, with the names that a file has.

        Raises:
            Invalid: `exchange.task_declaration` with every faulty field; or what `check_draft` finds.
            Refused: the caller may not do it, or the agreement does not allow it. Conflict: the name is taken.
        """
        declared = task_files.declaration(document)
        draft = draft_of(declared, self._offers_for(declared.agreement))
        permit(draft, PlanAct.CREATE)
        return self._exchange.create_task(draft, actor=actor)

    def export(self, department: DepartmentCode | None, nodes: tuple[NodeChoice, ...]) -> str:
        """Return the living tasks of a department (None: of all) as a file."""
        with self._database.snapshot() as connection:
            page = store.tasks(
                connection,
                department=department,
                agreement_id=None,
                resource_id=None,
                offset=0,
                limit=EXPORTED_MAX,
                living=True,
            )
        return task_files.written([declaration_of(task, nodes) for task in reversed(page.rows)])

    def _steps(self, text: str, permit: Permit) -> list[tuple[PlanStep, TaskDraft]]:
        parsed = TaskText(text)
        found = []
        for number, declared in enumerate(parsed.file.tasks):
            task = self._living(declared.name)
            try:
                draft = draft_of(declared, self._offers_for(declared.agreement))
                step = step_of(draft, task)
                if step.act is not PlanAct.SAME:
                    self._exchange.check_draft(draft)
            except Invalid as error:
                raise parsed.located(error, number) from error
            permit(draft, step.act)
            found.append((step, draft))
        return found

    def _offers_for(self, agreement_id: AgreementId) -> TaskOffer:
        try:
            return self.offers.offer(agreement_id)
        except NotFound as error:
            raise Invalid(error.code, what=error.what, remedy=error.remedy, field="/agreement") from error

    def _living(self, name: str) -> Task | None:
        """Return the living task of that name, or the unnamed one with that id."""
        with self._database.snapshot() as connection:
            named = store.named_task(connection, name)
            if named is not None:
                return named
            try:
                task = store.task_of(store.task_row(connection, TaskId(name)))
            except NotFound:
                return None
        return task if not task.name and task.state is not TaskState.ENDED else None

    def _do(self, step: PlanStep, draft: TaskDraft, actor: Actor) -> PlanStep:
        if step.act is PlanAct.CHANGE and step.task_id is not None:
            self._exchange.change_task(step.task_id, draft, actor=actor)
        if step.act is PlanAct.REPLACE and step.task_id is not None:
            self._exchange.end(step.task_id, actor=actor)
        if step.act in (PlanAct.CREATE, PlanAct.REPLACE):
            return step.model_copy(update={"task_id": self._exchange.create_task(draft, actor=actor).id})
        return step
