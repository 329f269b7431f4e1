"""Duties: what somebody had to do by when, under which clause, and who held the ball while it was not done.

A duty is a fact drawn from the evidence; whether it was breached is `judgement`'s question. Clauses are those of
《政务数据共享条例》 (State Council Order 809).
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from datong.governance.parties import Party
from datong.kernel import DepartmentCode, EntryId, ResourceId, Text, Value


class DutyKind(StrEnum):
    """A kind of duty that the monitor watches."""

    REPLY = "reply"
    PROVISION = "provision"
    REVIEW = "review"
    TRANSFER = "transfer"
    QUALITY = "quality"
    CATALOGUE_UPDATE = "catalogue_update"
    CORRECTION = "correction"
    FRESHNESS = "freshness"
    AVAILABILITY = "availability"
    COMPLETENESS = "completeness"
    USE = "use"
    RESPONSE = "response"
    DISPOSAL = "disposal"
    WISH = "wish"


class Clause(Value):
    """The clause that a duty rests on."""

    article: int
    text: Text


class DutyRule(Value):
    """How breaches of one kind of duty are judged: whose duty it is, under which clause, at what price.

    `points_per_breach` and `points_per_day` are hundredths of a point, charged once and per working day of delay;
    an agreement may weigh them (`Duty.weight_percent`). What is not late but wrong is `measured`: the rule says in
    words how much of how much ({faults}, {amount}), and each ten-thousandth of it costs one hundredth more.
    """

    kind: DutyKind
    name: Text
    clause: Clause
    owner: Party
    points_per_breach: int
    points_per_day: int
    opens_case: bool
    measured: Text | None = None


_SERVICE = Clause(
    article=27,
    text=Text(
        zh="《政务数据共享条例》第二十七条：提供部门应当保障服务，不得无故中断；协议约定的服务水平。",
        en="Regulations on Government Data Sharing, Art. 27: the provider keeps the service up; the agreement's "
        "service levels.",
    ),
)

RULES_VERSION = "1"
"""Changes whenever a rule below or in `judgement` changes: it is part of a finding's identity."""

