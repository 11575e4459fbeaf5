"""Attainment of an objective: confidence interval, error budget and status."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from probe.clock import DAY_SECONDS, HOUR_SECONDS
from probe.report.objective_counts import Events
from probe.statistics.design_effect import Share, design_effect, sum_shares
from probe.statistics.intervals import (
    TWO_SIDED_NORMAL_QUANTILE,
    Bounds,
    is_above,
    min_requests,
    wilson_bounds,
)

# Quantiles of Student's t distribution for both ends of a 95 % interval, with 1 to 4 degrees of
# freedom.
STUDENT_QUANTILES = (12.706, 4.303, 3.182, 2.776)

# With at least this number of days, the interval is derived from the differences between days,
# otherwise from those between hours, because the variance of few days is not known well.
MIN_DAYS = 14

# Smallest share of the expected events that is sufficient for `met`.
MIN_COVERAGE = 0.9


class Status(StrEnum):
    """Status of an objective in a period."""

    MET = "met"
    MISSED = "missed"
    NOT_ENOUGH_DATA = "not_enough_data"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorBudget:
    """Bad events that the target allows, and how many of them are used.

    A budget in minutes is the part of the measured time in which all events may be bad.
    """

    allowed: float
    used: int
    minutes_allowed: float
    minutes_used: float

    @property
    def left(self) -> float:
        return self.allowed - self.used

    @property
    def minutes_left(self) -> float:
        return self.minutes_allowed - self.minutes_used

    @property
    def ratio_left(self) -> float | None:
        """1 if nothing is used, below 0 if more is used than allowed; None without a budget."""
        return self.left / self.allowed if self.allowed else None


def error_budget(events: Events, target: float, seconds: float) -> ErrorBudget:
    """Return the budget of `events` in a measured time of `seconds`."""
    # The share is rounded because 1 - 0.999 is 0.0010000000000000009.
    share, minutes = round(1 - target, 12), seconds / 60
    bad_ratio = events.bad / events.total if events.total else 0.0
    return ErrorBudget(
        allowed=share * events.total,
        used=events.bad,
        minutes_allowed=share * minutes,
        minutes_used=bad_ratio * minutes,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AttainmentInterval:
    """95 % interval of the attainment, and the number of independent events it corresponds to."""

    bounds: Bounds
    effective_events: float


def attainment_interval(hours: Mapping[float, Events]) -> AttainmentInterval | None:
    """Return the interval for the events of `hours` (by start); None without events.

    Bad events come together, so the interval of independent events would be too narrow. The design
    effect is the factor by which the variance between days (of short periods: between hours) is
    larger than that of independent events (Kish, "Survey Sampling", 1965, 5.4). The number of
    events is divided by it. The result is Wilson's interval for this smaller number, with the
    quantile of Student's t distribution, because the variance is an estimate.
    """
    days = _groups(hours, DAY_SECONDS)
    groups = days if len(days) >= MIN_DAYS else _groups(hours, HOUR_SECONDS)
    shares = [Share(group.bad, group.total) for group in groups]
    total = sum_shares(shares)
    if not total.requests:
        return None
    effect = max(1.0, design_effect(shares))
    effective = total.requests / effect
    quantile = TWO_SIDED_NORMAL_QUANTILE if effect == 1.0 else _student_quantile(len(groups) - 1)
    bad_bounds = wilson_bounds(total.count / effect, effective, normal_quantile=quantile)
    bounds = Bounds(1 - bad_bounds.upper, 1 - bad_bounds.lower)
    return AttainmentInterval(bounds=bounds, effective_events=effective)


def _groups(hours: Mapping[float, Events], seconds: float) -> list[Events]:
    """Return the sums of `hours` in groups of `seconds`."""
    groups: dict[float, Events] = {}
    for start, events in hours.items():
        groups.setdefault(start // seconds, Events()).add(events.good, events.bad)
    return list(groups.values())


def _student_quantile(freedom: int) -> float:
    """Return the quantile of Student's t distribution for a 95 % interval.

    For more degrees of freedom than the table has, it is the sum of the first terms of its
    expansion (Abramowitz and Stegun, 26.7.5), whose error is below 1 %.
    """
    if freedom <= len(STUDENT_QUANTILES):
        return STUDENT_QUANTILES[freedom - 1]
    z = TWO_SIDED_NORMAL_QUANTILE
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / freedom + second / freedom**2


@dataclass(frozen=True, slots=True)
class StatusWithReason:
    """Status, with the reason if there is not enough data."""

    status: Status
    reason: str | None = None


def status(events: Events, target: float, *, expected: float, unknown: float) -> StatusWithReason:
    """Return the status of `events`.

    `expected` is the number of events of the whole period. `unknown` of them were neither counted
    nor deliberately left out. An objective is missed if it would be missed even if they were good.
    """
    allowed = round(1 - target, 12)
    if events.bad > allowed * (events.total + unknown) + 1e-9 and _is_evidence(events, target):
        return StatusWithReason(Status.MISSED)
    if not events.total:
        return StatusWithReason(Status.NOT_ENOUGH_DATA, "no events")
    if target < 1 and events.total < min_requests(target):
        needed = min_requests(target)
        reason = f"{events.total:,} events, at least {needed:,} are needed for this target"
        return StatusWithReason(Status.NOT_ENOUGH_DATA, reason)
    covered = events.total / expected if expected else 1.0
    if covered < MIN_COVERAGE:
        share = math.floor(covered * 100)
        reason = f"{share} % of the expected events were measured, at least 90 % are needed"
        return StatusWithReason(Status.NOT_ENOUGH_DATA, reason)
    is_met = events.bad <= allowed * events.total + 1e-9
    return StatusWithReason(Status.MET if is_met else Status.MISSED)


def _is_evidence(events: Events, target: float) -> bool:
    """Return whether there are enough events, or too many bad ones for chance."""
    if target >= 1 or events.total >= min_requests(target):
        return True
    return is_above(events.bad, events.total, 1 - target)


def attainment_if_bad(events: Events, runs: int) -> float | None:
    """Return the attainment if `runs` excluded runs had been bad; None without events."""
    total = events.total + runs
    return events.good / total if total else None


def worst_hours(hours: Mapping[float, Events], count: int) -> list[tuple[float, Events]]:
    """Return the `count` hours with most bad events, by their start."""
    with_bad = [(start, events) for start, events in hours.items() if events.bad]
    return sorted(with_bad, key=lambda hour: (-hour[1].bad, hour[0]))[:count]
