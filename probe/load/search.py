"""Search for the highest rate at which all objectives are met, and its confirmation.

Short steps with growing rates find an interval, and bisection narrows it. A step that begins with
an empty queue is optimistic, so the result is then confirmed by a long step, at lower rates until
one is met.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from probe.load.step import Step, StepPlan, StepPlanner
from probe.load.stop import LoadTestEnded, StopReason
from probe.load.verdict import Verdict
from probe.result import Reason

# Ratio of two successive rates until one is missed.
RATE_GROWTH = 1.5

# The bisection ends when the missed rate exceeds the met one by at most this share.
RATE_PRECISION = 0.05

# After a confirmation that is not met, the rate is multiplied by this.
CONFIRMATION_DECREASE = 0.95

# If the first rates are missed, the next one is the rate of good requests. The missed rate is
# divided by at least and at most these.
MIN_RATE_DIVISOR, MAX_RATE_DIVISOR = RATE_GROWTH, 10.0

# A search does not go below this part of its first rate.
MIN_RATE_RATIO = 1e-3

# Runs of a step until one is not void.
MAX_ATTEMPTS = 3

# An endpoint that fails this share of its requests may be down. Refusals of a server with too many
# requests are no such failures.
DOWN_FAILURE_SHARE = 0.5
REFUSALS = (Reason.RATE_LIMITED, Reason.OVERLOADED)

# Confirmations of the shortest duration for which the search reserves time.
RESERVED_CONFIRMATIONS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """What a search may do. Rates are requests per second."""

    first_rate: float
    max_rate: float
    max_seconds: float
    """Duration of the search with its confirmations."""
    rates: tuple[float, ...] = ()
    """Rates to measure, ascending, instead of a search."""
    expected_rate: float | None = None
    """Rate that is measured in any case, if it is between a met and a missed one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """Steps of a search, in order, and the rate that they confirm."""

    steps: tuple[Step, ...]
    confirmed: Step | None
    reason: StopReason
    """Why the search ended."""


