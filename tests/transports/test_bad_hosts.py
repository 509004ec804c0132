"""Hosts that are silent, refuse, do not know the password or talk nonsense cost the others nothing."""

from __future__ import annotations

import functools
from collections import Counter
from typing import Any

import pytest
from pydantic import SecretStr
from support.lab_target import reach

from mpsbridge.fleet import Fleet
from mpsbridge.host import Host
from mpsbridge.lab import Lab, build_world
from mpsbridge.models.outcomes import Failed

BAD: dict[str, dict[str, Any]] = {
    "silent": {"faults": [{"step": "connect", "do": "hang"}]},
    "unreachable": {"down": True},
    "auth": {},
    "not-winrm": {"faults": [{"step": "create", "do": "garble"}]},
}
"""What is wrong with a host, by the kind of failure that it shall become (but for the silent ones)."""
EACH, GOOD = 3, 24


def names_in_order(where: str) -> list[str]:
    """Good and bad hosts, the bad ones first, last or spread among the others."""
    bad = [f"{kind}-{number}" for number in range(EACH) for kind in BAD]
    good = [f"good-{number}" for number in range(GOOD)]
    if where == "first":
        return bad + good
    if where == "last":
        return good + bad
    return [name for pair in zip(bad, good[::2], good[1::2], strict=True) for name in pair]


@pytest.mark.parametrize("where", ["first", "spread", "last"])
def test_bad_hosts_cost_the_others_nothing_and_each_has_its_own_kind_after_one_attempt(where: str) -> None:
    names = names_in_order(where)
    hosts = [{"name": name, **BAD.get(name.rpartition("-")[0], {})} for name in names]
    with Lab(build_world({"hosts": hosts})) as lab:
        wrong = SecretStr("not the password")
        targets = [reach(lab, name, password=wrong if name.startswith("auth") else lab.password) for name in names]
        with Fleet(targets, connect=functools.partial(Host, timeout_s=60.0), concurrency=4, keep=False) as fleet:
            stream = fleet.stream(Host.observe)
            told = [next(stream)[1] for _ in range(len(names) - EACH)]  # with four slots, of which three are silent
            fleet.cancel()
            silent = [outcome.host for _, outcome in stream]
    assert sorted(silent) == [f"silent-{number}" for number in range(EACH)]
    kinds = {outcome.host: outcome.failure.kind for outcome in told if isinstance(outcome, Failed)}
    with_wrong = [kinds.pop(f"auth-{number}") for number in range(EACH)]
    assert sorted(with_wrong) == ["auth", *["not-tried"] * (EACH - 1)]  # one host refuses for all that share it
    assert kinds == {name: name.rpartition("-")[0] for name in names if name.startswith(("unreachable", "not-winrm"))}
    attempts = Counter(record.host for record in lab.requests if record.step == "auth")
    assert sum(attempts[f"auth-{number}"] for number in range(EACH)) <= EACH + 1  # of the others the first leg at most
    assert list(lab.refused.values()) == [1]
