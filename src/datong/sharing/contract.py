"""An agreement as a data contract: Open Data Contract Standard 3.1.0 (bitol-io), in YAML."""

import yaml

from datong.catalogue import Department
from datong.kernel import CHINA
from datong.norms import DataType, ShareMode
from datong.sharing.masks import MaskKind
from datong.sharing.odrl import usage_policy
from datong.sharing.paper_codes import shown_code
from datong.sharing.quotas import CallQuota, QuotaWindow
from datong.sharing.terms import Agreement, AgreementItem, AgreementState

API_VERSION = "v3.1.0"

_LOGICAL_TYPES = {
    DataType.CHARACTER: "string",
    DataType.NUMERIC: "number",
    DataType.CURRENCY: "number",
    DataType.DATE: "date",
    DataType.DATETIME: "timestamp",
    DataType.LOGICAL: "boolean",
    DataType.MEMO: "string",
    DataType.GENERAL: "string",
    DataType.DOUBLE: "number",
    DataType.INTEGER: "integer",
    DataType.FLOAT: "number",
}
_STATUS = {
    AgreementState.DRAFT: "draft",
    AgreementState.CONFIRMED: "proposed",
    AgreementState.ACTIVE: "active",
    AgreementState.SUSPENDED: "deprecated",
    AgreementState.TERMINATED: "retired",
    AgreementState.EXPIRED: "retired",
}


def contract_yaml(agreement: Agreement, *, provider: Department, consumer: Department, gateway: str = "") -> str:
    """Return the contract; what the standard has no field for is in `customProperties`.

    `gateway` is the address under which the resource is called, where the agreement allows calls.
    """
    purpose = agreement.purpose
    document: dict[str, object] = {
        "apiVersion": API_VERSION,
        "kind": "DataContract",
        "id": agreement.id,
        "name": agreement.resource_title.zh,
        "version": f"{agreement.version}.0.0",
        "status": _STATUS[agreement.state],
        "tenant": provider.code,
        "dataProduct": agreement.resource_title.en or agreement.resource_title.zh,
        "contractCreatedTs": agreement.drawn_up_at.isoformat(timespec="seconds"),
        "description": {
            "purpose": purpose.scene,
            "usage": f"{purpose.scope}；{'、'.join(mode.label.zh for mode in purpose.modes)}",
            "limitations": (
                f"仅限服务事项 {purpose.service_item}；依据：{purpose.legal_basis}；"
                "未经提供部门同意不得扩大范围或转交。"
            ),
        },
        "schema": [_table(agreement)],
        "roles": [
            {"role": "provider", "access": "write", "description": f"{provider.name.zh} {provider.code}"},
            {"role": "consumer", "access": "read", "description": f"{consumer.name.zh} {consumer.code}"},
        ],
        "slaProperties": _levels(agreement),
        "customProperties": _custom(agreement, provider=provider, consumer=consumer),
    }
    if gateway and ShareMode.INTERFACE in purpose.modes:
        document["servers"] = [{"server": "gateway", "type": "api", "location": gateway, "environment": "prod"}]
    return yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=120)


def _table(agreement: Agreement) -> dict[str, object]:
    return {
        "name": agreement.resource_id,
        "physicalType": "table",
        "logicalType": "object",
        "description": agreement.resource_title.zh,
        "properties": [_property(item, agreement.levels.completeness_permille) for item in agreement.items],
    }


def _levels(agreement: Agreement) -> list[dict[str, object]]:
    levels = agreement.levels
    return [
        {"property": "frequency", "value": levels.freshness_hours, "unit": "h"},
        {"property": "latency", "value": levels.latency_ms_p95, "unit": "ms"},
        {"property": "availability", "value": levels.availability_permille, "unit": "permille"},
        {"property": "completeness", "value": levels.completeness_permille, "unit": "permille"},
        {"property": "provideWithin", "value": levels.provide_within_working_days, "unit": "workingDays"},
        {"property": "endOfSupport", "value": agreement.valid_until.astimezone(CHINA).isoformat()},
    ]


def _custom(agreement: Agreement, *, provider: Department, consumer: Department) -> list[dict[str, object]]:
    purpose = agreement.purpose
    properties: dict[str, object] = {
        "provider": provider.code,
        "providerName": provider.name.zh,
        "consumer": consumer.code,
        "consumerName": consumer.name.zh,
        "requestId": agreement.request_id,
        "resourceVersion": agreement.resource_version,
        "serviceItem": purpose.service_item,
        "legalBasis": purpose.legal_basis,
        "modes": [mode.value for mode in purpose.modes],
        "validFrom": agreement.valid_from.astimezone(CHINA).isoformat(),
        "validUntil": agreement.valid_until.astimezone(CHINA).isoformat(),
        "rowFilter": [
            {"column": one.column, "operator": one.operator.value, "values": list(one.values)}
            for one in agreement.row_filter
        ],
        "obligations": [
            {"side": owed.side.value, "code": owed.value, "zh": owed.label.zh, "en": owed.label.en}
            for owed in agreement.obligations
        ],
        **({"calls": _calls(agreement.calls)} if agreement.calls else {}),
        "liabilityPermille": agreement.liability.model_dump(),
        "usagePolicy": usage_policy(agreement),
        "termsSha256": agreement.terms_digest,
        "verificationCode": shown_code(agreement.code),
        "signatures": [
            {"department": done.department, "keyId": done.key_id, "signature": done.signature}
            for done in agreement.signatures
        ],
    }
    return [{"property": name, "value": value} for name, value in properties.items()]


def _calls(quota: CallQuota) -> dict[str, int]:
    names = {QuotaWindow.MINUTE: "perMinute", QuotaWindow.DAY: "perDay"}
    return {names[window]: limit for window, limit in quota.limits()}


def _property(item: AgreementItem, completeness_permille: int) -> dict[str, object]:
    described: dict[str, object] = {
        "name": item.column,
        "businessName": item.name.zh,
        "logicalType": _LOGICAL_TYPES[DataType(item.data_type)],
        "description": item.name.en,
        "primaryKey": item.key,
        "classification": item.grade,
        "quality": [_missing_values(item, completeness_permille)],
    }
    custom = [{"property": "element", "value": item.element}] if item.element else []
    if item.mask is not MaskKind.NONE:
        custom.append({"property": "mask", "value": item.mask.value})
    if custom:
        described["customProperties"] = custom
    return described


def _missing_values(item: AgreementItem, completeness_permille: int) -> dict[str, object]:
    """How many values may be missing: none of a key, of the rest as many as the agreed completeness leaves."""
    if item.key:
        return {"type": "library", "metric": "nullValues", "mustBe": 0}
    percent = (1000 - completeness_permille) / 10
    return {"type": "library", "metric": "nullValues", "unit": "percent", "mustBeLessOrEqualTo": percent}
