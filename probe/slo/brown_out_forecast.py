"""Forecast of the pages about a model that misses its objective for a long time.

The alerts about an objective are one page as long as one of them fires. A page ends when all
conditions have been false for as long as the alerts keep firing. The forecast counts such gaps: how
often a moving window falls below its limit, and the chance that it stays there for long enough.

`python -m bench.alerts` compares the forecast with a simulation.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from probe.clock import DAY_SECONDS
from probe.slo.alerts import OBJECTIVE_MISSED, PAGE_BURNS
from probe.slo.evidence import min_bad_above, min_bad_of, probes_in
from probe.slo.scan_statistics import stays_below, upcrossing_rate
from probe.statistics.binomial import binomial_sf

# Per probe. A rarer gap does not matter, and its chance would be costly to compute.
_MIN_RATE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gap:
    """The last `probes`, of which `bad` are bad: fewer than a limit allows."""

    probes: int
    bad: float


_NO_GAP = _Gap(probes=0, bad=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limit:
    """A number of bad ones among the last `probes`."""

    probes: int
    bad: int

    def reached(self, bad_ratio: float, gap: _Gap = _NO_GAP) -> float:
        """Return the chance that the limit is reached, given the latest probes in `gap`."""
        inside = min(self.probes, gap.probes)
        bad_inside = gap.bad * inside / gap.probes if inside else 0
        missing = max(0, self.bad - round(bad_inside))
        return binomial_sf(self.probes - inside, missing, bad_ratio)

    def gap(self, probes: int, bad_ratio: float) -> _Gap:
        """Return the last `probes` of a gap: between no bad one, and just below the limit.

        The middle of both is closest to the simulation.
        """
        highest_ratio = (self.bad - 1) / self.probes
        return _Gap(probes=probes, bad=probes * min(bad_ratio, highest_ratio / 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tier:
    """Windows of ModelObjectiveMissed with the same current window.

    The windows with longer current windows are ignored while `overrules` is reached.
    """

    evidence: _Limit
    overrules: _Limit
    current: _Limit

    def fires_within(self, bad_ratio: float, gap: _Gap, probes: float) -> float:
        """Return the chance that the current window reaches its limit within `probes`.

        `gap` are the latest probes. The window has about `values` independent values.
        """
        values = 1 + probes / self.current.probes
        return float(1 - (1 - self.current.reached(bad_ratio, gap)) ** values)


@lru_cache
def pages_per_day(interval: float, budget: float, bad_ratio: float) -> float:
    """Return the expected number of new pages per day, after the first one.

    One probe each `interval` (seconds) is bad with probability `bad_ratio`.
    """
    keep_firing_probes = OBJECTIVE_MISSED.keep_firing_seconds / interval
    rate = 0.0
    longer: list[_Tier] = []
    # From the longest window to the shortest: a tier leaves it to the longer ones to fire unless it
    # overrules them.
    for tier in reversed(list(_tiers(interval, budget, bad_ratio))):
        evidence_chance = tier.evidence.reached(bad_ratio)
        overrules_chance = tier.overrules.reached(bad_ratio)
        current_chance = tier.current.reached(bad_ratio)
        lost_evidence_rate = (
            _gap_rate(tier.evidence, bad_ratio, keep_firing_probes)
            * current_chance
            * (1 - _firing_chance(longer, bad_ratio, _NO_GAP, keep_firing_probes))
            * _no_burn_chance(interval, budget, bad_ratio, _NO_GAP)
        )
        # A gap in the current window ends the page unless a longer tier fires. None does while
        # this tier overrules them. The middle of the gap stands for all of it. A page about the
        # burn rate must have ended when the gap begins, or the gap would be too short.
        gap_start = tier.current.gap(tier.current.probes, bad_ratio)
        gap = tier.current.gap(tier.current.probes + round(keep_firing_probes / 2), bad_ratio)
        overrules_in_gap = min(evidence_chance, tier.overrules.reached(bad_ratio, gap))
        longer_in_gap = _firing_chance(longer, bad_ratio, gap, keep_firing_probes / 2)
        gap_rate = (
            _gap_rate(tier.current, bad_ratio, keep_firing_probes)
            * (evidence_chance - longer_in_gap * (evidence_chance - overrules_in_gap))
            * _no_burn_chance(interval, budget, bad_ratio, gap_start)
        )
        # A gap in a longer tier does not end the page if this one fires at least once in it.
        fires_in_gap = evidence_chance * tier.fires_within(bad_ratio, _NO_GAP, keep_firing_probes)
        longer_rate = (1 - max(fires_in_gap, overrules_chance)) * rate
        rate = longer_rate + lost_evidence_rate + gap_rate
        longer.append(tier)
    return rate * DAY_SECONDS / interval


def _firing_chance(tiers: Sequence[_Tier], bad_ratio: float, gap: _Gap, probes: float) -> float:
    """Return the chance that one of `tiers` fires at least once in the next `probes`.

    `gap` are the latest probes. `tiers` are in order, the longest windows first.
    """
    chance = 0.0
    for tier in tiers:
        evidence = tier.evidence.reached(bad_ratio, gap)
        overrules = tier.overrules.reached(bad_ratio, gap)
        current = tier.fires_within(bad_ratio, gap, probes)
        chance = (
            (1 - evidence) * chance
            + (evidence - overrules) * (1 - (1 - current) * (1 - chance))
            + overrules * current
        )
    return chance


def _tiers(interval: float, budget: float, bad_ratio: float) -> Iterator[_Tier]:
    """Yield the tiers that can fire, each with the window that is most likely to be evident."""
    for _, windows in groupby(OBJECTIVE_MISSED.windows, lambda window: window.current_seconds):
        limits = []
        for window in windows:
            probes = probes_in(window.seconds, interval)
            bad = min_bad_of(probes, window.seconds, budget, OBJECTIVE_MISSED.evidence)
            if bad is not None:
                limits.append(_Limit(probes=probes, bad=bad))
        if limits:
            factor = window.current_factor
            overrules = [
                _Limit(
                    probes=limit.probes,
                    bad=max(limit.bad, min_bad_above(limit.probes, factor * budget)),
                )
                for limit in limits
            ]
            yield _Tier(
                evidence=max(limits, key=lambda limit: limit.reached(bad_ratio)),
                overrules=max(overrules, key=lambda limit: limit.reached(bad_ratio)),
                current=_burn(window.current_seconds, factor, interval, budget),
            )


def _gap_rate(limit: _Limit, bad_ratio: float, probes: float) -> float:
    """Return how often, per probe, the limit is not reached for longer than `probes`."""
    if limit.bad > limit.probes:
        return 0.0
    # As often as from below, the count reaches the limit from above.
    rate = upcrossing_rate(limit.probes, limit.bad, bad_ratio)
    if rate < _MIN_RATE:
        return 0.0
    return rate * stays_below(limit.probes, limit.bad, bad_ratio, probes)


def _no_burn_chance(interval: float, budget: float, bad_ratio: float, gap: _Gap) -> float:
    """Return the chance that ModelErrorBudgetBurn does not page after the probes in `gap`."""
    chance = 1.0
    for rule in PAGE_BURNS:
        short = _burn(rule.short_seconds, rule.factor, interval, budget)
        long = _burn(rule.long_seconds, rule.factor, interval, budget)
        chance *= 1 - short.reached(bad_ratio, gap) * long.reached(bad_ratio, gap)
    return chance


def _burn(window: int, factor: float, interval: float, budget: float) -> _Limit:
    """Return the smallest count in `window` (seconds) above `factor` budgets."""
    probes = probes_in(window, interval)
    return _Limit(probes=probes, bad=min_bad_above(probes, factor * budget))
