"""Forecast of the alerts that open tickets, for a model with a constant bad ratio.

Such an alert fires when more probes of a moving window are bad than its limit allows, at every
evaluation for a while. The probability of that has a simple form only if a single bad probe exceeds
the limit: then the condition holds for as long as the next bad probe comes before the last one has
left the window, and this is a chain of geometric gaps. The forecast uses this chain for all limits.
It chooses the probability of a bad event so that the window exceeds its limit as often as with the
real limit. The approximation is close because all windows have the same correlation in time: two
windows share as many probes as they overlap.

`python -m bench.alerts` compares the forecast with a simulation and with Prometheus.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil, floor, inf, log
from operator import mul

from probe.slo.alerts import (
    BUDGET_PERIOD_SECONDS,
    EVALUATION_INTERVAL_SECONDS,
    HIGH_LATENCY,
    LONG_EVALUATION_INTERVAL_SECONDS,
    TICKET_BURNS,
    BurnRule,
)
from probe.slo.binomial import (
    binomial_sf,
    median_first_passage,
    stays_above,
    upcrossing_rate,
)
from probe.slo.evidence import min_bad_above, min_bad_of, probes_in

# Share of cases in which an alert has fired at the median time.
_MEDIAN_SHARE = 0.5


@lru_cache
def expected_tickets(interval: float, budget: float, bad_ratio: float) -> float:
    """Return the expected number of tickets in 30 days about one objective.

    One probe each `interval` (seconds) is bad with probability `bad_ratio`.
    """
    rates = (
        _short_chain(interval, budget, bad_ratio).rate,
        _high_latency_evidence_rate(interval, budget, bad_ratio),
        *(_burn_rate(rule, interval, budget, bad_ratio) for rule in TICKET_BURNS),
    )
    return BUDGET_PERIOD_SECONDS * sum(rates)


@lru_cache
def median_time_to_high_latency(interval: float, budget: float, bad_ratio: float) -> float:
    """Return the median time from the first bad probe to HighModelLatency (seconds).

    All probes before were good. Infinite if it is longer than 30 days.
    """
    chain = _short_chain(interval, budget, bad_ratio)
    seconds = min(
        _median_time_to_short(chain, interval, budget, bad_ratio),
        _median_time_to_evidence(interval, budget, bad_ratio),
    )
    return seconds + HIGH_LATENCY.hold_seconds if seconds < BUDGET_PERIOD_SECONDS else inf


def _median_time_to_short(
    chain: "_Chain", interval: float, budget: float, bad_ratio: float
) -> float:
    """Return the time until the short window exceeds the budget for long enough."""
    if chain.survival < _MEDIAN_SHARE:
        return chain.median_wait
    probes = probes_in(HIGH_LATENCY.short_seconds, interval)
    return interval * median_first_passage(probes, min_bad_above(probes, budget), bad_ratio)


def _median_time_to_evidence(interval: float, budget: float, bad_ratio: float) -> float:
    """Return the time until the long window holds its evidence, and the medium window lasts."""
    probes, count = _evidence_threshold(interval, budget)
    if count is None:
        return inf
    if binomial_sf(probes, count, bad_ratio) < _MEDIAN_SHARE:
        rate = _high_latency_evidence_rate(interval, budget, bad_ratio)
        return log(2) / rate if rate > 0 else inf
    medium = _medium_chain(interval, budget, bad_ratio)
    return max(interval * median_first_passage(probes, count, bad_ratio), medium.median_wait)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chain:
    """Isolated bad events that exceed a window's limit as often as the bad probes do."""

    exceedance: float
    """Probability that the window exceeds its limit."""
    event: float
    """Probability of an event at each step."""
    step: float
    """Time between two steps (seconds)."""
    survival: float = 1.0
    """Probability that the limit is exceeded for long enough, once it is exceeded."""

    @property
    def rate(self) -> float:
        """Alerts per second."""
        return (1 - self.exceedance) * self.event * self.survival / self.step

    @property
    def median_wait(self) -> float:
        """Median time from the first event to an alert (seconds)."""
        if self.survival >= _MEDIAN_SHARE:
            return 0.0
        return log(2 * (1 - self.survival)) / self.rate if self.rate > 0 else inf


def _chain(seconds: float, interval: float, step: float, limit: float, bad_ratio: float) -> _Chain:
    exceedance = _exceedance(seconds, interval, limit, bad_ratio)
    event = 1 - (1 - exceedance) ** (step / seconds)
    return _Chain(exceedance=exceedance, event=event, step=step)


def _exceedance(seconds: float, interval: float, limit: float, bad_ratio: float) -> float:
    """Return the probability that more than `limit` of the probes of `seconds` are bad.

    An interval that does not divide `seconds` makes windows of two sizes.
    """
    fewer, part = divmod(seconds / interval, 1)
    sizes = ((int(fewer), 1 - part), (int(fewer) + 1, part))
    return sum(
        share * binomial_sf(probes, min_bad_above(probes, limit), bad_ratio)
        for probes, share in sizes
        if share > 0
    )


def _sampled_seconds(window: float) -> float:
    """Return the time from the first to the last sample of `window` (seconds).

    `increase` sees the probes of this time.
    """
    return window - EVALUATION_INTERVAL_SECONDS


