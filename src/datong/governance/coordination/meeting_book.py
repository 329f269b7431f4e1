"""The joint meetings of a hub: called, answered, held, decided and closed, each act with its evidence."""

from collections.abc import Callable

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from datong.governance.acts import acts_of, put_act, row_of
from datong.governance.cases import Cases, nothing_to_rule_about
from datong.governance.coordination.assignment_book import Assignments, statement_of, unknown_department
from datong.governance.coordination.assignments import Origin
from datong.governance.coordination.meetings import (
    CASE_ACTS,
    ITEMS_MAX,
    MINUTES_CHARS_MAX,
    PARTIES_MAX,
    DecisionOfItem,
    Meeting,
    MeetingAct,
    MeetingAction,
    MeetingItem,
    MeetingParty,
    MeetingState,
    NewMeeting,
    Outcome,
    agenda_of,
    next_meeting_state,
    outcomes_of,
)
from datong.governance.coordination.tables import MEETING, MEETING_ACT, MEETING_ITEM, MEETING_PARTY
from datong.governance.stages import Case, CaseAction, CaseStage
from datong.kernel import (
    Actor,
    CaseId,
    Clock,
    Conflict,
    Database,
    DepartmentCode,
    Invalid,
    NotFound,
    Page,
    Refused,
    Text,
    new_id,
    page_of,
)
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger

SUGGESTED_MAX = 200
TOPIC_CHARS_MAX = 500


