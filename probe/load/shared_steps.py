"""Steps of fixed duration that several load generators on different machines run together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from probe.load.measurement import LoadGenerator
from probe.load.objective import LoadObjective
from probe.load.search import SearchResult
from probe.load.step import OnProgress, Step, StepPlan, run_step
from probe.load.stop import StopReason

# Time between two steps, in addition to the timeout of a request. The clocks of machines may differ
# by a part of it.
PAUSE_RESERVE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSchedule:
    """When each step starts. All shares have the same schedule. Times are in seconds."""

    start: float
    """Start of the first step (Unix time)."""
    rates: tuple[float, ...]
    """Requests per second of all shares together."""
    step_seconds: float
    """Duration of a step, with its warm-up."""
    warm_up_seconds: float
    timeout_seconds: float
    """Timeout of a request, in which a step ends completely."""

    def plan(self, rate: float) -> StepPlan:
        """Return the plan of a step. It does not end early: the other shares do not know when."""
        return StepPlan(
            rate=rate,
            warm_up_seconds=self.warm_up_seconds,
            min_seconds=self.step_seconds,
            max_seconds=self.step_seconds,
            ends_early=False,
        )

    def start_of(self, index: int) -> float:
        """Return the start (Unix time) of a step; `index` counts from 0."""
        pause_seconds = self.timeout_seconds + PAUSE_RESERVE_SECONDS
        return self.start + index * (self.step_seconds + pause_seconds)


def run_shared_steps(
    generator: LoadGenerator,
    schedule: SharedSchedule,
    objectives: Sequence[LoadObjective],
    *,
    now: Callable[[], float],
    sleep: Callable[[float], None],
    on_progress: OnProgress,
    on_end: Callable[[Step], None],
) -> SearchResult:
    """Run each step of `schedule` at its time. `now` returns the Unix time."""
    steps: list[Step] = []
    reason = StopReason.ONE_SHARE
    try:
        for index, rate in enumerate(schedule.rates):
            sleep(max(0.0, schedule.start_of(index) - now()))
            plan = schedule.plan(rate)
            step = run_step(generator, plan, objectives, on_progress)
            steps.append(step)
            on_end(step)
            if step.stop_reason:
                reason = step.stop_reason
                break
    except KeyboardInterrupt:
        reason = StopReason.INTERRUPTED
    return SearchResult(steps=tuple(steps), confirmed=None, reason=reason)
