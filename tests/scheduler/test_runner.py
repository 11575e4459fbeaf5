"""One probe: which due times become runs, and what becomes of the runs."""

import logging
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from probe.metrics.catalogue import MetricSpec
from probe.metrics.exposition import Exposition
from probe.metrics.recorder import Recorder
from probe.result import Reason, Result, SkipReason
from probe.scheduler.accounting import TickAccounting
from probe.scheduler.run_state import RunState
from probe.scheduler.runner import CompiledProbe, ProbeRunner, Schedule
from probe.threads import Task
from tests.builders import make_probe, make_result
from tests.fakes import FakeProber, FakeTime, ManualExecutor
from tests.scheduler.harness import ListSink, RunnerHarness


@pytest.mark.parametrize(
    ("interval", "timeout", "max_in_flight"),
    [(10.0, 5.0, 1), (1.0, 2.5, 4), (1.0, 5.0, 6), (10.0, 10.0, 2), (600.0, 5.0, 1)],
)
def test_overlap_limit(interval: float, timeout: float, max_in_flight: int) -> None:
    """As many runs may overlap as fit into the timeout and the maximum start delay."""
    assert Schedule(interval=interval, timeout=timeout).max_in_flight == max_in_flight


def test_lag_is_the_delay_of_the_start(tmp_path: Path) -> None:
    """Lag counts from the due time to the start of the run on its thread."""
    harness = RunnerHarness(tmp_path)
    harness.come_due()
    harness.time.advance(0.3)
    harness.run_task()
    assert (harness.lags, harness.runs) == ([0.3], 1)


def test_each_sink_gets_each_result(tmp_path: Path) -> None:
    """Success or failure: the sinks record the result of each run."""
    harness = RunnerHarness(tmp_path)
    harness.tick()
    harness.outcome = make_result(reason=Reason.REFUSED)
    harness.tick()
    assert harness.sink.reasons() == [None, Reason.REFUSED]


def test_a_sink_that_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug in one sink is logged. The other sinks record the result, so that they agree."""
    harness = RunnerHarness(tmp_path)
    broken = ListSink()

    def record(_result: Result) -> None:
        raise KeyError("missing")

    monkeypatch.setattr(broken, "record", record)
    harness.sinks.insert(0, broken)
    harness.tick()
    assert (harness.counts.runs, harness.sink.reasons()) == (1, [None])
    assert "bug: a sink failed to record a result of the probe model" in caplog.text
    assert "KeyError: 'missing'" in caplog.text


def test_a_tick_is_in_flight_until_its_result_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon stops the sinks when nothing is in flight."""
    harness, in_flight = RunnerHarness(tmp_path), list[int]()
    monkeypatch.setattr(
        harness.sink, "record", lambda _result: in_flight.append(harness.counts.in_flight)
    )
    harness.tick()
    assert in_flight == [1]
    assert (harness.counts.runs, harness.counts.in_flight) == (1, 0)


@pytest.mark.parametrize("name", ["_value_limit", "_cold_starts", "_startup_grace"])
def test_a_bug_before_the_sinks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """It is logged. The sinks record the result as it was, because its tick is a run."""
    harness = RunnerHarness(tmp_path)

    def apply(_result: Result, **_arguments: object) -> Result:
        raise KeyError("missing")

    monkeypatch.setattr(getattr(harness.runner, name), "apply", apply)
    harness.outcome = make_result(reason=Reason.REFUSED)
    harness.tick()
    assert (harness.counts.runs, harness.sink.reasons()) == (1, [Reason.REFUSED])
    assert "bug: classifying a result of the probe model raised an exception" in caplog.text
    assert "KeyError: 'missing'" in caplog.text


@pytest.mark.parametrize(
    ("method", "reasons"), [("reserve", [Reason.INTERNAL]), ("settle", [None])]
)
def test_a_bug_of_the_budget(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    method: str,
    reasons: list[Reason | None],
) -> None:
    """It is logged, the sinks have a result, and no tick stays in flight."""
    harness = RunnerHarness(tmp_path)

    def fail(*_: object) -> None:
        raise KeyError("missing")

    monkeypatch.setattr(harness.runner.spending, method, fail)
    harness.come_due()
    for task in harness.executor.tasks:
        task()
    assert (harness.counts.runs, harness.counts.in_flight) == (1, 0)
    assert harness.sink.reasons() == reasons
    assert caplog.messages[0].startswith("bug: ")
    assert "KeyError: 'missing'" in caplog.text