class Meetings:
    """Joint meetings over the control database. `departments` returns the codes of all registered departments."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ledger: Ledger,
        cases: Cases,
        assignments: Assignments,
        departments: Callable[[], frozenset[DepartmentCode]],
    ) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._cases = cases
        self._assignments = assignments
        self._departments = departments

    def suggest(self) -> tuple[Case, ...]:
        """Return the open cases in the order in which a meeting ought to treat them."""
        found: list[Case] = []
        for stage in (CaseStage.GOVERNMENT, CaseStage.AUTHORITY, CaseStage.NEGOTIATE):
            found += self._cases.find(stage=stage, limit=SUGGESTED_MAX).rows
        return agenda_of(found, self._clock.now())

    def call(self, new: NewMeeting, actor: Actor) -> Meeting:
        """Call a meeting; the parties of its cases are invited with the departments that are named.

        Raises:
            Invalid: it has no item, nobody to invite, lies in the past, or a text is missing.
            NotFound: a case or a department is not known. Refused: the actor has no department.
        """
        now = self._clock.now()
        authority = _department(actor)
        cases = [self._cases.get(case_id) for case_id in dict.fromkeys(new.cases)]
        topics = [statement_of(topic, chars_max=TOPIC_CHARS_MAX, field="/topics") for topic in new.topics]
        invited = {code for case in cases for code in (case.provider, case.consumer) if code is not None}
        invited |= set(new.departments)
        unknown = invited - self._departments()
        problem = None
        if not 0 < len(cases) + len(topics) <= ITEMS_MAX:
            problem = Text(zh=f"会议需要 1 到 {ITEMS_MAX} 个议题", en=f"a meeting has 1 to {ITEMS_MAX} items")
        elif not 0 < len(invited) <= PARTIES_MAX:
            problem = Text(zh=f"会议邀请 1 到 {PARTIES_MAX} 个部门", en=f"1 to {PARTIES_MAX} departments are invited")
        elif unknown:
            problem = Text(zh="有部门未登记", en="a department is not registered")
        elif new.held_at.tzinfo is None or new.held_at <= now:
            problem = Text(zh="会议时间须在将来", en="it must lie in the future")
        elif any(case.stage is CaseStage.CLOSED for case in cases):
            problem = Text(zh="有协调事项已办结", en="a case is closed already")
        if problem is not None:
            raise Invalid(
                "governance.meeting_invalid",
                what=Text(zh=f"不能召集会议：{problem.zh}。", en=f"The meeting cannot be called: {problem.en}."),
                remedy=Text(zh="请修改后再召集。", en="Mend it and call it again."),
            )
        items = [MeetingItem(number=number, case_id=case.id, topic="") for number, case in enumerate(cases, 1)]
        items += [
            MeetingItem(number=number, case_id=None, topic=topic) for number, topic in enumerate(topics, len(items) + 1)
        ]
        made = Meeting(
            id=new_id(),
            title=statement_of(new.title, field="/title"),
            state=MeetingState.CALLED,
            authority=authority,
            held_at=new.held_at,
            place=statement_of(new.place, field="/place"),
            called_at=now,
            minutes="",
            closed_at=None,
            parties=tuple(MeetingParty(department=code) for code in sorted(invited)),
            items=tuple(items),
        )
        with self._database.transaction() as connection:
            connection.execute(insert(MEETING).values(made.model_dump(exclude={"parties", "items", "acts"})))
            for party in made.parties:
                connection.execute(insert(MEETING_PARTY).values(meeting_id=made.id, **party.model_dump()))
            for item in made.items:
                connection.execute(insert(MEETING_ITEM).values(meeting_id=made.id, **item.model_dump(mode="json")))
            self._record(connection, made.id, MeetingAction.CALL, actor)
        return self.get(made.id)

    def answer(self, meeting_id: str, *, actor: Actor, coming: bool, names: str) -> Meeting:
        """Say for a department whether it comes, and who.

        Raises:
            NotFound: there is no such meeting. Conflict: it was held or cancelled.
            Refused: the actor's department is not invited. Invalid: the names are too long.
        """
        department = _department(actor)
        if len(names) > 200:
            statement_of(names, chars_max=200, field="/names")
        with self._database.transaction() as connection:
            meeting = self._one(connection, meeting_id, lock=True)
            if department not in meeting.departments:
                raise Refused(
                    "governance.not_invited",
                    what=Text(zh="贵部门未受邀参加本次会议。", en="Your department is not invited."),
                    remedy=Text(zh="如需参加，请联系召集的主管部门。", en="Ask the authority that called it."),
                )
            next_meeting_state(meeting, MeetingAction.ANSWER)
            mine = (MEETING_PARTY.c.meeting_id == meeting_id, MEETING_PARTY.c.department == department)
            connection.execute(update(MEETING_PARTY).where(*mine).values(coming=coming, names=names.strip()))
            self._record(connection, meeting_id, MeetingAction.ANSWER, actor)
        return self.get(meeting_id)

    def hold(self, meeting_id: str, *, actor: Actor, present: frozenset[DepartmentCode], minutes: str) -> Meeting:
        """Write down who was there and what was said.

        Raises:
            NotFound, Conflict: as above. Refused: another authority called it.
            Invalid: there are no minutes, or somebody was there who was not invited.
        """
        minutes = statement_of(minutes, chars_max=MINUTES_CHARS_MAX, field="/minutes")
        with self._database.transaction() as connection:
            meeting = self._own(connection, meeting_id, actor)
            state = next_meeting_state(meeting, MeetingAction.HOLD)
            if not present or not present <= set(meeting.departments):
                raise Invalid(
                    "governance.attendance_invalid",
                    what=Text(
                        zh="出席部门须是受邀部门，且至少一个。", en="Those present are of the invited, at least one."
                    ),
                    remedy=Text(zh="请在受邀部门中选择。", en="Choose among the invited departments."),
                    field="/present",
                )
            connection.execute(update(MEETING).where(MEETING.c.id == meeting_id).values(state=state, minutes=minutes))
            for code in meeting.departments:
                row = (MEETING_PARTY.c.meeting_id == meeting_id, MEETING_PARTY.c.department == code)
                connection.execute(update(MEETING_PARTY).where(*row).values(present=code in present))
            self._record(connection, meeting_id, MeetingAction.HOLD, actor)
        return self.get(meeting_id)

    def decide(self, meeting_id: str, number: int, decision: DecisionOfItem, *, actor: Actor) -> Meeting:
        """Decide about an item: in its case, and by giving departments something to do, in one transaction.

        Raises:
            NotFound: there is no such meeting or item, or a department is not known.
            Conflict: the meeting or the case does not admit it, or it was decided.
            Refused: another authority called it.
            Invalid: the statement is missing, an instruction instructs nobody, or there is no finding to rule about.
        """
        statement = statement_of(decision.statement)
        if decision.outcome is Outcome.INSTRUCT and not decision.assignments:
            raise Invalid(
                "governance.nobody_instructed",
                what=Text(
                    zh="交办需要承办部门、事项和期限。", en="An instruction names a department, what to do and by when."
                ),
                remedy=Text(zh="请填写至少一项。", en="Give at least one."),
                field="/assignments",
            )
        known = self._departments()
        for new in decision.assignments:
            statement_of(new.what, field="/assignments")
            if new.department not in known:
                raise unknown_department(new.department)
        with self._database.transaction() as connection:
            meeting = self._own(connection, meeting_id, actor)
            next_meeting_state(meeting, MeetingAction.DECIDE)
            item = next((one for one in meeting.items if one.number == number), None)
            if item is None:
                raise NotFound(
                    "governance.item_not_found",
                    what=Text(zh=f"会议没有第 {number} 项议题。", en=f"The meeting has no item {number}."),
                    remedy=Text(zh="请从议程中选择。", en="Choose one from the agenda."),
                )
            if item.outcome is not None:
                raise Conflict(
                    "governance.item_decided",
                    what=Text(zh=f"第 {number} 项议题已议决。", en=f"Item {number} was decided already."),
                    remedy=Text(zh="如需更改，请提请下次会议。", en="Bring it to the next meeting to change it."),
                )
            stage = None if item.case_id is None else self._cases.locked(connection, item.case_id).stage
            if decision.outcome not in outcomes_of(stage):
                raise Conflict(
                    "governance.outcome_not_admitted",
                    what=Text(zh="该议题不能作出这样的决定。", en="This cannot be decided about the item."),
                    remedy=Text(zh="请按协调事项所处阶段选择。", en="Choose what the stage of its case admits."),
                    field="/outcome",
                    context={"outcomes": [one.value for one in outcomes_of(stage)]},
                )
            act = None if item.case_id is None else CASE_ACTS.get(decision.outcome)
            if decision.ruling is not None and act is not CaseAction.DECIDE:
                raise nothing_to_rule_about()
            if item.case_id is not None and act is not None:
                self._cases.act_within(
                    connection, item.case_id, act, actor=actor, statement=statement, ruling=decision.ruling
                )
            given = self._assignments.give(
                connection,
                decision.assignments,
                origin=Origin.MEETING,
                origin_id=meeting_id,
                authority=meeting.authority,
                actor=actor,
                case_id=item.case_id,
            )
            row = (MEETING_ITEM.c.meeting_id == meeting_id, MEETING_ITEM.c.number == number)
            values = {"outcome": decision.outcome, "statement": statement, "assignments": list(given)}
            connection.execute(update(MEETING_ITEM).where(*row).values(values))
            self._record(connection, meeting_id, MeetingAction.DECIDE, actor, item=number)
        return self.get(meeting_id)

    def finish(self, meeting_id: str, action: MeetingAction, *, actor: Actor) -> Meeting:
        """Close a meeting whose items are all decided, or cancel one that was not held.

        Raises:
            NotFound, Conflict, Refused: as above.
        """
        with self._database.transaction() as connection:
            meeting = self._own(connection, meeting_id, actor)
            state = next_meeting_state(meeting, action)
            values = {"state": state, "closed_at": self._clock.now()}
            connection.execute(update(MEETING).where(MEETING.c.id == meeting_id).values(values))
            self._record(connection, meeting_id, action, actor)
        return self.get(meeting_id)

    def get(self, meeting_id: str) -> Meeting:
        """Return one meeting with its acts.

        Raises:
            NotFound: there is none.
        """
        with self._database.snapshot() as connection:
            acts = acts_of(connection, MEETING_ACT.c.meeting_id, meeting_id, MeetingAct)
            return self._one(connection, meeting_id).model_copy(update={"acts": acts})

    def find(
        self,
        *,
        state: MeetingState | None = None,
        department: DepartmentCode | None = None,
        offset: int = 0,
        limit: int = PAGE_ROWS_DEFAULT,
    ) -> Page[Meeting]:
        """Return meetings, the newest first; `department` called them or was invited."""
        wanted = []
        if state is not None:
            wanted.append(MEETING.c.state == state)
        if department is not None:
            invited = select(MEETING_PARTY.c.meeting_id).where(MEETING_PARTY.c.department == department)
            wanted.append(MEETING.c.id.in_(invited) | (MEETING.c.authority == department))
        newest = select(MEETING.c.id).where(*wanted).order_by(MEETING.c.held_at.desc(), MEETING.c.id)
        with self._database.snapshot() as connection:
            total = connection.scalar(select(func.count()).select_from(MEETING).where(*wanted)) or 0
            ids = connection.scalars(newest.offset(offset).limit(min(limit, PAGE_ROWS_MAX))).all()
            rows = tuple(self._one(connection, meeting_id) for meeting_id in ids)
            return page_of(rows, total=total, offset=offset)

    def of_case(self, case_id: CaseId) -> tuple[Meeting, ...]:
        """Return the meetings on whose agenda a case stood, the newest first."""
        query = (
            select(MEETING.c.id)
            .join(MEETING_ITEM, MEETING_ITEM.c.meeting_id == MEETING.c.id)
            .where(MEETING_ITEM.c.case_id == case_id)
            .order_by(MEETING.c.held_at.desc())
        )
        with self._database.snapshot() as connection:
            return tuple(self._one(connection, meeting_id) for meeting_id in connection.scalars(query).all())

    def _record(
        self, connection: Connection, meeting_id: str, action: MeetingAction, actor: Actor, *, item: int | None = None
    ) -> None:
        """Put an act on record, with the meeting as it now stands."""
        meeting = self._one(connection, meeting_id)
        put_act(
            connection,
            self._ledger,
            MEETING_ACT.c.meeting_id,
            meeting_id,
            kind=EntryKind.MEETING,
            facts={**meeting.facts(), "action": action.value, "item": item},
            actor=actor,
            at=self._clock.now(),
            action=action,
            state_after=meeting.state,
            item=item,
        )

    def _own(self, connection: Connection, meeting_id: str, actor: Actor) -> Meeting:
        meeting = self._one(connection, meeting_id, lock=True)
        if actor.department != meeting.authority:
            raise Refused(
                "governance.meeting_not_yours",
                what=Text(zh="会议由召集的主管部门办理。", en="The authority that called the meeting does this."),
                remedy=Text(zh="请由召集的主管部门办理。", en="Let that authority do it."),
            )
        return meeting

    @staticmethod
    def _one(connection: Connection, meeting_id: str, *, lock: bool = False) -> Meeting:
        row = row_of(connection, MEETING, meeting_id, lock=lock)
        if row is None:
            raise NotFound(
                "governance.meeting_not_found",
                what=Text(zh="没有这次会议。", en="There is no such meeting."),
                remedy=Text(zh="请从会议列表中选择。", en="Choose one from the list."),
            )
        return meeting_of(connection, row)


def meeting_of(connection: Connection, row: RowMapping) -> Meeting:
    """Return a meeting with parties and items, of its row."""
    parties = select(MEETING_PARTY).where(MEETING_PARTY.c.meeting_id == row["id"]).order_by(MEETING_PARTY.c.department)
    items = select(MEETING_ITEM).where(MEETING_ITEM.c.meeting_id == row["id"]).order_by(MEETING_ITEM.c.number)
    with_parts = {
        **row,
        "parties": [
            {name: found[name] for name in MeetingParty.model_fields}
            for found in connection.execute(parties).mappings()
        ],
        "items": [
            {name: found[name] for name in MeetingItem.model_fields} for found in connection.execute(items).mappings()
        ],
    }
    return Meeting.model_validate(with_parts)


def _department(actor: Actor) -> DepartmentCode:
    if actor.department is None:
        raise Refused(
            "governance.no_department",
            what=Text(zh="您不代表任何部门。", en="You act for no department."),
            remedy=Text(zh="请用部门账号办理。", en="Use an account of a department."),
        )
    return actor.department
