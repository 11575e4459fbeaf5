"""One probe at work: what becomes of its runs, of a change of its settings, and of its end."""

import logging
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from probe.daemon.factory import CompiledProbe
from probe.history.history import History
from probe.metrics.catalogue import MetricSpec
from probe.metrics.exposition import Exposition
from probe.metrics.recorder import Recorder
from probe.result import Reason, Result
from probe.scheduler.accounting import TickAccounting, TickCounts
from probe.scheduler.run_state import RunState
from probe.scheduler.runner import ProbeRunner
from tests.builders import probe_of, result_of
from tests.fakes import FakeCrew, FakeTime


class Desk:
    """A station, all that it works with, and what its next run comes to."""

    def __init__(self, directory: Path, **keys: Any) -> None:
        self.directory = directory
        self.time, self.crew, self.ledger = FakeTime(), FakeCrew(), TickAccounting()
        self.recorder = Recorder(self.ledger)
        self.history = History(lambda: 0.0)
        self.outcome: Result | Exception = result_of()
        self.running = threading.Event()
        self.station = ProbeRunner(
            self.instrument(**keys),
            book=self.ledger.open("model"),
            recorder=self.recorder,
            history=self.history,
            gate=RunState(),
            crew=self.crew,
            clock=self.time.clock(),
        )

    def instrument(self, **keys: Any) -> CompiledProbe:
        probe = probe_of(self.directory, **keys)
        return CompiledProbe(probe=probe, run=self._run, close=lambda: None)

    def _run(self, due: int | None = None) -> Result:  # noqa: ARG002
        self.running.set()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def tick(self) -> None:
        self.station.ticker.tick(self.time.monotonic)
        self.crew.tasks.pop()()

    @property
    def account(self) -> TickCounts:
        return self.ledger.accounts()["model"]

    def failure(self) -> tuple[Reason, str]:
        """Reason and detail of the last one."""
        kept = self.history.snapshot("model")
        assert kept
        failure = kept.failures()[0].failure
        assert failure
        return failure.reason, failure.detail

    def promised(self) -> list[str]:
        kept = self.history.snapshot("model")
        assert kept
        return [standing.objective.name for standing in kept.objectives]


class Held(Exposition):
    """A scrape that is in the middle of it until it is released."""

    def __init__(self) -> None:
        super().__init__(openmetrics=False)
        self.begun, self.released = threading.Event(), threading.Event()

    def add_family(self, _spec: MetricSpec, _samples: Iterable[str]) -> None:
        self.begun.set()
        self.released.wait(10)


def test_a_scrape_does_not_hold_up_a_probe(tmp_path: Path) -> None:
    """A page of many probes takes long to write: meanwhile requests start when they are due."""
    desk, scrape = Desk(tmp_path), Held()
    threads = [threading.Thread(target=desk.recorder.write_to, args=(scrape,))]
    threads[0].start()
    assert scrape.begun.wait(5)
    threads.append(threading.Thread(target=desk.tick))
    threads[1].start()
    try:
        assert desk.running.wait(5)
    finally:
        scrape.released.set()
        for thread in threads:
            thread.join()
    assert desk.account.runs == 1


def test_a_bug_is_internal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A run that breaks has ended and is our own fault; the log knows what it was, and no page
    shows what it says.
    """
    desk = Desk(tmp_path, startup_grace="0s")
    desk.outcome = KeyError("hush")
    with caplog.at_level(logging.ERROR):
        desk.tick()
    assert (desk.account.runs, desk.account.in_flight) == (1, 0)
    reason, detail = desk.failure()
    assert reason is Reason.INTERNAL
    assert "KeyError" in detail
    assert "hush" not in detail
    assert "KeyError: 'hush'" in caplog.text


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [("1m", "0s", Reason.REFUSED), ("0s", "1m", Reason.STARTUP)],
)
def test_a_changed_grace_counts(tmp_path: Path, before: str, after: str, wanted: Reason) -> None:
    """From when it is changed on, since the probe was added."""
    desk = Desk(tmp_path, startup_grace=before)
    desk.station.change(desk.instrument(startup_grace=after))
    desk.outcome = result_of(reason=Reason.REFUSED)
    desk.tick()
    assert desk.failure()[0] is wanted


def test_changed_objectives_are_shown(tmp_path: Path) -> None:
    """The history goes by the objectives of now."""
    desk = Desk(tmp_path, objectives=[{"name": "up", "target": "99%"}])
    assert desk.promised() == ["up"]
    fast = {"name": "fast", "target": "99%", "latency": "1s"}
    desk.station.change(desk.instrument(objectives=[fast]))
    assert desk.promised() == ["fast"]


def test_a_removed_probe_is_forgotten(tmp_path: Path) -> None:
    """Nothing of it is shown to whoever gives its name to another one."""
    desk = Desk(tmp_path)
    desk.tick()
    desk.station.close()
    assert desk.history.snapshot("model") is None