RULES: Mapping[DutyKind, DutyRule] = {
    rule.kind: rule
    for rule in (
        DutyRule(
            kind=DutyKind.REPLY,
            name=Text(zh="逾期答复", en="Overdue reply"),
            clause=Clause(
                article=21,
                text=Text(
                    zh="《政务数据共享条例》第二十一条：无条件共享的一个工作日内答复，有条件共享的十个工作日内答复。",
                    en="Regulations on Government Data Sharing, Art. 21: reply within 1 working day "
                    "(unconditional) or 10 working days (conditional).",
                ),
            ),
            owner=Party.PROVIDER,
            points_per_breach=200,
            points_per_day=50,
            opens_case=True,
        ),
        DutyRule(
            kind=DutyKind.PROVISION,
            name=Text(zh="逾期提供", en="Overdue provision"),
            clause=Clause(
                article=22,
                text=Text(
                    zh="《政务数据共享条例》第二十二条：自同意之日起二十个工作日内提供数据。",
                    en="Regulations on Government Data Sharing, Art. 22: provide the data within 20 working days "
                    "of the consent.",
                ),
            ),
            owner=Party.PROVIDER,
            points_per_breach=200,
            points_per_day=50,
            opens_case=True,
        ),
        DutyRule(
            kind=DutyKind.REVIEW,
            name=Text(zh="逾期审核", en="Overdue review"),
            clause=Clause(
                article=17,
                text=Text(
                    zh="《政务数据共享条例》第十七条：主管部门两个工作日内审核发布目录更新。",
                    en="Regulations on Government Data Sharing, Art. 17: the authority reviews and publishes a "
                    "catalogue update within 2 working days.",
                ),
            ),
            owner=Party.AUTHORITY,
            points_per_breach=100,
            points_per_day=50,
            opens_case=False,
        ),
        DutyRule(
            kind=DutyKind.CATALOGUE_UPDATE,
            name=Text(zh="逾期更新目录", en="Overdue catalogue update"),
            clause=Clause(
                article=17,
                text=Text(
                    zh="《政务数据共享条例》第十七条：目录所涉事项变化的，十个工作日内更新目录。",
                    en="Regulations on Government Data Sharing, Art. 17: update the catalogue within 10 working days "
                    "of a change.",
                ),
            ),
            owner=Party.PROVIDER,
            points_per_breach=100,
            points_per_day=25,
            opens_case=False,
        ),
        DutyRule(
            kind=DutyKind.TRANSFER,
            name=Text(zh="传输延误", en="Late transfer"),
            clause=Clause(
                article=27,
                text=Text(
                    zh="《政务数据共享条例》第二十七条：提供部门应当保障服务，不得无故中断。",
                    en="Regulations on Government Data Sharing, Art. 27: the provider keeps the service up and does "
                    "not stop it without good reason.",
                ),
            ),
            owner=Party.PROVIDER,
            points_per_breach=100,
            points_per_day=25,
            opens_case=False,
        ),
        DutyRule(
            kind=DutyKind.CORRECTION,
            name=Text(zh="逾期校核", en="Overdue correction"),
            clause=Clause(
                article=26,
                text=Text(
                    zh="《政务数据共享条例》第二十六条：数源部门自收到校核申请之日起十个工作日内核实、更正并反馈。",
                    en="Regulations on Government Data Sharing, Art. 26: the source department verifies, corrects and "
                    "reports back within 10 working days of the application.",
                ),
            ),
            owner=Party.PROVIDER,
            points_per_breach=150,
            points_per_day=50,
            opens_case=True,
        ),
        DutyRule(
            kind=DutyKind.QUALITY,
            name=Text(zh="数据被拒收", en="Rejected rows"),
            clause=Clause(
                article=26,
                text=Text(
                    zh="《政务数据共享条例》第二十六条：对有疑义、有错误的数据应当及时核实、更正。",
                    en="Regulations on Government Data Sharing, Art. 26: disputed or wrong data is to be verified "
                    "and corrected in time.",
                ),
            ),
            owner=Party.PROVIDER,
            points_per_breach=50,
            points_per_day=0,
            opens_case=False,
            measured=Text(zh="{amount} 行中拒收 {faults} 行", en="{faults} of {amount} rows rejected"),
        ),
        DutyRule(
            kind=DutyKind.FRESHNESS,
            name=Text(zh="数据陈旧", en="Stale data"),
            clause=_SERVICE,
            owner=Party.PROVIDER,
            points_per_breach=50,
            points_per_day=25,
            opens_case=False,
        ),
        DutyRule(
            kind=DutyKind.AVAILABILITY,
            name=Text(zh="可用性不足", en="Service unavailable"),
            clause=_SERVICE,
            owner=Party.PROVIDER,
            points_per_breach=50,
            points_per_day=0,
            opens_case=False,
            measured=Text(
                zh="承诺 {amount} 分钟中断 {faults} 分钟", en="down for {faults} of {amount} promised minutes"
            ),
        ),
        DutyRule(
            kind=DutyKind.COMPLETENESS,
            name=Text(zh="数据不全", en="Incomplete data"),
            clause=_SERVICE,
            owner=Party.PROVIDER,
            points_per_breach=50,
            points_per_day=0,
            opens_case=False,
            measured=Text(
                zh="对账应有 {amount} 行，缺 {faults} 行", en="{faults} of {amount} rows missing at a reconciliation"
            ),
        ),
        DutyRule(
            kind=DutyKind.USE,
            name=Text(zh="超约定使用", en="Use outside the agreement"),
            clause=Clause(
                article=25,
                text=Text(
                    zh="《政务数据共享条例》第二十五条：不得擅自扩大使用范围、用于其他目的。",
                    en="Regulations on Government Data Sharing, Art. 25: no wider scope, no other purpose than agreed.",
                ),
            ),
            owner=Party.CONSUMER,
            points_per_breach=100,
            points_per_day=0,
            opens_case=False,
            measured=Text(
                zh="一日 {amount} 次被拒调用中 {faults} 次超出约定",
                en="{faults} of {amount} refused calls of a day asked for what was not agreed",
            ),
        ),
        DutyRule(
            kind=DutyKind.RESPONSE,
            name=Text(zh="响应超时", en="Slow answers"),
            clause=_SERVICE,
            owner=Party.PROVIDER,
            points_per_breach=50,
            points_per_day=0,
            opens_case=False,
            measured=Text(
                zh="一月 {amount} 次调用中 {faults} 次超时", en="{faults} of {amount} calls of a month were slow"
            ),
        ),
        DutyRule(
            kind=DutyKind.DISPOSAL,
            name=Text(zh="逾期未处置数据", en="Overdue disposal"),
            clause=Clause(
                article=27,
                text=Text(
                    zh="《政务数据共享条例》第二十七条：共享目的实现或者不再需要的，按约定妥善处置数据。",
                    en="Regulations on Government Data Sharing, Art. 27: data is disposed of as agreed when its "
                    "purpose ends.",
                ),
            ),
            owner=Party.CONSUMER,
            points_per_breach=100,
            points_per_day=25,
            opens_case=False,
        ),
        DutyRule(
            kind=DutyKind.WISH,
            name=Text(zh="逾期答复公众需求", en="Overdue answer to the public"),
            clause=Clause(
                article=33,
                text=Text(
                    zh="比照《政府信息公开条例》第三十三条：自收到之日起二十个工作日内答复；答应开放的，按承诺的日期开放。",
                    en="After the Regulations on Open Government Information, Art. 33: answer within 20 working days; "
                    "what was promised is open on the promised day.",
                ),
            ),
            owner=Party.PROVIDER,
            points_per_breach=100,
            points_per_day=25,
            opens_case=False,
        ),
    )
}


class Span(Value):
    """From `since` until the next span, `party` had to act; `entry_id` is the act that gave it the ball."""

    party: Party
    since: datetime
    entry_id: EntryId
    why: Text


class Duty(Value):
    """One duty as the evidence shows it at some moment.

    `subject` names what it is about (a request, an agreement, a resource's version, a task's run) and, with `kind`,
    identifies it for ever. `due_at` is the deadline in force, extensions included. `spans` may come in any order.
    `faults` counts what was wrong out of `amount` (rows rejected of rows sent) where the rule is measured; it is
    divided by `weights`, or is the owner's alone without them.
    """

    kind: DutyKind
    subject: str
    title: Text
    provider: DepartmentCode
    consumer: DepartmentCode | None = None
    authority: DepartmentCode | None = None
    resource_id: ResourceId | None = None
    due_at: datetime
    done_at: datetime | None = None
    spans: tuple[Span, ...]
    evidence: tuple[EntryId, ...]
    weight_percent: int = 100
    faults: int = 0
    amount: int = 0
    weights: Mapping[Party, int] = {}

    def department_of(self, party: Party) -> DepartmentCode | None:
        """Return the department that is `party` to this duty; None for the platform and the network."""
        return {
            Party.PROVIDER: self.provider,
            Party.CONSUMER: self.consumer,
            Party.AUTHORITY: self.authority,
        }.get(party)
