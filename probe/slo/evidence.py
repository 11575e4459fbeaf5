"""Evidence that more than the budget is bad, and how much of it a window can hold."""

from math import inf, log

from probe.slo.alerts import BUDGET_PERIOD_SECONDS, EVALUATION_INTERVAL_SECONDS


def divergence(share: float, budget: float) -> float:
    """Relative entropy of two coin tosses, in nats: KL(share || budget).

    Kullback and Leibler, "On Information and Sufficiency", 1951.
    """
    bad = share * log(share / budget) if share else 0.0
    good = (1 - share) * log((1 - share) / (1 - budget)) if share < 1 else 0.0
    return bad + good


def evidence(bad: float, probes: float, budget: float) -> float:
    """Powers of ten by which `bad` of `probes` speak against a bad share of at most `budget`.

    By Chernoff's bound a model that keeps its objective shows as much in at most one of
    10**evidence looks at as many independent probes: P(Bin(n, b) >= k) <= exp(-n KL(k/n || b)).
    Chernoff, "A Measure of Asymptotic Efficiency", 1952; Hoeffding, 1963, theorem 1. Zero where no
    more is bad than may be.
    """
    if bad <= budget * probes:
        return 0.0
    return probes * divergence(bad / probes, budget) / log(10)


def probes_in(window: float, interval: float) -> int:
    """Probes that Prometheus sees in a window: between its first and its last sample."""
    return max(1, round((window - EVALUATION_INTERVAL_SECONDS) / interval))


def min_bad_probes(window: float, interval: float, budget: float, level: float) -> int | None:
    """The fewest bad probes of a window that are evidence of `level`; None if all are not enough.

    `increase` extrapolates from the samples to the whole of the window, good and bad alike.
    """
    return min_bad_of(probes_in(window, interval), window, budget, level)


def min_bad_of(probes: int, window: float, budget: float, level: float) -> int | None:
    """The same, of so many probes in the window."""
    stretch = window / (window - EVALUATION_INTERVAL_SECONDS)
    low, high = 1, probes + 1
    while low < high:
        middle = (low + high) // 2
        if stretch * evidence(middle, probes, budget) > level:
            high = middle
        else:
            low = middle + 1
    return low if low <= probes else None


def longest_interval(window: float, share: float, budget: float, level: float) -> float:
    """The interval, in seconds, from which on a bad share of `share` is too rare for `window`."""
    gain = divergence(share, budget) / log(10)
    return (window - EVALUATION_INTERVAL_SECONDS) * gain / level if share > budget else 0.0


def lorden_bound(share: float, budget: float, interval: float, false_pages: float = 0.1) -> float:
    """Seconds that any rule needs on average to find a bad share, given its false pages in 30 days.

    interval * ln(probes between false pages) / KL(share || budget): Lorden, "Procedures for
    Reacting to a Change in Distribution", 1971, theorem 3.
    """
    if share <= budget:
        return inf
    return (
        interval * log(BUDGET_PERIOD_SECONDS / interval / false_pages) / divergence(share, budget)
    )
