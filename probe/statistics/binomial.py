"""The binomial distribution of the number of bad ones among independent probes.

`bad_ratio` is the probability that a probe is bad.
"""

from math import exp, lgamma, log, log1p


def binomial_pmf(probes: int, count: int, bad_ratio: float) -> float:
    """Return P(Bin(probes, bad_ratio) = count) for 0 < `bad_ratio` < 1."""
    if not 0 <= count <= probes:
        return 0.0
    ways = lgamma(probes + 1) - lgamma(count + 1) - lgamma(probes - count + 1)
    return exp(ways + count * log(bad_ratio) + (probes - count) * log1p(-bad_ratio))


def binomial_sf(probes: int, count: int, bad_ratio: float) -> float:
    """Return P(Bin(probes, bad_ratio) >= count), summed from `count` away from the mean."""
    if count <= 0:
        return 1.0
    if bad_ratio <= 0:
        return 0.0
    if bad_ratio >= 1:
        return float(probes >= count)
    odds = bad_ratio / (1 - bad_ratio)
    if count > probes * bad_ratio:
        term = total = binomial_pmf(probes, count, bad_ratio)
        for bad in range(count, probes):
            term *= (probes - bad) / (bad + 1) * odds
            total += term
            if term <= total * 1e-15:
                break
        return min(1.0, total)
    term = total = binomial_pmf(probes, count - 1, bad_ratio)
    for bad in range(count - 1, 0, -1):
        term *= bad / (probes - bad + 1) / odds
        total += term
        if term <= total * 1e-15:
            break
    return max(0.0, 1.0 - total)
