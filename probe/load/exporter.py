"""Exposition of a running load test with fixed steps, for a Prometheus that adds several shares.

The counts are those of the seconds after the warm-up of each step, so at the end of a step they are
those of its verdict.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from probe.config.units import format_number
from probe.load.generator import Share
from probe.load.measurement import (
    BUCKET_RATIO,
    MIN_BUCKET_SECONDS,
    Counts,
    LatencyHistogram,
    LoadGenerator,
    StepMeasurement,
    total,
)
from probe.load.objective import LoadObjective
from probe.load.statistics import BATCHES
from probe.result import Reason

PREFIX = "inference_probe_load_"

# Bounds of the exported histograms: each bucket has ten of those of LatencyHistogram, so the counts
# are exact, and a percentile is at most 10.5 % too high.
_BUCKETS_PER_BOUND = 10
_FIRST_BOUND, _LAST_BOUND = 460, 2040
BOUNDS = tuple(
    MIN_BUCKET_SECONDS * BUCKET_RATIO**exponent
    for exponent in range(_FIRST_BOUND, _LAST_BOUND, _BUCKETS_PER_BOUND)
)

# Labels of all series.
LABELS = ("probe", "run", "share", "rate")


@dataclass(frozen=True, slots=True)
class LoadMetric:
    """Declaration of a metric: its name without PREFIX, and its labels besides LABELS."""

    name: str
    kind: str
    """`counter`, `gauge` or `histogram`."""
    help: str
    labels: tuple[str, ...] = ()


METRICS = (
    LoadMetric("offered", "counter", "Requests that were due."),
    LoadMetric("requests", "counter", "Requests by result.", ("result",)),
    LoadMetric("events", "counter", "Good and bad requests.", ("objective", "batch")),
    LoadMetric("bad", "counter", "Bad requests.", ("objective", "batch")),
    LoadMetric("result_seconds", "counter", "Sum of the latencies of all results."),
    LoadMetric("phase_seconds", "counter", "Sum of each phase of the successes.", ("phase",)),
    LoadMetric(
        "server_seconds", "counter", "Sum of the times that the server reported.", ("component",)
    ),
    LoadMetric("in_flight_seconds", "counter", "Integral of the requests in flight.", ("batch",)),
    LoadMetric("tokens", "counter", "Tokens that the server reported."),
    LoadMetric(
        "latency_seconds", "histogram", "Latency of the successes, from when they were due."
    ),
    LoadMetric("lag_seconds", "histogram", "Delay of the starts: lateness of the load generator."),
    LoadMetric("in_flight", "gauge", "Requests in flight now."),
    LoadMetric("counted_seconds", "gauge", "Planned seconds of the step after its warm-up."),
    LoadMetric("step_complete", "gauge", "1 if the step has ended and all of its seconds count."),
)

# Values of the label `result` besides the reasons of failures.
SUCCESS, DROPPED = "success", "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One share of a load test. All shares have the same `start`."""

    probe: str
    start: str
    """Time at which the first step starts, in RFC 3339: it identifies the run."""
    share: Share
    objectives: tuple[LoadObjective, ...]
    counted_seconds: int
    """Seconds of each step after the warm-up."""
    warm_up_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _StepState:
    """State of one step."""

    batches: tuple[Counts, ...]
    """Counts of BATCHES equal periods, after those of the seconds that remain at the start."""
    in_flight: int
    is_complete: bool


class LoadExporter:
    """Collector of the metrics of one share. Thread-safe."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._steps: dict[float, _StepState] = {}
        self._scrapes = threading.Semaphore(0)

    def update(self, rate: float, measurement: StepMeasurement, *, has_ended: bool) -> None:
        """Publish the state of the step with `rate` requests per second."""
        run = self._run
        judged = int(measurement.complete_until)
        end = run.warm_up_seconds + run.counted_seconds
        seconds = measurement.seconds[run.warm_up_seconds : min(judged, end)]
        self._steps[rate] = _StepState(
            batches=tuple(map(total, batches_of(seconds, run.counted_seconds))),
            in_flight=measurement.in_flight,
            is_complete=has_ended and len(seconds) == run.counted_seconds,
        )

    def wait_for_scrapes(self, count: int, timeout_seconds: float) -> bool:
        """Wait for `count` scrapes from now. Return whether each came within `timeout_seconds`."""
        self._scrapes = threading.Semaphore(0)
        return all(self._scrapes.acquire(timeout=timeout_seconds) for _ in range(count))

    def describe(self) -> list[Metric]:
        """Return no metrics: a registry would otherwise count its own call as a scrape."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of all steps."""
        families = _families()
        run = self._run
        labels = (run.probe, run.start, f"{run.share.index}/{run.share.count}")
        for rate, state in list(self._steps.items()):
            _add_step(families, [*labels, format_number(rate)], run, state)
        yield from families.values()
        self._scrapes.release()


