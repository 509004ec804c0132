"""What becomes of make-believe hosts in time: leases run out, hosts restart, stations fill themselves (W17 to W27)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from support.fake_clock import FakeClock
from support.reserved import lease_of, put_lease, task_of
from support.snippet_calls import NEVER, failsafe, held, order, swap, switch

from mpsbridge.lab import build_world
from mpsbridge.lab.engines.contract import Memory, Submitted
from mpsbridge.lab.engines.scripted.engine import ScriptedEngine
from mpsbridge.lab.engines.scripted.failsafe import FAILSAFE_TASK
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.models.sessions import AllowedSession, LogonMode, to_cim
from mpsbridge.snippets.failsafe import RemoveFailsafe
from mpsbridge.snippets.snippet import Snippet


def host(*sessions: dict[str, Any], **facts: Any) -> LabHost:
    return build_world({"hosts": [{"name": "a", "sessions": list(sessions), **facts}]}, FakeClock()).hosts["a"]


def ask(where: LabHost, name: str, parameters: Snippet) -> dict[str, Any]:
    answer = ScriptedEngine().answer(where, Submitted(parameters.render().text), Memory())
    try:
        next(answer)
    except StopIteration as end:
        envelope: dict[str, Any] = json.loads(end.value)
        assert envelope["ok"], envelope
        result: dict[str, Any] = envelope["result"]
        return result
    raise AssertionError("orders do not wait")


def passes(where: LabHost, seconds: float) -> None:
    where.world.clock.wait(seconds)


def in_s(where: LabHost, seconds: float) -> str:
    """A time of the host, so many seconds from now."""
    return to_cim(where.now() + timedelta(seconds=seconds))


def may_stay(where: LabHost, number: int, **changes: Any) -> AllowedSession:
    """What somebody who looks now would say of a session that may be there at the end."""
    session = where.with_processes(number)
    assert session is not None
    facts = {"id": number, "born": to_cim(session.born), "leftover": where.session(number) is None}
    return AllowedSession.model_validate(facts | changes)


def acts(where: LabHost) -> list[tuple[str, str]]:
    return [(change.act, change.text) for change in where.world.changes]


def closed(where: LabHost, *, lasts_s: float = 1000, found: str = "enabled", to: str = "drain") -> None:
    """A run has taken the lease, set the failsafe and closed the host."""
    ask(where, "lease", swap(held(expires=in_s(where, lasts_s)), lease_of(where)))
    assert ask(where, "failsafe", failsafe(LogonMode(found), LogonMode(to)))["registered"]
    where.set_logon_mode(to)


def test_w19_when_the_lease_has_run_out_the_task_restores_and_goes() -> None:
    where = host()
    closed(where, lasts_s=1000)
    passes(where, 901)
    assert (where.logon_mode, task_of(where) is None) == ("drain", False)
    passes(where, 300)
    assert (where.logon_mode, task_of(where)) == ("enabled", None)
    assert acts(where)[-2:] == [("logons", "enabled"), ("task", rf"removed {FAILSAFE_TASK}")]


def test_w19_a_renewed_lease_keeps_it_waiting() -> None:
    where = host()
    closed(where, lasts_s=1000)
    for _ in range(5):
        passes(where, 900)
        ask(where, "lease", swap(held(expires=in_s(where, 1000)), lease_of(where)))
    assert where.logon_mode == "drain"
    passes(where, 1500)
    assert where.logon_mode == "enabled"


@pytest.mark.parametrize("mode", ["disabled", "drain-until-restart", "enabled"])
def test_w17_what_others_changed_is_left(mode: str) -> None:
    where = host()
    closed(where)
    where.set_logon_mode(mode)
    passes(where, 2000)
    assert (where.logon_mode, task_of(where)) == (mode, None)


def test_w19_without_a_lease_it_acts_at_its_next_turn_and_removed_it_never_does() -> None:
    where = host()
    closed(where)
    ask(where, "lease", swap(None, lease_of(where)))
    passes(where, 301)
    assert where.logon_mode == "enabled"
    closed(where)
    ask(where, "failsafe-remove", RemoveFailsafe(not_after=NEVER, run="run-1"))
    ask(where, "lease", swap(None, lease_of(where)))
    passes(where, 9999)
    assert where.logon_mode == "drain"


def test_w19_a_hold_is_never_over_and_damage_counts_as_held_for_a_day() -> None:
    where = host()
    closed(where)
    put_lease(where, held(None, expires=None))
    passes(where, 3 * 86400)
    assert where.logon_mode == "drain"
    put_lease(where, "damaged")
    passes(where, 80_000)
    assert where.logon_mode == "drain"
    passes(where, 7000)
    assert where.logon_mode == "enabled"


def test_w19_after_a_restart_the_task_runs_three_minutes_later() -> None:
    where = host(restart_s=60)
    closed(where, lasts_s=30)
    where.restart()
    passes(where, 60 + 170)
    assert where.logon_mode == "drain"
    passes(where, 11)
    assert where.logon_mode == "enabled"


def test_w23_with_disk_protection_nothing_outlives_a_restart() -> None:
    where = host(generation="2016", disk_protection="Discard")
    closed(where)
    where.restart()
    assert (lease_of(where), where.logon_mode, task_of(where)) == (None, "enabled", None)


def test_w24_ten_seconds_after_the_order_the_host_is_away_then_another_boot() -> None:
    where = host({"id": 2, "user": "alice"}, restart_s=90)
    before = ask(where, "power", order("restart"))
    assert (before["accepted"], before["left"]) == (False, [2])
    where.log_off(2)
    passes(where, 1)
    assert ask(where, "power", order("restart"))["accepted"]
    assert ask(where, "power", order("shutdown"))["going_down"]
    passes(where, 9)
    assert not where.is_away
    passes(where, 2)
    assert where.is_away
    passes(where, 90)
    assert not where.is_away
    assert ask(where, "power", order("abort"))["boot"] != before["boot"]
    assert [act for act, _ in acts(where)] == ["logoff", "restart"]


def test_w26_some_hosts_boot_twice_and_some_never_come_back() -> None:
    where = host(boots_twice=True, restart_s=60, reboot_s=45)
    where.restart()
    first = where.boot
    passes(where, 61)
    assert not where.is_away
    passes(where, 45)
    assert where.is_away
    passes(where, 60)
    assert (where.is_away, where.boot > first) == (False, True)
    passes(where, 9999)
    assert not where.is_away
    gone = host(stays_down=True)
    gone.restart()
    passes(gone, 99_999)
    assert gone.is_away


def test_w27_shut_down_is_away_for_good() -> None:
    where = host()
    assert ask(where, "power", order("shutdown"))["accepted"]
    passes(where, 99_999)
    assert where.is_away
    assert acts(where) == [("shutdown", "")]


def test_w05_somebody_else_at_an_allowed_number_is_left() -> None:
    where = host({"id": 1, "user": "kiosk"})
    allowed = may_stay(where, 1)
    where.log_off(1)
    passes(where, 1)
    assert where.log_on("alice").id == 1, "Windows uses numbers again"
    for snippet in (order("restart", allowed), order("restart", may_stay(where, 1, leftover=True))):
        answer = ask(where, "power", snippet)
        assert (answer["accepted"], answer["left"]) == (False, [1])
    assert ask(where, "power", order("restart", may_stay(where, 1)))["accepted"]


def test_w13_a_leftover_is_allowed_by_its_birth() -> None:
    where = host({"id": 1, "user": "alice", "linger_s": 9999}, generation="2016")
    early = may_stay(where, 1)
    where.log_off(1)
    passes(where, 1)
    assert (where.rows(), where.processes_in()) == ([], [1])
    leftover = may_stay(where, 1)
    for wrong in ({"born": NEVER}, {"born": None}):
        answer = ask(where, "mode", switch("console", may_stay(where, 1, **wrong)))
        assert (answer["accepted"], answer["left"], where.mode) == (False, [1], "Normal")
    assert ask(where, "power", order("restart", early))["accepted"], "without its row it is still the same"
    assert ask(where, "power", order("abort"))["accepted"]
    assert ask(where, "mode", switch("console", leftover))["accepted"]


@pytest.mark.parametrize("allowed", ["5", '{"id":5,"leftover":false}', '{"id":5,"born":null,"leftover":false}'])
def test_w24_a_list_that_is_not_sound_is_refused(allowed: str) -> None:
    sent = order("restart").render().text.replace('"allowed":[]', f'"allowed":[{allowed}]')
    with pytest.raises(StopIteration) as answered:
        next(ScriptedEngine().answer(host(), Submitted(sent), Memory()))
    assert "the list of allowed sessions is not sound; nothing was done" in answered.value.value


def test_w08_stations_that_sign_somebody_in_by_themselves_do_so_after_a_restart() -> None:
    where = host(
        {"id": 2, "user": "kiosk", "station": 1},
        {"id": 3, "user": "alice"},
        generation="2016",
        stations=[{"id": 1, "auto_logon": True}],
        restart_s=60,
    )
    assert ask(where, "power", order("restart", may_stay(where, 2)))["left"] == [3]
    assert ask(where, "power", order("restart", may_stay(where, 2), may_stay(where, 3)))["accepted"]
    passes(where, 11)
    assert where.rows() == []
    passes(where, 60)
    (session,) = where.rows()
    assert (session.user, session.station, where.stations[0].session_id) == ("kiosk", 1, session.id)


def test_w27_a_switch_of_mode_restarts_the_host() -> None:
    where = host(generation="2016", restart_s=60)
    answer = ask(where, "mode", switch("console"))
    assert (answer["accepted"], answer["before"], answer["after"]) == (True, "Normal", "ConsoleMode")
    passes(where, 6)
    assert where.is_away
    passes(where, 60)
    assert ask(where, "mode", switch("console"))["text"] == "it was in this mode already"
    assert acts(where) == [("mode", "ConsoleMode"), ("restart", "")]