class Search:
    """One search. `run` may be called once."""

    def __init__(
        self,
        options: SearchOptions,
        planner: StepPlanner,
        *,
        run_step: Callable[[StepPlan], Step],
        now: Callable[[], float],
    ) -> None:
        """Run the steps of `planner` with `run_step`, which may raise LoadTestEnded.

        `now` returns a monotonic time in seconds.
        """
        self._options = options
        self._planner = planner
        self._run_step = run_step
        self._now = now
        self._deadline = now() + options.max_seconds
        self._steps: list[Step] = []

    def run(self) -> SearchResult:
        """Search, confirm, and return the result. It is partial if the search has to end."""
        confirmed, reason = None, StopReason.CONFIRMED
        try:
            if self._options.rates:
                candidate = self._measure_rates(self._options.rates)
            else:
                candidate = self._bisect(*self._bracket())
            confirmed = self._confirm(candidate)
        except LoadTestEnded as end:
            reason = end.reason
        except KeyboardInterrupt:
            reason = StopReason.INTERRUPTED
        return SearchResult(steps=tuple(self._steps), confirmed=confirmed, reason=reason)

    def _measure_rates(self, rates: Sequence[float]) -> float:
        """Measure each of `rates`. Return the highest one below the first that is missed."""
        steps: list[Step] = []
        for rate in rates:
            plan = self._planner.plan_search(rate)
            if not steps:
                self._require_time_for(plan)
            elif not self._has_time_for(plan):
                break
            steps.append(self._step(plan))
        usable = list(takewhile(lambda step: step.passed, steps))
        if not usable:
            raise _no_rate(steps[0])
        return usable[-1].rate

    def _bracket(self) -> tuple[float, float | None]:
        """Return a met and a missed rate.

        There is no missed one if the highest rate is met, or the time is needed to confirm.
        """
        options = self._options
        met = missed = None
        rate = min(options.first_rate, options.max_rate)
        while met is None or missed is None:
            plan = self._planner.plan_search(rate)
            if met is None:
                self._require_time_for(plan)
            elif not self._has_time_for(plan):
                break
            step = self._step(plan)
            if step.passed:
                met = rate
                if rate >= options.max_rate:
                    break
                rate = min(rate * RATE_GROWTH, options.max_rate)
            else:
                missed = rate
                rate = _lower_rate(step)
                if met is None and rate < options.first_rate * MIN_RATE_RATIO:
                    raise _no_rate(step)
        return met, missed

    def _bisect(self, met: float, missed: float | None) -> float:
        """Return a rate that looks met, at most RATE_PRECISION below one that does not.

        It is less precise if the time is needed to confirm.
        """
        expected = self._options.expected_rate
        while missed is not None and missed / met - 1 > RATE_PRECISION:
            rate = math.sqrt(met * missed)
            if expected and met < expected < missed:
                rate = expected
            plan = self._planner.plan_search(rate)
            if not self._has_time_for(plan):
                break
            if self._step(plan).passed:
                met = rate
            else:
                missed = rate
        return met

    def _confirm(self, rate: float) -> Step:
        """Return the step that confirms `rate` or a lower one."""
        expected = self._options.expected_rate
        while True:
            seconds_left = self._seconds_left()
            plan = self._planner.plan_confirmation(rate, seconds_left)
            if plan.max_seconds > seconds_left:
                raise LoadTestEnded(StopReason.OUT_OF_TIME)
            step = self._step(plan)
            if step.verdict is Verdict.MET:
                return step
            lower = rate * CONFIRMATION_DECREASE
            rate = expected if expected and lower < expected < rate else lower

    def _require_time_for(self, plan: StepPlan) -> None:
        """Raise LoadTestEnded if there is no time for a step and the shortest confirmation.

        No rate until now was met.
        """
        if not self._has_time_for(plan, confirmations=1):
            raise (
                _no_rate(self._steps[-1]) if self._steps else LoadTestEnded(StopReason.OUT_OF_TIME)
            )

    def _has_time_for(self, plan: StepPlan, *, confirmations: int = RESERVED_CONFIRMATIONS) -> bool:
        """Return whether there is time for a step that searches, and then to confirm its rate."""
        shortest = self._planner.plan_confirmation(plan.rate, 0.0).max_seconds
        return plan.max_seconds + confirmations * shortest <= self._seconds_left()

    def _seconds_left(self) -> float:
        return self._deadline - self._now()

    def _step(self, plan: StepPlan) -> Step:
        """Run a step. A void one is repeated, because other programs may have used the CPU."""
        for _ in range(MAX_ATTEMPTS):
            step = self._run_step(plan)
            self._steps.append(step)
            if step.stop_reason:
                raise LoadTestEnded(step.stop_reason)
            if step.verdict is not Verdict.VOID:
                self._require_endpoint(step)
                break
            if plan.max_seconds > self._seconds_left():
                break
        return step

    def _require_endpoint(self, step: Step) -> None:
        """Raise LoadTestEnded if the endpoint fails and its load is not the cause."""
        if not _fails(step):
            return
        served = any(other.rate >= step.rate and other.passed for other in self._steps)
        always = len(self._steps) > 1 and all(map(_has_no_good_request, self._steps))
        if served or always:
            raise LoadTestEnded(StopReason.ENDPOINT_DOWN)


def _no_rate(lowest: Step) -> LoadTestEnded:
    """Return the end of a search whose step with the lowest rate is not usable."""
    is_void = lowest.verdict is Verdict.VOID
    return LoadTestEnded(StopReason.SATURATED if is_void else StopReason.NO_RATE)


def _fails(step: Step) -> bool:
    counts = step.evaluation.counts
    failed = sum(
        count
        for reason, count in counts.failures.items()
        if reason not in REFUSALS and reason.counts_against_slo
    )
    return failed > DOWN_FAILURE_SHARE * counts.offered


def _has_no_good_request(step: Step) -> bool:
    counts = step.evaluation.counts
    return counts.failed >= counts.completed


def _lower_rate(step: Step) -> float:
    """Return a rate below that of a missed step: that of its good requests, within limits."""
    limiting, seconds = step.evaluation.limiting, max(1, step.evaluation.seconds)
    good_rate = (limiting.requests - limiting.bad) / seconds
    return min(max(good_rate, step.rate / MAX_RATE_DIVISOR), step.rate / MIN_RATE_DIVISOR)
