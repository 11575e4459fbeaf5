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
from probe.slo.evidence import min_bad_above, min_bad_of, probes_in
from probe.slo.scan_statistics import (
    median_first_passage,
    stays_above,
    stays_below,
    upcrossing_rate,
)
from probe.statistics.binomial import binomial_sf

# Share of cases in which an alert has fired at the median time.
_MEDIAN_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class ProbeStream:
    """Probes of one objective, one each `interval` (seconds), which are independent of each other.

    The objective allows that the share `budget` of them is bad. Each one is bad with the
    probability `bad_ratio`.
    """

    interval: float
    budget: float
    bad_ratio: float


@lru_cache
def expected_tickets(probes: ProbeStream) -> float:
    """Return the expected number of tickets in 30 days about one objective."""
    rates = (
        _short_chain(probes).rate * _new_alert_share(probes),
        _high_latency_evidence_rate(probes),
        *(_burn_rate(rule, probes) for rule in TICKET_BURNS),
    )
    return BUDGET_PERIOD_SECONDS * sum(rates)


@lru_cache
def median_time_to_high_latency(probes: ProbeStream) -> float:
    """Return the median time from the first bad probe to HighModelLatency (seconds).

    All probes before were good. Infinite if it is longer than 30 days.
    """
    seconds = min(_median_time_to_short(probes), _median_time_to_evidence(probes))
    return seconds + HIGH_LATENCY.hold_seconds if seconds < BUDGET_PERIOD_SECONDS else inf


def _median_time_to_short(probes: ProbeStream) -> float:
    """Return the time until the short window exceeds the budget for long enough."""
    chain = _short_chain(probes)
    if chain.survival < _MEDIAN_SHARE:
        return chain.median_wait
    size = probes_in(HIGH_LATENCY.short_seconds, probes.interval)
    count = min_bad_above(size, probes.budget)
    return probes.interval * median_first_passage(size, count, probes.bad_ratio)


def _median_time_to_evidence(probes: ProbeStream) -> float:
    """Return the time until the long window holds its evidence, and the medium window lasts."""
    size, count = _evidence_threshold(probes)
    if count is None:
        return inf
    if binomial_sf(size, count, probes.bad_ratio) < _MEDIAN_SHARE:
        rate = _high_latency_evidence_rate(probes)
        return log(2) / rate if rate > 0 else inf
    evidence = probes.interval * median_first_passage(size, count, probes.bad_ratio)
    return max(evidence, _medium_chain(probes).median_wait)


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


def _chain(probes: ProbeStream, seconds: float, step: float, limit: float) -> _Chain:
    exceedance = _exceedance(probes, seconds, limit)
    event = 1 - (1 - exceedance) ** (step / seconds)
    return _Chain(exceedance=exceedance, event=event, step=step)


def _exceedance(probes: ProbeStream, seconds: float, limit: float) -> float:
    """Return the probability that more than `limit` of the probes of `seconds` are bad.

    An interval that does not divide `seconds` makes windows of two sizes.
    """
    fewer, part = divmod(seconds / probes.interval, 1)
    sizes = ((int(fewer), 1 - part), (int(fewer) + 1, part))
    return sum(
        share * binomial_sf(size, min_bad_above(size, limit), probes.bad_ratio)
        for size, share in sizes
        if share > 0
    )


def _sampled_seconds(window: float) -> float:
    """Return the time from the first to the last sample of `window` (seconds).

    `increase` sees the probes of this time.
    """
    return window - EVALUATION_INTERVAL_SECONDS


def _short_chain(probes: ProbeStream) -> _Chain:
    """Return the chain of the first condition of HighModelLatency."""
    return _high_latency(probes, HIGH_LATENCY.short_seconds, HIGH_LATENCY.hold_seconds)


