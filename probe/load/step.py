"""One step of a load test: a constant rate until its verdict is clear."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from probe.load.measurement import LoadGenerator, StepMeasurement
from probe.load.objective import LoadObjective
from probe.load.statistics import min_requests
from probe.load.stop import LoadTestEnded, StopReason
from probe.load.verdict import Evaluation, Verdict, evaluate, is_hopeless

# Seconds of a step that only searches. It is evaluated after the first time, and again whenever it
# is longer by the factor. `bench.load` tests these values.
MIN_SEARCH_SECONDS = 20.0
MAX_SEARCH_SECONDS = 60.0
GROWTH = 1.5

# Seconds of a step that confirms a rate. It is shorter if the time of the search ends.
MIN_CONFIRMATION_SECONDS = 120.0
MAX_CONFIRMATION_SECONDS = 180.0

# Requests that are due in this time are not counted, nor those during three times the usual
# latency: the queue of the endpoint is still growing, and caches are cold.
MIN_WARM_UP_SECONDS = 5.0
WARM_UP_LATENCIES = 3.0

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

    @classmethod
    def search(
        cls, rate: float, objectives: Sequence[LoadObjective], warm_up_seconds: float
    ) -> "StepPlan":
        """Return a step that is as short as its verdict allows."""
        needed = _seconds_for_evidence(rate, objectives, warm_up_seconds)
        first = max(MIN_SEARCH_SECONDS, needed)
        return cls(
            rate=rate,
            warm_up_seconds=warm_up_seconds,
            min_seconds=first,
            max_seconds=max(MAX_SEARCH_SECONDS, first),
        )

    @classmethod
    def fixed(cls, rate: float, seconds: float, warm_up_seconds: float) -> "StepPlan":
        """Return a step of `seconds`, unless an objective is missed before."""
        return cls(
            rate=rate, warm_up_seconds=warm_up_seconds, min_seconds=seconds, max_seconds=seconds
        )

    @classmethod
    def of_share(cls, rate: float, seconds: float, warm_up_seconds: float) -> "StepPlan":
        """Return a step of `seconds`, whose requests are only a share of those at `rate`.

        The other shares do not know its verdict, so it does not end before.
        """
        return replace(cls.fixed(rate, seconds, warm_up_seconds), ends_early=False)

    @classmethod
    def confirmation(
        cls,
        rate: float,
        objectives: Sequence[LoadObjective],
        warm_up_seconds: float,
        *,
        seconds_left: float,
    ) -> "StepPlan":
        """Return a step that is long enough to confirm `rate`."""
        seconds = min(max(MIN_CONFIRMATION_SECONDS, seconds_left), MAX_CONFIRMATION_SECONDS)
        seconds = max(seconds, _seconds_for_evidence(rate, objectives, warm_up_seconds))
        return cls(
            rate=rate,
            warm_up_seconds=warm_up_seconds,
            min_seconds=seconds,
            max_seconds=seconds,
            is_confirmation=True,
        )


def required_warm_up(latency_seconds: float) -> float:
    """Return the seconds to omit at the start of a step. `latency_seconds` is the usual one."""
    return max(MIN_WARM_UP_SECONDS, WARM_UP_LATENCIES * latency_seconds)


def _seconds_for_evidence(
    rate: float, objectives: Sequence[LoadObjective], warm_up_seconds: float
) -> float:
    """Return the time in which enough requests are due to meet all objectives."""
    requests = max(
        (min_requests(objective.target) for objective in objectives if not objective.is_limit),
        default=0,
    )
    return warm_up_seconds + REQUEST_RESERVE * requests / rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step that has ended."""

    plan: StepPlan
    evaluation: Evaluation
    seconds: float
    """Duration, with the warm-up, until the last request was due."""
    ended_early: bool = False
    """Whether an objective was missed by far."""
    stop_reason: StopReason | None = None
    """Why the load test ended during this step. None: it goes on."""

    @property
    def rate(self) -> float:
        return self.plan.rate

    @property
    def verdict(self) -> Verdict:
        return self.evaluation.verdict

    @property
    def is_usable(self) -> bool:
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
    progress = _Progress()
    stop_reason = None
    generator.start(plan.rate)
    try:
        _wait_for_verdict(generator, plan, objectives, on_progress, progress)
    except LoadTestEnded as end:
        stop_reason = end.reason
    except KeyboardInterrupt:
        stop_reason = StopReason.INTERRUPTED
    measurement = generator.stop()
    return Step(
        plan=plan,
        evaluation=evaluate(measurement, objectives, warm_up_seconds=plan.warm_up_seconds),
        seconds=progress.seconds,
        ended_early=progress.ended_early,
        stop_reason=stop_reason,
    )


@dataclass(slots=True)
class _Progress:
    """State of a step. `seconds` is the time since its start."""

    seconds: float = 0.0
    ended_early: bool = False


def _wait_for_verdict(
    generator: LoadGenerator,
    plan: StepPlan,
    objectives: Sequence[LoadObjective],
    on_progress: OnProgress,
    progress: _Progress,
) -> None:
    """Return when the verdict is clear, an objective is missed by far, or the time is over."""
    warm_up_seconds = plan.warm_up_seconds
    next_evaluation = min(MIN_SEARCH_SECONDS, plan.min_seconds)
    while progress.seconds < plan.max_seconds:
        progress.seconds = min(progress.seconds + CHECK_INTERVAL_SECONDS, plan.max_seconds)
        measurement = generator.measure(progress.seconds)
        on_progress(plan, progress.seconds, measurement)
        if not plan.ends_early:
            continue
        if is_hopeless(measurement, objectives, warm_up_seconds=warm_up_seconds):
            progress.ended_early = True
            return
        if progress.seconds < next_evaluation:
            continue
        next_evaluation = progress.seconds * GROWTH
        verdict = evaluate(measurement, objectives, warm_up_seconds=warm_up_seconds).verdict
        if verdict in (Verdict.MISSED, Verdict.VOID):
            return
        # A step that ends as soon as it looks met would prefer lucky moments.
        if verdict is Verdict.MET and progress.seconds >= plan.min_seconds:
            return