def test_a_bug_of_a_skipped_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is skipped on its thread is not in flight, even if its tokens stay reserved."""
    harness = RunnerHarness(tmp_path)

    def fail(*_: object) -> None:
        raise KeyError("missing")

    monkeypatch.setattr(harness.runner.spending, "release", fail)
    harness.come_due()
    harness.run_state.pause()
    with pytest.raises(KeyError):  # the executor logs it
        harness.run_task()
    assert (harness.counts.in_flight, harness.counts.skipped[SkipReason.PAUSED]) == (0, 1)


def test_a_bug_of_the_lag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tick is a failed run."""
    harness = RunnerHarness(tmp_path)

    def fail(_: float) -> None:
        raise KeyError("missing")

    monkeypatch.setattr(harness.runner, "_observe_lag", fail)
    harness.tick()
    assert (harness.counts.runs, harness.counts.in_flight) == (1, 0)
    assert harness.sink.reasons() == [Reason.INTERNAL]


def test_paused(tmp_path: Path) -> None:
    """While paused, ticks are skipped as `paused`, including one that waits for its thread."""
    harness = RunnerHarness(tmp_path)
    harness.come_due()
    harness.run_state.pause()
    harness.run_task()
    harness.come_due()
    assert (harness.counts.skipped[SkipReason.PAUSED], harness.runs) == (2, 0)
    harness.run_state.resume()
    harness.tick()
    assert harness.runs == 1


def test_missed_ticks_while_paused(tmp_path: Path) -> None:
    """Due times that passed unnoticed during a pause are `paused`, not `late`."""
    harness = RunnerHarness(tmp_path)
    harness.run_state.pause()
    harness.runner.on_due(harness.time.monotonic, 9)
    assert harness.counts.skipped[SkipReason.PAUSED] == harness.counts.ticks == 10


def test_a_removed_probe_starts_no_run(tmp_path: Path) -> None:
    """A tick that waits for its thread is `shutdown`, and the connections are closed."""
    harness = RunnerHarness(tmp_path)
    harness.come_due()
    harness.runner.stop()
    harness.run_task()
    harness.come_due()
    assert (harness.runs, harness.executor.tasks) == (0, [])
    assert (harness.counts.in_flight, harness.counts.skipped[SkipReason.SHUTDOWN]) == (0, 2)
    assert harness.closed == [harness.runner.probe]


def test_any_error_of_the_executor_is_a_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also an unexpected one: otherwise the tick would be in flight forever."""
    harness = RunnerHarness(tmp_path)

    def submit(_task: Task) -> None:
        raise MemoryError("no memory for a thread")

    monkeypatch.setattr(harness.executor, "submit", submit)
    harness.come_due()
    assert (harness.counts.runs, harness.counts.in_flight) == (1, 0)
    reason, detail = harness.failure()
    assert reason is Reason.INTERNAL
    assert "no memory for a thread" in detail


def test_a_bug_is_internal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A run that raises has finished as `internal`. Only the log has the text of the exception."""
    harness = RunnerHarness(tmp_path)
    harness.outcome = KeyError("hush")
    with caplog.at_level(logging.ERROR):
        harness.tick()
    assert (harness.counts.runs, harness.counts.in_flight) == (1, 0)
    reason, detail = harness.failure()
    assert reason is Reason.INTERNAL
    assert "KeyError" in detail
    assert "hush" not in detail
    assert "KeyError: 'hush'" in caplog.text
    assert harness.lags == [0.0]


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [("1m", "0s", Reason.REFUSED), ("0s", "1m", Reason.STARTUP)],
)
def test_a_changed_startup_grace(tmp_path: Path, before: str, after: str, reason: Reason) -> None:
    """The new length applies at once, counted from when the probe was added."""
    harness = RunnerHarness(tmp_path, startup_grace=before)
    harness.runner.update(harness.compiled(startup_grace=after))
    harness.outcome = make_result(reason=Reason.REFUSED)
    harness.tick()
    assert harness.failure()[0] is reason


