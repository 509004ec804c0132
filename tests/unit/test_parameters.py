"""What a call may carry: refused here, before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from support.snippet_calls import ALICE, act, box, mode

from mpsbridge.errors import InputError
from mpsbridge.models.sessions import LogonMode, SessionGuard
from mpsbridge.snippets.fields import TEXT_LIMIT
from mpsbridge.snippets.observe import Observe


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        (" \u2003 ", "empty"),
        ("/server:other", "begins with '/'"),
        ("-x", "begins with '-'"),
        ("@file", "begins with '@'"),
        ("two\nlines", r"U\+000A"),
        ("\x1b[31mred", r"U\+001B"),
        ("x\x85", r"U\+0085"),
        ("half \ud83d", "surrogate"),
        ("x" * (TEXT_LIMIT + 1), "has 256 characters"),
        ("\U0001f600" * 128, "has 256 characters"),
    ],
)
def test_w32_texts_that_msg_would_misread(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        box(text, ALICE)


@pytest.mark.parametrize(
    "text", ["x", "x" * TEXT_LIMIT, "\U0001f600" * 127, "a / b - c @ d", 'it\'s "so"', "déjà 18 h"]
)
def test_w32_texts_that_are_fine(text: str) -> None:
    assert box(text, ALICE).text == text


@pytest.mark.parametrize("run", ["", "-x", "a b", "a;b", "a\n", "é", "x" * 65])
def test_a_run_is_letters_digits_and_hyphens(run: str) -> None:
    with pytest.raises(InputError, match="run id"):
        act(ALICE, run=run)


@pytest.mark.parametrize("not_after", ["", "2026-11-25T12:00:00Z", "20261125120000.000000+060", "20261125120000"])
def test_times_are_cim_text_in_utc(not_after: str) -> None:
    with pytest.raises(InputError):
        act(ALICE, not_after=not_after)
    with pytest.raises(InputError):
        mode(LogonMode.DRAIN, not_after=not_after)


def test_no_session_is_named_twice_and_none_is_no_act() -> None:
    with pytest.raises(InputError, match="twice"):
        act(ALICE, ALICE)
    with pytest.raises(InputError):
        act()


@pytest.mark.parametrize(
    "changes", [{"id": 0}, {"id": -1}, {"id": 65536}, {"user": ""}, {"logon": ""}, {"state": ""}, {"born": "today"}]
)
def test_session_0_listeners_and_half_rows_have_no_guard(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SessionGuard.model_validate(ALICE.model_dump() | changes)


@pytest.mark.parametrize("limit", [0, 301])
def test_limits_are_bounded(limit: int) -> None:
    with pytest.raises(InputError):
        Observe(time_limit_s=limit)
    with pytest.raises(InputError):
        act(ALICE, time_limit_s=limit)
    with pytest.raises(InputError):
        box("text", ALICE, display_s=601)
