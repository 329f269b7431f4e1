from stdnum.cn import uscc

from datong.demo.cast import BUREAU, DEPARTMENTS, EVERYBODY, OWNER_OF, listings
from datong.demo.records import COLUMNS, Source
from datong.demo.step_agreement import EDUCATION_ASKS
from datong.demo.world import ACCOUNTS


def test_departments_have_distinct_codes_of_the_right_form() -> None:
    assert len({member.code for member in EVERYBODY}) == len(EVERYBODY)
    for member in EVERYBODY:
        assert len(member.code) == 18
        assert uscc.calc_check_digit(member.code[:17]) == member.code[17]


def test_every_table_is_listed_with_every_column() -> None:
    assert set(listings()) == set(Source) == set(OWNER_OF)
    for source, listing in listings().items():
        assert list(listing.columns) == [column.name for column in COLUMNS[source]]
        assert [listed.name.zh for listed in listing.columns.values()] == [column.comment for column in COLUMNS[source]]
        assert listing.share_type in {"1", "2"}
        assert (listing.share_type == "2") == bool(listing.share_condition)


def test_education_asks_for_columns_that_exist() -> None:
    for source, columns in EDUCATION_ASKS.items():
        assert set(columns) <= set(listings()[source].columns)
        assert COLUMNS[source][0].name in columns
        assert COLUMNS[source][-1].name in columns


def test_every_department_has_an_officer_and_names_are_unique() -> None:
    assert len({account.username for account in ACCOUNTS}) == len(ACCOUNTS)
    for member in DEPARTMENTS:
        assert any(account.department is member and "data_officer" in account.roles for account in ACCOUNTS)
    assert any(account.department is BUREAU and "authority" in account.roles for account in ACCOUNTS)
