"""A person does not wait for --version or --help; medians, with room for a busy machine."""

from __future__ import annotations

import pytest
from benchmarks.startup import median_s


@pytest.mark.everything(reason="a measurement")
@pytest.mark.xdist_group("timing")
def test_version_and_help_are_there_at_once() -> None:
    bare = median_s("-c", "pass")
    assert median_s("-m", "mpsbridge", "--version") - bare < 0.060
    assert median_s("-m", "mpsbridge", "--help") < 0.400 * 2
