"""Switching a MultiPoint host's mode on the real PowerShell engine, with both generations of its module (W27)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.acting import ALICE, BOB
from support.snippet_calls import held, switch
from support.windows import BOOT, Act, Windows, moved

from mpsbridge.errors import CommandMissing, RemoteError
from mpsbridge.models.sessions import AllowedSession
from mpsbridge.snippets.power import ModeAnswer, SwitchMode

pytestmark = pytest.mark.engine

WORD = {"console": "ConsoleMode", "station": "Normal"}
OTHER = {"console": "station", "station": "console"}
ORDER = {
    ("2012", "console"): "other",
    ("2012", "station"): "other",
    ("2016", "console"): "Console",
    ("2016", "station"): "MultiStation",
}
"""What each generation's cmdlet tells the service: the older one can only toggle."""


def give(host: Windows, wanted: str, *allowed: AllowedSession, **more: Any) -> ModeAnswer:
    output = host.run(switch(wanted, *allowed, **more).render())
    assert output.errors == ()
    return SwitchMode.read(output)


@pytest.mark.parametrize("generation", ["2012", "2016"])
@pytest.mark.parametrize("wanted", ["console", "station"])
def test_w27_an_empty_host_is_switched(engine: Path, generation: str, wanted: str) -> None:
    host = Windows(engine, [], generation=generation, mode=WORD[OTHER[wanted]])
    answer = give(host, wanted)
    assert (answer.accepted, answer.before, answer.after) == (True, WORD[OTHER[wanted]], WORD[wanted])
    assert (answer.boot, answer.left, answer.text) == (BOOT, (), "")
    assert host.record == [Act("wms", ["switch", ORDER[generation, wanted]])]
    assert host.events[0].endswith(f"Administrator: {wanted} mode ordered.")


@pytest.mark.parametrize("generation", ["2012", "2016"])
@pytest.mark.parametrize("wanted", ["console", "station"])
def test_w27_in_that_mode_already_is_nothing_to_do(engine: Path, generation: str, wanted: str) -> None:
    host = Windows(engine, [ALICE], generation=generation, mode=WORD[wanted])
    answer = give(host, wanted)
    assert (answer.accepted, answer.before, answer.after) == (True, WORD[wanted], WORD[wanted])
    assert "already" in answer.text
    assert host.record == []
    assert host.events == []


@pytest.mark.parametrize("generation", ["2012", "2016"])
def test_w27_somebody_is_left_and_nothing_is_done(engine: Path, generation: str) -> None:
    host = Windows(engine, [ALICE, BOB], generation=generation)
    answer = give(host, "console", ALICE.stays())
    assert (answer.accepted, answer.left) == (False, (5,))
    assert host.record == []


@pytest.mark.parametrize("generation", ["2012", "2016"])
def test_w05_somebody_else_at_an_allowed_number_is_left(engine: Path, generation: str) -> None:
    host = Windows(engine, [BOB], generation=generation)
    host.later(1, [moved(ALICE, id=BOB.id)])
    answer = give(host, "console", BOB.stays())
    assert (answer.accepted, answer.left) == (False, (5,))
    assert host.record == []


@pytest.mark.parametrize("generation", ["2012", "2016"])
def test_w08_who_may_be_there_does_not_block_it(engine: Path, generation: str) -> None:
    host = Windows(engine, [ALICE, BOB], generation=generation)
    assert give(host, "console", ALICE.stays(), BOB.stays()).accepted


def test_w27_a_toggle_is_not_touched_where_the_mode_is_not_known(engine: Path) -> None:
    host = Windows(engine, [], generation="2012", mode="SomethingElse")
    with pytest.raises(RemoteError, match="only toggles; nothing was done"):
        give(host, "console")
    assert host.record == []


def test_w27_with_a_word_not_seen_before_2016_is_told_what_is_wanted(engine: Path) -> None:
    host = Windows(engine, [], generation="2016", mode="SomethingElse")
    answer = give(host, "station")
    assert (answer.before, answer.after) == ("SomethingElse", "Normal")


def test_w27_an_order_that_multipoint_refuses_is_an_error(engine: Path) -> None:
    host = Windows(engine, [], generation="2016", wms="throws")
    with pytest.raises(RemoteError, match="reported an error"):
        give(host, "console")


@pytest.mark.xdist_group("timing")
def test_w27_an_order_of_which_nothing_is_heard_is_an_error(engine: Path) -> None:
    host = Windows(engine, [], generation="2016", wms="hangs")
    with pytest.raises(RemoteError, match="no answer within 2 seconds"):
        give(host, "console", time_limit_s=2)


def test_without_multipoint_there_are_no_modes(engine: Path) -> None:
    with pytest.raises(CommandMissing, match="no MultiPoint"):
        give(Windows(engine, []), "console")


def test_w04_under_somebodys_lease_or_too_late_is_no_order(engine: Path) -> None:
    host = Windows(engine, [], generation="2016")
    with pytest.raises(RemoteError, match="meant to be done by"):
        give(host, "console", not_after="20200101000000.000000+000")
    host.put_lease(held("run-2"))
    with pytest.raises(RemoteError, match="leased to"):
        give(host, "console")
    assert host.record == []
