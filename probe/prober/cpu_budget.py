"""How long an answer may keep its judges busy: who waits for it is not the only probe."""

import time
from collections.abc import Callable

MAX_CPU_SECONDS = 1.0
"""Seconds of CPU time for all that is expected of one answer. A pattern without traps takes some
0.01 s for 1 MiB; on a machine so busy that a thread has a tenth of a core, ten times that.
"""


class CpuBudget:
    """CPU time of the thread that asks: what else the machine does is not the answer's fault."""

    def __init__(
        self, seconds: float = MAX_CPU_SECONDS, spent: Callable[[], float] = time.thread_time
    ) -> None:
        self._spent = spent
        self._end = spent() + seconds

    def left(self) -> float:
        """Seconds, more than none; raises TimeoutError."""
        left = self._end - self._spent()
        if left <= 0:
            raise TimeoutError
        return left
