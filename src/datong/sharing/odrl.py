"""The usage policy of an agreement in ODRL 2.2 (W3C), as JSON-LD that needs no context from elsewhere.

An `odrl:Agreement` between assigner (provider) and assignee (consumer): what is permitted under which constraints of
purpose, time and place and with which duties, and what is prohibited. What ODRL has no word for (masks, modes) is in
Datong's own vocabulary, declared as the profile.
"""

from collections.abc import Mapping

from datong.kernel import CHINA, JsonValue
from datong.norms import ShareMode
from datong.sharing.masks import MaskKind
from datong.sharing.obligations import AgreementSide, Obligation
from datong.sharing.row_filters import RowCondition, RowOperator
from datong.sharing.terms import Agreement

ODRL = "http://www.w3.org/ns/odrl/2/"
PROFILE = "urn:datong:odrl-profile:1"
VOCABULARY = "urn:datong:term:"
DIVISION_ELEMENT = "division_code"
CONTEXT: Mapping[str, JsonValue] = {
    "odrl": ODRL,
    "datong": VOCABULARY,
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "dcterms": "http://purl.org/dc/terms/",
    "uid": "@id",
    "type": "@type",
    "Agreement": "odrl:Agreement",
    "profile": {"@id": "odrl:profile", "@type": "@id"},
    "assigner": {"@id": "odrl:assigner", "@type": "@id"},
    "assignee": {"@id": "odrl:assignee", "@type": "@id"},
    "target": {"@id": "odrl:target", "@type": "@id"},
    "action": {"@id": "odrl:action", "@type": "@id"},
    "permission": {"@id": "odrl:permission"},
    "prohibition": {"@id": "odrl:prohibition"},
    "obligation": {"@id": "odrl:obligation"},
    "duty": {"@id": "odrl:duty"},
    "constraint": {"@id": "odrl:constraint"},
    "leftOperand": {"@id": "odrl:leftOperand", "@type": "@id"},
    "operator": {"@id": "odrl:operator", "@type": "@id"},
    "rightOperand": {"@id": "odrl:rightOperand"},
    "unit": {"@id": "odrl:unit", "@type": "@id"},
    "title": {"@id": "dcterms:title"},
    "source": {"@id": "dcterms:source"},
    "conformsTo": {"@id": "dcterms:conformsTo"},
}
_ACTIONS = {
    ShareMode.INTERFACE: "odrl:read",
    ShareMode.BULK: "odrl:reproduce",
    ShareMode.FILE: "odrl:extract",
}
_OPERATORS = {
    RowOperator.IS: "odrl:eq",
    RowOperator.ONE_OF: "odrl:isAnyOf",
    RowOperator.STARTS_WITH: "odrl:isPartOf",
    RowOperator.AT_LEAST: "odrl:gteq",
    RowOperator.BELOW: "odrl:lt",
}
_DUTIES = {
    Obligation.PROVIDE_IN_TIME: "datong:provide",
    Obligation.KEEP_LEVELS: "datong:keepLevels",
    Obligation.ANNOUNCE_CHANGES: "odrl:inform",
    Obligation.ANSWER_CORRECTIONS: "odrl:reviewPolicy",
    Obligation.NOT_STOP_WITHOUT_REASON: "datong:continue",
    Obligation.KEEP_USAGE_RECORDS: "datong:keepUsageRecords",
    Obligation.PROTECT: "datong:protect",
    Obligation.REPORT_ERRORS: "odrl:inform",
    Obligation.DISPOSE: "odrl:delete",
}


def usage_policy(agreement: Agreement) -> dict[str, JsonValue]:
    """Return the policy as JSON-LD, ready to be written."""
    title: JsonValue = [
        {"@value": agreement.resource_title.zh, "@language": "zh"},
        {"@value": agreement.resource_title.en or agreement.resource_title.zh, "@language": "en"},
    ]
    return {
        "@context": dict(CONTEXT),
        "type": "Agreement",
        "uid": f"urn:uuid:{agreement.id}" if _is_uuid(agreement.id) else f"urn:datong:agreement:{agreement.id}",
        "profile": PROFILE,
        "title": title,
        "source": agreement.purpose.legal_basis,
        "conformsTo": f"sha256:{agreement.terms_digest}",
        "assigner": _party(agreement.provider),
        "assignee": _party(agreement.consumer),
        "target": f"urn:datong:resource:{agreement.resource_id}",
        "permission": [_permission(agreement, mode) for mode in agreement.purpose.modes],
        "prohibition": _prohibitions(agreement),
        "obligation": _obligations(agreement),
    }