def test_startup_seconds_left(tmp_path: Path) -> None:
    """The time until failures count passes, and ends with the first success."""
    harness = RunnerHarness(tmp_path, startup_grace="1m")
    harness.time.advance(20)
    assert harness.runner.startup_seconds_left == 40
    harness.tick()
    assert harness.runner.startup_seconds_left == 0
    late = RunnerHarness(tmp_path, startup_grace="1m")
    late.time.advance(100)
    assert late.runner.startup_seconds_left == 0


def test_another_url_does_not_begin_the_startup_grace_again(tmp_path: Path) -> None:
    """A probe that succeeded once can fail after any change: the name is its identity."""
    harness = RunnerHarness(tmp_path, startup_grace="1m", url="http://127.0.0.1:1/")
    harness.tick()
    harness.runner.update(harness.compiled(startup_grace="1m", url="http://127.0.0.1:2/"))
    harness.outcome = make_result(reason=Reason.REFUSED)
    harness.tick()
    assert harness.failure()[0] is Reason.REFUSED
    assert not harness.runner.starting


class BlockedExposition(Exposition):
    """Scrape that writes nothing until it is released."""

    def __init__(self) -> None:
        super().__init__(openmetrics=False)
        self.entered, self.released = threading.Event(), threading.Event()

    def add_family(self, _spec: MetricSpec, _samples: Iterable[str]) -> None:
        self.entered.set()
        self.released.wait(10)


class RecordedRunner:
    """Runner with a real recorder, whose runs return when the test says so."""

    def __init__(self, directory: Path) -> None:
        self.time, self.executor, self.accounting = FakeTime(), ManualExecutor(), TickAccounting()
        self.running, self.released = threading.Event(), threading.Event()
        self.recorder = Recorder(self.accounting)
        probe = make_probe(directory)
        self.runner = ProbeRunner(
            CompiledProbe(probe=probe, prober=FakeProber(self._run), close=lambda: None),
            ticks=self.accounting.add_probe("model"),
            sinks=[self.recorder],
            observe_lag=self.recorder.observe_lag,
            run_state=RunState(),
            executor=self.executor,
            clock=self.time.clock(),
        )
        self.recorder.add_probe(probe, {})

    def _run(self) -> Result:
        self.running.set()
        self.released.wait(10)
        return make_result()

    def start_run(self) -> threading.Thread:
        self.runner.on_due(self.time.monotonic, 0)
        thread = threading.Thread(target=self.executor.tasks.pop())
        thread.start()
        return thread

    def lag_count(self) -> float:
        page = Exposition(openmetrics=False)
        self.recorder.write_to(page)
        name = "inference_probe_schedule_lag_seconds_count"
        lines = [line for line in page.text().splitlines() if line.startswith(name)]
        return float(lines[0].rpartition(" ")[2])


@pytest.fixture
def recorded(tmp_path: Path) -> RecordedRunner:
    return RecordedRunner(tmp_path)


def test_a_scrape_does_not_delay_a_run(recorded: RecordedRunner) -> None:
    """A run starts, returns and is recorded while a scrape writes its text."""
    scrape = BlockedExposition()
    scraping = threading.Thread(target=recorded.recorder.write_to, args=(scrape,))
    scraping.start()
    assert scrape.entered.wait(5)
    recorded.released.set()
    running = recorded.start_run()
    try:
        running.join(5)
        assert not running.is_alive()
    finally:
        scrape.released.set()
        for thread in (scraping, running):
            thread.join()
    assert recorded.accounting.counts()["model"].runs == 1
    assert recorded.lag_count() == 1


@pytest.mark.parametrize("end", ["shutdown", "removal"])
def test_lag_counts_started_runs(recorded: RecordedRunner, end: str) -> None:
    """A run counts from its start, also if a shutdown or a reload gives it up."""
    running = recorded.start_run()
    assert recorded.running.wait(5)
    assert recorded.lag_count() == 1
    if end == "shutdown":
        recorded.accounting.close()
    else:
        recorded.runner.stop()
        recorded.recorder.remove_probe("model")
        recorded.accounting.remove_probe("model")
    recorded.released.set()
    running.join()
    assert recorded.lag_count() == 1
