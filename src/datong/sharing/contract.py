"""An agreement as a data contract: Open Data Contract Standard 3.1.0 (bitol-io), in YAML."""

import yaml

from datong.catalogue import Department
from datong.kernel import CHINA
from datong.norms import DataType
from datong.sharing.masks import MaskKind
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


def contract_yaml(agreement: Agreement, *, provider: Department, consumer: Department) -> str:
    """Return the contract; what the standard has no field for is in `customProperties`."""
    purpose = agreement.purpose
    document = {
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
        "schema": [
            {
                "name": agreement.resource_id,
                "physicalType": "table",
                "logicalType": "object",
                "description": agreement.resource_title.zh,
                "properties": [_property(item) for item in agreement.items],
            }
        ],
        "slaProperties": [
            {"property": "frequency", "value": agreement.levels.freshness_hours, "unit": "h"},
            {"property": "latency", "value": agreement.levels.latency_ms_p95, "unit": "ms"},
            {"property": "availability", "value": agreement.levels.availability_permille, "unit": "permille"},
            {"property": "completeness", "value": agreement.levels.completeness_permille, "unit": "permille"},
            {"property": "provideWithin", "value": agreement.levels.provide_within_working_days, "unit": "workingDays"},
            {"property": "endOfSupport", "value": agreement.valid_until.astimezone(CHINA).isoformat()},
        ],
        "customProperties": [
            {"property": "provider", "value": provider.code},
            {"property": "providerName", "value": provider.name.zh},
            {"property": "consumer", "value": consumer.code},
            {"property": "consumerName", "value": consumer.name.zh},
            {"property": "requestId", "value": agreement.request_id},
            {"property": "resourceVersion", "value": agreement.resource_version},
            {"property": "serviceItem", "value": purpose.service_item},
            {"property": "legalBasis", "value": purpose.legal_basis},
            {"property": "modes", "value": [mode.value for mode in purpose.modes]},
            {"property": "validFrom", "value": agreement.valid_from.astimezone(CHINA).isoformat()},
            {"property": "validUntil", "value": agreement.valid_until.astimezone(CHINA).isoformat()},
            {"property": "liabilityPermille", "value": agreement.liability.model_dump()},
            {"property": "termsSha256", "value": agreement.terms_digest},
            {
                "property": "signatures",
                "value": [
                    {"department": done.department, "keyId": done.key_id, "signature": done.signature}
                    for done in agreement.signatures
                ],
            },
        ],
    }
    return yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=120)


def _property(item: AgreementItem) -> dict[str, object]:
    described: dict[str, object] = {
        "name": item.column,
        "businessName": item.name.zh,
        "logicalType": _LOGICAL_TYPES[DataType(item.data_type)],
        "description": item.name.en,
        "primaryKey": item.key,
        "classification": item.grade,
    }
    custom = [{"property": "element", "value": item.element}] if item.element else []
    if item.mask is not MaskKind.NONE:
        custom.append({"property": "mask", "value": item.mask.value})
    if custom:
        described["customProperties"] = custom
    return described
