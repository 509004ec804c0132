from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsbridge.ending.lease import Damaged, Lease, holder, read_lease
from mpsbridge.ending.notices import TEXTS, check_template, language_of, notice, schedule
from mpsbridge.errors import InputError
from mpsbridge.models.sessions import LogonMode, to_cim
from mpsbridge.snippets.parameters import TEXT_LIMIT

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
