"""One probe at work. Its counts and what is remembered of it outlive a change of its settings."""

import logging

from probe.clock import Clock
from probe.config.schema import Probe
from probe.daemon.factory import CompiledProbe
from probe.history.history import History
from probe.history.state_log import StateChangeLog
from probe.metrics.recorder import Recorder
from probe.prober.classify import classify
from probe.result import Result
from probe.scheduler.accounting import ProbeTicks
from probe.scheduler.run_state import RunState
from probe.scheduler.startup_grace import StartupGrace
from probe.scheduler.ticker import Executor, Schedule, Tick, Ticker
from probe.server.on_demand import OnDemandTarget

logger = logging.getLogger(__name__)


class ProbeRunner:
    """Runs the probe of an instrument when its ticker says so, and hands on what came of it."""

    def __init__(
        self,
        instrument: CompiledProbe,
        *,
        book: ProbeTicks,
        recorder: Recorder,
        history: History,
        gate: RunState,
        crew: Executor,
        clock: Clock,
    ) -> None:
        probe = instrument.probe
        self._instrument = instrument
        self._book = book
        self._recorder = recorder
        self._history = history
        self._clock = clock
        self._journal = StateChangeLog(clock)
        self._grace = grace = StartupGrace(clock, probe.startup_grace)
        self.ticker = Ticker(
            probe.name,
            _pace(probe),
            run=self._run,
            unable=self._unable,
            gate=gate,
            book=book,
            crew=crew,
            clock=clock,
        )
        recorder.add_probe(probe, {"startup": lambda: grace.running, "paused": lambda: gate.paused})
        history.set_probe(probe)

    @property
    def probe(self) -> Probe:
        return self._instrument.probe

    @property
    def target(self) -> OnDemandTarget:
        """For who asks out of turn; equal as long as the instrument is the same."""
        return OnDemandTarget(run=self._instrument.run, interval=self.probe.interval)

    def change(self, instrument: CompiledProbe) -> None:
        """Go on with another instrument. A run in flight ends with the one that it began with."""
        before, self._instrument = self._instrument, instrument
        self._grace.change(self.probe.startup_grace)
        self.ticker.pace = _pace(self.probe)
        self._recorder.update_probe(self.probe)
        self._history.set_probe(self.probe)
        before.close()

    def close(self) -> None:
        """What is due but not started will not start, and no connection stays open."""
        self.ticker.stop()
        self._recorder.remove_probe(self.probe.name)
        self._history.remove_probe(self.probe.name)
        self._instrument.close()

    def _run(self, tick: Tick) -> None:
        try:
            result = self._instrument.run(tick.due)
        except Exception as bug:
            logger.exception("a bug: the probe %s has not come to a result", self.probe.name)
            self._unable(tick, RuntimeError(f"a bug, {type(bug).__name__}: the log has it all"))
        else:
            # only now: who reads the counts may hold them for long, and the probe was due
            self._recorder.observe_lag(tick.lag)
            self._finish(result)

    def _unable(self, tick: Tick, error: Exception) -> None:
        """There was no thread for it, or it broke."""
        self._finish(
            Result(
                probe=self.probe.name,
                started=self._clock.date(self._clock.monotonic()),
                due=self._clock.date(tick.due),
                phases={},
                failure=classify(None, error, timeout=self.probe.timeout),
            )
        )

    def _finish(self, result: Result) -> None:
        if self._book.finish():
            counted = self._grace.judge(result)
            self._recorder.record(counted)
            self._history.record(counted)
            self._journal.record(counted)


def _pace(probe: Probe) -> Schedule:
    return Schedule(interval=probe.interval, timeout=probe.timeout)
