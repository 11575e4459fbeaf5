"""One step of a load test: a constant rate until its verdict is clear."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from probe.load.measurement import LoadGenerator, StepMeasurement
from probe.load.objective import LoadObjective
from probe.load.stop import LoadTestEnded, StopReason
from probe.load.verdict import Evaluation, Verdict, evaluate, is_clearly_missed
from probe.statistics.intervals import min_requests

# Seconds of a step that only searches, without its warm-up. It is evaluated after the first time,
# and again whenever it is longer by the factor. `bench.load` tests these values.
MIN_SEARCH_SECONDS = 15.0
MAX_SEARCH_SECONDS = 55.0
EVALUATION_GROWTH = 1.5

# Seconds of a step that confirms a rate, without its warm-up. It is shorter if the time of the
# search ends, but not below the minimum.
MIN_CONFIRMATION_SECONDS = 120.0
MAX_CONFIRMATION_SECONDS = 180.0

# Requests that are due in this time are not counted, nor those during some times the usual latency:
# the queue of the endpoint is still growing, and caches are cold.
MIN_WARM_UP_SECONDS = 5.0
WARM_UP_LATENCIES = 10.0

# The queue of a slow endpoint also changes slowly, so steps last at least this many times the usual
# latency. A shorter confirmation often confirms a rate that is too high.
MIN_SEARCH_LATENCIES = 30.0
MIN_CONFIRMATION_LATENCIES = 150.0
MAX_CONFIRMATION_LATENCIES = 300.0

# Requests for the first evaluation, as a multiple of the fewest that can be evidence.
REQUEST_RESERVE = 1.1

# A step is checked this often, for an early end and for the progress.
CHECK_INTERVAL_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPlan:
    """Rate and length of a step. Times are seconds from its start."""

    rate: float
    warm_up_seconds: float
    min_seconds: float
    """A step that is met does not end before this time."""
    max_seconds: float
    is_confirmation: bool = False
    ends_early: bool = True
    """Whether the step ends when its verdict is clear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPlanner:
    """Plans the steps for an endpoint: as short as the verdicts allow."""

    objectives: Sequence[LoadObjective]
    latency_seconds: float
    """Usual latency of single requests."""
    fixed_seconds: float | None = None
    """Duration of each step that only searches, without its warm-up; None: as needed."""

    @property
    def warm_up_seconds(self) -> float:
        return max(MIN_WARM_UP_SECONDS, WARM_UP_LATENCIES * self.latency_seconds)

    @property
    def default_first_rate(self) -> float:
        """A rate to begin a search with: half of that of one request after the other.

        At lower rates than the evidence needs, a step would take longer than usual, so it is at
        least that.
        """
        return max(0.5 / self.latency_seconds, self._min_requests / MAX_SEARCH_SECONDS)

    def plan_search(self, rate: float) -> StepPlan:
        """Return a step that only searches."""
        if self.fixed_seconds is not None:
            return self._plan(rate, self.fixed_seconds, self.fixed_seconds)
        shortest = max(
            MIN_SEARCH_SECONDS,
            MIN_SEARCH_LATENCIES * self.latency_seconds,
            self._min_requests / rate,
        )
        return self._plan(rate, shortest, max(MAX_SEARCH_SECONDS, shortest))

    def plan_confirmation(self, rate: float, seconds_left: float) -> StepPlan:
        """Return a step that is long enough to confirm `rate`. It may exceed `seconds_left`."""
        latency = self.latency_seconds
        shortest = max(
            MIN_CONFIRMATION_SECONDS,
            MIN_CONFIRMATION_LATENCIES * latency,
            self._min_requests / rate,
        )
        longest = max(MAX_CONFIRMATION_SECONDS, MAX_CONFIRMATION_LATENCIES * latency)
        seconds = max(shortest, min(seconds_left - self.warm_up_seconds, longest))
        return self._plan(rate, seconds, seconds, is_confirmation=True)

    @property
    def _min_requests(self) -> float:
        """Number of requests in which all objectives can be met."""
        targets = [
            objective.target for objective in self.objectives if not objective.uses_observed_share
        ]
        return REQUEST_RESERVE * max(map(min_requests, targets), default=0)

    def _plan(
        self, rate: float, min_seconds: float, max_seconds: float, *, is_confirmation: bool = False
    ) -> StepPlan:
        """Return a step whose durations do not include the warm-up."""
        warm_up = self.warm_up_seconds
        return StepPlan(
            rate=rate,
            warm_up_seconds=warm_up,
            min_seconds=warm_up + min_seconds,
            max_seconds=warm_up + max_seconds,
            is_confirmation=is_confirmation,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step that has ended."""

    plan: StepPlan
    evaluation: Evaluation
    stop_reason: StopReason | None = None
    """Why the load test ended during this step. None: it goes on."""

    @property
    def rate(self) -> float:
        return self.plan.rate

    @property
    def verdict(self) -> Verdict:
        return self.evaluation.verdict

    @property
    def passed(self) -> bool:
        """Whether a search may continue with higher rates."""
        if self.verdict is Verdict.UNDECIDED:
            return self.evaluation.looks_met
        return self.verdict is Verdict.MET


# Called about once a second with the state of a step.
OnProgress = Callable[[StepPlan, float, StepMeasurement], None]


def run_step(
    generator: LoadGenerator,
    plan: StepPlan,
    objectives: Sequence[LoadObjective],
    on_progress: OnProgress,
) -> Step:
    """Send requests at the rate of `plan` until the verdict is clear, or the time is over.

    If the load test has to end, the step has what was measured until then.
    """
    stop_reason = None
    generator.start(plan.rate)
    try:
        _wait_for_verdict(generator, plan, objectives, on_progress)
    except LoadTestEnded as end:
        stop_reason = end.reason
    except KeyboardInterrupt:
        stop_reason = StopReason.INTERRUPTED
    try:
        measurement = generator.stop()
    except KeyboardInterrupt:
        stop_reason = StopReason.INTERRUPTED
        measurement = generator.stop()
    evaluation = evaluate(measurement, objectives, warm_up_seconds=plan.warm_up_seconds)
    return Step(plan=plan, evaluation=evaluation, stop_reason=stop_reason)


def _wait_for_verdict(
    generator: LoadGenerator,
    plan: StepPlan,
    objectives: Sequence[LoadObjective],
    on_progress: OnProgress,
) -> None:
    """Return when the verdict is clear, an objective is missed by far, or the time is over."""
    warm_up_seconds = plan.warm_up_seconds
    seconds = 0.0
    next_evaluation = min(warm_up_seconds + MIN_SEARCH_SECONDS, plan.min_seconds)
    while seconds < plan.max_seconds:
        seconds = min(seconds + CHECK_INTERVAL_SECONDS, plan.max_seconds)
        measurement = generator.measure(seconds)
        on_progress(plan, seconds, measurement)
        if not plan.ends_early:
            continue
        if is_clearly_missed(measurement, objectives, warm_up_seconds=warm_up_seconds):
            return
        if seconds < next_evaluation:
            continue
        next_evaluation = seconds * EVALUATION_GROWTH
        verdict = evaluate(measurement, objectives, warm_up_seconds=warm_up_seconds).verdict
        if verdict in (Verdict.MISSED, Verdict.VOID):
            return
        # A step that ends as soon as it looks met would prefer lucky moments.
        if verdict is Verdict.MET and seconds >= plan.min_seconds:
            return
