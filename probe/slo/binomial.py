"""The number of bad probes in a moving window: how often it reaches a count, and when first."""

from math import exp, inf, lgamma, log, log1p

HALF = 0.5 + 1e-9
"""Even coins meet 0.5 exactly: the later of two medians is told, not what a last bit says."""


def upcrossing_rate(probes: int, count: int, share: float) -> float:
    """Chance, per probe, that the last `probes` come to hold `count` bad ones, up from one less.

    A good probe leaves the window, a bad one enters, and the `probes - 1` between have `count - 1`:
    share (1 - share) P(Bin(n - 1, share) = k - 1). Exact for independent probes; the discrete form
    of Rice's formula for level crossings (Leadbetter, Lindgren and Rootzen, 1983, chapter 7).
    """
    if not 0 < share < 1:
        return 0.0
    return share * (1 - share) * binomial_pmf(count - 1, probes - 1, share)


def excursions(probes: int, count: int, share: float, step: int) -> float:
    """Separate times, per probe, at which the last `probes` are seen to hold `count` bad ones.

    Around a rare level the count is a random walk that drifts away: each excursion crosses it
    1 / (1 - up / down) times (Aldous, "Probability Approximations via the Poisson Clumping
    Heuristic", 1989, chapter B). Looks that are `step` probes apart miss the short ones.
    """
    if not 0 < share < 1:
        return 0.0
    separate = upcrossing_rate(probes, count, share) * _leaving(probes, count, share)
    return min(separate, _between_looks(probes, count, share, step)) if step > 1 else separate


def _leaving(probes: int, count: int, share: float) -> float:
    """Chance that a crossing is the last one of its excursion; 1 where the walk does not drift."""
    inside = count / probes
    up, down = share * (1 - inside), inside * (1 - share)
    return 1 - up / down if up < down else 1.0


def _between_looks(probes: int, count: int, share: float, step: int) -> float:
    """Chance, per probe, that one look finds the count and the look before, `step` probes ago, not.

    What both looks see, and what only one of them sees, are independent.
    """
    step = min(step, probes)
    more, chance = 1.0, 0.0
    for missing in range(min(count, step) + 1):
        chance += binomial_pmf(count - missing, probes - step, share) * more * (1 - more)
        more = max(0.0, more - binomial_pmf(missing, step, share))
    return chance / step


def binomial_sf(probes: int, count: int, share: float) -> float:
    """P(Bin(probes, share) >= count), from the term at the count away from the mean."""
    if count <= 0:
        return 1.0
    if share >= 1:
        return float(probes >= count)
    if count > probes * share:
        return min(1.0, _sum(range(count, probes + 1), probes, share))
    return max(0.0, 1.0 - _sum(range(count - 1, -1, -1), probes, share))


def _sum(counts: range, probes: int, share: float) -> float:
    """Chances of these counts, which become smaller, until they are too small to matter."""
    total = 0.0
    for bad in counts:
        term = binomial_pmf(bad, probes, share)
        total += term
        if term <= total * 1e-15:
            break
    return total


def median_first_passage(probes: int, count: int, share: float) -> float:
    """Probes from the first bad one until the window holds `count`, as a median; the first is 0.

    While the window still holds the time before, all good, the bad ones only add up: a negative
    binomial wait. Once it is full, the count comes at the rate of `excursions`.
    """
    if share <= 0:
        return inf
    if binomial_sf(probes - 1, count - 1, share) >= HALF:
        return _median(count, probes, share) - 1
    missed = 1 - binomial_sf(probes - 1, count - 1, share)
    rate = excursions(probes, count, share, 1) / max(1 - binomial_sf(probes, count, share), 1e-300)
    return probes - 1 + log(2 * missed) / rate if rate > 0 else inf


def _median(count: int, probes: int, share: float) -> int:
    """The fewest probes, the first of them bad, that hold `count` bad ones more often than not."""
    low, high = count, probes
    while low < high:
        middle = (low + high) // 2
        if binomial_sf(middle - 1, count - 1, share) >= HALF:
            high = middle
        else:
            low = middle + 1
    return low


def binomial_pmf(bad: int, probes: int, share: float) -> float:
    if not 0 <= bad <= probes:
        return 0.0
    ways = lgamma(probes + 1) - lgamma(bad + 1) - lgamma(probes - bad + 1)
    return exp(ways + bad * log(share) + (probes - bad) * log1p(-share))
