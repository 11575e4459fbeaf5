"""Runs one probe at its due times and passes each result to the sinks.

Decides whether a tick runs or is skipped: pause and stop, lateness, deliberate cold starts, overlap
limit, budget. Failures during the startup grace and cold starts do not count against objectives.
"""

import dataclasses
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from probe.clock import HOUR_SECONDS, NS_PER_SECOND, Clock, nanoseconds
from probe.config.settings import Probe
from probe.prober.classify_failure import classify
from probe.prober.prober import Prober
from probe.result import BudgetStatus, Result, SkipReason
from probe.scheduler.accounting import ProbeTicks
from probe.scheduler.cold_starts import ColdStarts
from probe.scheduler.run_state import RunState
from probe.scheduler.spending import Reservation, SpendingMeter
from probe.scheduler.startup_grace import StartupGrace
from probe.scheduler.token_estimate import NO_ESTIMATE, TokenEstimate
from probe.scheduler.value_limit import ValueLimit
from probe.threads import Task

logger = logging.getLogger(__name__)

# A tick that starts later than this is skipped as `late`, however long the interval is.
MAX_START_DELAY_SECONDS = 1.0

# Minimum time between two lines of the log about the exhausted budget of a probe.
MIN_LOG_INTERVAL_SECONDS = HOUR_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledProbe:
    """Probe of a config with the prober that runs it."""

    probe: Probe
    prober: Prober
    close: Callable[[], None]
    """Closes idle connections; runs in flight are not disturbed."""
    estimate: TokenEstimate = NO_ESTIMATE
    """Tokens of a request, for a probe with `price` or `budget`."""

    def run_payloads(self, clock: Clock) -> list[Result]:
        """Run once with each payload, outside of a daemon, and without a limit of the budget.

        Without `payloads`, run once.
        """
        results = [self.prober.run() for _ in self.probe.payload_probes()]
        meter = SpendingMeter(self.probe, self.estimate, clock)
        return [
            dataclasses.replace(result, spending=meter.settle(None, result)) for result in results
        ]


class ResultSink(Protocol):
    """Receives each result of a scheduled run.

    It is called on the thread of the run, or on the scheduler's thread if no thread could be
    started.
    """

    def record(self, result: Result) -> None: ...


