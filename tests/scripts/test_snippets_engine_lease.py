"""The lease on the real PowerShell engine: compare and set, in a folder that only administrators write (W22)."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.snippet_calls import box, failsafe, held, mode, swap
from support.windows import Windows

from mpsbridge.errors import RemoteError
from mpsbridge.lab.engines.scripted.lease import LEASE_FOLDER
from mpsbridge.models.sessions import LogonMode, SessionGuard
from mpsbridge.snippets.envelope import open_envelope
from mpsbridge.snippets.failsafe import RegisterFailsafe
from mpsbridge.snippets.lease import LeaseAnswer, WriteLease
from mpsbridge.snippets.logons import SetLogonMode
from mpsbridge.snippets.observe import Look
from mpsbridge.snippets.sessions import SendMessage

pytestmark = pytest.mark.engine

INSTALLER = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"


@pytest.fixture
def host(engine: Path) -> Windows:
    return Windows(engine, [])


def folder(host: Windows) -> Path:
    return host.drive_path(LEASE_FOLDER)


def restricted(engine: Path, text: str | None = None, **access: Any) -> Windows:
    """A host with that access list on the folder of its lease."""
    return Windows(engine, [], lease=text, folders=[{"path": LEASE_FOLDER, **access}])


def change(host: Windows, text: str | None, expected: str | None, **more: Any) -> LeaseAnswer:
    output = host.run(swap(text, expected, **more).render())
    assert output.errors == ()
    return WriteLease.read(output)


def test_w22_taken_renewed_and_given_back(host: Windows) -> None:
    first, second = held(), held(reason="it's ‘late’, déjà")
    assert (change(host, first, None).changed, (folder(host) / "lease.json").read_text()) == (True, first)
    answer = change(host, second, first)
    assert (answer.changed, answer.lease) == (True, second)
    assert (folder(host) / "lease.json").read_bytes() == second.encode()
    assert Look.read(host.run(Look().render())).lease == second
    answer = change(host, None, second)
    assert (answer.changed, answer.lease) == (True, None)
    assert {path.name for path in folder(host).iterdir()} == {"lease.lock"}
    assert [entry.partition("Administrator: ")[2] for entry in host.events] == ["lease written.", "lease removed."]


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (held("run-2"), None),
        (held("run-2"), held("run-1")),
        (None, held("run-1")),
        ("", None),
        ("damaged", None),
        (held(), held().upper()),
        (held(), held() + "\u00ad"),
        (held(), held() + " "),
    ],
)
@pytest.mark.parametrize("text", [held("run-1"), None])
def test_w22_what_is_there_and_was_not_expected_stays(
    host: Windows, there: str | None, expected: str | None, text: str | None
) -> None:
    host.put_lease(there)
    answer = change(host, text, expected)
    assert (answer.changed, answer.lease) == (False, there)
    path = folder(host) / "lease.json"
    assert (path.read_text() if path.exists() else None) == there
    assert host.events == []


def test_w22_a_lease_that_cannot_be_read_is_replaced_by_who_saw_just_that(host: Windows) -> None:
    folder(host).mkdir(parents=True)
    (folder(host) / "lease.json").write_bytes(b"x" * 300_000)
    assert not change(host, held(), None).changed
    assert change(host, held(), "").lease == held()


@pytest.mark.parametrize("text", ["", "no json", "[]", "{}", '{"schema":"mpsbridge-lease/2"}', '"mpsbridge-lease/1"'])
def test_w22_only_a_lease_becomes_the_lease(host: Windows, text: str) -> None:
    with pytest.raises(RemoteError, match="not a lease"):
        change(host, text, None)
    assert not folder(host).exists()


def test_w22_nothing_in_it_is_executed(host: Windows) -> None:
    text = held(reason="'; $([IO.File]::WriteAllText('/tmp/never', 'x')) $(throw) ` {{ 1 }}", owner="$env:SystemRoot")
    assert change(host, text, None).lease == text
    assert change(host, held(), text).lease == held()


def test_w22_a_new_folder_is_for_administrators(host: Windows) -> None:
    change(host, held(), None)
    assert (
        host.host.files.access(LEASE_FOLDER).sddl == "O:BAD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)"
    )


def rule(sid: str, rights: int, *, deny: bool = False) -> dict[str, Any]:
    return {"sid": sid, "rights": rights, "deny": deny}


EVERYTHING, READ, GENERIC_ALL = 0x1F01FF, 0x1200A9, 0x10000000
USERS = "S-1-5-32-545"


@pytest.mark.parametrize(
    ("owner", "rules", "who"),
    [
        ("S-1-5-21-1-2-3-1001", [], "S-1-5-21-1-2-3-1001"),
        ("S-1-5-18", [rule(USERS, EVERYTHING)], USERS),
        ("S-1-5-18", [rule(USERS, READ), rule("S-1-1-0", 0x2)], "S-1-1-0"),
        (INSTALLER, [rule(USERS, 0x40000)], USERS),
        (INSTALLER, [rule("S-1-5-11", GENERIC_ALL)], "S-1-5-11"),
    ],
)
def test_w22_a_folder_that_others_may_write_is_refused(
    engine: Path, owner: str, rules: list[dict[str, Any]], who: str
) -> None:
    host = restricted(engine, owner=owner, rules=rules)
    with pytest.raises(RemoteError, match=f"may be written by {who}; nothing was done"):
        change(host, held(), None)
    assert list(folder(host).iterdir()) == []


def test_w22_a_folder_as_windows_makes_it_is_fine(engine: Path) -> None:
    rules = [
        rule("S-1-3-0", GENERIC_ALL),
        rule(INSTALLER, EVERYTHING),
        rule("S-1-5-18", EVERYTHING),
        rule("S-1-5-32-544", EVERYTHING),
        rule(USERS, READ),
        rule("S-1-15-2-1", -0x60000000),
        rule("S-1-1-0", EVERYTHING, deny=True),
    ]
    assert change(restricted(engine, rules=rules), held(), None).changed


def test_w22_a_folder_that_leads_elsewhere_is_refused(host: Windows) -> None:
    elsewhere = host.folder / "elsewhere"
    elsewhere.mkdir()
    folder(host).parent.mkdir(exist_ok=True)
    folder(host).symlink_to(elsewhere)
    with pytest.raises(RemoteError, match="reparse point"):
        change(host, held(), None)
    assert list(elsewhere.iterdir()) == []


def plant(engine: Path, text: str) -> Windows:
    """A host with a lease in a folder that a standard user may write."""
    return restricted(engine, text, rules=[rule(USERS, EVERYTHING)])


def test_w22_a_lease_that_a_standard_user_may_have_written_is_held_but_not_believed(engine: Path) -> None:
    host = plant(engine, held("run-1", found="disabled", set="enabled"))
    answer = open_envelope("look", host.run(Look().render()))
    assert answer.result["lease"] == ""
    (doubt,) = [problem for problem in answer.problems if "lease" in problem]
    assert doubt.endswith(f"may be written by {USERS}; only SYSTEM and Administrators should write there")
    for run in ("run-1", "run-2"):  # also not by the run that it names
        with pytest.raises(RemoteError, match="the lease on this host cannot be read"):
            SetLogonMode.read(host.run(mode(LogonMode.DRAIN, None, run=run).render()))
    assert host.events == []


def test_w22_a_lease_that_lies_elsewhere_is_not_believed(host: Windows) -> None:
    elsewhere = host.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "lease.json").write_text(held())
    folder(host).parent.mkdir(exist_ok=True)
    folder(host).symlink_to(elsewhere)
    answer = open_envelope("look", host.run(Look().render()))
    assert answer.result["lease"] == ""
    assert any("leads elsewhere" in problem for problem in answer.problems)


def test_w22_no_failsafe_by_a_lease_that_is_not_believed(engine: Path) -> None:
    host = plant(engine, held("run-1"))
    with pytest.raises(RemoteError, match="the lease on this host cannot be read"):
        RegisterFailsafe.read(host.run(failsafe(LogonMode.ENABLED, LogonMode.DRAIN).render()))


def test_w22_no_notice_is_marked_in_a_lease_that_is_not_believed(engine: Path) -> None:
    host = plant(engine, held("run-1"))
    before = (folder(host) / "lease.json").read_text()
    guard = SessionGuard.model_validate(
        {"id": 2, "born": None, "user": "alice", "logon": "11/25/2026 9:00 AM", "state": "Active"}
    )
    (answer,) = SendMessage.read(host.run(box("15 minutes", guard, notice="15m").render())).sessions
    assert (answer.result, answer.text) == ("refused", "this run has no lease here in which the notice could be marked")
    assert (folder(host) / "lease.json").read_text() == before


def test_w22_without_access_lists_it_says_so(engine: Path) -> None:
    output = Windows(engine, []).run(f"Remove-Item function:Get-Acl\n{swap(held(), None).render().text}")
    envelope = open_envelope("lease", output)
    assert envelope.ok
    assert envelope.problems == ("this platform has no access lists, so who else may write the lease is not known",)


def test_w04_too_late_changes_nothing(host: Windows) -> None:
    with pytest.raises(RemoteError, match="meant to be done by"):
        change(host, held(), None, not_after="20200101000000.000000+000")
    assert not folder(host).exists()


def test_w22_of_many_at_once_one_gets_it(host: Windows) -> None:
    change(host, None, None)

    def take(number: int) -> LeaseAnswer:
        script = swap(held(f"run-{number}"), None, run=f"run-{number}").render()
        return WriteLease.read(host.run(script, alone=True))

    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(take, range(4)))
    assert sorted(answer.changed for answer in answers) == [False, False, False, True]
    (winner,) = {answer.lease for answer in answers}
    assert json.loads(str(winner))["run"] == f"run-{[answer.changed for answer in answers].index(True)}"
