"""APScheduler as the clockwork: it waits for due times, and hands over every one of them."""

from collections.abc import Iterable
from datetime import datetime

from apscheduler.executors.base import BaseExecutor
from apscheduler.job import Job
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import BaseScheduler

from probe.clock import Clock
from probe.schedule.grid import Grid, GridTrigger, MonotonicZone
from probe.schedule.ticker import Ticker


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


class Clockwork:
    """Ticks every ticker on its grid, from `start` until `stop`."""

    def __init__(
        self,
        tickers: Iterable[Ticker],
        clock: Clock,
        scheduler: type[BaseScheduler] = BackgroundScheduler,
    ) -> None:
        zone = MonotonicZone(clock.monotonic)
        self._tickers = tuple(tickers)
        self.scheduler = scheduler(timezone=zone, executors={"default": TickExecutor()})
        anchor = clock.monotonic()
        for ticker in self._tickers:
            grid = Grid.of(ticker.name, ticker.pace.interval, anchor=anchor)
            self.scheduler.add_job(
                ticker.tick,
                GridTrigger(grid, zone),
                args=(None,),  # checked against the signature; the executor passes the due time
                id=ticker.name,
                coalesce=False,
            )

    def start(self) -> None:
        self.scheduler.start()

    def stop(self) -> None:
        """No tick comes due after this, and what is due but not started is skipped."""
        for ticker in self._tickers:
            ticker.stop()
        self.scheduler.shutdown(wait=False)
