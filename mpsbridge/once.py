"""Make a value once for all who need it, also for threads that ask for it at the same moment.

``functools.lru_cache`` alone lets every thread that comes before the first one is ready make the value again:
thirty-two threads that begin together would load the system's certificates thirty-two times.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def once(function: Callable[P, T]) -> Callable[P, T]:
    """Remember what the function returned for its last sixteen sets of (hashable) arguments; others wait meanwhile."""
    remembered = functools.lru_cache(maxsize=16)(function)
    making = threading.Lock()

    @functools.wraps(function)
    def ask(*args: P.args, **kwargs: P.kwargs) -> T:
        with making:
            return remembered(*args, **kwargs)  # type: ignore[arg-type]  # lru_cache asks for Hashable by name

    return ask
