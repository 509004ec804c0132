"""A value that several threads need at once is made once."""

from __future__ import annotations

import threading

import pytest

from mpsbridge.once import once


def test_threads_that_ask_at_the_same_moment_share_one_value() -> None:
    made: list[int] = []
    together = threading.Barrier(8, timeout=5)

    @once
    def value(key: int) -> object:
        made.append(key)
        threading.Event().wait(0.05)  # long enough for every other thread to come in meanwhile
        return object()

    got: list[object] = []

    def ask() -> None:
        together.wait()
        got.append(value(1))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]
    assert len(set(map(id, got))) == 1
    assert value(2) is not got[0]


def test_a_failure_is_not_remembered() -> None:
    asked: list[int] = []

    @once
    def value(key: int) -> int:
        asked.append(key)
        if len(asked) == 1:
            raise OSError("not now")
        return key

    with pytest.raises(OSError, match="not now"):
        value(1)
    assert value(1) == 1
