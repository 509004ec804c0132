"""Orphaned sessions: shown, refused by the commands that need a user, and reset alone, by their birth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from support.console import Command
from support.host_plans import look, plan
from support.seen_sessions import ALICE, NOW, seen

from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.sessions import Observation, to_cim
from mpsbridge.planning.selection import Act, Selector, make_plan
from mpsbridge.procedure.resets import plan_resets

LINGERS = {"id": 7, "user": "erin", "logon": "2h", "linger_s": 3600}
HOST: dict[str, Any] = {"name": "plain", "sessions": [{"id": 2, "user": "alice", "logon": "1h"}, LINGERS]}
Start = Callable[..., Lab]


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A host with an orphaned session 7."""
    with ExitStack() as stack:
        world = build_world({"hosts": [HOST]})
        running = stack.enter_context(Lab(world, auth="ntlm"))
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        with world.changing() as hosts:
            hosts["plain"].log_off(7)
        yield running


def acts(lab: Lab) -> list[tuple[str, str | None]]:
    return [(change.act, change.user) for change in lab.changes][1:]


def test_w13_orphaned_sessions_are_shown(lab: Lab, mpsbridge: Command) -> None:
    found = mpsbridge("sessions", "plain")
    assert found.code == 0
    assert "orphaned sessions (processes without a session row): 7" in found.err
    value = mpsbridge("sessions", "plain", "-o", "json").outcome("plain")["value"]
    assert value["orphaned"] == [7]
    assert acts(lab) == []


@pytest.mark.parametrize("command", [("logoff",), ("disconnect",), ("end", "--no-warning"), ("message", "--text", "x")])
def test_w13_what_needs_a_user_says_what_helps(lab: Lab, mpsbridge: Command, command: tuple[str, ...]) -> None:
    yes = () if command[0] == "message" else ("--yes",)
    found = mpsbridge(command[0], "plain", "--session", "7", *command[1:], *yes, "-o", "json")
    assert found.code == 3
    reason = found.outcome("plain")["reason"]
    assert "orphaned" in reason
    assert "mpsbridge reset" in reason
    assert "nowhere" not in reason
    assert acts(lab) == []


def test_w13_an_orphaned_session_is_reset_alone(lab: Lab, mpsbridge: Command) -> None:
    assert mpsbridge("reset", "plain", "--session", "7").code == 3
    assert mpsbridge("reset", "plain", "--session", "7", "--dry-run").code == 0
    assert acts(lab) == []
    found = mpsbridge("reset", "plain", "--session", "7", "--yes", "-o", "json")
    assert found.code == 0, found.err
    assert [each["result"] for each in found.outcome("plain")["value"]["sessions"]] == ["ended"]
    assert acts(lab) == [("reset", "erin")]
    again = mpsbridge("reset", "plain", "--session", "7", "--yes")
    assert (again.code, "orphaned session 7" in again.err) == (3, True)
    assert "reset" in mpsbridge("history").out


def test_w13_who_has_a_row_is_never_reset(lab: Lab, mpsbridge: Command) -> None:
    found = mpsbridge("reset", "plain", "--session", "2", "--session", "7", "--yes")
    assert (found.code, "not orphaned" in found.err) == (3, True)
    assert acts(lab) == []


def lost(**more: Any) -> Observation:
    found: dict[str, Any] = {"leftovers": (7,), "orphaned": (7,), "births": ((7, NOW),), **more}
    return seen(ALICE).model_copy(update=found)


def test_w05_an_orphan_is_known_by_its_birth_or_not_touched() -> None:
    chosen = Selector(session_ids=(7,))
    (found,) = plan_resets(lost(), chosen).acts
    assert found.guard is not None
    assert (found.guard.id, found.guard.born) == (7, to_cim(NOW))
    (refusal,) = plan_resets(lost(births=()), chosen).refusals
    assert "rwinsta 7" in refusal.reason
    assert plan_resets(lost(constrained=True), chosen).acts == ()
    assert plan_resets(lost(), Selector(session_ids=(8,))).missing == ("orphaned session 8",)


def test_w13_the_procedure_refuses_an_orphan_that_is_named() -> None:
    found = look(ALICE, **{name: getattr(lost(), name) for name in ("leftovers", "orphaned", "births")})
    (refused,) = plan(found, selector=Selector(session_ids=(7,)), leftover_ok=True).refusals
    assert "mpsbridge reset" in refused
    (verdict,) = make_plan(lost(), Selector(session_ids=(7,)), Act.LOGOFF).refusals
    assert verdict.session.id == 7
