"""Leases that somebody or something spoilt: each counts as held, is shown as such beside the others, and can go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.console import Command
from support.reserved import lease_of, leased, put_lease, weak_folder
from support.snippet_calls import held, mode, swap
from support.windows import Windows

from mpsbridge.cli.terminal import Terminal
from mpsbridge.errors import RemoteError
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.sessions import LogonMode, from_cim
from mpsbridge.planning.lease import Damaged, Lease, expected_of, holder, read_lease
from mpsbridge.snippets.lease import WriteLease
from mpsbridge.snippets.logons import SetLogonMode
from mpsbridge.snippets.observe import Look

LONG = "x" * 250_001
SPOILT: dict[str, str] = {
    "an end of zeros": held(expires="00000000000000.000000+000"),
    "an end in full-width digits": held(expires="\uff12\uff10\uff12\uff16\uff11\uff11\uff12\uff15080000.000000+000"),
    "the 31st of February": held(expires="20260231080000.000000+000"),
    "an end that is a number": held(expires=10**400),
    "an end that is a list": held(expires=[[]]),
    "an end with a line end": held(expires="20261125080000.000000+000\n"),
    "a beginning of nines": held(since="99999999999999.999999+000"),
    "a run with a blank": held("run 1"),
    "a run that is code": held("'; Restart-Computer; '"),
    "a run in bidi": held("run\u202e1"),
    "a run of a thousand letters": held("r" * 1000),
    "an empty run": held(""),
    "a run that is a number": held().replace('"run-1"', "1e999"),
    "an owner that is null": held(owner=None),
    "a half of a surrogate pair": held(owner="\ud800"),
    "notices that are a text": held(notices="none"),
    "a mark of no notice": held(notices=[{"id": 2}]),
    "a mark at no time": held(notices=[{"id": 2, "notice": "5m", "mark": "sending", "at": "0" * 14 + ".000000+000"}]),
    "a run with a line end": held("r-1\n"),
    "a run that is a path": held("../x"),
    "another version": held(schema="mpsbridge-lease/9"),
    "no JSON": "damaged",
    "a deep list": "[" * 100_000,
    "zero bytes": "\0\0\0",
    "an empty file": "",
    "marks of control": "\x1b]0;x\x07\u202e##vso[x]",
    "half": held()[:40],
    "longer than any that is written": LONG,
}
TOO_LONG = "x" * 262_145
"""What no script reads: it is held by nobody who could be named, and can be released."""


@pytest.mark.parametrize("text", SPOILT.values(), ids=list(SPOILT))
def test_w22_what_is_spoilt_is_damaged_and_nothing_else(text: str) -> None:
    lease = read_lease(text)
    assert isinstance(lease, Damaged)
    assert (lease.digest is None) == (text == "")
    assert len(holder(lease)) < 100


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=20),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
TIMES = st.from_regex(r"\A\d{14}\.\d{6}\+000\Z") | st.from_regex(r"\A[0-9]{14}\.[0-9]{6}\+000\Z") | ODD
FIELDS = dict.fromkeys(("schema", "run", "owner", "reason", "found", "set", "ending", "notices"), ODD)


@given(st.fixed_dictionaries({}, optional=FIELDS | {"since": TIMES, "expires": TIMES}), st.integers(0, 400))
def test_w22_whatever_the_file_says_it_is_a_lease_that_can_be_used_or_damaged(odd: dict[str, Any], cut: int) -> None:
    now = from_cim("20261125080000.000000+000")
    for text in (json.dumps({**json.loads(held()), **odd}), json.dumps(odd), held(**odd)[:cut], str(odd)):
        lease = read_lease(text)
        assert isinstance(lease, Lease | Damaged)
        assert len(holder(lease)) < 2000
        if isinstance(lease, Lease):
            assert lease.is_over(now) in {True, False}
            for moment in filter(None, (lease.since, lease.expires)):
                assert from_cim(moment).tzinfo is not None
            assert isinstance(read_lease(lease.text()), Lease)


TEXTS = [text for text in SPOILT.values() if text]  # a world has no lease that is empty
HOSTS: list[dict[str, Any]] = [
    *({"name": f"h{number}", "sessions": [], **leased(text)} for number, text in enumerate(TEXTS)),
    {"name": "sound", "sessions": [], **leased(held(run=None, expires=None, reason="exam", owner="alice"))},
    {"name": "free", "sessions": []},
    {"name": "long", "sessions": [], **leased(TOO_LONG)},
    {"name": "weak", "sessions": [], **leased(held()), **weak_folder()},
    {"name": "closed", "sessions": [], **leased("damaged"), "logon_mode": "drain"},
]


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with Lab(build_world({"hosts": HOSTS})) as running:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(running.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", running.password)
        yield running


@pytest.mark.usefixtures("lab")
def test_one_spoilt_lease_hides_no_other(mpsbridge: Command) -> None:
    for form in ("table", "csv", "json"):
        shown = mpsbridge("leases", "all", "-o", form)
        assert shown.code == 0, shown.err
    outcomes = {each["host"]: each for each in shown.document["outcomes"]}
    assert {each["status"] for each in outcomes.values()} == {"done"}
    assert outcomes["sound"]["value"]["owner"] == "alice"
    assert [outcomes[f"h{number}"]["value"]["readable"] for number in range(len(TEXTS))] == [False] * len(TEXTS)


@pytest.mark.usefixtures("lab")
def test_the_question_about_many_hosts_counts_those_that_it_does_not_name(mpsbridge: Command) -> None:
    hosts = [f"h{number}" for number in range(len(TEXTS))]
    asked = mpsbridge("release", *hosts)
    assert asked.code == 3
    assert "h7, held by a lease that cannot be read" in asked.err
    assert f" and {len(hosts) - 8} more?" in asked.err


def test_spoilt_leases_are_released_by_their_digest(lab: Lab, mpsbridge: Command) -> None:
    hosts = ["long", *(f"h{number}" for number in range(len(TEXTS)))]
    assert mpsbridge("leases", "long", "-o", "json").outcome("long")["value"]["digest"] is None
    asked = mpsbridge("release", hosts[1])
    assert asked.code == 3
    digest = mpsbridge("leases", hosts[1], "-o", "json").outcome(hosts[1])["value"]["digest"]
    assert len(digest) == 64
    assert f"{hosts[1]}, held by a lease that cannot be read, digest {digest[:16]}" in asked.err
    assert mpsbridge("release", *hosts, "--yes").code == 0
    with lab.world.changing() as there:
        assert [lease_of(there[host]) for host in hosts] == [None] * len(hosts)


def test_a_lease_that_changed_since_the_question_is_left(
    lab: Lab, mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:

    def meanwhile(*_words: object, **_more: object) -> None:
        with lab.world.changing() as there:
            put_lease(there["closed"], "damaged otherwise")
            put_lease(there["sound"], held("another"))

    monkeypatch.setattr(Terminal, "confirm", meanwhile)
    released = mpsbridge("release", "closed", "sound", "-o", "json")
    assert released.code == 1
    assert [each["failure"]["message"] for each in released.document["outcomes"]] == [
        "the lease has changed since and was left, so the host is still held"
    ] * 2
    with lab.world.changing() as there:
        assert lease_of(there["closed"]) == "damaged otherwise"


@pytest.mark.usefixtures("lab")
def test_what_a_damaged_lease_could_not_say_is_said(mpsbridge: Command) -> None:
    released = mpsbridge("release", "closed", "--yes", "-o", "json").outcome("closed")["value"]
    assert released["text"] == ("released; logons are drain: the lease did not say how they were, so they were left")


@pytest.mark.usefixtures("lab")
def test_a_weak_lease_folder_says_what_to_type(mpsbridge: Command) -> None:
    planned = mpsbridge("end", "weak", "--all", "--no-warning", "--then", "restart", "--yes")
    assert "--take-over" not in planned.err + planned.out
    assert "'mpsbridge release weak' says what to do there" in planned.err
    acted = mpsbridge("logons", "weak", "--set", "drain", "--yes")
    assert (acted.code, "'mpsbridge release weak' says what to do there" in acted.err) == (3, True)
    released = mpsbridge("release", "weak", "--yes")
    assert released.code == 1
    assert 'rmdir /s /q "%ProgramFiles%\\mpsbridge"' in released.err


@pytest.mark.engine
def test_w22_spoilt_leases_are_read_and_removed_by_the_real_scripts(engine: Path) -> None:
    host = Windows(engine, [])
    path = host.lease_file
    path.parent.mkdir(parents=True)
    names = ("an end of zeros", "a run in bidi", "zero bytes", "marks of control", "longer than any that is written")
    contents = [*(SPOILT[name].encode() for name in names), b"\xff\xfe\x00", b"\xef\xbb\xbf{\xed\xa0\x80"]
    for content in contents:
        path.write_bytes(content)
        seen = Look.read(host.run(Look().render())).lease
        assert isinstance(read_lease(seen), Damaged), content[:40]
        assert not WriteLease.read(host.run(swap(None, expected_of(f"{seen}x")).render())).changed
        answer = WriteLease.read(host.run(swap(None, expected_of(seen)).render()))
        assert (answer.changed, answer.lease, path.exists()) == (True, None, False), content[:40]


@pytest.mark.engine
def test_w22_an_end_that_is_no_time_is_not_over(engine: Path) -> None:
    host = Windows(engine, [])
    path = host.lease_file
    path.parent.mkdir(parents=True)
    for end in ("00000000000000.000000+000", "20269925080000.000000+000", "20261125990000.000000+000"):
        path.write_text(held("run-2", expires=end))
        with pytest.raises(RemoteError, match="leased to"):
            SetLogonMode.read(host.run(mode(LogonMode.DRAIN, None).render()))
