"""A probe runner with all that it works with."""

from pathlib import Path
from typing import Any

from probe.config.settings import Probe
from probe.result import Reason, Result
from probe.scheduler.accounting import TickAccounting, TickCounts
from probe.scheduler.run_state import RunState
from probe.scheduler.runner import CompiledProbe, ProbeRunner, ResultSink
from probe.scheduler.scheduler import ProbeScheduler
from tests.builders import make_probe, make_result
from tests.fakes import FakeProber, FakeTime, ManualExecutor, ManualScheduler


class ListSink(list[Result]):
    """Sink that keeps the results."""

    def record(self, result: Result) -> None:
        self.append(result)

    def reasons(self) -> list[Reason | None]:
        return [result.failure.reason if result.failure else None for result in self]


class RunnerHarness:
    """Runner of the probe `model`, once a second, on a scheduler that the test controls."""

    def __init__(self, directory: Path, **keys: Any) -> None:
        self.directory = directory
        self.time, self.executor, self.run_state = FakeTime(), ManualExecutor(), RunState()
        self.accounting, self.sink, self.lags = TickAccounting(), ListSink(), list[float]()
        self.sinks: list[ResultSink] = [self.sink]
        self.outcome: Result | Exception = make_result()
        self.runs = 0
        self.closed = list[Probe]()
        self.runner = ProbeRunner(
            self.compiled(**keys),
            ticks=self.accounting.add_probe("model"),
            sinks=self.sinks,
            observe_lag=self.lags.append,
            run_state=self.run_state,
            executor=self.executor,
            clock=self.time.clock(),
        )
        self.scheduler = ProbeScheduler(self.time.clock(), scheduler_type=ManualScheduler)
        self.scheduler.add(self.runner)
        self.scheduler.start()

    def compiled(self, **keys: Any) -> CompiledProbe:
        timing = {"interval": "1s", "timeout": "500ms", "startup_grace": "0s"}
        probe = make_probe(self.directory, **timing | keys)
        return CompiledProbe(
            probe=probe, prober=FakeProber(self._run), close=lambda: self.closed.append(probe)
        )

    def _run(self) -> Result:
        self.runs += 1
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def come_due(self) -> None:
        """Let a due time pass now, without starting the thread of the run."""
        self.runner.on_due(self.time.monotonic, 0)

    def tick(self) -> None:
        """Let a due time pass now, and run what it submitted."""
        self.come_due()
        self.run_task()

    def run_task(self) -> None:
        self.executor.tasks.pop()()

    def look_after(self, seconds: float) -> None:
        self.time.advance(seconds)
        self.scheduler.apscheduler.run_due_jobs()

    @property
    def counts(self) -> TickCounts:
        return self.accounting.counts()["model"]

    def failure(self) -> tuple[Reason, str]:
        """Return reason and detail of the last result."""
        failure = self.sink[-1].failure
        assert failure
        return failure.reason, failure.detail