def _short_chain(interval: float, budget: float, bad_ratio: float) -> _Chain:
    """Return the chain of the first condition of HighModelLatency."""
    return _high_latency(
        HIGH_LATENCY.short_seconds, HIGH_LATENCY.hold_seconds, interval, budget, bad_ratio
    )


def _medium_chain(interval: float, budget: float, bad_ratio: float) -> _Chain:
    """Return the chain of the second condition: two medium windows, one after the other."""
    hold = HIGH_LATENCY.hold_seconds + HIGH_LATENCY.medium_seconds
    return _high_latency(HIGH_LATENCY.medium_seconds, hold, interval, budget, bad_ratio)


def _high_latency(
    window: int, hold: int, interval: float, budget: float, bad_ratio: float
) -> _Chain:
    """Return the chain of events by which `window` exceeds the budget for `hold` (seconds)."""
    seconds = _sampled_seconds(window)
    step = max(EVALUATION_INTERVAL_SECONDS, interval)
    chain = _chain(seconds, interval, step, budget, bad_ratio)
    return replace(chain, survival=_survival(chain.event, step, seconds, hold))


def _high_latency_evidence_rate(interval: float, budget: float, bad_ratio: float) -> float:
    """Return how often the long window of HighModelLatency fires it, per second.

    The long window must reach its evidence and keep it for the whole `hold_seconds`. Two medium
    windows must exceed the budget as long. The bad ratio in them is then that of the long window.
    """
    probes, count = _evidence_threshold(interval, budget)
    if count is None:
        return 0.0
    held = stays_above(probes, count, bad_ratio, HIGH_LATENCY.hold_seconds / interval)
    medium = _medium_chain(interval, budget, count / probes)
    return upcrossing_rate(probes, count, bad_ratio) * held * medium.survival / interval


def _evidence_threshold(interval: float, budget: float) -> tuple[int, int | None]:
    """Return the probes of the long window, and how many of them must be bad; None if too few."""
    probes = probes_in(HIGH_LATENCY.long_seconds, interval)
    return probes, min_bad_of(probes, HIGH_LATENCY.long_seconds, budget, HIGH_LATENCY.evidence)


def _survival(event: float, step: float, seconds: float, hold: float) -> float:
    """Return the probability that a chain of events keeps a condition true for `hold` seconds.

    Each event keeps it true for `seconds`. It must be true at both ends of `hold`. Evaluations
    round the times of events. The number of steps that last for long enough is therefore `steps`
    with the probability `enough`, otherwise one more.
    """
    span = hold + EVALUATION_INTERVAL_SECONDS - seconds
    steps = floor((span - EVALUATION_INTERVAL_SECONDS) / step) + 1
    enough = min(1.0, (steps * step - span) / EVALUATION_INTERVAL_SECONDS + 1)
    gaps = _gaps(event, step, seconds)
    return enough * _reaches(steps, gaps) + (1 - enough) * _reaches(steps + 1, gaps)


def _gaps(event: float, step: float, seconds: float) -> list[float]:
    """Return, by number of steps from 0, the probability that this is the gap to the next event.

    A gap counts only if the previous event is less than `seconds` old, at evaluations as they fall.
    """
    gaps = [0.0]
    while (left := seconds - len(gaps) * step) > -EVALUATION_INTERVAL_SECONDS:
        in_window = min(1.0, left / EVALUATION_INTERVAL_SECONDS + 1)
        gaps.append(event * (1 - event) ** (len(gaps) - 1) * in_window)
    return gaps


def _reaches(steps: int, gaps: Sequence[float]) -> float:
    """Return the probability that a chain of events with these gaps reaches step `steps`."""
    # Probability of an event of the chain at each step before.
    events = [1.0]
    for _ in range(1, steps):
        latest = events[-1 : -len(gaps) : -1]
        events.append(sum(map(mul, latest, gaps[1:])))
    # The next gap leads from there to `steps` or beyond.
    return sum(event * sum(gaps[steps - step :]) for step, event in enumerate(events))


def _burn_rate(rule: BurnRule, interval: float, budget: float, bad_ratio: float) -> float:
    """Return how often both windows of ModelErrorBudgetBurn exceed their limit, per second.

    The short window is longer than `hold`: a chain of one event holds for long enough.
    """
    limit = rule.factor * budget
    seconds = _sampled_seconds(rule.short_seconds)
    step = max(LONG_EVALUATION_INTERVAL_SECONDS, interval)
    rate = _chain(seconds, interval, step, limit, bad_ratio).rate
    if rate <= 0:
        return 0.0
    # The long window contains the short one, which holds more bad probes than usual.
    short = probes_in(rule.short_seconds, interval)
    long = max(short, round(rule.long_seconds / interval))
    missing = min_bad_above(long, limit) - _mean_bad_if_exceeded(short, limit, bad_ratio)
    return rate * binomial_sf(long - short, ceil(missing - 1e-9), bad_ratio)


def _mean_bad_if_exceeded(probes: int, limit: float, bad_ratio: float) -> float:
    """Return the mean number of bad ones of `probes`, given that more than `limit` are bad."""
    least = min_bad_above(probes, limit)
    exceeded = binomial_sf(probes, least, bad_ratio)
    if exceeded <= 0:
        return probes
    return probes * bad_ratio * binomial_sf(probes - 1, least - 1, bad_ratio) / exceeded
