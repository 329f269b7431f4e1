from functools import cache

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datong.norms import QualityFlag, clean_sql, flag_sql, load_pack

PACK = load_pack()


@cache
def connection() -> duckdb.DuckDBPyConnection:
    """DuckDB, opened by the first test: its threads would not live on in the processes of `tests.whole_run`."""
    return duckdb.connect()


def standardise(element: str, raw: str | None) -> tuple[str | None, str | None]:
    known = PACK.element(element)
    row = (
        connection()
        .execute(f"SELECT {clean_sql(known, 'raw')}, {flag_sql(known, 'raw')} FROM (SELECT ?::VARCHAR AS raw)", [raw])
        .fetchone()
    )
    assert row is not None
    return row


@pytest.mark.parametrize(
    ("element", "raw", "clean", "flag"),
    [
        ("registered_on", "2016-09-01", "2016-09-01", None),
        ("registered_on", "20160901", "2016-09-01", None),
        ("registered_on", "2016/9/1", "2016-09-01", None),
        ("registered_on", "2016年9月1日", "2016-09-01", None),
        ("registered_on", "２０１６．９．１", "2016-09-01", None),
        ("registered_on", "2016-09-01 10:00:00", "2016-09-01", None),
        ("registered_on", "2016-02-30", None, "impossible_date"),
        ("registered_on", "去年", None, "malformed"),
        ("updated_at", "2016/9/1 8:03", "2016-09-01 08:03:00", None),
        ("updated_at", "2016-09-01T08:03:04.5Z", "2016-09-01 08:03:04", None),
        ("updated_at", "2016-09-01", "2016-09-01 00:00:00", None),
        ("citizen_id", "110101900307001", "110101199003070011", None),
        ("citizen_id", " 11010519491231002x ", "11010519491231002X", None),
        ("citizen_id", "１１０１０１１９９００３０７００１１", "110101199003070011", None),
        ("citizen_id", "110101199003070012", "110101199003070012", "checksum"),
        ("citizen_id", "110101199013070012", "110101199013070012", "impossible_date"),
        ("citizen_id", "12345", "12345", "malformed"),
        ("citizen_id", "不详", None, "missing"),
        ("phone", "+86 138-0013-8000", "13800138000", None),
        ("phone", "008613800138000", "13800138000", None),
        ("phone", "0757-83330000", "075783330000", None),
        ("phone", "12345", "12345", "malformed"),
        ("person_name", "王 丽", "王丽", None),
        ("person_name", "阿卜杜拉•买买提", "阿卜杜拉·买买提", None),
        ("person_name", "阿卜杜拉．买买提", "阿卜杜拉·买买提", None),
        ("person_name", "john  smith", "JOHN SMITH", None),
        ("person_name", "张3", "张3", "malformed"),
        ("sex", "男", "1", None),
        ("sex", "m", "1", None),
        ("sex", "女性", "2", None),
        ("sex", "7", None, "unknown_code"),
        ("ethnicity", "汉", "01", None),
        ("annual_income", "12,345.6元", "12345.60", None),
        ("annual_income", "3.5万元", "35000.00", None),
        ("annual_income", "1.2.3", None, "malformed"),
        ("property_area", "89.5㎡", "89.50", None),
        ("social_insurance_months", "120个月", "120", None),
        ("address", " 示例市 一区　人民路１２号 ", "示例市一区人民路12号", None),
        ("real_estate_unit", "440604001001gb00001f00010001", "440604001001GB00001F00010001", None),
        ("employer_uscc", "91440604ma0000015b", "91440604MA0000015B", None),
        ("household_id", None, None, "missing"),
    ],
)
def test_canonical_forms(element: str, raw: str | None, clean: str | None, flag: str | None) -> None:
    assert standardise(element, raw) == (clean, flag)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(PACK.elements), st.one_of(st.text(max_size=30), st.from_regex(r"[0-9/\-年月日.: ]{0,20}")))
def test_any_text_is_survived_and_clean_text_stays_clean(element: object, raw: str) -> None:
    code = getattr(element, "code", "")
    clean, flag = standardise(code, raw)
    assert flag is None or QualityFlag(flag)
    if clean is not None and flag is None:
        assert standardise(code, clean) == (clean, None)
