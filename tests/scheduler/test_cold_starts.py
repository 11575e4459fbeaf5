"""Cold starts: which results are recognised, which count, and how they are measured."""

from pathlib import Path
from typing import Any

import pytest

from probe.result import Reason, Result, SkipReason
from probe.scheduler.cold_starts import MAX_COLD_SECONDS, MIN_MEDIAN_RESULTS, ColdStarts
from tests.builders import make_result
from tests.scheduler.harness import RunnerHarness

AFTER_IDLE = {"after_idle": "5m"}
IDLE_SECONDS = 301.0


class ColdHarness(RunnerHarness):
    """Runner whose runs take as long as the latency of their results."""

    def _run(self) -> Result:
        result = super()._run()
        self.time.advance(result.latency)
        return result


def harness_of(directory: Path, **cold: Any) -> RunnerHarness:
    """Return a runner that has had enough warm results of 100 ms."""
    harness = ColdHarness(directory, cold=cold)
    for _ in range(MIN_MEDIAN_RESULTS):
        run(harness)
    return harness


def run(
    harness: RunnerHarness,
    latency: float = 0.1,
    reason: Reason | None = None,
    *,
    cold: bool = False,
    after: float = 1.0,
) -> Result:
    """Return the counted result of a run that began `after` seconds after the previous one."""
    harness.time.advance(after)
    harness.outcome = make_result(latency=latency, reason=reason, cold=cold)
    harness.tick()
    return harness.sink[-1]


def state(result: Result) -> tuple[bool | None, bool]:
    return result.cold, result.counts


def test_an_explicit_success(tmp_path: Path) -> None:
    """It does not count, unless the config says so."""
    assert state(run(harness_of(tmp_path), 3, cold=True)) == (True, False)
    assert state(run(harness_of(tmp_path, count=True), 3, cold=True)) == (True, True)


def test_an_explicit_failure(tmp_path: Path) -> None:
    """It has the reason `cold`, and its own one in the detail."""
    result = run(harness_of(tmp_path), 0.1, Reason.OVERLOADED, cold=True)
    assert (result.reason, *state(result)) == (Reason.COLD, True, False)
    assert result.failure
    assert result.failure.detail == (
        "cold start, not counted in objectives (overloaded: as the test says);"
        " cold starts that fail for more than 5m are counted"
    )
    counted = run(harness_of(tmp_path, count=True), 0.1, Reason.OVERLOADED, cold=True)
    assert (counted.reason, *state(counted)) == (Reason.OVERLOADED, True, True)


def test_an_outage(tmp_path: Path) -> None:
    """A model that is loading for more than 5 minutes is down, also if it says that it loads."""
    harness = harness_of(tmp_path)
    first = harness.time.monotonic
    while (harness.time.monotonic - first) / 1e9 < MAX_COLD_SECONDS - 2:
        assert run(harness, 0.1, Reason.OVERLOADED, cold=True).reason is Reason.COLD
    run(harness, 0.1, Reason.OVERLOADED, cold=True, after=2)
    result = run(harness, 0.1, Reason.OVERLOADED, cold=True, after=2)
    assert (result.reason, *state(result)) == (Reason.OVERLOADED, True, True)
    assert state(run(harness, 9, cold=True)) == (True, True)
    run(harness)
    assert state(run(harness, 9, cold=True)) == (True, False)


@pytest.mark.parametrize("reason", [None, Reason.BODY_TIMEOUT])
def test_one_long_cold_start(tmp_path: Path, reason: Reason | None) -> None:
    """Large weights take more than 5 minutes to load: one request that waits is no outage."""
    result = run(harness_of(tmp_path), 400, reason, cold=True)
    assert (result.cold, result.is_excluded or result.reason is Reason.COLD) == (True, True)


def test_cold_starts_of_a_long_interval(tmp_path: Path) -> None:
    """A success ends the time of failed ones, so those of a probe that runs rarely do not count."""
    harness = harness_of(tmp_path)
    states = [state(run(harness, 9, cold=True, after=600)) for _ in range(4)]
    assert states == [(True, False)] * 4


def test_successful_cold_starts_in_a_row(tmp_path: Path) -> None:
    """The service starts for each request, and each of them is answered: there is no outage."""
    harness = harness_of(tmp_path)
    states = [state(run(harness, 9, cold=True, after=60)) for _ in range(10)]
    assert states == [(True, False)] * 10


def test_failed_cold_starts_of_a_long_interval(tmp_path: Path) -> None:
    """After more than 5 minutes without a result, it is not known what the service did."""
    harness = harness_of(tmp_path)
    results = [run(harness, 9, Reason.OVERLOADED, cold=True, after=600) for _ in range(4)]
    assert [result.reason for result in results] == [Reason.COLD] * 4
    result = run(harness, 20, Reason.OVERLOADED, cold=True, after=290)
    assert result.reason is Reason.OVERLOADED


def test_slow_after_an_idle_time(tmp_path: Path) -> None:
    """The first result is a cold start if it takes three times the median of the warm ones."""
    harness = harness_of(tmp_path, **AFTER_IDLE)
    assert state(run(harness, 0.29, after=IDLE_SECONDS)) == (False, True)
    assert state(run(harness, 0.31, after=IDLE_SECONDS)) == (True, False)
    assert state(run(harness, 0.31)) == (False, True)


def test_slow_without_an_idle_time(tmp_path: Path) -> None:
    """It is slow."""
    harness = harness_of(tmp_path, **AFTER_IDLE)
    assert state(run(harness, 3, after=298)) == (False, True)
    assert state(run(harness_of(tmp_path), 3, after=IDLE_SECONDS)) == (False, True)


