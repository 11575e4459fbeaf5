"""APScheduler as the clockwork: it waits for due times, and hands over every one of them."""

from collections.abc import Callable
from datetime import datetime

from apscheduler.executors.base import BaseExecutor
from apscheduler.job import Job
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import BaseScheduler

from probe.clock import SECOND, Clock
from probe.scheduler.grid import Grid, GridTrigger, MonotonicZone
from probe.scheduler.ticker import Ticker

HEARTBEAT_INTERVAL_NS = SECOND
MAX_HEARTBEAT_AGE_NS = 10 * SECOND
"""Nanoseconds without a heartbeat after which the scheduler counts as hung."""


class TickExecutor(BaseExecutor):  # type: ignore[misc]  # APScheduler ships no types
    """Hands each due time to the job's own function.

    APScheduler's executors tell a job nothing of its due time, drop all but the last where some
    were missed, and limit overlap without an account of it. Here every due time reaches the
    ticker, which keeps the account.
    """

    def submit_job(self, job: Job, run_times: list[datetime]) -> None:
        for date in run_times:
            job.func(MonotonicZone.instant(date))

    def _do_submit_job(self, job: Job, run_times: list[datetime]) -> None:
        raise NotImplementedError("submit_job does it all")


class ProbeScheduler:
    """Ticks the tickers on their grids, from `start` until `stop`."""

    def __init__(self, clock: Clock, scheduler: type[BaseScheduler] = BackgroundScheduler) -> None:
        self._clock = clock
        self._zone = MonotonicZone(clock.monotonic)
        self._anchor = clock.monotonic()
        self._jobs: dict[str, Job] = {}
        self._beaten = self._anchor
        self._running = False
        self.scheduler = scheduler(timezone=self._zone, executors={"default": TickExecutor()})
        self._add(self._beat, GridTrigger(Grid(self._anchor, HEARTBEAT_INTERVAL_NS), self._zone))

    def add(self, ticker: Ticker) -> None:
        """Its grid starts with the clockwork's, so that it depends on nothing but its own pace."""
        self._jobs[ticker.name] = self._add(ticker.tick, self._trigger(ticker))

    def change(self, ticker: Ticker) -> None:
        """Follow a new interval from now on."""
        self._jobs[ticker.name].reschedule(self._trigger(ticker))

    def remove(self, name: str) -> None:
        self._jobs.pop(name).remove()

    def start(self) -> None:
        self._beaten = self._clock.monotonic()
        self._running = True
        self.scheduler.start()

    def stop(self) -> None:
        """No tick comes due after this."""
        hung, self._running = not self.ticking, False
        if not hung:  # else it would be waited for
            self.scheduler.shutdown(wait=False)

    @property
    def ticking(self) -> bool:
        """Whether the scheduler gets round to what is due; also when it has been stopped."""
        return not self._running or self._clock.monotonic() - self._beaten < MAX_HEARTBEAT_AGE_NS

    def _beat(self, _due: int) -> None:
        """The scheduler's own sign of life: the paces of the probes may be hours."""
        self._beaten = self._clock.monotonic()

    def _trigger(self, ticker: Ticker) -> GridTrigger:
        grid = Grid.of(ticker.name, ticker.pace.interval, anchor=self._anchor)
        return GridTrigger(grid, self._zone)

    def _add(self, tick: Callable[[int], None], trigger: GridTrigger) -> Job:
        return self.scheduler.add_job(
            tick,
            trigger,
            args=(None,),  # checked against the signature; the executor passes the due time
            coalesce=False,
        )
