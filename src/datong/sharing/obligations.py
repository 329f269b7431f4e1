"""What the parties of an agreement owe each other by Order 809. Codes are signed: none ever changes its sense."""

from enum import StrEnum

from datong.kernel import Text


class AgreementSide(StrEnum):
    """On which side of an agreement a department stands."""

    PROVIDER = "provider"
    CONSUMER = "consumer"

    @property
    def label(self) -> Text:
        """The side's name."""
        return _SIDES[self]


_SIDES = {
    AgreementSide.PROVIDER: Text(zh="提供部门", en="Provider"),
    AgreementSide.CONSUMER: Text(zh="需求部门", en="Consumer"),
}


class Obligation(StrEnum):
    """One thing that one side owes."""

    PROVIDE_IN_TIME = "provide_in_time"
    KEEP_LEVELS = "keep_levels"
    ANNOUNCE_CHANGES = "announce_changes"
    ANSWER_CORRECTIONS = "answer_corrections"
    NOT_STOP_WITHOUT_REASON = "not_stop_without_reason"
    PURPOSE_ONLY = "purpose_only"
    NOT_HAND_ON = "not_hand_on"
    KEEP_USAGE_RECORDS = "keep_usage_records"
    PROTECT = "protect"
    REPORT_ERRORS = "report_errors"
    DISPOSE = "dispose"

    @property
    def side(self) -> AgreementSide:
        """Who owes it."""
        return AgreementSide.PROVIDER if self in _OF_PROVIDER else AgreementSide.CONSUMER

    @property
    def label(self) -> Text:
        """What is owed, in words, with its article of Order 809."""
        return _TEXTS[self]


_OF_PROVIDER = frozenset(
    {
        Obligation.PROVIDE_IN_TIME,
        Obligation.KEEP_LEVELS,
        Obligation.ANNOUNCE_CHANGES,
        Obligation.ANSWER_CORRECTIONS,
        Obligation.NOT_STOP_WITHOUT_REASON,
    }
)
_TEXTS = {
    Obligation.PROVIDE_IN_TIME: Text(
        zh="在约定期限内提供数据（第二十二条）。", en="Provide the data by the agreed date (Art. 22)."
    ),
    Obligation.KEEP_LEVELS: Text(
        zh="保证数据的鲜度、完整和服务可用，达到约定水平。",
        en="Keep freshness, completeness and availability as agreed.",
    ),
    Obligation.ANNOUNCE_CHANGES: Text(
        zh="数据结构变更前告知需求部门。", en="Announce changes of the data's structure before they happen."
    ),
    Obligation.ANSWER_CORRECTIONS: Text(
        zh="在十个工作日内核实并答复校核申请（第二十六条）。",
        en="Verify and answer corrections within ten working days (Art. 26).",
    ),
    Obligation.NOT_STOP_WITHOUT_REASON: Text(
        zh="无正当理由不得中止、变更已提供的共享服务（第二十七条）。",
        en="Neither stop nor change the service without good reason (Art. 27).",
    ),
    Obligation.PURPOSE_ONLY: Text(
        zh="只在约定的用途、范围和时限内使用数据（第二十五条）。",
        en="Use the data for the agreed purpose, scope and term only (Art. 25).",
    ),
    Obligation.NOT_HAND_ON: Text(
        zh="未经提供部门同意，不得将数据提供给第三方（第二十五条）。",
        en="Hand nothing on without the provider's consent (Art. 25).",
    ),
    Obligation.KEEP_USAGE_RECORDS: Text(
        zh="记录使用场景、过程、成效、存储和销毁情况，至少保存三年（第二十九条）。",
        en="Keep records of use, storage and disposal for at least three years (Art. 29).",
    ),
    Obligation.PROTECT: Text(zh="采取与数据分级相适应的安全保护措施。", en="Protect the data as its grade demands."),
    Obligation.REPORT_ERRORS: Text(
        zh="发现数据有误的，及时提出校核申请（第二十六条）。", en="Report errors found in the data (Art. 26)."
    ),
    Obligation.DISPOSE: Text(
        zh="用途结束后及时处置数据，并告知提供部门（第二十七条）。",
        en="Dispose of the data when the purpose ends, and say so (Art. 27).",
    ),
}
