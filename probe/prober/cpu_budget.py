"""The CPU budget of evaluating one response, and JSON queries within it."""

import time
from collections.abc import Callable
from typing import Any

# CPU time for evaluating one response. A simple pattern takes about 0.01 s for 1 MiB; on a host
# that gives a thread a tenth of a core it takes ten times as long.
MAX_CPU_SECONDS = 1.0


class CpuBudget:
    """CPU time that the evaluation of one response may take on the current thread.

    Wall time would depend on the load of the host.
    """

    def __init__(
        self, seconds: float = MAX_CPU_SECONDS, cpu_time: Callable[[], float] = time.thread_time
    ) -> None:
        self._cpu_time = cpu_time
        self._end = cpu_time() + seconds

    def remaining(self) -> float:
        """Return the remaining seconds, more than 0. Raises TimeoutError when there are none."""
        remaining = self._end - self._cpu_time()
        if remaining <= 0:
            raise TimeoutError
        return remaining


# Finds values in JSON. Raises TimeoutError, and RecursionError for deeply nested JSON.
JsonQuery = Callable[[Any, CpuBudget], list[Any]]


def compile_query(path: str) -> JsonQuery:
    """Return a function that finds the values at a JSONPath (RFC 9535)."""
    # Imported here to save memory: few probes need it.
    from probe.prober.jsonpath import compile_jsonpath  # noqa: PLC0415

    return compile_jsonpath(path)
