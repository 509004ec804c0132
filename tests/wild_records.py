"""Any record that the journal's layout allows, with any text in it: for properties of reports."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from mpsbridge.journal import Entry, Run
from mpsbridge.models.sessions import Result

RUN = "20261125-120000-abcd"
NASTY = st.sampled_from(
    [
        "::set-output name=x::y",
        "::error::no",
        "##[command]rm",
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "a|b",
        "`a`",
        "]]>",
        "&lt;b&gt;",
        "[a](https://evil.invalid)",
        "https://evil.invalid",
        "www.evil.invalid",
        "@everyone",
        "#1",
        "GH-1",
        "**a**",
        "__a__",
        ":smile:",
        "a\n::error::b",
        "\ud800",
        "\x00\x1b[31m",
        "\u202egpj",
        "- a",
        "1. a",
        "---",
        "\\",
        "{{ 1 }}",
        "' onload='x",
        '" onload="x',
    ]
)
"""What some form or other would take for more than text."""
WILD = NASTY | st.text(st.characters(exclude_categories=()), max_size=12)
NAMES = ["phase", "session", "sessions", "born", "user", "result", "answer", "error", "intent", "text", "decision"]
NAMES += ["observed", "boot", "logons", "mode", "notice", "problems", "ran", "why", "id", "state", "reason"]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(
        [*map(str, Result), "act", "keep", "drain", "interrupted", "refused", "2026-11-25T12:00:00+01:00"]
    )
    | st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2026-11-25T12:00:00"])
    | WILD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=6,
)
STEPS = ["look", "verdict", "end", "message", "logons-set", "settled", "unknown", "finished", "stopped", "ordered"]
STEPS += ["booted", "failed", "power", "disconnect"]


@st.composite
def records(draw: st.DrawFn) -> tuple[Run, list[Entry]]:
    """Any record that the journal's layout allows."""
    start = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
    entries = [
        Entry(
            number=number,
            run=RUN,
            at=start + timedelta(seconds=draw(st.integers(0, 100_000)) + number),
            host=draw(st.sampled_from(["ts1", "ts2"]) | WILD),
            kind=draw(st.sampled_from(["intent", "outcome", "event"])),
            step=draw(st.sampled_from(STEPS) | WILD),
            answers=draw(st.none() | st.integers(1, 8)),
            detail=draw(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6)),
        )
        for number in range(1, draw(st.integers(0, 8)) + 1)
    ]
    run = Run(
        id=RUN,
        command=draw(st.sampled_from(["end", "message", "logoff"])),
        reason=draw(WILD),
        owner=draw(WILD),
        pid=1,
        job=draw(st.none() | WILD),
        options={"hosts": draw(VALUES)},
        started=start,
        ended=draw(st.none() | st.just(start + timedelta(days=2))),
    )
    return run, entries
