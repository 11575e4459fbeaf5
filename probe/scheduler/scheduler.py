"""Calls each probe's runner at its due times. APScheduler does the waiting."""

import threading

from probe.clock import NS_PER_SECOND, Clock
from probe.scheduler.grid import Grid
from probe.scheduler.merged_grid import GridEntry, MergedGrid
from probe.scheduler.runner import ProbeRunner
from probe.scheduler.tick_scheduler import TickScheduler

HEARTBEAT_INTERVAL_NS = NS_PER_SECOND

# Without a heartbeat for this long the scheduler counts as hung.
MAX_HEARTBEAT_AGE_NS = 10 * NS_PER_SECOND


class ProbeScheduler:
    """Calls the runners on their grids, from `start` until `stop`. Thread-safe.

    All grids have the same anchor, the creation of the scheduler. A probe that is added later gets
    the same due times as if it had been added at the start.
    """

    def __init__(self, clock: Clock, scheduler_type: type[TickScheduler] = TickScheduler) -> None:
        self._clock = clock
        self._anchor = clock.monotonic()
        # A separate grid, because the intervals of the probes may be hours.
        heartbeat = Grid(self._anchor, HEARTBEAT_INTERVAL_NS)
        self._grids = MergedGrid(heartbeat, self._heartbeat, now=self._anchor)
        self._entries: dict[str, GridEntry] = {}
        # Of two additions, the later one must not delay the job that the earlier one advanced.
        self._additions = threading.Lock()
        self._last_heartbeat = self._anchor
        self._running = False
        self.apscheduler = scheduler_type(self._grids, clock.monotonic)

    def add(self, runner: ProbeRunner) -> None:
        """Call the runner at its due times from now on."""
        probe = runner.probe
        grid = Grid.for_probe(probe.name, probe.interval, anchor=self._anchor)
        with self._additions:
            self._entries[probe.name], is_next = self._grids.add(
                grid, runner.on_due, now=self._clock.monotonic()
            )
            if is_next:
                self.apscheduler.advance_job()

    def reschedule(self, runner: ProbeRunner) -> None:
        """Use the changed interval of the runner's probe from now on."""
        self.remove(runner.probe.name)
        self.add(runner)

    def remove(self, name: str) -> None:
        """Stop calling the runner of the probe `name`."""
        self._grids.remove(self._entries.pop(name))

    def start(self) -> None:
        now = self._last_heartbeat = self._clock.monotonic()
        # Due times before the start are no ticks.
        self._grids.skip_until(now)
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
        self._last_heartbeat = self._clock.monotonic()