def _permission(agreement: Agreement, mode: ShareMode) -> JsonValue:
    """What the consumer may do in one mode, under every constraint; masked columns are a duty to keep them masked."""
    duties: list[JsonValue] = [
        {
            "action": "odrl:anonymize",
            "datong:column": item.column,
            "datong:mask": item.mask.value,
        }
        for item in agreement.items
        if item.mask is not MaskKind.NONE
    ]
    if agreement.purpose.consent:
        duties.append({"action": "odrl:obtainConsent"})
    constraints: list[JsonValue] = [
        _constraint("odrl:purpose", "odrl:eq", agreement.purpose.service_item),
        _constraint("odrl:dateTime", "odrl:gteq", _time(agreement.valid_from.astimezone(CHINA).isoformat())),
        _constraint("odrl:dateTime", "odrl:lt", _time(agreement.valid_until.astimezone(CHINA).isoformat())),
        *(_row_constraint(agreement, condition) for condition in agreement.row_filter),
    ]
    permission: dict[str, JsonValue] = {
        "action": _ACTIONS[mode],
        "datong:mode": mode.name.lower(),
        "datong:columns": sorted(agreement.columns),
        "datong:scene": agreement.purpose.scene,
        "datong:scope": agreement.purpose.scope,
        "constraint": constraints,
    }
    if duties:
        permission["duty"] = duties
    return permission


def _row_constraint(agreement: Agreement, condition: RowCondition) -> JsonValue:
    """A condition on a division's code is one of place; any other is one on a column."""
    item = agreement.item(condition.column)
    spatial = item is not None and item.element == DIVISION_ELEMENT
    values: JsonValue = condition.values[0] if len(condition.values) == 1 else list(condition.values)
    described = dict(
        _constraint("odrl:spatial" if spatial else "datong:column", _OPERATORS[condition.operator], values)
    )
    described["datong:column"] = condition.column
    return described


def _prohibitions(agreement: Agreement) -> JsonValue:
    """What nobody may do with the data (Order 809, Art. 25)."""
    return [
        {"action": "odrl:distribute", "datong:article": "25"},
        {"action": "odrl:sell", "datong:article": "25"},
        {
            "action": "odrl:use",
            "datong:article": "25",
            "constraint": [_constraint("odrl:purpose", "odrl:neq", agreement.purpose.service_item)],
        },
    ]


def _obligations(agreement: Agreement) -> JsonValue:
    """What each side owes; what is forbidden already stands among the prohibitions."""
    parties = {AgreementSide.PROVIDER: agreement.provider, AgreementSide.CONSUMER: agreement.consumer}
    listed: list[JsonValue] = []
    for owed in agreement.obligations:
        if owed not in _DUTIES:
            continue
        duty: dict[str, JsonValue] = {
            "action": _DUTIES[owed],
            "datong:obligation": owed.value,
            "assignee": _party(parties[owed.side]),
        }
        if owed is Obligation.PROVIDE_IN_TIME:
            due = _time(agreement.provide_due_at.astimezone(CHINA).isoformat())
            duty["constraint"] = [_constraint("odrl:dateTime", "odrl:lteq", due)]
        if owed is Obligation.DISPOSE:
            until = _time(agreement.valid_until.astimezone(CHINA).isoformat())
            duty["constraint"] = [_constraint("odrl:dateTime", "odrl:gteq", until)]
        listed.append(duty)
    return listed


def _constraint(operand: str, operator: str, value: JsonValue) -> dict[str, JsonValue]:
    return {"leftOperand": operand, "operator": operator, "rightOperand": value}


def _time(text: str) -> JsonValue:
    return {"@value": text, "@type": "xsd:dateTime"}


def _party(department: str) -> str:
    return f"urn:datong:department:{department}"


def _is_uuid(text: str) -> bool:
    return len(text) == 36 and text.count("-") == 4
