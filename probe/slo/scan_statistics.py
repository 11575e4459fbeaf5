"""Scan statistics: how often the last n probes hold k bad ones, and when first.

`bad_ratio` is the probability that a probe is bad. Probes are independent.
"""

from math import ceil, floor, inf, log, sqrt
from operator import mul

from probe.statistics.binomial import binomial_pmf, binomial_sf

# Probabilities of exactly 0.5 occur. The later of the two medians is reported, whatever the last
# bit of the float is.
_MEDIAN_CHANCE = 0.5 + 1e-9

# Steps of a birth and death process: enough for an error of a few percent.
_MIN_STEPS = 20

# Changes of a birth and death process before it is computed in larger steps.
_MAX_CHANGES = 25


def upcrossing_rate(probes: int, count: int, bad_ratio: float) -> float:
    """Return the chance, per probe, that the last `probes` reach `count` bad ones from below.

    A good probe leaves the window, a bad one enters, and the `probes - 1` between have `count - 1`:
    p (1 - p) P(Bin(n - 1, p) = k - 1). Exact for independent probes; the discrete form of Rice's
    formula for level crossings (Leadbetter, Lindgren and Rootzen, 1983, chapter 7).
    """
    if not 0 < bad_ratio < 1:
        return 0.0
    return bad_ratio * (1 - bad_ratio) * binomial_pmf(probes - 1, count - 1, bad_ratio)


def excursions(probes: int, count: int, bad_ratio: float, step: int) -> float:
    """Return how often, per probe, the last `probes` are seen to reach `count` bad ones.

    Around a rare level the count is a random walk that drifts away: each excursion crosses the
    level 1 / (1 - up / down) times (Aldous, "Probability Approximations via the Poisson Clumping
    Heuristic", 1989, chapter B). Evaluations that are `step` probes apart miss short excursions.
    """
    if not 0 < bad_ratio < 1:
        return 0.0
    separate = upcrossing_rate(probes, count, bad_ratio) * _last_crossing(probes, count, bad_ratio)
    if step == 1:
        return separate
    return min(separate, _sampled_crossing_rate(probes, count, bad_ratio, step))


def _last_crossing(probes: int, count: int, bad_ratio: float) -> float:
    """Return the chance that a crossing is the last one of its excursion; 1 without a drift."""
    bad_share = count / probes
    up, down = bad_ratio * (1 - bad_share), bad_share * (1 - bad_ratio)
    return 1 - up / down if up < down else 1.0


def _sampled_crossing_rate(probes: int, count: int, bad_ratio: float, step: int) -> float:
    """Return the chance, per probe, that an evaluation sees `count` and the one before did not.

    The evaluations are `step` probes apart. The probes that both of them see are independent of
    those that only one of them sees.
    """
    step = min(step, probes)
    # Only counts around the mean of a step make a difference: 8 standard deviations of them.
    mean = step * bad_ratio
    spread = 8 * sqrt(mean) + 8
    counts = range(max(0, floor(mean - spread)), min(count, step, ceil(mean + spread)) + 1)
    tail_chance, chance = binomial_sf(step, counts.start, bad_ratio), 0.0
    for replaced_bad in counts:
        chance += (
            binomial_pmf(probes - step, count - replaced_bad, bad_ratio)
            * tail_chance
            * (1 - tail_chance)
        )
        tail_chance = max(0.0, tail_chance - binomial_pmf(step, replaced_bad, bad_ratio))
    return chance / step


def stays_below(probes: int, count: int, bad_ratio: float, duration: float) -> float:
    """Return the chance that the last `probes` hold less than `count` bad ones for `duration`.

    They hold `count - 1` now. `duration` is a number of further probes.
    """
    return _chance_to_stay(probes, count - 1, -1, bad_ratio, duration)


def stays_above(probes: int, count: int, bad_ratio: float, duration: float) -> float:
    """Return the chance that the last `probes` hold at least `count` bad ones for `duration`.

    They hold `count` now. `duration` is a number of further probes.
    """
    return _chance_to_stay(probes, count, 1, bad_ratio, duration)


def _chance_to_stay(
    probes: int, count: int, direction: int, bad_ratio: float, duration: float
) -> float:
    """Return the chance that the bad ones of the last `probes` stay on one side of `count`.

    They are `count` now, and may rise (`direction` 1) or fall (-1) from there. The count of a
    moving window is approximated by a birth and death process: a bad probe enters with probability
    `bad_ratio`, and a probe that leaves is bad in proportion to the count.
    """
    share = count / probes
    changes = duration * (bad_ratio * (1 - share) + (1 - bad_ratio) * share)
    # Many changes are a diffusion: a walk with larger, rarer steps has the same variance and drift.
    # It starts one large step from the limit instead of a distance of 1. Near the limit the chance
    # to stay is proportional to the distance, so the result is divided by `size`.
    size = max(1, floor(sqrt(changes / _MAX_CHANGES)))
    # Time steps in which the count changes with a probability below one half.
    steps = max(_MIN_STEPS, ceil(2.5 * changes / size**2))
    step = duration / steps
    # A random walk does not get farther than six standard deviations.
    limit = probes if direction > 0 else 0
    states = min(abs(limit - count), ceil(6 * sqrt(changes)) + 8) // size + 1
    counts = [count + direction * size * state for state in range(states)]
    enters = [bad_ratio * (1 - bad / probes) for bad in counts]
    leaves = [(1 - bad_ratio) * bad / probes for bad in counts]
    rising, falling = (
        [
            max(0.0, (enter + leave) / size + sign * (enter - leave)) / (2 * size) * step
            for enter, leave in zip(enters, leaves, strict=True)
        ]
        for sign in (1, -1)
    )
    away, back = (rising, falling) if direction > 0 else (falling, rising)
    away[-1] = 0.0
    chances = [1.0] + [0.0] * (states - 1)
    for _ in range(steps):
        left = [0.0, *map(mul, chances, away)]
        returned = [*map(mul, chances, back), 0.0]
        chances = [
            chance * (1 - away[state] - back[state]) + left[state] + returned[state + 1]
            for state, chance in enumerate(chances)
        ]
    return sum(chances) / size


def median_first_passage(probes: int, count: int, bad_ratio: float) -> float:
    """Return the median number of probes after the first bad one until the window holds `count`.

    All probes before the first bad one were good. While the window still holds some of them, the
    bad ones only add up: a negative binomial wait. Once they have left, `count` is reached at the
    rate of `excursions`, and after one tail_chance probe at the earliest.
    """
    if bad_ratio <= 0:
        return inf
    reached = binomial_sf(probes - 1, count - 1, bad_ratio)
    if reached >= _MEDIAN_CHANCE:
        return _median_wait(count, probes, bad_ratio) - 1
    below = max(1 - binomial_sf(probes, count, bad_ratio), 1e-300)
    rate = excursions(probes, count, bad_ratio, 1) / below
    return probes - 1 + max(1.0, log(2 * (1 - reached)) / rate) if rate > 0 else inf


def _median_wait(count: int, probes: int, bad_ratio: float) -> int:
    """Return the fewest probes, the first of them bad, that hold `count` in half of all cases."""
    low, high = count, probes
    while low < high:
        middle = (low + high) // 2
        if binomial_sf(middle - 1, count - 1, bad_ratio) >= _MEDIAN_CHANCE:
            high = middle
        else:
            low = middle + 1
    return low