class ExportedGenerator:
    """A load generator whose measurements an exporter publishes: a `LoadGenerator`."""

    def __init__(self, generator: LoadGenerator, exporter: LoadExporter) -> None:
        self._generator = generator
        self._exporter = exporter
        self._rate = 0.0

    def start(self, rate: float) -> None:
        """Begin a step with `rate` requests per second."""
        self._rate = rate
        self._generator.start(rate)

    def measure(self, until: float) -> StepMeasurement:
        """Wait until the time `until` and return the measurement of the step up to now."""
        measurement = self._generator.measure(until)
        self._exporter.update(self._rate, measurement, has_ended=False)
        return measurement

    def stop(self) -> StepMeasurement:
        """End the step: send no more requests, and wait for those in flight."""
        measurement = self._generator.stop()
        self._exporter.update(self._rate, measurement, has_ended=True)
        return measurement


def batches_of(seconds: Sequence[Counts], planned: int) -> list[Sequence[Counts]]:
    """Return the remainder at the start and BATCHES equal periods of a step of `planned` seconds.

    `seconds` may be fewer: then the last periods are shorter.
    """
    size = planned // BATCHES
    remainder = planned - size * BATCHES
    starts = [0, *(remainder + number * size for number in range(BATCHES + 1))]
    return [seconds[start:end] for start, end in pairwise(starts)]


_FAMILIES = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}


def _families() -> dict[str, Any]:
    """Return the metrics without series, by their names without PREFIX."""
    return {
        metric.name: _FAMILIES[metric.kind](
            PREFIX + metric.name, metric.help, labels=[*LABELS, *metric.labels]
        )
        for metric in METRICS
    }


def _add_step(
    families: Mapping[str, Any], labels: Sequence[str], run: Run, state: _StepState
) -> None:
    """Add the series of a step. `labels` are the values of LABELS."""

    def add(name: str, value: float, *extra: str) -> None:
        families[name].add_metric([*labels, *extra], value)

    counts = total(state.batches)
    add("offered", counts.offered)
    add("requests", counts.latencies.count, SUCCESS)
    add("requests", counts.dropped, DROPPED)
    for reason in Reason:
        add("requests", counts.failures[reason], str(reason))
    add("result_seconds", counts.latency_seconds)
    add("tokens", counts.tokens)
    for phase, seconds in counts.phases.items():
        add("phase_seconds", seconds, str(phase))
    for component, seconds in counts.components.items():
        add("server_seconds", seconds, str(component))
    for number, batch in enumerate(state.batches):
        add("in_flight_seconds", batch.in_flight_seconds, str(number))
        for index, objective in enumerate(run.objectives):
            text = objective.text
            add("events", batch.events[index] if batch.events else 0, text, str(number))
            add("bad", batch.bad[index] if batch.bad else 0, text, str(number))
    add("in_flight", state.in_flight)
    add("counted_seconds", run.counted_seconds)
    add("step_complete", state.is_complete)
    for name, histogram in (("latency_seconds", counts.latencies), ("lag_seconds", counts.lags)):
        families[name].add_metric(labels, _buckets(histogram), sum_value=None)


def _buckets(histogram: LatencyHistogram) -> list[tuple[str, float]]:
    """Return the cumulative buckets of an exposition. There is no sum."""
    counts = histogram.cumulative(BOUNDS)
    buckets = [(repr(bound), float(count)) for bound, count in zip(BOUNDS, counts, strict=True)]
    return [*buckets, ("+Inf", float(histogram.count))]
