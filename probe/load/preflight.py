"""Single requests before a load test: whether the endpoint responds, and how fast."""

from collections.abc import Callable
from statistics import median

from probe.result import Result

# The first requests of an endpoint can be slow, so the median of several counts.
PREFLIGHT_REQUESTS = 5


class PreflightFailed(Exception):
    """A single request failed, so a load test is of no use. The message has the reason."""


def median_latency(run: Callable[[], Result]) -> float:
    """Return the median latency (seconds) of PREFLIGHT_REQUESTS requests, one after the other.

    Raises PreflightFailed for the first one that fails.
    """
    latencies = []
    for _ in range(PREFLIGHT_REQUESTS):
        result = run()
        if result.failure:
            raise PreflightFailed(
                "no load was sent, because a single request failed:"
                f" {result.failure.reason}, {result.failure.detail}"
            )
        latencies.append(result.latency)
    return median(latencies)
