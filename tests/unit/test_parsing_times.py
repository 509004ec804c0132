"""Idle and logon texts of many regions, and the ones that must not be believed."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsbridge.models.answers import PatternsAnswer
from mpsbridge.models.bounds import LOGON_LIMIT, PATTERN_LIMIT
from mpsbridge.parsing.times import idle_seconds, logon_time

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (".", 0),
        ("5", 300),
        ("59", 3540),
        ("1:23", 4980),
        ("22:19", 80340),
        ("2+03:04", 183840),
        ("15+15:12", 1350720),
        ("none", None),
        ("Kein", None),
        ("无", None),
        ("*", None),
        (None, None),
        ("", None),
        ("1:75", None),
        ("2+24:00", None),
        ("-5", None),
        ("１２", None),
        ("24692+13:29", None),
        ("20000+00:00", None),
        ("999999999+00:00", None),
    ],
)
def test_w01_idle_text_as_seconds(text: str | None, seconds: int | None) -> None:
    assert idle_seconds(text, since=LONG_AGO, now=NOW) == seconds


@pytest.mark.parametrize(
    ("age", "text", "seconds"),
    [
        (timedelta(hours=1), "2:59", 10740),
        (timedelta(hours=1), "3:01", None),
        (timedelta(days=3), "19999+00:00", None),
    ],
)
def test_w01_nobody_is_idle_for_longer_than_the_session_lasts(age: timedelta, text: str, seconds: int | None) -> None:
    assert idle_seconds(text, since=NOW - age, now=NOW) == seconds


def test_w01_without_a_logon_time_only_the_bound_of_windows_holds() -> None:
    assert idle_seconds("19999+00:00", since=None, now=NOW) == 19999 * 86400
    assert idle_seconds("20000+00:00", since=None, now=NOW) is None


REGIONS = {  # locale: short date, short time, am, pm, how 3 February 2026, 14:05 is printed there
    "en-US": ("M/d/yyyy", "h:mm tt", "AM", "PM", "2/3/2026 2:05 PM"),
    "en-GB": ("dd/MM/yyyy", "HH:mm", "AM", "PM", "03/02/2026 14:05"),
    "en-IN": ("dd-MM-yyyy", "HH:mm", "AM", "PM", "03-02-2026 14:05"),
    "de-DE": ("dd.MM.yyyy", "HH:mm", "", "", "03.02.2026 14:05"),
    "fr-FR": ("dd/MM/yyyy", "HH:mm", "", "", "03/02/2026 14:05"),
    "fr-CA": ("yyyy-MM-dd", "HH' h 'mm", "", "", "2026-02-03 14 h 05"),
    "sv-SE": ("yyyy-MM-dd", "HH:mm", "", "", "2026-02-03 14:05"),
    "da-DK": ("dd-MM-yy", "HH:mm", "", "", "03-02-26 14:05"),
    "fi-FI": ("d.M.yyyy", "'klo 'H.mm", "", "", "3.2.2026 klo 14.05"),
    "cs-CZ": ("d. M. yyyy", "H:mm", "dop.", "odp.", "3. 2. 2026 14:05"),
    "hu-HU": ("yyyy. MM. dd.", "H:mm", "de.", "du.", "2026. 02. 03. 14:05"),
    "bg-BG": ("d.M.yyyy 'г.'", "H:mm 'ч.'", "", "", "3.2.2026 г. 14:05 ч."),
    "hr-HR": ("d.M.yyyy.", "H:mm", "", "", "3.2.2026. 14:05"),
    "es-MX": ("dd/MM/yyyy", "hh:mm tt", "a. m.", "p. m.", "03/02/2026 02:05 p.\u00a0m."),
    "ko-KR": ("yyyy-MM-dd", "tt h:mm", "오전", "오후", "2026-02-03 오후 2:05"),
    "zh-CN": ("yyyy/M/d", "H:mm", "上午", "下午", "2026/2/3 14:05"),
    "zh-TW": ("yyyy/M/d", "tt hh:mm", "上午", "下午", "2026/2/3 下午 02:05"),
    "ja-JP": ("yyyy/MM/dd", "H:mm", "午前", "午後", "2026/02/03 14:05"),
    "he-IL": ("dd/MM/yyyy", "HH:mm", "", "", "\u200f03/02/2026\u200e 14:05"),
    "el-GR": ("d/M/yyyy", "h:mm tt", "πμ", "μμ", "3/2/2026 2:05 μμ"),
    "en-AU one letter": ("d/MM/yyyy", "h:mm t", "AM", "PM", "3/02/2026 2:05 P"),
    "narrow no-break blank": ("M/d/yyyy", "h:mm tt", "AM", "PM", "2/3/2026 2:05\u202fPM"),
    "weekday": ("ddd dd/MM/yyyy", "HH:mm", "", "", "Tue 03/02/2026 14:05"),
}


def patterns_of(region: str, *, locale: str | None = None) -> PatternsAnswer:
    short_date, short_time, am, pm, _ = REGIONS[region]
    return PatternsAnswer(short_date=short_date, short_time=short_time, am=am, pm=pm, locale=locale or region)


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("born", [None, datetime(2026, 2, 3, 13, 4, 50, tzinfo=UTC)], ids=["unborn", "born"])
def test_w07_a_date_is_read_in_the_order_of_the_host(region: str, born: datetime | None) -> None:
    moment = logon_time(REGIONS[region][4], patterns=patterns_of(region), utc_offset_min=60, born=born, now=NOW)
    assert moment == datetime(2026, 2, 3, 13, 5, tzinfo=UTC)
    assert moment is not None
    assert moment.utcoffset() == timedelta(hours=1)


@given(
    st.sampled_from(["en-US", "en-GB", "de-DE", "fi-FI", "hu-HU", "ko-KR", "zh-TW"]),
    st.integers(0, 14_000_000),
    st.integers(-12 * 60, 14 * 60),
)
def test_w07_any_minute_comes_back(region: str, minutes: int, offset: int) -> None:
    zone = timezone(timedelta(minutes=offset))
    moment = datetime(2000, 1, 2, tzinfo=zone) + timedelta(minutes=minutes)
    half, hour = ("AM" if moment.hour < 12 else "PM"), moment.hour % 12 or 12
    asian = {"ko-KR": {"AM": "오전", "PM": "오후"}, "zh-TW": {"AM": "上午", "PM": "下午"}}
    text = {
        "en-US": f"{moment.month}/{moment.day}/{moment.year} {hour}:{moment.minute:02} {half}",
        "en-GB": f"{moment:%d/%m/%Y %H:%M}",
        "de-DE": f"{moment:%d.%m.%Y %H:%M}",
        "fi-FI": f"{moment.day}.{moment.month}.{moment.year} klo {moment.hour}.{moment.minute:02}",
        "hu-HU": f"{moment:%Y. %m. %d.} {moment.hour}:{moment.minute:02}",
        "ko-KR": f"{moment:%Y-%m-%d} {asian['ko-KR'][half]} {hour}:{moment.minute:02}",
        "zh-TW": f"{moment.year}/{moment.month}/{moment.day} {asian['zh-TW'][half]} {hour:02}:{moment.minute:02}",
    }[region]
    assert logon_time(text, patterns=patterns_of(region), utc_offset_min=offset, born=None, now=NOW) == moment


BORN = datetime(2026, 4, 3, 9, 4, 30, tzinfo=UTC)
US, UK = patterns_of("en-US"), patterns_of("en-GB")
NONE = PatternsAnswer()


@pytest.mark.parametrize(
    ("text", "patterns", "expected"),
    [
        ("03/04/2026 09:05", UK, datetime(2026, 4, 3, 9, 5, tzinfo=UTC)),
        ("03/04/2026 10:05", UK, datetime(2026, 4, 3, 9, 5, tzinfo=UTC)),  # an hour of daylight time: mended
        ("03/04/2026 08:05", UK, datetime(2026, 4, 3, 9, 5, tzinfo=UTC)),
        ("03/04/2026 09:35", UK, datetime(2026, 4, 3, 9, 5, tzinfo=UTC)),  # half an hour: Lord Howe
        ("03/04/2026 15:20", UK, datetime(2026, 4, 3, 15, 20, tzinfo=UTC)),  # a station that waited for its user
        ("03/04/2026 06:20", UK, None),  # before the session was born
        ("04/03/2026 09:05", UK, None),  # day and month of another order
        ("05/04/2026 09:05", UK, None),  # off by days
        ("3/4/2026 9:05 AM", US, None),  # 4 March by the pattern
        ("4/3/2026 9:05 AM", US, datetime(2026, 4, 3, 9, 5, tzinfo=UTC)),
    ],
)
def test_w07_the_birth_mends_an_hour_and_refutes_days(
    text: str, patterns: PatternsAnswer, expected: datetime | None
) -> None:
    assert logon_time(text, patterns=patterns, utc_offset_min=0, born=BORN, now=NOW) == expected


@pytest.mark.parametrize(
    ("text", "born", "expected"),
    [
        ("03/04/2026 09:05", None, None),  # never guess
        ("25/12/2025 09:05", None, None),  # one reading only, and yet not confirmed
        ("2026-04-03 09:05", None, None),
        ("03/04/2026 09:05", BORN, datetime(2026, 4, 3, 9, 5, tzinfo=UTC)),
        ("4/3/2026 9:05 AM", BORN, datetime(2026, 4, 3, 9, 5, tzinfo=UTC)),
        ("2026. 04. 03. 9:05", BORN, datetime(2026, 4, 3, 9, 5, tzinfo=UTC)),
        ("2026-04-03 오전 9:05", BORN, datetime(2026, 4, 3, 9, 5, tzinfo=UTC)),
        ("03/04/2026 21:05", BORN, None),
        ("03/05/2026 09:05", BORN, None),
        ("3 avril 2026 09:05", BORN, None),
    ],
)
def test_w07_without_patterns_only_the_birth_can_confirm_a_reading(
    text: str, born: datetime | None, expected: datetime | None
) -> None:
    assert logon_time(text, patterns=NONE, utc_offset_min=0, born=born, now=NOW) == expected


@pytest.mark.parametrize(
    ("locale", "pattern", "text"),
    [
        ("th-TH", "d/M/yyyy", "3/2/2569 14:05"),  # Buddhist
        ("th-TH", "d/M/yy", "3/2/69 14:05"),
        ("ar-SA", "dd/MM/yy", "15/08/47 14:05"),  # Um al-Qura
        ("ar-SA", "dd/MM/yyyy", "15/08/1447 14:05"),
        ("fa-IR", "dd/MM/yyyy", "14/11/1404 14:05"),  # Persian
        ("fa-IR", "yy/MM/dd", "04/11/14 14:05"),
        ("ja-JP", "gg y/MM/dd", "令和 8/02/03 14:05"),
        ("zh-TW", "yyy/M/d", "115/2/3 14:05"),  # years of the Republic
    ],
)
@pytest.mark.parametrize("born", [None, datetime(2026, 2, 3, 14, 4, 30, tzinfo=UTC)], ids=["unborn", "born"])
def test_w07_other_calendars_are_not_read(locale: str, pattern: str, text: str, born: datetime | None) -> None:
    patterns = PatternsAnswer(short_date=pattern, short_time="HH:mm", locale=locale)
    assert logon_time(text, patterns=patterns, utc_offset_min=0, born=born, now=NOW) is None


@pytest.mark.parametrize(
    ("text", "patterns", "offset"),
    [
        (None, UK, 0),
        ("", UK, 0),
        ("31/02/2026 09:05", UK, 0),
        ("03/04/2026 25:05", UK, 0),
        ("03/04/2026", UK, 0),
        ("03/04/2027 09:05", UK, 0),  # in the future
        ("03/04/1980 09:05", UK, 0),
        ("03/04/2026 09:05", UK, None),
        ("03/04/2026 09:05", UK, 99999),
        ("3/4/2026 13:05 PM", US, 0),
        ("3/4/2026 1:05 XM", US, 0),
        ("03/04/2026 09:05", PatternsAnswer(short_date="dd/MM/yyyy dd", short_time="HH:mm"), 0),
        ("03/04/2026 09:05", PatternsAnswer(short_date="(((", short_time="[["), 0),
        ("03/04/2026 09:05", PatternsAnswer(short_date="dd/MM/yyyy", short_time="hh:mm"), 0),  # which half of the day?
        ("03/Apr/2026 09:05", PatternsAnswer(short_date="dd/MMM/yyyy", short_time="HH:mm"), 0),
        ("99/99/9999 99:99", UK, 0),
    ],
)
def test_w07_what_cannot_be_a_logon_time_is_none(
    text: str | None, patterns: PatternsAnswer, offset: int | None
) -> None:
    assert logon_time(text, patterns=patterns, utc_offset_min=offset, born=None, now=NOW) is None


words = st.none() | st.text(alphabet="dMyHhmstg'/.:- 0123456789AMP\u200f", max_size=24)


@given(
    words, words, words, st.none() | st.text(max_size=30) | words, st.integers(-2000, 2000), st.none() | st.just(BORN)
)
def test_no_text_and_no_pattern_raise(
    date: str | None, time: str | None, am: str | None, text: str | None, offset: int, born: datetime | None
) -> None:
    patterns = PatternsAnswer(short_date=date, short_time=time, am=am, pm="PM")
    moment = logon_time(text, patterns=patterns, utc_offset_min=offset, born=born, now=NOW)
    assert moment is None or moment.tzinfo is not None


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("dddMMM" * 20 + " d/M/yyyy", "a" * 300),
        ("ddd" * 30 + " dd/MM/yyyy", "a" * 60 + " 03/02/2026"),
        ("tt" * 40 + " d/M/yyyy", "a" * 300),
        ("'" * 99, "'" * 99),
        (" " * 90 + "d/M/yyyy", " " * 300),
    ],
)
def test_no_pattern_of_a_host_makes_a_reading_slow(pattern: str, text: str) -> None:
    # Names next to each other could share the letters in many ways.
    began = time.thread_time()
    for _ in range(100):
        patterns = PatternsAnswer(short_date=pattern, short_time="H:mm")
        assert logon_time(f"{text} 1:00", patterns=patterns, utc_offset_min=0, born=None, now=NOW) is None
    assert time.thread_time() - began < 1, "a hundred of them"


def test_a_pattern_and_a_text_are_read_up_to_their_limits() -> None:
    padded = "dd/MM/yyyy".ljust(PATTERN_LIMIT)
    short, longer = (PatternsAnswer(short_date=date, short_time="HH:mm") for date in (padded, padded + " "))
    read = datetime(2026, 2, 3, 14, 5, tzinfo=UTC)
    for patterns, moment in ((short, read), (longer, None)):
        assert logon_time("03/02/2026 14:05", patterns=patterns, utc_offset_min=0, born=None, now=NOW) == moment
    for length, moment in ((LOGON_LIMIT, read), (LOGON_LIMIT + 1, None)):
        text = "03/02/2026" + " " * (length - 15) + "14:05"
        assert logon_time(text, patterns=UK, utc_offset_min=0, born=None, now=NOW) == moment


@pytest.mark.parametrize(
    ("date", "time_", "text"),
    [
        ("yyyyMMdd", "HHmm", "20260203 1405"),
        ("yyyy'年'M'月'd'日'", "H'時'mm'分'", "2026年2月3日 14時05分"),
        ("dddd, dd. MM. yyyy", "HH:mm", "Dienstag, 03. 02. 2026 14:05"),
        ("ddd. dd/MM/yyyy", "h:mm tt 'Uhr'", "Tue. 03/02/2026 2:05 PM Uhr"),
        ("d-M-yyyy", "H''mm", "3-2-2026 1405"),
        ("d-M-yyyy", "H'''h'mm", "3-2-2026 14'h05"),
    ],
)
def test_w07_patterns_with_words_quotes_and_nothing_between(date: str, time_: str, text: str) -> None:
    patterns = PatternsAnswer(short_date=date, short_time=time_, am="AM", pm="PM")
    moment = logon_time(text, patterns=patterns, utc_offset_min=0, born=None, now=NOW)
    assert moment == datetime(2026, 2, 3, 14, 5, tzinfo=UTC)
