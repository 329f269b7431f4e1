"""Opening a source or a target by its URL: whatever is typed, the answer is a connector or an error in words."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datong.adapters.connections import SCHEMES, open_connector, open_target
from datong.adapters.folder_tables import FolderTable
from datong.kernel import DatongError, Invalid

DATABASES = ["sqlite", "postgresql", "mysql", "mariadb", "oracle", "dm", "mssql+pyodbc", "sqlite+pysqlite"]
SCHEME = st.sampled_from([*DATABASES, "files", "api", "postgresql+psycopg", "mysql+pymysql", "x+y", "http", ""])


@settings(max_examples=150)
@given(SCHEME, st.sampled_from(["://", ":///", ":", "//", ""]), st.text("abc:@/[]?=&%é.0\\ ", max_size=20))
def test_whatever_is_typed_is_opened_or_refused_in_words(scheme: str, middle: str, rest: str) -> None:
    for open_one in (open_connector, open_target):
        try:
            open_one(scheme + middle + rest).close()
        except DatongError:
            continue


def test_an_unknown_kind_is_refused_without_its_password() -> None:
    with pytest.raises(Invalid, match="url_unknown") as caught:
        open_connector("redis://user:secret@host")
    assert "secret" not in str(caught.value)
    assert SCHEMES[0] in caught.value.remedy.zh


def test_a_folder_receives_nothing() -> None:
    with pytest.raises(Invalid, match="url_unknown"):
        open_target("files:///tmp")


def test_a_pattern_must_be_given() -> None:
    with pytest.raises(ValueError, match="pattern"):
        FolderTable.model_validate({"table": "t"})
