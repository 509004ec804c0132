"""The one string of a script: read whole, or an error that says what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsbridge.errors import AccessDenied, CommandMissing, MpsBridgeError, ParseError, RemoteError
from mpsbridge.models.answers import LogonsAnswer
from mpsbridge.models.bounds import ENVELOPE_LIMIT
from mpsbridge.models.scripts import RawOutput
from mpsbridge.snippets.envelope import open_envelope
from mpsbridge.snippets.sessions import ActAnswer

GOOD: dict[str, Any] = {
    "mpsbridge": 1,
    "snippet": "logons",
    "ok": True,
    "result": {"mode": "drain", "logons": 0, "drain": 2},
    "problems": ["the lease cannot be read"],
}


def raw(*texts: str, errors: tuple[str, ...] = ()) -> RawOutput:
    return RawOutput(output=texts, errors=errors)


def dumped(**changes: Any) -> str:
    return json.dumps(GOOD | changes)


def refused(kind: str, message: str = "no") -> RawOutput:
    return raw(dumped(ok=False, result={"kind": kind, "message": message}))


def test_a_good_one_gives_result_and_problems() -> None:
    envelope = open_envelope("logons", raw(dumped()))
    assert envelope.answer(LogonsAnswer).mode == "drain"
    assert envelope.problems == ("the lease cannot be read",)


def test_records_beside_a_good_answer_do_not_matter() -> None:
    assert open_envelope("logons", raw("", dumped(), "\r\n", errors=("noise",))).ok


def test_fields_of_a_newer_version_are_passed_over() -> None:
    assert open_envelope("logons", raw(dumped(more=1, result=GOOD["result"] | {"colour": "blue"}))).ok


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (raw(), "without an answer"),
        (raw("", "  \r\n"), "without an answer"),
        (raw(dumped(), dumped()), "2 strings"),
        (raw("Windows PowerShell\r\nCopyright"), "not JSON"),
        (raw("null"), "no envelope"),
        (raw("[1]"), "no envelope"),
        (raw("{}"), "no envelope"),
        (raw("[" * 100_000), "not JSON"),
        (raw("1" * 5000), "a number longer than any"),
        (raw(dumped(mpsbridge=2)), "version 2"),
        (raw(dumped(mpsbridge="one")), "version one"),
        (raw(dumped(snippet="observe")), "'observe', not 'logons'"),
        (raw(dumped(snippet=None)), "not 'logons'"),
        (raw(dumped(ok="maybe")), "ok:"),
        (raw(dumped(result=[1])), "result:"),
        (raw(dumped(result=None)), "result:"),
        (raw(dumped(problems="none")), "problems:"),
    ],
)
def test_what_is_no_envelope_is_a_parse_error_in_words(output: RawOutput, says: str) -> None:
    with pytest.raises(ParseError, match=says) as caught:
        open_envelope("logons", output)
    assert caught.value.may_have_run


def test_a_huge_answer_is_refused_unread() -> None:
    with pytest.raises(ParseError, match="are not read"):
        open_envelope("logons", raw("[" * (ENVELOPE_LIMIT + 1)))


@given(cut=st.integers(1, len(dumped()) - 1))
def test_an_answer_cut_anywhere_is_a_parse_error(cut: int) -> None:
    with pytest.raises(ParseError):
        open_envelope("logons", raw(dumped()[:cut]))


@given(text=st.text(max_size=300))
def test_nothing_but_our_own_errors_escapes(text: str) -> None:
    for output in (raw(text), raw(json.dumps(text)), raw(dumped(snippet=text)), raw(dumped(result={"mode": text}))):
        said = ""
        try:
            open_envelope("logons", output).answer(LogonsAnswer)
        except MpsBridgeError as error:
            said = str(error)
        assert said.isprintable()


def test_another_shape_names_the_place_and_not_the_value() -> None:
    envelope = open_envelope("logons", raw(dumped(result={"mode": "a secret"})))
    with pytest.raises(ParseError, match="mode:") as caught:
        envelope.answer(LogonsAnswer)
    assert "a secret" not in str(caught.value)


def test_only_error_records_are_powershell_saying_no() -> None:
    with pytest.raises(RemoteError, match=r"PowerShell reported: it \\x1b\[31mbroke") as caught:
        open_envelope("logons", raw(errors=("it \x1b[31mbroke", "more")))
    assert type(caught.value) is RemoteError


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("denied", AccessDenied),
        ("missing-command", CommandMissing),
        ("constrained", RemoteError),
        ("expired", RemoteError),
        ("remote", RemoteError),
        ("something new", RemoteError),
    ],
)
def test_a_refusal_becomes_the_error_of_its_kind(kind: str, error: type[RemoteError]) -> None:
    with pytest.raises(RemoteError, match="no way") as caught:
        open_envelope("logons", refused(kind, "no way"))
    assert type(caught.value) is error


def test_a_refusal_without_a_word_still_says_something() -> None:
    with pytest.raises(RemoteError, match="without a word"):
        open_envelope("logons", raw(dumped(ok=False, result={})))


def test_the_text_of_a_refusal_is_made_harmless() -> None:
    with pytest.raises(RemoteError) as caught:
        open_envelope("logons", refused("remote", "\x1b]0;owned\x07 \u202e evil"))
    assert str(caught.value).isprintable()


def test_what_windows_powershell_writes_reads_the_same() -> None:
    act = {"now": "20261125120000.000000+000", "sessions": [{"id": 2, "result": "refused", "text": "it's <no>"}]}
    new = json.dumps(GOOD | {"snippet": "logoff", "result": act, "problems": ["one"]})
    old = new.replace("'", "\\u0027").replace("<", "\\u003c").replace(">", "\\u003e")
    wrapped = json.dumps(
        GOOD
        | {
            "snippet": "logoff",
            "result": act | {"sessions": {"value": act["sessions"], "Count": 1}},
            "problems": {"value": ["one"], "Count": 1},
        }
    )
    answers = [open_envelope("logoff", raw(text)) for text in (new, old, wrapped)]
    assert len({envelope.answer(ActAnswer) for envelope in answers}) == 1
    assert {envelope.problems for envelope in answers} == {("one",)}


def test_a_date_that_powershell_wrote_its_own_way_is_no_time_of_ours() -> None:
    envelope = open_envelope(
        "logoff", raw(dumped(snippet="logoff", result={"now": "/Date(1764072000000)/", "sessions": []}))
    )
    with pytest.raises(ParseError, match="now"):
        envelope.answer(ActAnswer)


@pytest.mark.parametrize("kind", ["constrained", "expired", "untouched"])
def test_a_script_that_refused_before_it_began_has_done_nothing(kind: str) -> None:
    answer = {
        "mpsbridge": 1,
        "snippet": "logoff",
        "ok": False,
        "result": {"kind": kind, "message": "no"},
        "problems": [],
    }
    with pytest.raises(RemoteError) as caught:
        open_envelope("logoff", RawOutput(output=(json.dumps(answer),)))
    assert caught.value.may_have_run is False


def test_what_powershell_says_over_several_lines_is_told_on_one() -> None:
    r"""The words of version 7 once were shown with ``\x0a`` in them."""
    words = "Set-Acl: \r\n  Attempted to perform\nan unauthorized operation.\n"
    with pytest.raises(RemoteError, match=r"Set-Acl: Attempted to perform an unauthorized operation\.") as caught:
        open_envelope("logons", refused("remote", words))
    assert "\n" not in str(caught.value)
    with pytest.raises(RemoteError, match="PowerShell reported: Set-Acl: Attempted to"):
        open_envelope("logons", RawOutput(output=(), errors=(words,)))
    good = open_envelope("logons", raw(dumped(ok=True, problems=[words])))
    assert good.problems == ("Set-Acl: Attempted to perform an unauthorized operation.",)
