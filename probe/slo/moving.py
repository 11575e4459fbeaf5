"""The number of bad probes in a moving window: how often it reaches a count, and when first."""

from math import exp, inf, lgamma, log, log1p


def crossing(probes: int, count: int, share: float) -> float:
    """Chance, per probe, that the last `probes` come to hold `count` bad ones, up from one less.

    A good probe leaves the window, a bad one enters, and the `probes - 1` between have `count - 1`:
    share (1 - share) P(Bin(n - 1, share) = k - 1). Exact for independent probes; the discrete form
    of Rice's formula for level crossings (Leadbetter, Lindgren and Rootzen, 1983, chapter 7).
    """
    if not 0 < share < 1:
        return 0.0
    return share * (1 - share) * _exactly(count - 1, probes - 1, share)


def excursions(probes: int, count: int, share: float, step: int) -> float:
    """Separate times, per probe, at which the last `probes` are seen to hold `count` bad ones.

    Around a rare level the count is a random walk that drifts away: each excursion crosses it
    1 / (1 - up / down) times (Aldous, "Probability Approximations via the Poisson Clumping
    Heuristic", 1989, chapter B). Looks that are `step` probes apart miss the short ones.
    """
    if not 0 < share < 1:
        return 0.0
    separate = crossing(probes, count, share) * _leaving(probes, count, share)
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
    both = range(max(0, count - step), min(count, probes - step + 1))
    more = {seen: reached(step, count - seen, share) for seen in both}
    return sum(_exactly(a, probes - step, share) * more[a] * (1 - more[a]) for a in both) / step


def reached(probes: int, count: int, share: float) -> float:
    """P(Bin(probes, share) >= count)."""
    if count <= 0:
        return 1.0
    if share >= 1:
        return float(probes >= count)
    fewer = range(min(count, probes + 1))
    return max(0.0, 1.0 - sum(_exactly(bad, probes, share) for bad in fewer))


def first(probes: int, count: int, share: float) -> float:
    """Probes from the first bad one until the window holds `count`, as a median; the first is 0.

    While the window still holds the time before, all good, the bad ones only add up: a negative
    binomial wait. Once it is full, the count comes at the rate of `excursions`.
    """
    if share <= 0:
        return inf
    if reached(probes - 1, count - 1, share) >= 0.5:
        return _median(count, probes, share) - 1
    missed = 1 - reached(probes - 1, count - 1, share)
    rate = excursions(probes, count, share, 1) / max(1 - reached(probes, count, share), 1e-300)
    return probes - 1 + log(2 * missed) / rate if rate > 0 else inf


def _median(count: int, probes: int, share: float) -> int:
    """The fewest probes, the first of them bad, that hold `count` bad ones more often than not."""
    low, high = count, probes
    while low < high:
        middle = (low + high) // 2
        if reached(middle - 1, count - 1, share) >= 0.5:
            high = middle
        else:
            low = middle + 1
    return low


def _exactly(bad: int, probes: int, share: float) -> float:
    if not 0 <= bad <= probes:
        return 0.0
    ways = lgamma(probes + 1) - lgamma(bad + 1) - lgamma(probes - bad + 1)
    return exp(ways + bad * log(share) + (probes - bad) * log1p(-share))
