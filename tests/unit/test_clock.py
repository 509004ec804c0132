"""The clock of a rehearsal: only waiting is shortened."""

from __future__ import annotations

import threading
import time

import pytest

from mpsbridge.clock import HastyClock


@pytest.mark.xdist_group("timing")
def test_a_wait_takes_a_fraction_and_counts_whole() -> None:
    clock, real = HastyClock(1000), time.monotonic()
    before, day = clock.monotonic(), clock.now()
    assert clock.wait(300) is False
    assert time.monotonic() - real < 2
    assert 300 <= clock.monotonic() - before < 302
    assert 300 <= (clock.now() - day).total_seconds() < 302


@pytest.mark.xdist_group("timing")
def test_work_takes_its_own_time() -> None:
    clock = HastyClock(1000)
    before, real = clock.monotonic(), time.monotonic()
    assert abs((clock.monotonic() - before) - (time.monotonic() - real)) < 0.5


@pytest.mark.xdist_group("timing")
def test_those_who_wait_together_do_not_lengthen_each_others_time() -> None:
    clock = HastyClock(500)
    before = clock.monotonic()
    waits = [threading.Thread(target=clock.wait, args=(100,)) for _ in range(20)]
    for each in waits:
        each.start()
    for each in waits:
        each.join()
    assert 100 <= clock.monotonic() - before < 400  # twenty waits of 100 s, one after the other, were 2,000


def test_a_stopped_wait_says_so_and_time_stands_where_it_was() -> None:
    clock, stop = HastyClock(1000), threading.Event()
    stop.set()
    before = clock.monotonic()
    assert clock.wait(3600, stop) is True
    assert clock.monotonic() - before < 60
