"""Shares of a load test: their schedule, their metrics, and their sum from Prometheus."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from probe.load.exporter import BOUNDS, ExportedGenerator, LoadExporter, Run, batches_of
from probe.load.generator import Share
from probe.load.measurement import Counts, LatencyHistogram
from probe.load.objective import LoadObjective
from probe.load.prometheus_source import read_load_test
from probe.load.search import SearchResult
from probe.load.shared_steps import SharedSchedule, run_shared_steps
from probe.load.stop import StopReason
from probe.load.verdict import Verdict
from probe.prometheus.client import PrometheusClient, PrometheusError
from probe.prometheus.series import Sample, Series
from probe.remote_server import RemoteServer
from probe.result import Phase
from tests.load.simulated_queue import SimulatedQueue, exponential, servers

OBJECTIVES = (
    LoadObjective(target=0.95, threshold_seconds=0.4),
    LoadObjective.error_limit(0.01),
)
START = "2026-11-29T13:00:00.000Z"
WARM_UP_SECONDS, COUNTED_SECONDS = 5, 123
SHARES = 3


class _Share:
    """A share whose requests go to a separate simulated queue."""

    def __init__(self, index: int, rates: Sequence[float], count: int = SHARES) -> None:
        self.exporter = LoadExporter(
            Run(
                probe='model "a"',
                start=START,
                share=Share(index=index, count=count),
                objectives=OBJECTIVES,
                warm_up_seconds=WARM_UP_SECONDS,
                counted_seconds=COUNTED_SECONDS,
            )
        )
        self.queue = SimulatedQueue(
            servers(2, exponential(0.05)), OBJECTIVES, np.random.default_rng(index)
        )
        self.starts: list[float] = []
        self._idle = 0.0
        self.result = self._run(rates)

    def _run(self, rates: Sequence[float]) -> SearchResult:
        schedule = SharedSchedule(
            start=100.0,
            rates=tuple(rates),
            step_seconds=WARM_UP_SECONDS + COUNTED_SECONDS,
            warm_up_seconds=WARM_UP_SECONDS,
            timeout_seconds=1.0,
        )
        return run_shared_steps(
            ExportedGenerator(self.queue, self.exporter),
            schedule,
            OBJECTIVES,
            now=self._now,
            sleep=self._sleep,
            on_progress=lambda *_: None,
            on_end=lambda _: None,
        )

    def _now(self) -> float:
        return self.queue.now() + self._idle

    def _sleep(self, seconds: float) -> None:
        self._idle += seconds
        self.starts.append(self._now())

    def series(self) -> Iterator[Series]:
        """Yield the series of the exposition, as Prometheus stores them."""
        registry = CollectorRegistry()
        registry.register(self.exporter)
        for family in text_string_to_metric_families(generate_latest(registry).decode()):
            for sample in family.samples:
                labels = {"__name__": sample.name, "instance": "pod", **sample.labels}
                yield Series(labels, [Sample(0, sample.value)])


@pytest.fixture(scope="module")
def shares() -> list[_Share]:
    return [_Share(index, (10, 15, 50)) for index in range(SHARES)]


class _StoredSeries(PrometheusClient):
    """Responds to queries with series of `stored`."""

    def __init__(self, stored: list[Series]) -> None:
        super().__init__(RemoteServer(url="http://prometheus"))
        self._stored = stored

    def instant(self, expression: str, time: float | None = None) -> list[Series]:
        assert r'probe="model \"a\""' in expression
        assert time is None
        suffix = "complete" if "step_complete{" in expression else ""
        return [series for series in self._stored if series.labels["__name__"].endswith(suffix)]


@pytest.fixture
def prometheus() -> list[Series]:
    """Return the list of the series that Prometheus has, which is empty."""
    return []


def _read(stored: list[Series]) -> SearchResult:
    return read_load_test(
        _StoredSeries(stored), probe='model "a"', objectives=OBJECTIVES, start=None
    )


def test_schedule(shares: list[_Share]) -> None:
    """All shares start their steps at the same times, also if an objective is missed by far."""
    for share in shares:
        assert share.starts == pytest.approx([100, 231, 362])
        assert share.result.reason is StopReason.ONE_SHARE
        assert share.result.steps[-1].verdict is Verdict.MISSED
        assert [step.evaluation.seconds for step in share.result.steps] == [COUNTED_SECONDS] * 3


def test_sum_of_all_shares(shares: list[_Share], prometheus: list[Series]) -> None:
    """The counts, bounds and phases are those of all shares together."""
    for share in shares:
        prometheus += share.series()
    result = _read(prometheus)
    assert [step.rate for step in result.steps] == [10, 15, 50]
    for number, step in enumerate(result.steps):
        parts = [share.result.steps[number].evaluation for share in shares]
        counts = step.evaluation.counts
        assert counts.offered == sum(part.counts.offered for part in parts)
        assert counts.completed == sum(part.counts.completed for part in parts)
        for index, evidence in enumerate(step.evaluation.evidence):
            assert evidence.bad == sum(part.evidence[index].bad for part in parts)
            assert evidence.requests == sum(part.evidence[index].requests for part in parts)
            assert evidence.bounds.upper <= max(part.evidence[index].bounds.upper for part in parts)
        assert counts.phases[Phase.WAIT] == pytest.approx(
            sum(part.counts.phases[Phase.WAIT] for part in parts)
        )
        assert step.evaluation.in_flight == pytest.approx(sum(part.in_flight for part in parts))
        latencies = LatencyHistogram()
        for part in parts:
            latencies.add(part.counts.latencies)
        for rank in (counts.completed // 10, counts.completed // 2, counts.completed):
            assert 0 <= counts.latencies.at_rank(rank) / latencies.at_rank(rank) - 1 <= 0.105


def test_bounds_of_one_share(prometheus: list[Series]) -> None:
    """The verdict uses batch means, as that of the share itself: the sums of the same periods."""
    share = _Share(0, (25, 33), count=1)
    prometheus += share.series()
    for step, original in zip(_read(prometheus).steps, share.result.steps, strict=True):
        assert step.evaluation.evidence == original.evaluation.evidence
        assert step.evaluation.in_flight == pytest.approx(original.evaluation.in_flight)


def test_result_of_all_shares(shares: list[_Share], prometheus: list[Series]) -> None:
    """The highest rate that is met for 2 minutes, before one is missed, is confirmed."""
    for share in shares:
        prometheus += share.series()
    result = _read(prometheus)
    assert [step.verdict for step in result.steps] == ["met", "met", "missed"]
    assert result.confirmed is result.steps[1]
    assert result.reason is StopReason.CONFIRMED


def test_throughput_of_all_shares(shares: list[_Share], prometheus: list[Series]) -> None:
    """Of an overloaded endpoint it is the capacity: three queues with 40/s each."""
    for share in shares:
        prometheus += share.series()
    assert _read(prometheus).steps[-1].evaluation.throughput == pytest.approx(120, rel=0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"share": "2/3"}, "the step at 10/s is not complete: no end of the shares 2/3"),
        ({"objective": "errors <= 1%"}, "the run has the objectives 95% < 400ms, not"),
    ],
)
def test_incomplete_run(
    change: dict[str, str],
    message: str,
    shares: list[_Share],
    prometheus: list[Series],
) -> None:
    """A share or an objective that is missing is named."""
    ((label, value),) = change.items()
    for share in shares:
        prometheus += [series for series in share.series() if series.labels.get(label) != value]
    with pytest.raises(PrometheusError, match=message):
        _read(prometheus)


def test_no_run(prometheus: list[Series]) -> None:
    """A Prometheus without the series is no load test."""
    assert not prometheus
    with pytest.raises(PrometheusError, match="has no load test of the probe model"):
        _read(prometheus)


def test_batches() -> None:
    """The seconds of a step are divided as for the bounds: the remainder is at the start."""
    seconds = tuple(Counts(offered=number) for number in range(23))
    batches = batches_of(seconds, 23)
    assert [len(batch) for batch in batches] == [3, *[2] * 10]
    assert [counts for batch in batches for counts in batch] == list(seconds)
    assert [len(batch) for batch in batches_of(seconds[:5], 23)] == [3, 2, *[0] * 9]


def test_bounds() -> None:
    """Counts up to an exported bound are exact, because no bucket is divided."""
    histogram = LatencyHistogram()
    durations = [1.2e-4 * 1.07**number for number in range(200)]
    for seconds in durations:
        histogram.observe(seconds)
    assert histogram.cumulative(BOUNDS) == [
        sum(histogram.at_rank(rank) <= bound * 1.000001 for rank in range(1, 201))
        for bound in BOUNDS
    ]


def test_scrapes() -> None:
    """A share waits until it was scraped; its registration is no scrape."""
    share = _Share(0, (10,), count=1)
    registry = CollectorRegistry()
    registry.register(share.exporter)
    assert not share.exporter.wait_for_scrapes(1, 0.01)
