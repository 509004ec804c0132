"""Which tests run when. Three rings, each within the next::

    pytest tests/unit        pure, the inner loop
    pytest -n 2              before each commit: every kind of test, and of what is only repetition some cases
    pytest -n 2 --everything what CI and a release run

Rule: no test of a kind is left to the last ring alone but where it is a measurement, or says why it is there. Of a test
that is repeated for many cases in :data:`REPEATED` some cases run every day, spread over all of them, and always the
first and the last: the others try the same sentence on more hosts, moments or languages.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest


class Repeated(NamedTuple):
    """How many cases of each test in the files of that beginning run every day, and why no more."""

    files: str
    cases: int
    why: str


REPEATED = (
    Repeated("unit/test_expressions", 8, "every expression of the package, against texts that make one backtrack"),
    Repeated("process/test_killed", 5, "a process for every moment of a run: many differ by one look alone"),
    Repeated("process/test_faults_of_steps", 6, "every step spoilt in twelve ways, each a process of its own"),
    Repeated("process/test_four_reasons", 1, "each reason on three hosts, over the real engine"),
    Repeated("process/test_ends", 2, "every signal at every moment of six commands"),
    Repeated("process/test_hostile_hosts", 3, "seventeen lies, each beside two honest hosts"),
    Repeated("process/test_report_page", 1, "a browser for every width and colour scheme"),
    Repeated("process/test_one_process_a_run", 2, "the same lock, by every way to lose it"),
    Repeated("scripts/test_snippets_engine", 3, "the guard and the lease are one included text in every act"),
    Repeated("scripts/test_jea", 4, "the same functions in three roles"),
    Repeated("scripts/test_literals", 3, "each value on the real parser; the property tries thousands without it"),
    Repeated("scripts/test_injection", 1, "thousands of values on the real parser"),
    Repeated("lab/test_lab_alike", 2, "both engines on nineteen hosts"),
    Repeated(
        "lab/test_lab_powershell_people",
        1,
        "over real WinRM, on hosts of both generations",
    ),
    Repeated("lab/test_lab_powershell", 3, "the same make-believe programs for every kind of host"),
    Repeated("cli/test_every_option", 2, "every option of every command, setting and key of a plan"),
    Repeated("cli/test_cli_local", 3, "a real PowerShell for every call"),
    Repeated("cli/test_cli_jea", 2, "a real PowerShell for every call"),
    Repeated("cli/test_cli_fleet", 3, "every reading command on a cluster of its own"),
    Repeated("transports/test_credential_gate", 4, "first hosts that are silent in every way, waited for"),
    Repeated("transports/test_transports_rude", 4, "a server that breaks off at every byte"),
    Repeated("transports/test_kerberos", 3, "a ticket for every way and every failure"),
    Repeated("transports/test_signin_strength", 4, "every weakness that an impostor may offer"),
)


WORTH_IT = {"test_whatever_happens_in_whatever_order_the_promises_hold"}
"""Slow, and run every day: nothing else finds what the machine of random steps finds."""


def left_for_everything(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """The tests that an everyday run leaves out."""
    left = [item for item in items if item.get_closest_marker("everything") or _is_slow(item)]
    cases: defaultdict[tuple[str, str], list[pytest.Item]] = defaultdict(list)
    for item in items:
        cases[item.location[0], getattr(item, "originalname", item.name)].append(item)
    for (path, _), alike in cases.items():
        most = next((one.cases for one in REPEATED if f"tests/{one.files}" in path), len(alike))
        left += [item for place, item in enumerate(alike) if place not in _spread(len(alike), most)]
    return list(dict.fromkeys(left))


def shuffle(items: list[pytest.Item], *, seed: int) -> None:
    """Put the files, and the tests of each, into an order of chance: no test may live by what another left behind.

    The tests of a file stay together, because they may share what is costly to set up.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    files: defaultdict[Path, list[pytest.Item]] = defaultdict(list)
    for item in items:
        files[item.path].append(item)
    order = list(files.values())
    chance.shuffle(order)
    for tests in order:
        chance.shuffle(tests)
    items[:] = [item for tests in order for item in tests]


def _is_slow(item: pytest.Item) -> bool:
    return item.get_closest_marker("slow") is not None and getattr(item, "originalname", item.name) not in WORTH_IT


def _spread(count: int, most: int) -> set[int]:
    """So many places of ``count``, evenly spread, the first and the last among them."""
    if count <= most:
        return set(range(count))
    return {round(place * (count - 1) / max(1, most - 1)) for place in range(most)}
