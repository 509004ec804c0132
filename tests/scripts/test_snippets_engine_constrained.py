"""Looking in ConstrainedLanguage (W30), on the real engine in that very language: all that it allows, and no act."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.acting import ALICE, BOB
from support.windows import Person, Windows, moved

from mpsbridge.errors import Blind, CommandMissing
from mpsbridge.lab.windows.programs import ProgramResult
from mpsbridge.models.answers import ObserveAnswer
from mpsbridge.models.scripts import Script
from mpsbridge.models.sessions import LogonMode, Observation, Session
from mpsbridge.snippets.catalogue import CATALOGUE
from mpsbridge.snippets.envelope import Envelope, open_envelope
from mpsbridge.snippets.observe import Look, Observe

pytestmark = pytest.mark.engine

OBSERVING = Observe().render()
LOOKING = Look().render()
JOERG = Person(3, "jörg müller", state="Getr.", name="", idle="1+02:03")
HUAN = Person(4, "欢迎用户", state="运行中", name="console")


def read(host: Windows, script: Script, *, language: str = "ConstrainedLanguage", **how: Any) -> Observation:
    output = host.run(script, language=language, **how)
    assert output.errors == ()
    seen: Observation = CATALOGUE[script.snippet].read(output)
    return seen


def answer(host: Windows, script: Script | str = OBSERVING, **how: Any) -> tuple[ObserveAnswer, Envelope]:
    output = host.run(script, language="ConstrainedLanguage", **how)
    assert output.errors == ()
    envelope = open_envelope("observe", output)
    return envelope.answer(ObserveAnswer), envelope


@pytest.mark.parametrize("script", [OBSERVING, LOOKING], ids=["observe", "look"])
@pytest.mark.parametrize(
    ("people", "page", "console"),
    [
        ([ALICE, BOB, moved(ALICE, id=7, user="user 7")], "cp437", 437),
        ([ALICE, JOERG], "cp850", 850),
        ([ALICE, JOERG], "cp850", 1252),
        ([ALICE, HUAN], "cp936", 936),
    ],
    ids=["ascii", "german", "german read by the wrong page", "chinese"],
)
def test_w30_the_sessions_are_those_that_the_full_language_tells(
    engine: Path, script: Script, people: list[Person], page: str, console: int
) -> None:
    host = Windows(engine, people, page=page, caller_session=7)
    full = read(host, script, language="FullLanguage")
    seen = read(host, script, json_dialect="5.1", console_page=console)
    assert [_told(each) for each in seen.sessions] == [_told(each) for each in full.sessions]
    assert [each.guard for each in seen.sessions] == [None] * len(people)
    assert (full.constrained, seen.constrained) == (False, True)
    assert host.record == []


def _told(session: Session) -> dict[str, object]:
    """All that is told of a session, but for what acts need."""
    return session.model_dump(exclude={"guard", "cut"})


def test_w30_what_was_lost_on_the_way_is_shown_as_lost(engine: Path) -> None:
    host = Windows(engine, [JOERG], page="cp850")
    (session,) = read(host, OBSERVING, console_page=65001).sessions
    assert (session.id, session.user_text, session.account) == (3, "j\ufffdrg m\ufffdller", "LAB\\jörg müller")


@pytest.mark.parametrize("dialect", ["", "5.1"])
def test_w30_everything_that_can_be_told_without_methods_is_told(engine: Path, dialect: str) -> None:
    host = Windows(engine, [ALICE, BOB], generation="2016", agents=["WSNM"])
    told, envelope = answer(host, json_dialect=dialect)
    assert (told.quser.exit, told.quser.out, told.quser.problem) == (0, "", None)
    assert told.quser.text is not None
    assert (told.quser.text.count("\n"), told.quser.error_text) == (2, "")
    assert told.powershell.language == "ConstrainedLanguage"
    assert told.boot == "20261101060000.000000+000"
    assert [(birth.id, birth.born) for birth in told.births] == [(2, ALICE.born), (5, BOB.born)]
    assert [owner.account for owner in told.owners] == ["LAB\\alice", "LAB\\bob"]
    assert (told.witness.before, told.witness.after) == ((2, 5), (2, 5))
    assert (told.logons.mode, told.broker.agents, told.pending_reboot) == (LogonMode.ENABLED, ("WSNM",), ())
    assert (told.oem, told.patterns.short_date, told.caller.session_id) == (437, "M/d/yyyy", 0)
    assert [problem.partition(":")[0] for problem in envelope.problems] == [
        "caller",
        "lease",
        "MultiPoint",
        "administrators",
    ]
    assert told.lease == "", "one that cannot be read is held, not absent"


def test_w30_listing_says_once_that_nothing_can_be_done_and_what_to_do(engine: Path) -> None:
    seen = read(Windows(engine, [ALICE, BOB]), OBSERVING)
    assert sum("mpsbridge jea" in problem for problem in seen.problems) == 1
    assert "mpsbridge jea" in seen.unguarded


STRICT = "$ErrorActionPreference = 'Stop'; $PSNativeCommandUseErrorActionPreference = $true\n"


def test_w30_standard_error_and_exit_codes_end_nothing_and_stay_apart(engine: Path, tmp_path: Path) -> None:
    host = Windows(engine, [ALICE])
    host.programs["quser"] = lambda _: ProgramResult(7, out=b"one\nfour\n", err=b"two\n\nthree\n")
    told, _ = answer(host, STRICT + OBSERVING.text)
    assert (told.quser.exit, told.quser.text, told.quser.error_text) == (7, "one\nfour", "two\n\nthree")
    assert told.qwinsta.exit == 0


def test_w30_a_missing_program_is_a_reason_not_an_empty_table(engine: Path) -> None:
    host = Windows(engine, [ALICE], lacks=["quser.exe"])
    with pytest.raises(CommandMissing, match=r"quser\.exe could not be started"):
        read(host, OBSERVING)


@pytest.mark.parametrize("decoy", ["quser.exe", "quser"])
def test_w30_no_program_or_function_of_that_name_elsewhere_is_called(engine: Path, tmp_path: Path, decoy: str) -> None:
    host = Windows(engine, [ALICE])
    prelude = f"function {decoy} {{ throw 'called' }}\n$env:PATH = '{tmp_path}'\n"
    (tmp_path / "quser.exe").write_text("#!/bin/sh\necho called\n")
    (tmp_path / "quser.exe").chmod(0o755)
    told, _ = answer(host, prelude + OBSERVING.text)
    assert "alice" in (told.quser.text or "")


# --- Whether the caller is an administrator ---------------------------------------------------------------------------


def as_windows_powershell(script: Script) -> Script:
    """The script as Windows PowerShell 5.1 runs it: the engine here is newer, and its version is asked in one place."""
    older = script.definitions.replace("$PSVersionTable.PSVersion.Major", "5")
    assert older != script.definitions
    return script.model_copy(update={"definitions": older})


@pytest.mark.parametrize("script", [OBSERVING, LOOKING], ids=["observe", "look"])
def test_w30_an_administrator_is_told_of_an_empty_host(engine: Path, script: Script) -> None:
    seen = read(Windows(engine, []), as_windows_powershell(script))
    assert (seen.sessions, seen.elevated) == ((), True)


@pytest.mark.parametrize(
    ("script", "elevated"),
    [(OBSERVING, True), (OBSERVING, False), (as_windows_powershell(OBSERVING), False)],
    ids=["not told that it is one", "not told that it is none", "told that it is none"],
)
def test_w30_whoever_is_not_known_to_be_an_administrator_is_blind_where_nobody_is_shown(
    engine: Path, script: Script, elevated: bool
) -> None:
    host = Windows(engine, [], rights="admin" if elevated else "rds")
    with pytest.raises(Blind):
        read(host, script)


@pytest.mark.parametrize("elevated", [True, False])
def test_w30_only_where_asking_for_an_owner_needs_rights_does_it_prove_them(engine: Path, elevated: bool) -> None:
    host = Windows(engine, [ALICE], rights="admin" if elevated else "rds")
    newer, _ = answer(host)
    older, envelope = answer(host, as_windows_powershell(OBSERVING))
    assert (newer.caller.elevated, newer.caller.account) == (None, None)
    assert (older.caller.elevated, older.caller.account) == (
        elevated,
        "STATION-HOST\\Administrator" if elevated else None,
    )
    assert not any(problem.startswith("caller") for problem in envelope.problems)
