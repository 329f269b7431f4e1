"""What a PostgreSQL URL becomes before libpq reads it."""

from urllib.parse import parse_qs, urlsplit

from datong.adapters.postgresql_connections import LINK_LIMITS, with_link_limits


def test_a_link_that_dies_silently_is_bounded_unless_the_url_says_otherwise() -> None:
    plain = parse_qs(urlsplit(with_link_limits("postgresql://u:p%40@h:5432/d")).query)
    assert {name: values[0] for name, values in plain.items()} == LINK_LIMITS
    own = with_link_limits("postgresql://u:p%40@h/d?connect_timeout=2&options=-c%20geqo%3Doff")
    assert own.startswith("postgresql://u:p%40@h/d?")
    assert parse_qs(urlsplit(own).query)["connect_timeout"] == ["2"]
    # libpq reads %20 as a blank, and not the plus sign.
    assert "options=-c%20geqo%3Doff" in own