def test_a_timeout_after_an_idle_time(tmp_path: Path) -> None:
    """It is a cold start that takes longer than the timeout. The next one is a failure."""
    harness = harness_of(tmp_path, **AFTER_IDLE)
    timeout = run(harness, 5, Reason.FIRST_BYTE_TIMEOUT, after=IDLE_SECONDS)
    assert (timeout.reason, *state(timeout)) == (Reason.COLD, True, False)
    assert run(harness, 5, Reason.FIRST_BYTE_TIMEOUT).reason is Reason.FIRST_BYTE_TIMEOUT
    refused = run(harness, 0.01, Reason.REFUSED, after=IDLE_SECONDS)
    assert refused.reason is Reason.REFUSED


def test_inferred_at_most_once_in_a_row(tmp_path: Path) -> None:
    """Also if each request follows an idle time, because the probe is paused again and again."""
    harness = harness_of(tmp_path, **AFTER_IDLE)
    states = [state(run(harness, 3, after=IDLE_SECONDS)) for _ in range(4)]
    assert states == [(True, False), (False, True)] * 2


def test_too_few_warm_results(tmp_path: Path) -> None:
    """Their median says nothing."""
    harness = ColdHarness(tmp_path, cold=AFTER_IDLE)
    run(harness)
    assert state(run(harness, 3, after=IDLE_SECONDS)) == (False, True)


def test_faults_of_the_daemon(tmp_path: Path) -> None:
    """They say nothing about the service."""
    harness = harness_of(tmp_path, **AFTER_IDLE)
    result = run(harness, 3, Reason.INTERNAL, after=IDLE_SECONDS)
    assert (result.reason, result.cold) == (Reason.INTERNAL, False)


def test_deliberate_cold_starts(tmp_path: Path) -> None:
    """Once an hour, no request is sent for 5 minutes. The next one starts the service."""
    harness = ColdHarness(tmp_path, cold={**AFTER_IDLE, "probe": True}, interval="10s")
    starts: list[int] = []

    def tick() -> None:
        harness.time.advance(10)
        harness.come_due()
        if harness.executor.tasks:
            starts.append(harness.time.monotonic)
            idle = (starts[-1] - starts[-2]) / 1e9 if len(starts) > 1 else 0
            harness.outcome = make_result(latency=4 if idle >= 300 else 0.1, cold=False)
            harness.run_task()

    for _ in range(2 * 360 + 10):
        tick()
    cold = [result for result in harness.sink if result.cold]
    assert len(cold) == 2
    assert not any(result.counts for result in cold)
    assert harness.counts.skipped[SkipReason.COLD] == 60
    assert len(harness.sink) == 2 * 360 + 10 - 60


def test_requests_in_flight_before_a_deliberate_cold_start(tmp_path: Path) -> None:
    """The service needs 5 minutes without requests, which begin when the last one has ended."""
    keys = {**AFTER_IDLE, "probe": True, "interval": "10m"}
    harness = harness_of(tmp_path, **keys)
    harness.time.advance(290)
    run(harness, 50)
    for _ in range(5 * 60 - 1):
        harness.time.advance(1)
        harness.come_due()
        assert harness.runner.is_suspended_for_cold_start
    assert harness.counts.skipped[SkipReason.COLD] == 5 * 60 - 1
    assert state(run(harness, 9)) == (True, False)
    assert not harness.runner.is_suspended_for_cold_start


class OverlappingHarness(ColdHarness):
    """Runner that starts a second request 1 s after the first. The second one ends first."""

    has_second = False

    def _run(self) -> Result:
        if self.has_second:
            self.has_second = False
            self.time.advance(1)
            self.tick()
        return super()._run()


def test_overlapping_requests_after_an_idle_time(tmp_path: Path) -> None:
    """The first one is the cold start: the service was idle when it began."""
    harness = OverlappingHarness(tmp_path, cold=AFTER_IDLE, timeout="10s")
    for _ in range(MIN_MEDIAN_RESULTS):
        run(harness)
    harness.has_second = True
    run(harness, 3, after=IDLE_SECONDS)
    second, first = harness.sink[-2:]
    assert (state(second), state(first)) == ((False, True), (True, False))


def test_suspended_meanwhile(tmp_path: Path) -> None:
    """No result is expected, so no alert about missing results must fire."""
    keys = {"after_idle": "5m", "probe": True, "interval": "10m"}
    harness = ColdHarness(tmp_path, cold=keys)
    assert not harness.runner.is_suspended_for_cold_start
    harness.time.advance(5 * 60)
    assert harness.runner.is_suspended_for_cold_start
    harness.runner.update(harness.compiled(cold=AFTER_IDLE))
    assert not harness.runner.is_suspended_for_cold_start


class RemovingLock:
    """Lock that a reload takes first each time, and removes `cold` from the config."""

    def __init__(self, cold_starts: ColdStarts) -> None:
        self._cold_starts = cold_starts

    def __enter__(self) -> None:
        self._cold_starts._cold = None

    def __exit__(self, *_error: object) -> None:
        pass


def test_a_reload_that_removes_the_config_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result is passed on as it is, and the probe is not suspended any more."""
    keys = {"after_idle": "5m", "probe": True, "interval": "10m"}
    harness = harness_of(tmp_path, **keys)
    cold_starts = harness.runner._cold_starts
    harness.time.advance(5 * 60)
    with monkeypatch.context() as patch:
        patch.setattr(cold_starts, "_lock", RemovingLock(cold_starts))
        assert not harness.runner.is_suspended_for_cold_start
        cold_starts._cold = harness.runner.probe.cold
        result = make_result(reason=Reason.OVERLOADED, cold=True)
        assert cold_starts.apply(result, idle=None) is result
