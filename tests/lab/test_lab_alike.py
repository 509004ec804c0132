"""The lab's two engines held against each other: equal answers and equal worlds, for every call on every kind of host.

What differs is a mistake in one of them: in the scripted engine, or in a script.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from conftest import PROFILE, examples, find_engine, missing
from hypothesis import given, settings
from hypothesis import strategies as st
from support.alike import PAST, calls, executed, guards_in, orders, scripted, state, world
from support.many_hosts import HOSTS, session

from mpsbridge.lab import Lab
from mpsbridge.lab.engines.powershell.engine import PowerShellEngine
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.regions import PATTERNS, WORDS
from mpsbridge.models.sessions import SessionGuard
from mpsbridge.snippets.catalogue import CATALOGUE

pytestmark = pytest.mark.engine


CROWD = {"name": "crowd", "sessions": [session(number, f"user{number}") for number in range(1, 501)]}
GENERATED = {"name": "generated"}
IN_THE_OTHER_DIALECT = ["de", "stations-2016", "lease-damaged"]
ORDERED = {
    "de",
    "es",
    "it",
    "pt",
    "ja",
    "nobody",
    "stations-2012",
    "stations-2016",
    "leased",
    "lease-damaged",
    "lease-planted",
    "folder-writable",
    "lacks",
}
"""Where orders about the whole host are tried, too: of MultiPoint, rights, logon mode and lease each kind is there."""
EVERYDAY = {
    *("de", "fr", "es", "it", "ja", "nobody-blind", "stations-2016", "protected-2016", "hung", "own", "leased"),
    *("lease-damaged", "folder-writable", "administrators-group", "administrators-rds", "lacks", "odd", "captured-ru"),
}
"""One host for each facet; the deep profile takes all of them. Whoever changes a template or an engine runs that."""
CASES = [("", host["name"]) for host in HOSTS if PROFILE == "deep" or host["name"] in EVERYDAY]
CASES += [("5.1", name) for name in IN_THE_OTHER_DIALECT]


@pytest.fixture(scope="module")
def labs() -> Iterator[Callable[[str], Lab]]:
    """Labs of real PowerShells with every host, by how their JSON is written ("5.1": as Windows PowerShell does)."""
    program = find_engine()
    if program is None:
        missing("a PowerShell engine (MPSBRIDGE_PWSH, PATH, or shared/pwsh)")
    with ExitStack() as stack:
        started: dict[str, Lab] = {}

        def start(dialect: str) -> Lab:
            if dialect not in started:
                with pytest.MonkeyPatch.context() as patched:
                    patched.setenv("PWSH_JSON", dialect)
                    lab = Lab(world(*HOSTS, CROWD, GENERATED), auth="basic", engine=PowerShellEngine(program))
                    started[dialect] = stack.enter_context(lab)
            return started[dialect]

        yield start


def held_together(lab: Lab, own: LabHost) -> None:
    guards = guards_in(own)
    ordered = orders(guards) if own.name in ORDERED else []
    if own.facts.rights != "admin":  # who may write a file is for this machine to say, and it lets them
        ordered = [order for order in ordered if order[0] != "lease"]
    asked = [*ordered, *calls(guards)]
    answers = executed(lab, own.name, asked)
    for number, ((snippet, expected), (_, answer)) in enumerate(zip(scripted(own, asked), answers, strict=True)):
        assert answer == expected, (number, snippet)
    with lab.world.changing() as hosts:
        assert state(hosts[own.name]) == state(own)


@pytest.mark.parametrize(("dialect", "name"), CASES)
def test_both_engines_answer_alike_and_leave_the_same_world(
    labs: Callable[[str], Lab], dialect: str, name: str
) -> None:
    held_together(labs(dialect), world(*HOSTS).hosts[name])


@pytest.mark.slow(reason="the script looks through all processes for each of five hundred sessions")
def test_five_hundred_sessions_are_seen_and_three_of_them_ended_alike(labs: Callable[[str], Lab]) -> None:
    own = world(CROWD).hosts["crowd"]
    held_together(labs(""), own)
    assert [each.id for each in own.rows()] == list(range(4, 501))


# Worlds that nobody thought of.

LETTERS = st.text("aäßéñçжд漢 .-_'&<1", min_size=1, max_size=24).filter(lambda name: name.strip(" >") == name)


@st.composite
def people(draw: st.DrawFn) -> list[dict[str, Any]]:
    numbers = draw(st.lists(st.integers(1, 65535), min_size=1, max_size=3, unique=True))
    return [
        session(
            number,
            draw(LETTERS),
            draw(st.integers(0, 11)),
            **draw(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "state": st.sampled_from(["active", "disconnected"]),
                        "idle_s": st.sampled_from([0, 61, 7210, 90_000, 10**7]),
                        "admin": st.booleans(),
                        "protected": st.booleans(),
                        "account": st.just("SCHOOL\\somebody"),
                        "linger_s": st.just(3600),
                    },
                )
            ),
        )
        for number in numbers
    ]


HOST = st.fixed_dictionaries(
    {"name": st.just("generated"), "sessions": people()},
    optional={
        "language": st.sampled_from(sorted(WORDS)),
        "oem": st.sampled_from([437, 850, 866, 932, 936, 65001]),
        "culture": st.sampled_from(sorted(PATTERNS)),
        "generation": st.sampled_from(["none", "2012", "2016"]),
        "rights": st.sampled_from(["admin", "admin", "rds", "user"]),
        "utc_offset_min": st.integers(-14 * 60, 14 * 60),
        "logon_mode": st.sampled_from(["enabled", "drain", "disabled"]),
        "caller_session": st.integers(0, 3),
    },
)


@pytest.mark.slow(reason="each make-believe host costs some seconds of PowerShell")
@settings(max_examples=examples(ci=4, deep=100))
@given(HOST)
def test_generated_hosts_are_the_same_to_both(labs: Callable[[str], Lab], raw: dict[str, Any]) -> None:
    lab, own = labs(""), world(raw).hosts["generated"]
    with lab.world.changing() as hosts:
        become(hosts["generated"], world(raw).hosts["generated"])
    held_together(lab, own)


def become(host: LabHost, other: LabHost) -> None:
    """Everything about a host but the world that it is in, where its files are kept, and what executes its tasks."""
    host.world.changes.clear()
    for name, value in vars(other).items():
        if name not in {"world", "files", "execute"}:
            setattr(host, name, value)
    for path in host.files:
        host.files.write(path, None)
    for path in other.files:
        host.files.write(path, other.files.read(path))


def test_no_snippet_goes_without_this_comparison() -> None:
    guards = [
        SessionGuard(id=n, born=PAST, user="alice", logon="1/1/2020 9:00 AM", state="Active") for n in range(2, 6)
    ]
    assert {name for name, _ in [*calls(guards), *orders(guards)]} == set(CATALOGUE)
