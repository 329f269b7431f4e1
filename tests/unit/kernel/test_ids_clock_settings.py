import os
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.kernel import FixedClock, Language, Misconfigured, OffsetClock, Settings, SystemClock, new_id

ROOT = Path(__file__).parents[3]


def test_ids_are_uuid7_and_sort_by_time() -> None:
    ids = [new_id() for _ in range(50)]
    assert len(set(ids)) == 50
    assert all(uuid.UUID(value).version == 7 and uuid.UUID(value).variant == uuid.RFC_4122 for value in ids)
    assert [value[:13] for value in ids] == sorted(value[:13] for value in ids)


def test_offset_clock_follows_its_file(tmp_path: Path) -> None:
    file = tmp_path / "offset"
    clock = OffsetClock(file)
    assert abs(clock.now() - SystemClock().now()) < timedelta(seconds=5)
    assert clock.leapt_to() is None
    file.write_text("86400\n")
    os.utime(file, (1_000_000_000, 1_000_000_000))
    assert clock.leapt_to() == datetime.fromtimestamp(1_000_086_400, UTC)
    assert timedelta(hours=23) < clock.now() - SystemClock().now() < timedelta(hours=25)
    assert clock.simulated
    assert not SystemClock().simulated


def test_fixed_clock_refuses_naive_time() -> None:
    with pytest.raises(ValueError, match="aware"):
        FixedClock(datetime.fromisoformat("2026-01-01T00:00:00"))
    clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
    clock.advance(timedelta(days=1))
    assert clock.now() == datetime(2026, 1, 2, tzinfo=UTC)


def test_settings_come_from_the_environment() -> None:
    settings = Settings.from_environment({"DATONG_PORT": "9000", "DATONG_LANGUAGE": "en", "OTHER": "x"})
    assert settings.port == 9000
    assert settings.language is Language.EN
    assert settings.base_url == "http://127.0.0.1:9000"
    assert settings.effective_database_url.startswith("sqlite:///")


@pytest.mark.parametrize(
    ("name", "value"), [("DATONG_PORT", "many"), ("DATONG_PROT", "8420"), ("DATONG_LANGUAGE", "fr")]
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        Settings.from_environment({name: value})
    assert caught.value.field == name
    assert name in caught.value.what.zh
    assert name in caught.value.what.en


@given(st.dictionaries(st.sampled_from([f"DATONG_{n.upper()}" for n in Settings.model_fields]), st.text(max_size=20)))
def test_no_environment_value_escapes_as_another_error(environment: dict[str, str]) -> None:
    try:
        Settings.from_environment(environment)
    except Misconfigured as error:
        field = error.field
    else:
        return
    assert field in environment


@pytest.mark.parametrize(
    ("address", "asked", "only_https"),
    [
        ("https://datong.example", None, True),
        ("http://datong.example", None, False),
        ("", None, False),
        ("http://datong.example", True, True),
        ("https://datong.example", False, False),
    ],
)
def test_cookies_go_over_https_wherever_the_hub_is_reached_so(
    address: str, asked: bool | None, only_https: bool
) -> None:
    assert Settings(public_url=address, secure_cookies=asked).only_https is only_https


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    for name, field in Settings.model_fields.items():
        assert f"`DATONG_{name.upper()}`" in page
        assert field.description
        assert field.description in page
