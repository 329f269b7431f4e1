from hypothesis import given
from hypothesis import strategies as st

from datong.sharing.paper_codes import ALPHABET, CODE_CHARS, new_code, read_code, shown_code


def test_what_is_shown_is_read_back_however_it_is_typed() -> None:
    code = new_code()
    assert (len(code), set(code) <= set(ALPHABET)) == (CODE_CHARS, True)
    assert read_code(shown_code(code)) == code
    assert read_code(f" {shown_code(code).lower()} ") == code
    assert read_code(code.replace("0", "o").replace("1", "l")) == code


@given(st.text(max_size=40))
def test_whatever_is_typed_is_a_code_or_none(typed: str) -> None:
    code = read_code(typed)
    assert code is None or (len(code) == CODE_CHARS and set(code) <= set(ALPHABET))
