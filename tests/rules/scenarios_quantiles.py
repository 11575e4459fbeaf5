"""Scenarios of the quantile recordings."""

from tests.rules.scenario import (
    MINUTE,
    Check,
    scenario,
)
from tests.rules.scripted_probe import REFUSED, Outcome, Probe, Script
from tests.rules.scripted_target import Target

BUCKETS = ("0.25", "0.5", "1.0", "2.5", "+Inf")
# Latencies (seconds) of the 60 requests of a minute: up to 80 %, 92 %, 97 % and 100 %.
LATENCY_COUNTS = {0.1: 48, 0.4: 7, 0.8: 3, 2: 2}
RESPONSES: Script = {
    0: tuple(
        Outcome(latency=latency, success=True)
        for latency, count in LATENCY_COUNTS.items()
        for _ in range(count)
    ),
    6 * MINUTE: (REFUSED,),
}
QUANTILES = ("0.5", "0.9", "0.95", "0.99")  # each in a different bucket


def in_ascending_buckets(metric: str, **labels: str) -> Check:
    """Check that the n-th quantile exceeds exactly n bucket bounds, counting from 0."""
    pairs = {"job": "inference-probe", "probe": "sentiment", **labels}
    text = ", ".join(f'{key}="{value}"' for key, value in pairs.items())
    recorded = f"inference_probe:{metric}_seconds:quantile5m"
    return Check(
        at=6 * MINUTE,
        expr=" + ".join(f"({recorded} > bool {bound})" for bound in BUCKETS[:-1]),
        samples={f'{{{text}, quantile="{quantile}"}}': n for n, quantile in enumerate(QUANTILES)},
    )


def absent(metric: str) -> Check:
    return Check(at=13 * MINUTE, expr=f"inference_probe:{metric}_seconds:quantile5m", samples={})


SCENARIOS = (
    scenario(
        "quantiles cover successes only, and are absent without successes",
        Target((Probe(script=RESPONSES, interval=1, buckets=BUCKETS, phases=("wait",)),)),
        checks=(
            in_ascending_buckets("latency"),
            in_ascending_buckets("phase", phase="wait"),
            absent("latency"),
            absent("phase"),
        ),
    ),
)