def _new_alert_share(probes: ProbeStream) -> float:
    """Return the share of the long runs of the first condition that begin a new alert.

    While HighModelLatency is kept firing, any run of the condition continues it, however short.
    A run is long enough to fire with probability `long`, and a gap long enough to resolve with
    probability `lost`. A run finds the alert firing with the probability `a` that solves
    a = (a + (1 - a) * long) * (1 - lost).
    """
    size = probes_in(HIGH_LATENCY.short_seconds, probes.interval)
    count = min_bad_above(size, probes.budget)
    if count > size or not 0 < probes.bad_ratio < 1:
        return 1.0
    hold = HIGH_LATENCY.hold_seconds / probes.interval
    keep_firing = HIGH_LATENCY.keep_firing_seconds / probes.interval
    long = stays_above(size, count, probes.bad_ratio, hold)
    lost = stays_below(size, count, probes.bad_ratio, keep_firing)
    return lost / (lost + long - lost * long) if lost > 0 else 0.0


def _medium_chain(probes: ProbeStream) -> _Chain:
    """Return the chain of the second condition: two medium windows, one after the other."""
    hold = HIGH_LATENCY.hold_seconds + HIGH_LATENCY.medium_seconds
    return _high_latency(probes, HIGH_LATENCY.medium_seconds, hold)


def _high_latency(probes: ProbeStream, window: int, hold: int) -> _Chain:
    """Return the chain of events by which `window` exceeds the budget for `hold` (seconds)."""
    seconds = _sampled_seconds(window)
    step = max(EVALUATION_INTERVAL_SECONDS, probes.interval)
    chain = _chain(probes, seconds, step, probes.budget)
    return replace(chain, survival=_survival(chain.event, step, seconds, hold))


def _high_latency_evidence_rate(probes: ProbeStream) -> float:
    """Return how often the long window of HighModelLatency fires it, per second.

    The long window must reach its evidence and keep it for the whole `hold_seconds`. Two medium
    windows must exceed the budget as long. The bad ratio in them is then that of the long window.
    """
    size, count = _evidence_threshold(probes)
    if count is None:
        return 0.0
    hold = HIGH_LATENCY.hold_seconds / probes.interval
    held = stays_above(size, count, probes.bad_ratio, hold)
    medium = _medium_chain(replace(probes, bad_ratio=count / size))
    rate = upcrossing_rate(size, count, probes.bad_ratio) / probes.interval
    return rate * held * medium.survival


def _evidence_threshold(probes: ProbeStream) -> tuple[int, int | None]:
    """Return the probes of the long window, and how many of them must be bad; None if too few."""
    size = probes_in(HIGH_LATENCY.long_seconds, probes.interval)
    return size, min_bad_of(size, HIGH_LATENCY.long_seconds, probes.budget, HIGH_LATENCY.evidence)


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


def _burn_rate(rule: BurnRule, probes: ProbeStream) -> float:
    """Return how often both windows of ModelErrorBudgetBurn exceed their limit, per second.

    The short window is longer than `hold`: a chain of one event holds for long enough.
    """
    limit = rule.factor * probes.budget
    seconds = _sampled_seconds(rule.short_seconds)
    step = max(LONG_EVALUATION_INTERVAL_SECONDS, probes.interval)
    rate = _chain(probes, seconds, step, limit).rate
    if rate <= 0:
        return 0.0
    # The long window contains the short one, which holds more bad probes than usual.
    short = probes_in(rule.short_seconds, probes.interval)
    long = max(short, round(rule.long_seconds / probes.interval))
    missing = min_bad_above(long, limit) - _mean_bad_if_exceeded(short, limit, probes.bad_ratio)
    return rate * binomial_sf(long - short, ceil(missing - 1e-9), probes.bad_ratio)


def _mean_bad_if_exceeded(probes: int, limit: float, bad_ratio: float) -> float:
    """Return the mean number of bad ones of `probes`, given that more than `limit` are bad."""
    least = min_bad_above(probes, limit)
    exceeded = binomial_sf(probes, least, bad_ratio)
    if exceeded <= 0:
        return probes
    return probes * bad_ratio * binomial_sf(probes - 1, least - 1, bad_ratio) / exceeded
