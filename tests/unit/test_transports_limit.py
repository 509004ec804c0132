"""A limit that holds for whatever waits."""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError

import pytest
from support.fake_clock import FakeClock

from mpsbridge.clock import SystemClock
from mpsbridge.transports.limit import Limit


def test_nothing_is_left_before_it_starts_and_after_it_ends(fake_clock: FakeClock) -> None:
    limit = Limit(fake_clock)
    with pytest.raises(TimeoutError):
        limit.left()
    limit.start(10)
    assert limit.left() == 10
    assert limit.left(limit.moment(3)) == 3
    fake_clock.wait(10)
    with pytest.raises(TimeoutError):
        limit.left()


def test_a_shorter_limit_ends_with_its_block_and_never_lengthens(fake_clock: FakeClock) -> None:
    limit = Limit(fake_clock)
    limit.start(10)
    with limit.at_most(3):
        assert limit.left() == 3
    with limit.at_most(30):
        assert limit.left() == 10
    assert limit.left() == 10


def test_a_cancel_is_final(fake_clock: FakeClock) -> None:
    limit = Limit(fake_clock)
    limit.start(10)
    limit.cancel()
    with pytest.raises(ConnectionAbortedError):
        limit.left()
    limit.start(10)
    with pytest.raises(ConnectionAbortedError):
        limit.call(lambda: 1)


def test_a_call_gives_its_result_or_its_error() -> None:
    limit = Limit(SystemClock())
    limit.start(5)
    assert limit.call(lambda: 41 + 1) == 42
    with pytest.raises(ZeroDivisionError):
        limit.call(lambda: 1 // 0)


@pytest.mark.xdist_group("timing")
def test_a_call_that_never_returns_is_left_behind_in_time() -> None:
    limit = Limit(SystemClock())
    limit.start(0.2)
    never = threading.Event()
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        limit.call(lambda: never.wait(30))
    assert time.monotonic() - started < 1.2
    never.set()


def test_a_cancel_ends_a_call_in_another_thread() -> None:
    limit = Limit(SystemClock())
    limit.start(30)
    never, entered = threading.Event(), threading.Event()

    def hang() -> None:
        entered.set()
        never.wait(30)

    def cancel() -> None:
        entered.wait(5)
        limit.cancel()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    with pytest.raises(CancelledError):
        limit.call(hang)
    canceller.join()
    never.set()  # a result that nobody waits for any more is dropped without a word
