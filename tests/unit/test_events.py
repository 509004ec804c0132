"""The one vocabulary of what can happen in a run: written down, read again, published, and named nowhere else."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from support.wild_records import any_of

from mpsbridge.models.harmless import json_text
from mpsbridge.runs.events import HAPPENINGS, Event, Happening, read_happening
from mpsbridge.runs.journal import Journal
from mpsbridge.runs.journal_file import IN_MEMORY
from mpsbridge.schemas.events import event_json, event_schema

ANY = st.sampled_from(HAPPENINGS).flatmap(any_of)
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SCHEMA = jsonschema.Draft202012Validator(event_schema())
PACKAGE = ROOT / "mpsbridge"
ELSEWHERE = {"lab", "snippets", "transports", "parsing", "models"}
"""What has steps, phases and events of its own, of another kind."""
SPEAKERS = sorted(
    path
    for path in PACKAGE.rglob("*.py")
    if path.relative_to(PACKAGE).parts[0] not in ELSEWHERE and path.name != "diagnosis.py"
)
MEMBERS = {"event", "step", "phase"}


@given(ANY)
def test_an_event_is_read_as_it_was_written(what: Happening) -> None:
    with Journal(IN_MEMORY) as journal:
        journal.begin("r-1", command="end", reason="", options={})
        named = what.model_fields_set
        if "intent" in named:  # the number of an entry that is there
            first = journal.record("r-1", "ts1", read_happening({"event": "empty"}))
            what = what.model_copy(update={"intent": first})
        journal.record("r-1", "ts1", what)
        (*_, entry) = journal.entries("r-1")
    told = json.loads(json_text(what.model_dump(mode="json")))
    assert json.loads(json_text(entry.what.model_dump(mode="json"))) == told


@given(ANY.filter(lambda what: what.is_told))
def test_a_line_of_events_is_what_the_schema_says(what: Happening) -> None:
    line = json.loads(json_text(event_json(Event(at=NOW, run="r-1", host="ts1", what=what))))
    SCHEMA.validate(line)


@given(ANY)
def test_every_event_has_a_sentence(what: Happening) -> None:
    assert what.text() or not (what.is_shown and "why" not in type(what).model_fields)


def test_no_two_events_share_a_name() -> None:
    assert len({kind.model_fields["event"].default for kind in HAPPENINGS}) == len(HAPPENINGS)


def _strings(node: ast.AST) -> list[str]:
    return [each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)]


def _spoken(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Where an event, a step or a phase is compared with a word, set to one, or told by one."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Compare(left=ast.Attribute(attr=name), comparators=others) if name in MEMBERS:
                words = [word for other in others for word in _strings(other)]
            case ast.Assign(targets=[ast.Attribute(attr=name)], value=ast.Constant(value=str() as word)):
                words = [word] if name in MEMBERS else []
            case ast.Call(func=ast.Attribute(attr=name), args=[ast.Constant(value=str() as word), *_]):
                words = [word] if name in {"tell", "step"} else []
            case ast.keyword(arg=name, value=ast.Constant(value=str() as word)):
                words = [word] if name in MEMBERS else []
            case _:
                words = []
        if words and path.name != "events.py":
            yield getattr(node, "lineno", 0), words


@pytest.mark.parametrize("path", SPEAKERS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_event_step_or_phase_is_known_by_a_word(path: Path) -> None:
    assert list(_spoken(path)) == []


def test_the_test_above_sees_a_word(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text(
        'if entry.step == "end" or what.event in {"settled"}:\n'
        '    context.phase = "warn"\n    context.tell("left", why)\n'
    )
    assert sorted(word for _, words in _spoken(path) for word in words) == ["end", "left", "settled", "warn"]
