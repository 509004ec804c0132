from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsbridge.models.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("2h", 7200), ("1h30m", 5400), ("1d", 86400), (" 5M ", 300), ("0s", 0)],
)
def test_a_duration_has_units(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "1.5h", "m", "30m1h", "-5m", "5 minutes", "\u0661s5", "1h30"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


def test_a_bare_number_is_told_its_three_readings() -> None:
    with pytest.raises(ValueError, match="write 90s, 90m or 90h"):
        parse_duration("90")


@given(st.integers(min_value=0, max_value=10**7))
def test_what_is_printed_reads_back(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize("text", ["367d", "9" * 9 + "d", "1" + "0" * 5000 + "s", "9" * 30 + "d", "٣m"])
def test_nothing_lasts_longer_than_a_year(text: str) -> None:
    with pytest.raises(ValueError, match=r"longer than a year|is not a duration"):
        parse_duration(text)


def test_a_year_is_a_duration() -> None:
    assert parse_duration("366d") == 366 * 86_400
