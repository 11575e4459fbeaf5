"""Single requests, one after the other: before a load test, and between its steps."""

import time
from collections.abc import Callable, Sequence
from statistics import median

from probe.load.objective import LoadObjective
from probe.result import Result

# The first requests of an endpoint can be slow, so the median of several counts.
PREFLIGHT_REQUESTS = 5

# After an overload, a server may still process requests whose clients have given up. It has
# recovered when a request takes at most this multiple of the usual latency.
MAX_RECOVERED_LATENCIES = 2.0

# The load test continues after this time, recovered or not.
MAX_RECOVERY_SECONDS = 30.0

RETRY_INTERVAL_SECONDS = 0.2


class PreflightFailed(Exception):
    """The responses to single requests show that a load test is of no use. The message says why."""


def measure_latency(
    run: Callable[[], Result], objectives: Sequence[LoadObjective], *, needs_tokens: bool
) -> float:
    """Return the median latency (seconds) of PREFLIGHT_REQUESTS requests.

    Raises PreflightFailed for the first one that fails, if no response has a time that one of
    `objectives` is about, and if none reports the tokens that a limit needs.
    """
    results = []
    for _ in range(PREFLIGHT_REQUESTS):
        result = run()
        if result.failure:
            raise PreflightFailed(
                "no load was sent, because a single request failed:"
                f" {result.failure.reason}, {result.failure.detail}"
            )
        results.append(result)
    for objective in objectives:
        if all(objective.is_good(result, 0.0) is None for result in results):
            raise PreflightFailed(
                f"no load was sent, because no response has a {objective.signal.words}, which"
                f" {objective.text} needs; `inference-probe once` shows the times of a stream"
            )
    if needs_tokens and not any(result.reported_tokens.output for result in results):
        raise PreflightFailed(
            "no load was sent, because no response reports its tokens, and --max-tokens would have"
            " no effect; write --max-requests instead"
        )
    return median(result.latency for result in results)


def wait_for_recovery(run: Callable[[], Result], latency_seconds: float) -> None:
    """Send requests until one succeeds in about `latency_seconds`, the usual latency."""
    deadline = time.monotonic() + MAX_RECOVERY_SECONDS
    while time.monotonic() < deadline:
        result = run()
        if not result.failure and result.latency <= MAX_RECOVERED_LATENCIES * latency_seconds:
            return
        time.sleep(RETRY_INTERVAL_SECONDS)
