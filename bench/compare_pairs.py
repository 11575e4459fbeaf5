"""Pairs of samples whose true difference is known, and the verdicts of several methods on them."""

import math
import random
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from bench.accuracy_results import quantile
from probe.compare.comparison import Margins, result_differences
from probe.compare.difference import Verdict, evaluate, overall
from probe.compare.histograms import Counts, RecordedHistogram, RecordedSide, compare_histograms
from probe.compare.shares import MAX_PARTS
from probe.compare.side_results import SideResults
from probe.metrics.histogram import LATENCY_BUCKETS
from probe.result import Reason, Signal

SIGMA = 0.3
MEDIAN_SECONDS = 0.12
MARGINS = Margins(latency=0.05, bad_share=0.01)

# In a slow period, the latencies of a side are multiplied.
SLOW_FACTOR = 2.0

# Mean numbers of requests of a side in a slow period, and between two of them.
SLOW_REQUESTS, USUAL_REQUESTS = 50, 450


class SlowPeriods(StrEnum):
    """Periods in which requests are slow."""

    NONE = "none"
    SHARED = "shared"
    """Both sides have the same, for example because they share a network."""
    OWN = "own"
    """Each side has its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A kind of pairs. Times of B are `factor` times those of A, apart from chance."""

    name: str
    requests: int
    factor: float = 1.0
    bad_shares: tuple[float, float] = (0.0, 0.0)
    slow_periods: SlowPeriods = SlowPeriods.NONE


CASES = (
    Case(name="equal", requests=200),
    Case(name="equal", requests=500),
    Case(name="equal", requests=2000),
    Case(name="equal, 2 % failures", requests=500, bad_shares=(0.02, 0.02)),
    Case(name="equal, slow periods of both", requests=2000, slow_periods=SlowPeriods.SHARED),
    Case(name="equal, own slow periods", requests=2000, slow_periods=SlowPeriods.OWN),
    Case(name="10 % slower", requests=200, factor=1.1),
    Case(name="10 % slower", requests=500, factor=1.1),
    Case(name="10 % slower", requests=2000, factor=1.1),
    Case(name="twice as slow", requests=200, factor=2.0),
    Case(name="4 % failures instead of 0.5 %", requests=500, bad_shares=(0.005, 0.04)),
)


def make_pair(case: Case, seed: int) -> tuple[SideResults, SideResults]:
    """Return the samples of A and B. The same seed has the same samples."""
    rng = random.Random(f"{case} {seed}")
    periods = [list(_slow_periods(case.requests, rng)) for _ in range(2)]
    if case.slow_periods is SlowPeriods.SHARED:
        periods[1] = periods[0]
    elif case.slow_periods is SlowPeriods.NONE:
        periods = [[1.0] * case.requests] * 2
    a, b = (
        _sample(name, [factor * slow for slow in slow_factors], bad_share, rng)
        for name, factor, slow_factors, bad_share in zip(
            "AB", (1.0, case.factor), periods, case.bad_shares, strict=True
        )
    )
    return a, b


def _slow_periods(requests: int, rng: random.Random) -> Iterator[float]:
    """Yield the factor of each request."""
    slow = rng.random() < SLOW_REQUESTS / (SLOW_REQUESTS + USUAL_REQUESTS)
    for _ in range(requests):
        yield SLOW_FACTOR if slow else 1.0
        slow ^= rng.random() < 1 / (SLOW_REQUESTS if slow else USUAL_REQUESTS)


def _sample(name: str, factors: list[float], bad_share: float, rng: random.Random) -> SideResults:
    sample = SideResults(name=name, thresholds={}, requests=len(factors))
    for factor in factors:
        sample.is_bad.append(rng.random() < bad_share)
        if sample.is_bad[-1]:
            sample.bad_by_reason[Reason.HTTP_5XX] += 1
        else:
            latency = factor * rng.lognormvariate(math.log(MEDIAN_SECONDS), SIGMA)
            sample.times[Signal.LATENCY].append(latency)
    return sample


def compare(a: SideResults, b: SideResults) -> Verdict:
    """Return the verdict of `inference-probe compare`."""
    return overall(evaluate(result_differences(a, b, MARGINS)))


def compare_buckets(a: SideResults, b: SideResults) -> Verdict:
    """Return the verdict of `inference-probe compare` about the histograms of the daemon."""
    recorded = [_histogram(side) for side in (a, b)]
    return compare_histograms(*recorded, margins=MARGINS).verdict


def _histogram(side: SideResults) -> RecordedSide:
    """Return the requests as Prometheus records them, with failures that are evenly spread."""
    latencies = side.times[Signal.LATENCY]
    ends = [len(latencies) * number // MAX_PARTS for number in range(MAX_PARTS + 1)]
    failures = [side.bad * number // MAX_PARTS for number in range(MAX_PARTS + 1)]
    bounds = (*LATENCY_BUCKETS, math.inf)
    parts = []
    for number in range(MAX_PARTS):
        ordered = sorted(latencies[ends[number] : ends[number + 1]])
        parts.append(
            Counts(
                buckets={bound: bisect_right(ordered, bound) for bound in bounds},
                failures=failures[number + 1] - failures[number],
            )
        )
    return RecordedSide(
        name=side.name, histograms={Signal.LATENCY: RecordedHistogram(parts)}, thresholds={}
    )


def compare_p95(a: SideResults, b: SideResults) -> Verdict:
    """Return the verdict of two numbers: B is worse if its p95 is larger."""
    slower = quantile(b.times[Signal.LATENCY], 0.95) > quantile(a.times[Signal.LATENCY], 0.95)
    return Verdict.WORSE if slower else Verdict.BETTER


def compare_p95_and_failures(a: SideResults, b: SideResults) -> Verdict:
    """Return the verdict of a threshold: worse with 5 % more p95, or one point more failures."""
    ratio = quantile(b.times[Signal.LATENCY], 0.95) / quantile(a.times[Signal.LATENCY], 0.95)
    failures = b.bad / b.requests - a.bad / a.requests
    if ratio > 1 + MARGINS.latency or failures > MARGINS.bad_share:
        return Verdict.WORSE
    return Verdict.NO_DIFFERENCE


METHODS: dict[str, Callable[[SideResults, SideResults], Verdict]] = {
    "inference-probe": compare,
    "inference-probe, buckets": compare_buckets,
    "p95 of B > p95 of A": compare_p95,
    "p95 + 5 % or bad + 1 pp": compare_p95_and_failures,
}
