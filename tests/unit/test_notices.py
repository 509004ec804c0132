from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsbridge.errors import InputError
from mpsbridge.models.sessions import LogonMode, to_cim
from mpsbridge.planning.lease import Damaged, Lease, holder, read_lease
from mpsbridge.procedure.notices import (
    ADMINISTRATOR,
    CANCELLED,
    TEXTS,
    check_template,
    language_of,
    notice,
    schedule,
    sender_of,
)
from mpsbridge.snippets.fields import TEXT_LIMIT

ENDS = datetime(2026, 11, 25, 18, 30, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize("language", sorted(TEXTS))
def test_each_language_says_when_why_and_who(language: str) -> None:
    text = notice(TEXTS[language], left_s=300, ends=ENDS, reason="Updates", sender="alice@box")
    assert "5" in text
    assert "18:30" in text
    assert "Updates" in text
    assert "alice@box" in text


@pytest.mark.parametrize(
    ("locale", "language"),
    [("de-CH", "de"), ("zh-CN", "zh"), ("pt-BR", "pt"), ("sv-SE", "en"), (None, "en"), ("JA-jp", "ja")],
)
def test_the_hosts_language_chooses(locale: str | None, language: str) -> None:
    assert language_of(locale) == language


@given(st.sampled_from(sorted(TEXTS)), st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=600))
def test_w32_no_notice_is_longer_than_msg_is_given(language: str, reason: str) -> None:
    text = notice(TEXTS[language], left_s=61, ends=ENDS, reason=reason, sender="alice@box")
    assert len(text) <= TEXT_LIMIT
    assert "alice@box" in text


@pytest.mark.parametrize("text", ["", "/all", "-x", "@file", "two\nlines", "{minute} left", "{", "{0}", "x" * 300])
def test_a_text_of_ones_own_is_checked(text: str) -> None:
    with pytest.raises(InputError):
        check_template(text)


def test_a_text_of_ones_own_may_leave_fields_out() -> None:
    assert check_template(" Noch {minutes} Minuten. \n".strip()) == "Noch {minutes} Minuten."


@pytest.mark.parametrize(
    ("left_s", "language", "said"),
    [
        (900, "en", "15 min"),
        (119, "en", "2 min"),
        (90, "en", "90 seconds"),
        (61, "en", "1 min"),
        (56, "de", "1 Min."),
        (30, "en", "30 seconds"),
        (29.6, "fr", "30 secondes"),
        (2, "ja", "2秒"),
        (4, "en", "4 seconds"),
        (1, "en", "1 second,"),
        (151, "en", "2 min 31 seconds"),
        (630, "de", "10 Min. 30 Sekunden"),
        (899, "en", "15 min"),
    ],
)
def test_what_is_left_is_said_in_seconds_where_a_minute_would_not_be_so(
    left_s: float, language: str, said: str
) -> None:
    text = notice(TEXTS[language], left_s=left_s, ends=ENDS, reason="", sender="alice", language=language)
    assert said in text


@pytest.mark.parametrize("before_s", [(120, 90, 60, 30, 10), (60, 45), (100, 70, 30)])
def test_no_two_notices_say_the_same_time_left(before_s: tuple[int, ...]) -> None:
    said = [notice("{left}", left_s=left_s, ends=ENDS, reason="", sender="a") for left_s in before_s]
    assert len(set(said)) == len(said)
    assert notice("{minutes} left", left_s=30, ends=ENDS, reason="", sender="a") == "<1 left"


def test_an_hour_beyond_a_change_of_the_clock_is_named_with_its_offset() -> None:
    text = notice(TEXTS["en"], left_s=300, ends=ENDS, reason="", sender="a", zoned=True)
    assert "at 18:30 UTC+01:00" in text
    assert "UTC" not in notice(TEXTS["en"], left_s=300, ends=ENDS, reason="", sender="a")


@pytest.mark.parametrize(
    ("owner", "sender"),
    [
        *(
            ("alice@school@vm", "alice@school"),
            ("bob", "bob"),
            ("agent@vm", "agent"),
            ("SCHOOL\\bob@ts1", "SCHOOL\\bob"),
        ),
        *((f"{name}@vm", "") for name in ("root", "SYSTEM", "1000", "TS1$", "svc-backup", "gitlab-runner", "jenkins")),
        *(("NT AUTHORITY\\SYSTEM@vm", ""), ("NT AUTHORITY\\LOCAL SERVICE@vm", "")),
    ],
)
def test_people_are_told_by_a_person_and_not_by_a_machine(owner: str, sender: str) -> None:
    assert sender_of(owner) == sender


@pytest.mark.parametrize("language", sorted(TEXTS))
def test_an_account_that_is_nobodys_signs_as_the_administrator_in_the_hosts_language(language: str) -> None:
    for text in (TEXTS[language], CANCELLED[language]):
        said = notice(text, left_s=300, ends=ENDS, reason="", sender="", language=language)
        assert said.endswith(f"({ADMINISTRATOR[language]})")


def test_the_reason_is_introduced_and_a_sentence_of_its_own() -> None:
    def said(reason: str, language: str = "en") -> str:
        return notice(TEXTS[language], left_s=300, ends=ENDS, reason=reason, sender="alice", language=language)

    assert said("the school closes").endswith("log off. Reason: the school closes. (alice)")
    assert said("It closes!").endswith("log off. Reason: It closes! (alice)")
    assert said("").endswith("log off. (alice)")
    assert "Grund: Updates. (alice)" in said("Updates", "de")
    assert notice("{reason}", left_s=300, ends=ENDS, reason="the school closes", sender="a") == "the school closes"


def test_notices_are_due_before_the_end() -> None:
    assert schedule(ENDS, [60, 900, 300]) == [
        (ENDS - timedelta(minutes=15), "15m"),
        (ENDS - timedelta(minutes=5), "5m"),
        (ENDS - timedelta(minutes=1), "1m"),
    ]


def test_a_lease_reads_back() -> None:
    lease = Lease(
        run="r-1",
        owner="alice@box",
        reason="Wartung ü",
        since=to_cim(ENDS),
        expires=to_cim(ENDS + timedelta(hours=1)),
        found=LogonMode.ENABLED,
        set=LogonMode.DRAIN,
    )
    text = lease.text()
    assert text.isascii()
    assert "\n" not in text
    assert read_lease(text) == lease
    assert not lease.is_over(ENDS.astimezone(UTC))
    assert lease.is_over(ENDS + timedelta(hours=2))
    assert holder(lease) == "run r-1 of alice@box (Wartung ü)"


@pytest.mark.parametrize("text", ["", "{}", "null", "[1]", '{"schema": "mpsbridge-lease/2"}', "{" * 100_000])
def test_what_cannot_be_read_is_held(text: str) -> None:
    lease = read_lease(text)
    assert isinstance(lease, Damaged)
    assert holder(lease) == "a lease that cannot be read" + (f" (digest {lease.digest[:16]})" if lease.digest else "")


def test_no_file_is_no_lease() -> None:
    assert read_lease(None) is None
