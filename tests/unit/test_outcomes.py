"""How a call counts the hosts that have no value."""

from __future__ import annotations

import pytest

from mpsbridge.errors import ConnectionLost, MpsBridgeError, NotBegun, Stopped, Unreachable
from mpsbridge.models.outcomes import Failed, Failure
from mpsbridge.operations.outcomes import without_value


@pytest.mark.parametrize(
    ("error", "acts", "was_interrupted", "word"),
    [
        (ConnectionLost("reset"), True, False, "unknown"),
        (ConnectionLost("reset"), False, False, "failed"),
        (ConnectionLost("reset"), True, True, "interrupted"),
        (Stopped("stopped while logging off"), True, False, "stopped"),
        (Unreachable("no route"), True, False, "failed"),
        (NotBegun("too late"), True, False, "not begun"),
    ],
)
def test_a_lost_connection_is_not_an_interruption(
    error: MpsBridgeError, acts: bool, was_interrupted: bool, word: str
) -> None:
    failed = Failed(host="ts1", address="ts1", elapsed_s=1.0, failure=Failure.of(error))
    assert without_value([failed], acts=acts, was_interrupted=was_interrupted) == [f"1 host {word}"]