class TaskExecutor(Protocol):
    """Runs each task at once, on a separate thread: `ThreadCache`, except in tests."""

    def submit(self, task: Task) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Interval and timeout of a probe (seconds), and the limits that follow from them."""

    interval: float
    timeout: float

    @classmethod
    def of(cls, probe: Probe) -> "Schedule":
        return cls(interval=probe.interval, timeout=probe.timeout)

    @property
    def max_start_delay_seconds(self) -> float:
        """Delay after which a run no longer represents its due time; less than the interval."""
        return min(self.interval / 2, MAX_START_DELAY_SECONDS)

    @property
    def max_in_flight(self) -> int:
        """Number of runs that can be in flight while each keeps its deadline."""
        return int((self.timeout + self.max_start_delay_seconds) // self.interval) + 1


class ProbeRunner:
    """Runs one probe and keeps its tick counts, also when its config changes.

    The path of a run: `ProbeScheduler` calls `on_due`, the executor calls `_run` on another
    thread, the prober returns a result, and each sink records it.
    """

    def __init__(
        self,
        compiled: CompiledProbe,
        *,
        ticks: ProbeTicks,
        sinks: Sequence[ResultSink],
        observe_lag: Callable[[float], None],
        run_state: RunState,
        executor: TaskExecutor,
        clock: Clock,
    ) -> None:
        """Call `observe_lag` at the start of each run with its delay (s); it must not block."""
        self._compiled = compiled
        self._ticks = ticks
        self._sinks = sinks
        self._observe_lag = observe_lag
        self._run_state = run_state
        self._executor = executor
        self._clock = clock
        self._set_limits(compiled.probe)
        self._startup_grace = StartupGrace(clock, compiled.probe.startup_grace)
        self._value_limit = ValueLimit(compiled.probe, clock)
        self._cold_starts = ColdStarts(compiled.probe.cold, clock)
        self.spending = SpendingMeter(compiled.probe, compiled.estimate, clock)
        self._is_over_budget = False
        # No line about the budget before this instant (monotonic ns).
        self._next_budget_log = clock.monotonic()
        self._stopped = False

    @property
    def probe(self) -> Probe:
        return self._compiled.probe

    @property
    def starting(self) -> bool:
        """Whether the startup grace is active: failures do not count against objectives."""
        return self._startup_grace.active

    @property
    def startup_seconds_left(self) -> float:
        """Time until failures count against objectives (seconds); 0 if they do."""
        return self._startup_grace.seconds_left

    @property
    def is_over_budget(self) -> bool:
        """Whether the last tick was skipped because of the budget."""
        return self._is_over_budget

    @property
    def is_suspended_for_cold_start(self) -> bool:
        """Whether ticks are skipped, so that the service scales to zero."""
        return self._cold_starts.is_suspended

    @property
    def budget_status(self) -> BudgetStatus:
        """The use of the budget, and whether the last tick was over it."""
        return BudgetStatus(is_exhausted=self._is_over_budget, uses=self.spending.uses())

    def update(self, compiled: CompiledProbe) -> None:
        """Use another config from now on. A run in flight ends with the config it started with."""
        previous, self._compiled = self._compiled, compiled
        self._startup_grace.update(compiled.probe.startup_grace)
        self._set_limits(compiled.probe)
        self._value_limit.update(compiled.probe)
        self._cold_starts.update(compiled.probe.cold)
        self.spending.update(compiled.probe, compiled.estimate)
        # With another budget, the next tick decides.
        self._is_over_budget &= compiled.probe.budget == previous.probe.budget
        previous.close()

    def _set_limits(self, probe: Probe) -> None:
        """Compute the limits of the schedule once: each tick needs them."""
        schedule = Schedule.of(probe)
        self._max_start_delay_seconds = schedule.max_start_delay_seconds
        self._max_in_flight = schedule.max_in_flight

    def stop(self) -> None:
        """Start no further runs, not even one that is due now, and close idle connections."""
        self._stopped = True
        self._compiled.close()

    def on_due(self, due: int, missed: int) -> None:
        """Start the run for a due time (monotonic, ns), or count it as skipped.

        `missed` due times have passed before `due` without a call, e.g. while the machine was
        suspended. This is called on the scheduler's thread and must not block for long.
        """
        if missed:
            # Each is at least one interval old, which is more than the maximum start delay.
            self._ticks.skip(self._halt_reason() or SkipReason.LATE, missed)
        if reason := self._skip_reason(self._lag(due)):
            self._ticks.skip(reason)
        elif self._cold_starts.is_suspended_at(due):
            self._ticks.skip(SkipReason.COLD)
        elif self._ticks.start(max_in_flight=self._max_in_flight):
            self._start(due)

    def _log_exhausted_budget(self) -> None:
        """Log that the budget is exhausted, at most once in MIN_LOG_INTERVAL_SECONDS.

        A window that is exhausted all the time admits single requests again and again.
        """
        now = self._clock.monotonic()
        if not self._is_over_budget and now >= self._next_budget_log:
            self._next_budget_log = now + nanoseconds(MIN_LOG_INTERVAL_SECONDS)
            fields = {"probe": self.probe.name}
            logger.warning("budget exhausted, skipping requests", extra={"fields": fields})

    def run_on_demand(self, compiled: CompiledProbe) -> Result | None:
        """Run `compiled` now, and count its tokens. Return None if it would exceed the budget."""
        reservation = self.spending.reserve()
        if reservation is None:
            return None
        try:
            result = compiled.prober.run()
        except BaseException:
            self.spending.release(reservation)
            raise
        return self._settled(result, reservation)

    # From here on, the tick is in flight. No exception may prevent its end, not even that of a bug.

    def _start(self, due: int) -> None:
        """Start the run of a tick, or count the tick as skipped if the budget is exhausted."""
        try:
            reservation = self.spending.reserve()
        except Exception as bug:  # noqa: BLE001 (logged)
            self._record_bug(due, bug, None)
            return
        if reservation is None:
            self._ticks.abandon(SkipReason.BUDGET)
            self._log_exhausted_budget()
        else:
            self._submit(due, reservation)
        self._is_over_budget = reservation is None

    def _submit(self, due: int, reservation: Reservation) -> None:
        try:
            self._executor.submit(lambda: self._run(due, reservation))
        except Exception as error:  # noqa: BLE001 (any: else the tick would be in flight forever)
            self._record_start_failure(due, error, reservation)

    def _run(self, due: int, reservation: Reservation) -> None:
        """Run the probe once, on a thread of the executor."""
        lag = self._lag(due)
        # Check again: time may have passed until the thread started.
        if reason := self._skip_reason(lag):
            self._ticks.abandon(reason)
            self.spending.release(reservation)
            return
        idle = self._cold_starts.start_request()
        try:
            self._observe_lag(lag)
            result = self._compiled.prober.run(due)
        except Exception as bug:  # noqa: BLE001 (logged)
            self._record_bug(due, bug, reservation)
        else:
            self._record(result, reservation, idle)
        finally:
            self._cold_starts.end_request()

    def _record_bug(self, due: int, bug: Exception, reservation: Reservation | None) -> None:
        """Log `bug`, and record a failed run."""
        message = "bug: running the probe %s raised an exception"
        logger.error(message, self.probe.name, exc_info=bug)
        # Without the exception's text: pages show details, and the text may contain secrets.
        error = RuntimeError(f"bug, {type(bug).__name__}; the log has the traceback")
        self._record_start_failure(due, error, reservation)

    def _record_start_failure(
        self, due: int, error: Exception, reservation: Reservation | None
    ) -> None:
        """Record a failed run without a response: no thread, or an exception of the prober."""
        self._record(
            Result(
                probe=self.probe.name,
                started=self._clock.to_datetime(self._clock.monotonic()),
                due=self._clock.to_datetime(due),
                phases={},
                failure=classify(None, error, timeout=self.probe.timeout),
            ),
            reservation,
        )

    def _record(
        self, result: Result, reservation: Reservation | None, idle: int | None = None
    ) -> None:
        """Pass `result` to the sinks. `idle` is the time without requests before it (ns)."""
        settled = self._settled(result, reservation)
        if self._ticks.closed:
            return
        counted = self._counted(settled, idle)
        for sink in self._sinks:
            try:
                sink.record(counted)
            except Exception:  # the other sinks count this run, too
                name = self.probe.name
                logger.exception("bug: a sink failed to record a result of the probe %s", name)
        # Last: the daemon stops the sinks when nothing is in flight.
        self._ticks.finish()

    def _counted(self, result: Result, idle: int | None) -> Result:
        """Return `result` with its limited labels, and with whether it counts.

        A step that raises an exception is left out: the tick is a run, so the sinks must have it.
        """
        steps = (
            self._value_limit.apply,
            partial(self._cold_starts.apply, idle=idle),
            self._startup_grace.apply,
        )
        for step in steps:
            try:
                result = step(result)
            except Exception:
                name = self.probe.name
                logger.exception(
                    "bug: classifying a result of the probe %s raised an exception", name
                )
        return result

    def _settled(self, result: Result, reservation: Reservation | None) -> Result:
        """Return `result` with its tokens and cost, which now count instead of `reservation`.

        If that raises an exception, the result has none.
        """
        try:
            spending = self.spending.settle(reservation, result)
        except Exception:
            name = self.probe.name
            logger.exception("bug: counting tokens of the probe %s raised an exception", name)
            return result
        return dataclasses.replace(result, spending=spending) if spending else result

    def _skip_reason(self, lag: float) -> SkipReason | None:
        if reason := self._halt_reason():
            return reason
        return SkipReason.LATE if lag > self._max_start_delay_seconds else None

    def _halt_reason(self) -> SkipReason | None:
        """Return why no run may start now: paused or stopped. None if runs may start."""
        return SkipReason.SHUTDOWN if self._stopped else self._run_state.skip_reason

    def _lag(self, due: int) -> float:
        """Return the time since `due` in seconds."""
        return (self._clock.monotonic() - due) / NS_PER_SECOND
