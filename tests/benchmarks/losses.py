"""How many runs end right where the network loses one answer in so many.

    python -m tests.benchmarks.losses [SEED [RUNS [ONE_IN]]]

Each run is ``end --all --then restart`` with notices 15, 5 and 1 minutes before the end, planned and carried out by the
library against a host of its own in the lab, with real WinRM over the loopback and a clock that hurries. A request is
lost when the connection is closed in its stead, or after the host has done what it asks: half of them each.

A run ends *right* where both users were logged off once, the host restarted once and is back, and nothing is left
there. It is *known* where it says how far it came, *unknown* where it says that it does not know; either way logons may
not stay closed. Fails where a run says what is not so, acts twice, or keeps logons closed, and where one does not end
right though no look was lost three times.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpsbridge import End, Journal, Policy, Selector, Workplace, find_targets
from mpsbridge.clock import HastyClock
from mpsbridge.lab.engines.scripted.failsafe import FAILSAFE_TASK
from mpsbridge.lab.engines.scripted.lease import lease_of
from mpsbridge.lab.server import Lab
from mpsbridge.lab.wire.faults import Fault
from mpsbridge.lab.worldfile import build_world
from mpsbridge.models.outcomes import Done, Failed
from mpsbridge.models.sessions import Result
from mpsbridge.models.then import Then
from mpsbridge.procedure.looks import LOOKS
from mpsbridge.runs.events import Happening, LookRepeated, Phase, StepAnswered, StepUnanswered

HURRY = 4000.0
AT_A_TIME = 8
THRICE = "look, three times"
HOST: dict[str, Any] = {
    "name": "alpha",
    "restart_s": 60,
    "sessions": [
        {"id": 2, "user": "alice", "session_name": "rdp-tcp#1", "logon": "2h"},
        {"id": 3, "user": "bob", "session_name": "rdp-tcp#2", "logon": "1h"},
    ],
}
ENDING = End(
    policy=Policy(selector=Selector(everyone=True), then=Then.RESTART, warn_s=(900, 300, 60), reason="updates")
)


@dataclass
class Losses(Fault):
    """A rule of the lab that strikes at random; ``lost`` is how often it has."""

    chance: float = 0.0
    rng: random.Random = field(default_factory=random.Random)
    asked: int = 0
    lost: int = 0

    def strikes(self, step: str, call: str | None) -> bool:  # noqa: ARG002 - any request
        """Whether this request is lost; signing in and connecting count as requests, too."""
        self.asked += 1
        if self.rng.random() >= self.chance:
            return False
        self.acted = step not in {"connect", "auth"} and self.rng.random() < 0.5
        self.lost += 1
        return True


@dataclass(frozen=True)
class Run:
    """What came of one."""

    verdict: str
    problem: str
    lost: int
    asked: int
    repeated: int
    acts: tuple[str, ...]
    """What explains that a run did not go on: steps without an answer, or a look that was lost each time."""


def one_run(number: int, chance: float, rng: random.Random, folder: Path) -> Run:
    """One host, one run."""
    clock = HastyClock(HURRY)
    world = build_world({"hosts": [HOST]}, clock)
    with Lab(world, auth="ntlm", clock=clock) as lab, Journal(folder / f"{number}.sqlite", clock=clock) as journal:
        losses = Losses("any", "close", chance=chance, rng=rng)
        world.hosts["alpha"].faults = (losses,)
        (found,) = find_targets("alpha", inventory=str(lab.inventory), password=lab.password)
        with Workplace([found], journal, clock=clock) as work:
            plan = work.plan(ENDING)
            (outcome,) = work.carry_out(plan).outcomes
            told = [one.what for one in journal.entries(plan.run)] if journal.runs() else []
        world.hosts["alpha"].faults = ()
        clock.wait(7200)  # what could not be given back, the failsafe does
        with world.changing() as hosts:
            host = hosts["alpha"]
            left = (lease_of(host), host.tasks.get(FAILSAFE_TASK), host.logon_mode)
        done = Counter((change.act, change.user) for change in lab.changes if change.act in {"logoff", "restart"})
    verdict, problem = _judge(outcome, done, left)
    repeated = sum(isinstance(one, LookRepeated) for one in told)
    failed = [one for one in told if isinstance(one, StepUnanswered) or (isinstance(one, StepAnswered) and one.error)]
    out = [THRICE] if verdict in {"known", "unknown"} and _was_lost_thrice(told) else []
    return Run(verdict, problem, losses.lost, losses.asked, repeated, (*(one.step.value for one in failed), *out))


def _was_lost_thrice(told: Sequence[Happening]) -> bool:
    """Whether the last look that was taken for the third time was lost, too, so that the host is given back."""
    thrice = [place for place, one in enumerate(told) if isinstance(one, LookRepeated) and one.look == LOOKS]
    return bool(thrice) and _is_given_back(told[thrice[-1] + 1 :])


def _is_given_back(told: Sequence[Happening]) -> bool:
    """Whether the next that happened belongs to giving back."""
    return bool(told) and told[0].phase is Phase.RESTORE


def _judge(outcome: Any, done: Counter[tuple[str, str | None]], left: tuple[Any, ...]) -> tuple[str, str]:
    wanted = Counter({("logoff", "alice"): 1, ("logoff", "bob"): 1, ("restart", None): 1})
    if any(count > 1 for count in done.values()):
        return "wrong", f"done twice: {done}"
    if left[2] != "enabled":
        return "wrong", f"logons are left {left[2]}"
    if isinstance(outcome, Done):
        ended = {one.session.user for one in outcome.value.sessions if one.result in {Result.ENDED, Result.GONE}}
        if outcome.value.outcome != "back" or ended != {"alice", "bob"} or done != wanted:
            return "wrong", f"said to be {outcome.value.outcome}, and was {done}"
        return ("right", "") if left[0] is None else ("right, lease left to run out", "")
    assert isinstance(outcome, Failed), outcome
    return "unknown" if outcome.failure.may_have_run else "known", outcome.failure.message


def main() -> int:
    """Print what came of the runs; 1 where one was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seed", nargs="?", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("runs", nargs="?", type=int, default=200)
    parser.add_argument("one_in", nargs="?", type=int, default=200)
    given = parser.parse_args()
    sys.stdout.write(f"seed {given.seed}: {given.runs} runs, one request in {given.one_in} lost\n")
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_A_TIME) as pool:

        def run(number: int) -> Run:
            rng = random.Random(given.seed * 1_000_003 + number)  # noqa: S311 - chance, and no secret
            return one_run(number, 1 / given.one_in, rng, Path(folder))

        runs = list(pool.map(run, range(given.runs)))
    asked, lost, repeated = (sum(getattr(run, name) for run in runs) for name in ("asked", "lost", "repeated"))
    struck = sum(run.lost > 0 for run in runs)
    sys.stdout.write(f"{asked} requests, {lost} lost in {struck} runs, {repeated} looks repeated\n")
    for (verdict, acts), count in Counter((run.verdict, run.acts) for run in runs).most_common():
        sys.stdout.write(f"{count:5} {verdict}{f', no answer to {chr(44).join(acts)}' if acts else ''}\n")
    bad = [
        run
        for run in runs
        if run.verdict == "wrong" or (run.verdict in {"known", "unknown"} and THRICE not in run.acts)
    ]
    for one in bad:
        sys.stdout.write(f"  {one.verdict}: {one.problem}\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
