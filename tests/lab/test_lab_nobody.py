"""Empty, not permitted or broken: rights, `query session` and the witness tell, in any language and order of words.

Exit code 1 without a table and without an error number is all that Windows says of the first two.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from conftest import PROFILE, find_engine, missing
from support.alike import executed, say, scripted, world

from mpsbridge.errors import AccessDenied, Blind, MpsBridgeError, ParseError, RemoteError
from mpsbridge.lab import Lab
from mpsbridge.lab.engines.powershell.engine import PowerShellEngine
from mpsbridge.lab.windows.programs import PROGRAMS
from mpsbridge.lab.windows.regions import WORDS
from mpsbridge.lab.windows.sentences import SENTENCES
from mpsbridge.models.scripts import RawOutput
from mpsbridge.models.sessions import Observation
from mpsbridge.snippets.observe import Look, LookingSnippet, Observe

SOMEBODY = [{"id": 2, "user": "alice", "logon": "2026-11-25T09:00:00Z"}]
HOSTS = [
    {"name": f"{language}-{rights}-{who}", "language": language, "rights": rights, "sessions": sessions}
    for language, rights, (who, sessions) in product(
        sorted(WORDS), ("admin", "rds", "user"), (("nobody", []), ("somebody", SOMEBODY))
    )
]
UNKNOWN = "Þar er enginn á vélinni"
"""A sentence of a language that nothing here knows."""

languages = pytest.mark.parametrize("language", sorted(WORDS))
both_looks = pytest.mark.parametrize("look", [Observe(), Look()], ids=["observe", "look"])


def read(look: LookingSnippet, text: str) -> Observation | type[MpsBridgeError]:
    """What is seen, or the kind of error."""
    try:
        return type(look).read(RawOutput(output=(text,)))
    except MpsBridgeError as error:
        return type(error)


def expected_of(name: str) -> list[str] | type[MpsBridgeError]:
    """Whom a look at such a host must show; without rights nobody can be seen, and nothing is proved."""
    _, rights, who = name.rsplit("-", 2)
    if rights == "user" or (rights == "rds" and who == "nobody"):
        return Blind
    return ["alice"] if who == "somebody" else []


def agrees(look: LookingSnippet, name: str, text: str) -> None:
    seen, expected = read(look, text), expected_of(name)
    if isinstance(expected, list):
        assert isinstance(seen, Observation)
        assert [session.user for session in seen.sessions] == expected
    else:
        assert seen is expected


@both_looks
@pytest.mark.parametrize("name", [str(host["name"]) for host in HOSTS])
def test_rights_and_the_second_table_tell_empty_from_not_permitted(look: LookingSnippet, name: str) -> None:
    agrees(look, name, say(world(*HOSTS).hosts[name], look))


@both_looks
@languages
@pytest.mark.parametrize("rights", ["admin", "rds", "user"])
def test_words_that_nothing_knows_are_read_as_the_known_ones(look: LookingSnippet, language: str, rights: str) -> None:
    name = f"{language}-{rights}-nobody"
    agrees(look, name, changed(look, name, quser=printed(UNKNOWN)))


def printed(said: str, code: int = 1, out: str = "") -> dict[str, Any]:
    texts = {"out": out, "err": said}
    coded = {key: base64.b64encode(f"{text}\r\n".encode() if text else b"").decode() for key, text in texts.items()}
    return {"exit": code, "timed_out": False, "problem": None, **coded}


BROKEN: dict[str, tuple[dict[str, Any], type[MpsBridgeError]]] = {
    "an error number": (printed("Fehler [1722]:Der RPC-Server ist nicht verfügbar."), RemoteError),
    "refused": (printed("Error [5]:Access is denied."), AccessDenied),
    "another exit code": (printed(UNKNOWN, code=3), ParseError),
    "a number": (printed("Þar 7 er enginn"), ParseError),
    "two lines": (printed(f"{UNKNOWN}\r\n{UNKNOWN}"), ParseError),
    "columns": (printed("alice   console   x   Active"), ParseError),
    "on standard output": (printed("", out=UNKNOWN), ParseError),
    "beside a table cut off": (printed(UNKNOWN, out=" alice                 rdp-tc"), ParseError),
}


@both_looks
@languages
@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("who", ["nobody", "somebody"])
def test_a_broken_program_is_never_an_empty_host(look: LookingSnippet, language: str, broken: str, who: str) -> None:
    answer, error = BROKEN[broken]
    assert read(look, changed(look, f"{language}-admin-{who}", quser=answer)) is error


@both_looks
@languages
def test_unknown_words_prove_nothing_where_anything_else_shows_somebody(look: LookingSnippet, language: str) -> None:
    quser = printed(UNKNOWN)
    assert read(look, changed(look, f"{language}-admin-somebody", quser=quser)) is ParseError
    empty = f"{language}-admin-nobody"
    assert read(look, changed(look, empty, quser=quser, witness={"before": [2], "after": [2]})) is ParseError
    assert read(look, changed(look, empty, quser=quser, qwinsta=printed("", code=0))) is ParseError
    for said in (UNKNOWN, SENTENCES[language].no_session.format("*")):
        assert read(look, changed(look, empty, quser=quser, qwinsta=printed(said))) is Blind


def changed(look: LookingSnippet, name: str, **parts: object) -> str:
    """What that host answers, with some of it as something broken would have it."""
    envelope = json.loads(say(world(*HOSTS).hosts[name], look))
    envelope["result"] |= parts
    return json.dumps(envelope)


# --- the lab's own sentences ------------------------------------------------------------------------------------------


def test_every_language_has_sentences_of_its_own() -> None:
    assert SENTENCES.keys() == WORDS.keys()
    english = SENTENCES["en"]
    for language, sentences in SENTENCES.items():
        assert language == "en" or sentences.nobody != english.nobody
        said = (sentences.nobody, sentences.no_session, sentences.not_found, sentences.not_there, sentences.denied)
        assert language == "en" or not {*said} & {english.nobody, english.no_session, english.not_found, english.denied}


def test_the_asterisk_stands_first_inside_and_last() -> None:
    places = {re.sub(r"[^*]+", "-", sentences.nobody.format("*")) for sentences in SENTENCES.values()}
    assert places == {"*-", "-*-", "-*"}


@languages
@pytest.mark.parametrize("line", ["quser bob", "msg bob hello", "logoff 99", "msg 2 hello", "logoff 2", "tsdiscon 0"])
def test_programs_speak_the_language_of_their_host(language: str, line: str) -> None:
    protected = [SOMEBODY[0] | {"protected": True}]
    where = world({"name": "a", "language": language, "sessions": protected}).hosts["a"]
    english = world({"name": "a", "language": "en", "sessions": protected}).hosts["a"]
    name, *arguments = line.split(" ")
    said = PROGRAMS[name](where, arguments)
    assert said.exit == 1
    assert said.err.decode(f"cp{where.facts.oem}")
    assert language == "en" or said.err != PROGRAMS[name](english, arguments).err


# --- real PowerShell --------------------------------------------------------------------------------------------------

TRIED = [
    host
    for host in HOSTS
    if PROFILE == "deep"
    or host["name"] in {"ja-admin-nobody", "ja-user-somebody", "de-rds-nobody", "ru-admin-nobody", "zh-CN-user-nobody"}
]


@pytest.fixture(scope="module")
def engine() -> Iterator[Lab]:
    program = find_engine()
    if program is None:
        missing("a PowerShell engine (MPSBRIDGE_PWSH, PATH, or shared/pwsh)")
    with Lab(world(*TRIED), auth="basic", engine=PowerShellEngine(program)) as lab:
        yield lab


@pytest.mark.engine
@pytest.mark.parametrize("name", [str(host["name"]) for host in TRIED])
def test_real_scripts_tell_the_same(engine: Lab, name: str) -> None:
    looks: list[LookingSnippet] = [Observe(), Look()]
    asked = [(look.name, look) for look in looks]
    keep = ("now", "powershell")
    answers = executed(engine, name, list(asked), keep=keep)
    for look, (_, answer) in zip(looks, answers, strict=True):
        agrees(look, name, json.dumps(answer))
    own = scripted(world(*HOSTS).hosts[name], list(asked))
    assert [answer["result"]["quser"] for _, answer in answers] == [answer["result"]["quser"] for _, answer in own]
