"""The CPU budget of evaluating one response."""

import time
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")

# CPU time for evaluating one response. A simple pattern takes about 0.01 s for 1 MiB; on a host
# that gives a thread a tenth of a core it takes ten times as long.
MAX_CPU_SECONDS = 1.0


class CpuBudget:
    """CPU time that the evaluation of one response may take on the current thread.

    Wall time would depend on the load of the host.
    """

    def __init__(
        self,
        seconds: float = MAX_CPU_SECONDS,
        cpu_time: Callable[[], float] = time.thread_time,
        error: type[Exception] = TimeoutError,
        compiles_patterns: bool = True,
    ) -> None:
        """Set the error that the methods raise when the budget is exceeded.

        `compiles_patterns` is whether patterns of a response may be compiled, which no time limit
        interrupts.
        """
        self._cpu_time = cpu_time
        self._error = error
        self._compiles_patterns = compiles_patterns
        self._end = cpu_time() + seconds

    def remaining(self) -> float:
        """Return the remaining seconds, more than 0. Raises `error` when there are none."""
        remaining = self._end - self._cpu_time()
        if remaining <= 0:
            raise self._error
        return remaining

    def check_compilation(self) -> None:
        """Raise `error` if patterns of a response may not be compiled."""
        if not self._compiles_patterns:
            raise self._error

    def call(self, function: Callable[[float], _T]) -> _T:
        """Call `function` with the remaining seconds. A TimeoutError from it becomes `error`."""
        try:
            return function(self.remaining())
        except TimeoutError:
            raise self._error from None
