"""Any record that the journal's layout allows, with any text in it: for properties of reports."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import strategies as st
from pydantic import JsonValue

from mpsbridge.models.frozen import build_models
from mpsbridge.runs.events import HAPPENINGS, Happening, MarkTold, SessionTold
from mpsbridge.runs.journal import Entry, Run

build_models()  # a model that is not built yet does not say which values it must have
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
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | WILD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WILD, inner, max_size=4),
    max_leaves=6,
)
TIMES = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=14)), timezone(-timedelta(hours=12))]))
NUMBERS = st.integers(1, 8)


def any_of(kind: type[Happening]) -> st.SearchStrategy[Happening]:
    """Any event of that kind, with any text in it."""
    known: dict[object, st.SearchStrategy[object]] = {
        str: WILD,
        str | None: st.none() | WILD,
        int: NUMBERS,
        float: st.floats(0, 1e9),
        JsonValue: VALUES,
        tuple[int, ...]: st.lists(NUMBERS, max_size=3).map(tuple),
        tuple[str, ...]: st.lists(WILD, max_size=3).map(tuple),
        tuple[SessionTold, ...]: st.lists(
            st.builds(SessionTold, id=NUMBERS, born=st.none() | TIMES, user=WILD, text=WILD), max_size=3
        ).map(tuple),
        tuple[MarkTold, ...]: st.lists(
            st.builds(MarkTold, id=NUMBERS, born=st.none() | WILD, notice=WILD), max_size=3
        ).map(tuple),
    }
    fields: dict[str, st.SearchStrategy[object]] = {}
    for name, field in kind.model_fields.items():
        if name == "event":
            continue
        if field.metadata or "datetime" in str(field.annotation) or "Aware" in str(field.annotation):
            moments = TIMES if field.is_required() else st.none() | TIMES
            fields[name] = moments
        else:
            kinds = known.get(field.annotation)
            fields[name] = st.from_type(field.annotation) if kinds is None else kinds  # type: ignore[arg-type] # a type
    return st.builds(kind, **fields)


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
            what=draw(st.sampled_from(HAPPENINGS).flatmap(any_of)),
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
