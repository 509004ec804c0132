"""Asking many hosts and telling what they answer: what all commands that only look have in common."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from mpsbridge.cli.call import Call
from mpsbridge.cli.leaving import INTERRUPTION
from mpsbridge.cli.listing import Answer, Layout, say_beside, stream, watched
from mpsbridge.clock import SystemClock
from mpsbridge.errors import InputError
from mpsbridge.models.outcomes import Done, Outcome
from mpsbridge.models.targets import Target
from mpsbridge.operations.looking import Cluster, Question, Reading, Sinks
from mpsbridge.settings import Output, Settings

V = TypeVar("V")
INTERRUPTED = "interrupted: no new hosts are started, {}; press Ctrl-C again to exit immediately"
SILENCE_S, MOST_S = 1.0, 5.0
"""A table begins where nothing has come for so long, or where the last piece of it is so old."""


def sinks(call: Call) -> Sinks:
    """Where an operation says what a person should know."""

    def interrupted(what: str) -> None:
        call.terminal.note(INTERRUPTED.format(what))

    return Sinks(call.terminal.note, call.terminal.warn, interrupted, functools.partial(watched, call))


def open_reading(call: Call, targets: Sequence[Target], *, watches: bool = False) -> Reading:
    """The hosts of a call that only reads, wherever it is told to.

    Those that it ``watches`` stay connected, here, and nothing is said of an interruption, which is how that ends.
    """
    told = sinks(call)
    return Reading(
        targets,
        call.clock,
        timeout_s=float(call.settings.timeout),
        concurrency=call.settings.concurrency,
        deadline_s=call.settings.deadline,
        keep=watches,
        cluster=_cluster(call.settings),
        sinks=replace(told, interrupted=Sinks.interrupted) if watches else told,
        is_told_to_stop=lambda: INTERRUPTION.came,
    )


def _cluster(settings: Settings) -> Cluster | None:
    if settings.executor is None:
        if settings.scheduler or settings.worker_password_variable:
            raise InputError("--scheduler and --worker-password-variable belong to --executor dask")
        return None
    if settings.scheduler is None:
        raise InputError(
            "--executor dask needs --scheduler ADDRESS",
            hint="For example tls://scheduler:8786, or local:4 for four processes here.",
        )
    return Cluster(settings.scheduler, settings.worker_password_variable)


def look(
    call: Call,
    targets: Sequence[Target],
    question: Question[V],
    layout: Layout[V],
    *,
    problems: Callable[[V], Sequence[str]] = lambda _: (),
    of_all: Callable[[Sequence[Outcome[V]]], str] = lambda _: "",
) -> int:
    """Ask all hosts once, and tell what they answer, and what is to be known ``of_all``; the exit code."""
    with open_reading(call, targets) as reading:
        answer = Answer(call, layout)
        outcomes = gather(call, reading, question, problems=problems, answer=answer)
        answer.finish(outcomes)
        if said := of_all(outcomes):
            call.terminal.note(said)
        return reading.verdict(outcomes).exit_code


def gather(
    call: Call,
    reading: Reading,
    question: Question[V],
    *,
    problems: Callable[[V], Sequence[str]] = lambda _: (),
    keep: bool = False,
    answer: Answer[V] | None = None,
) -> list[Outcome[V]]:
    """Ask all hosts; the outcomes in the order asked for.

    With ``--output jsonl`` each is printed as it comes, and what is ``done`` is not kept (unless ``keep``), so that
    memory does not grow with the hosts. ``answer`` tells people in pieces where hosts are silent. ``problems`` are what
    a host's answer says beside the answer itself. A call that only reads ends where nobody gets its answer any more.
    """
    streams = call.settings.output is Output.JSONL
    found: dict[int, Outcome[V]] = {}
    clock = SystemClock()
    came_s = told_s = clock.monotonic()
    for each in reading.answers(question):
        now_s = clock.monotonic()
        if each is not None:
            place, outcome = each
            stream(call, outcome)
            if keep or not streams or not isinstance(outcome, Done):
                found[place] = outcome
            if streams:
                say_beside(call, outcome, problems)
            came_s = now_s
        if answer is not None and (now_s - came_s >= SILENCE_S or now_s - told_s >= MOST_S):
            told_s = now_s
            answer.piece([found[place] for place in sorted(found)])
        if call.terminal.is_unread:
            reading.stop()
            break
    if not streams:
        for place in sorted(found):
            say_beside(call, found[place], problems)
    return [found[place] for place in sorted(found)]
