"""Calls each probe's runner at its due times. APScheduler does the waiting."""

from collections.abc import Callable
from datetime import datetime

from apscheduler.executors.base import BaseExecutor
from apscheduler.job import Job
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import BaseScheduler

from probe.clock import NS_PER_SECOND, Clock
from probe.scheduler.grid import Grid, GridTrigger, MonotonicZone
from probe.scheduler.runner import ProbeRunner

HEARTBEAT_INTERVAL_NS = NS_PER_SECOND

# Without a heartbeat for this long the scheduler counts as hung.
MAX_HEARTBEAT_AGE_NS = 10 * NS_PER_SECOND

# `ProbeRunner.on_due`: takes a due time (monotonic, ns) and the number of missed ones before it.
OnDue = Callable[[int, int], None]


class TickExecutor(BaseExecutor):  # type: ignore[misc]  # APScheduler ships no types
    """Calls a job's function with its due time, on the scheduler's own thread.

    The executors of APScheduler do not pass the due time to a job, and they drop missed due times
    and overlapping runs without counting them. Here `ProbeRunner.on_due` accounts for all of them.
    """

    def submit_job(self, job: Job, run_times: list[datetime]) -> None:
        on_due: OnDue = job.func
        on_due(*job.trigger.last_and_missed(run_times))

    def _do_submit_job(self, job: Job, run_times: list[datetime]) -> None:
        raise NotImplementedError("submit_job is overridden")


class ProbeScheduler:
    """Calls the runners on their grids, from `start` until `stop`.

    All grids have the same anchor, the creation of the scheduler. A probe that is added later gets
    the same due times as if it had been added at the start.
    """

    def __init__(
        self, clock: Clock, scheduler_type: type[BaseScheduler] = BackgroundScheduler
    ) -> None:
        self._clock = clock
        self._zone = MonotonicZone(clock.monotonic)
        self._anchor = clock.monotonic()
        self._jobs: dict[str, Job] = {}
        self._last_heartbeat = self._anchor
        self._running = False
        self.apscheduler = scheduler_type(
            timezone=self._zone, executors={"default": TickExecutor()}
        )
        heartbeat = Grid(self._anchor, HEARTBEAT_INTERVAL_NS)
        self._add(self._heartbeat, GridTrigger(heartbeat, self._zone))

    def add(self, runner: ProbeRunner) -> None:
        """Call the runner at its due times from now on."""
        self._jobs[runner.probe.name] = self._add(runner.on_due, self._trigger(runner))

    def reschedule(self, runner: ProbeRunner) -> None:
        """Use the changed interval of the runner's probe from now on."""
        self._jobs[runner.probe.name].reschedule(self._trigger(runner))

    def remove(self, name: str) -> None:
        """Stop calling the runner of the probe `name`."""
        self._jobs.pop(name).remove()

    def start(self) -> None:
        self._last_heartbeat = self._clock.monotonic()
        self._running = True
        self.apscheduler.start()

    def stop(self) -> None:
        """Stop. No runner is called after this, and it cannot be started again."""
        hung, self._running = not self.alive, False
        if not hung:  # APScheduler would wait for a hung thread
            self.apscheduler.shutdown(wait=False)

    @property
    def alive(self) -> bool:
        """Whether the scheduler's thread works. True also before the start and after the stop."""
        if not self._running:
            return True
        return self._clock.monotonic() - self._last_heartbeat < MAX_HEARTBEAT_AGE_NS

    def _heartbeat(self, _due: int, _missed: int) -> None:
        # A separate job, because the intervals of the probes may be hours.
        self._last_heartbeat = self._clock.monotonic()

    def _trigger(self, runner: ProbeRunner) -> GridTrigger:
        probe = runner.probe
        grid = Grid.for_probe(probe.name, probe.interval, anchor=self._anchor)
        return GridTrigger(grid, self._zone)

    def _add(self, on_due: OnDue, trigger: GridTrigger) -> Job:
        return self.apscheduler.add_job(
            on_due,
            trigger,
            # APScheduler checks arguments against the signature; the executor passes the real ones.
            args=(None, None),
            coalesce=False,
        )
