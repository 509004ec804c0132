"""The benchmark against others measures what it says: with two hosts, so that it is quick, and the others at hand."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from benchmarks.rivals.__main__ import GOALS, Run, Session, judge, ratio
from benchmarks.rivals.farm import Farm
from benchmarks.rivals.measure import Cost, measure


@pytest.mark.parametrize("tls", [False, True])
def test_each_host_is_asked_and_the_requests_are_counted(tmp_path: Path, *, tls: bool) -> None:
    with Farm(2, latency_s=0.001, tls=tls, folder=tmp_path) as farm:
        session = Session(farm, tmp_path)
        ours, theirs = session.run("mpsbridge"), session.run("pypsrp")
    assert ours.requests == 2 * 8, "7 and the Delete, for a whole look"
    assert theirs.requests == 2 * (8 if tls else 9)
    for run in (ours, theirs):
        assert run.cost.cpu_s > 0
        assert run.lab_cpu_s > 0
        assert run.cost.peak_mib > 10


def test_cpu_and_memory_of_children_count(tmp_path: Path) -> None:
    burn = "import time\nmany = b'x' * 60_000_000\nwhile time.process_time() < 0.7: pass"
    parent = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn!r}], check=True)"
    cost = measure([sys.executable, "-c", parent], environment=dict(os.environ), folder=tmp_path)
    assert cost.cpu_s >= 0.7
    assert cost.peak_mib > 57


def test_a_contestant_that_fails_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="swordfish"):
        measure([sys.executable, "-c", "raise SystemExit('swordfish')"], environment={}, folder=tmp_path)


def run(seconds: float) -> Run:
    return Run(Cost(wall_s=seconds, cpu_s=seconds, peak_mib=1, output=""), 0, 0)


def test_only_a_goal_that_was_reached_before_can_be_missed(capsys: pytest.CaptureFixture[str]) -> None:
    runs = {"mpsbridge": [run(2), run(9), run(2)], "pypsrp": [run(4), run(1), run(4)], "ansible": [run(4)]}
    assert ratio(runs, "pypsrp", "cpu_s", 256) == 0.5, "the median of the rounds"
    assert ratio(runs, "pypsrp", "cpu_s", 1) == 2, "of few hosts the least by the least"
    assert judge({name: runs[name] for name in ("mpsbridge", "pypsrp")}, hosts=256, tls=False)
    assert not judge(runs, hosts=256, tls=False), "half of Ansible's CPU is not a tenth of it"
    assert judge(runs, hosts=8, tls=False), "there is no goal for eight"
    assert not judge({"mpsbridge": [run(1.4)], "pywinrm": [run(1)]}, hosts=1, tls=False)
    assert judge({"mpsbridge": [run(1.1)], "pywinrm": [run(1)]}, hosts=1, tls=False)
    assert "MISSED" in capsys.readouterr().out
    assert {goal.tls for goal in GOALS} == {False, True}
