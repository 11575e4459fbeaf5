"""Evidence that more probes are bad than the budget allows, as the rules compute it."""

from functools import lru_cache
from math import floor, log

from probe.slo.alerts import EVALUATION_INTERVAL_SECONDS


def divergence(bad_ratio: float, budget: float) -> float:
    """Return the relative entropy KL(bad_ratio || budget) of two Bernoulli distributions, in nats.

    Kullback and Leibler, "On Information and Sufficiency", 1951.
    """
    bad = bad_ratio * log(bad_ratio / budget) if bad_ratio else 0.0
    good = (1 - bad_ratio) * log((1 - bad_ratio) / (1 - budget)) if bad_ratio < 1 else 0.0
    return bad + good


def evidence(bad: float, probes: float, budget: float) -> float:
    """Return the evidence of `bad` bad ones of `probes` against a bad ratio within `budget`.

    In powers of ten: by Chernoff's bound a model that keeps its objective shows as much at most
    once in 10**evidence independent windows, P(Bin(n, b) >= k) <= exp(-n KL(k/n || b)).
    Chernoff, "A Measure of Asymptotic Efficiency", 1952; Hoeffding, 1963, theorem 1.
    Zero if the bad ratio is within the budget.
    """
    if bad <= budget * probes:
        return 0.0
    return probes * divergence(bad / probes, budget) / log(10)


def probes_in(window: float, interval: float) -> int:
    """Return how many probes Prometheus sees in `window` (seconds), from first to last sample."""
    return max(1, round((window - EVALUATION_INTERVAL_SECONDS) / interval))


def min_bad_above(probes: int, ratio: float) -> int:
    """Return the smallest number of bad ones of `probes` that is above the bad `ratio`.

    It is `probes + 1` if no number is.
    """
    return min(probes, floor(ratio * probes + 1e-9)) + 1


def min_bad_probes(window: float, interval: float, budget: float, level: float) -> int | None:
    """Return how many probes of a window must be bad for evidence of `level`.

    None if all of them are not enough.
    """
    return min_bad_of(probes_in(window, interval), window, budget, level)


# Many probes of a config have the same interval and objective.
@lru_cache(maxsize=1024)
def min_bad_of(probes: int, window: float, budget: float, level: float) -> int | None:
    """Return how many of `probes` in a window must be bad for evidence of `level`, or None.

    `increase` extrapolates good and bad counts from the samples to the whole window.
    """
    extrapolation = window / (window - EVALUATION_INTERVAL_SECONDS)
    low, high = 1, probes + 1
    while low < high:
        middle = (low + high) // 2
        if extrapolation * evidence(middle, probes, budget) > level:
            high = middle
        else:
            low = middle + 1
    return low if low <= probes else None


def longest_interval(window: float, bad_ratio: float, budget: float, level: float) -> float:
    """Return the longest interval (seconds) at which `window` can show evidence of `level`."""
    gain = divergence(bad_ratio, budget) / log(10)
    return (window - EVALUATION_INTERVAL_SECONDS) * gain / level if bad_ratio > budget else 0.0
