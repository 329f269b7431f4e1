"""Landed sources of firms, shareholders, fees, penalties and certificates: small, by hand, for the library's tests."""

from pathlib import Path

from datong.library import LandedSource
from tests.library_sources import Row, landed

WATER, SHOP = "91440604MA0000015B", "92440604MA00000QXA"
WATER_BOSS = "110101199003070011"
OTHER_OWNER = "370102198502150024"

ENTERPRISES = {
    "no": "record_id", "name": "organisation_name", "code": "uscc", "boss": "legal_representative",
    "boss_id": "legal_representative_citizen_id", "seat": "registered_address", "state": "organisation_status",
    "at": "updated_at",
}  # fmt: skip
ENTERPRISE_ROWS: tuple[Row, ...] = (
    ("E1", "示例市清泉水务有限公司", WATER, "张伟明", WATER_BOSS, "示例市汾江路12号", "存续", "2025-01-01 08:00:00"),
    ("E2", "示例市南海便利店", SHOP, "李静", OTHER_OWNER, "示例市南海大道5号", "存续", "2025-01-01 08:00:00"),
)  # fmt: skip
FEES = {
    "no": "record_id", "code": "uscc", "name": "organisation_name", "boss": "legal_representative", "item": "fee_item",
    "amount": "fee_amount", "basis": "fee_basis", "paid": "payment_status", "at": "updated_at",
}  # fmt: skip
FEE_ROWS: tuple[Row, ...] = (
    ("F1", WATER, "示例市清泉水务有限公司", None, "水资源费", "1200", "财税〔2016〕2号", "已缴", "2025-02-01 08:00:00"),
    ("F2", None, "示例市 清泉水务有限责任公司", "张伟明", "污水处理费", "300", None, "未缴", "2025-02-02 08:00:00"),
    ("F3", SHOP, "示例市南海便利店", None, "城市道路占用费", "80", "粤价〔2014〕1号", "已缴", "2025-02-03 08:00:00"),
)  # fmt: skip
PENALTIES = {
    "no": "record_id", "name": "organisation_name", "code": "uscc", "decision": "penalty_decision_number",
    "fine": "fine_amount", "at": "updated_at",
}  # fmt: skip
PENALTY_ROWS: tuple[Row, ...] = (
    ("P1", "示例市清泉水务有限公司", WATER, "示环罚〔2025〕1号", "50000", "2025-03-01 08:00:00"),
    ("P2", "示例市清泉水务有限公司", WATER, "示环罚〔2025〕2号", "20000", "2025-04-01 08:00:00"),
)
SHAREHOLDERS = {
    "no": "record_id", "code": "uscc", "holder": "shareholder_name", "holder_id": "citizen_id",
    "share": "shareholding_ratio",
}  # fmt: skip
SHAREHOLDER_ROWS: tuple[Row, ...] = (
    ("S1", WATER, "张伟明", WATER_BOSS, "0.7"),
    ("S2", WATER, "李静", OTHER_OWNER, "0.3"),
)
CERTIFICATES = {
    "no": "record_id", "kind": "certificate_name", "number": "certificate_number", "by": "issuing_authority",
    "on": "issued_on", "state": "certificate_status", "holder": "holder_name", "code": "uscc", "id": "citizen_id",
}  # fmt: skip
CERTIFICATE_ROWS: tuple[Row, ...] = (
    ("C1", "取水许可证", "D440604S2025-0001", "水利局", "2025-01-05", "有效", "示例市清泉水务有限公司", WATER, None),
    ("C2", "食品经营许可证", "JY14406040001234", "市场监管局", "2024-06-01", "有效", "李静", None, OTHER_OWNER),
)
INDEX = {"no": "record_id", "kind": "certificate_name", "number": "certificate_number", "state": "certificate_status"}
INDEX_ROWS: tuple[Row, ...] = (
    ("I1", "取水许可证", "D440604S2025 0001", "有效"),
    ("I2", "取水许可证", "JY14406040001234", "有效"),
)


def landed_business(folder: Path) -> tuple[LandedSource, ...]:
    """Land them all; departments are numbered from 10."""
    tables = (
        ("enterprises", ENTERPRISES, ENTERPRISE_ROWS),
        ("fees", FEES, FEE_ROWS),
        ("penalties", PENALTIES, PENALTY_ROWS),
        ("shareholders", SHAREHOLDERS, SHAREHOLDER_ROWS),
        ("certificates", CERTIFICATES, CERTIFICATE_ROWS),
        ("index", INDEX, INDEX_ROWS),
    )
    return tuple(
        landed(folder, name, columns, rows, number=number)
        for number, (name, columns, rows) in enumerate(tables, start=10)
    )
