"""Leases that nobody of ours wrote: held, shown as damaged, and a person can release them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mpsbridge.ending.lease import Damaged, Lease, read_lease

GOOD: dict[str, Any] = {
    "schema": "mpsbridge-lease/1",
    "run": "r-1",
    "owner": "alice@box",
    "since": "20261125120000.000000+000",
    "expires": "20261125130000.000000+000",
}
ODD: list[dict[str, Any]] = [
    {"expires": "00000000000000.000000+000"},
    {"expires": "２０２６１１２５１３００００.000000+000"},
    {"expires": "20261325130000.000000+000"},
    {"since": "00000000000000.000000+000"},
    {"run": "../x"},
    {"run": ""},
    {"run": "r 1"},
    {"run": "r\u202e1"},
    {"run": "r-1\n"},
    {"run": "r" * 100},
    {"run": 5},
    {"owner": None},
    {"owner": "\ud800"},
    {"expires": 10**400},
    {"notices": [{"id": 2, "notice": "5m", "mark": "sending", "at": "00000000000000.000000+000"}]},
    {"notices": {}},
]


def test_a_sound_lease_is_read() -> None:
    assert isinstance(read_lease(json.dumps(GOOD)), Lease)


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_an_odd_lease_is_damaged_and_has_a_digest(odd: dict[str, Any]) -> None:
    lease = read_lease(json.dumps(GOOD | odd))
    assert isinstance(lease, Damaged)
    assert len(lease.digest) == 32
