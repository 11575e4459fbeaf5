"""Metrics of the streams of one probe: times of tokens, and numbers of tokens."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

from probe.metrics import catalogue
from probe.metrics.catalogue import MetricSpec
from probe.metrics.exposition import format_sample
from probe.metrics.histogram import FIRST_TOKEN_BUCKETS, GAP_BUCKETS, TOKEN_BUCKETS, Histogram
from probe.result import Outcome, Result, Signal, StreamResult

# Bounds of the histograms of successes.
_BOUNDS: Mapping[MetricSpec, Sequence[float]] = {
    catalogue.TIME_TO_FIRST_TOKEN: FIRST_TOKEN_BUCKETS,
    catalogue.TIME_PER_OUTPUT_TOKEN: TOKEN_BUCKETS,
    catalogue.LONGEST_TOKEN_GAP: GAP_BUCKETS,
}

STREAM_METRICS = (
    *_BOUNDS,
    catalogue.TOKENS,
    catalogue.SIGNAL_MISSING,
    catalogue.MERGED_EVENTS,
)

_TOKEN_KINDS = ("input", "output", "cached", "reasoning")


class StreamMetrics:
    """Counts the streams of one probe. The caller holds a lock."""

    def __init__(self, coarse_bounds: Sequence[float]) -> None:
        """Start at 0. `coarse_bounds` are those of the latency of failures."""
        self._histograms = {
            spec: {Outcome.SUCCESS: Histogram(bounds), Outcome.FAILURE: Histogram(coarse_bounds)}
            for spec, bounds in _BOUNDS.items()
        }
        self._missing = Counter[Signal]()
        self._tokens = Counter[str]()
        self._merged_events = 0

    def record(self, result: Result) -> None:
        """Count a result. A failure has its latency in each histogram: it is bad for each signal.

        A success without a value is no event of this signal.
        """
        if result.stream:
            self._count(result.stream)
        if result.failure:
            if result.failure.reason.counts_against_slo:
                for histograms in self._histograms.values():
                    histograms[Outcome.FAILURE].observe(result.latency)
            return
        if result.stream is None:
            return
        values = {
            catalogue.TIME_TO_FIRST_TOKEN: result.stream.time_to_first_token,
            catalogue.TIME_PER_OUTPUT_TOKEN: result.stream.time_per_output_token,
            catalogue.LONGEST_TOKEN_GAP: result.stream.longest_gap,
        }
        for spec, seconds in values.items():
            if seconds is not None:
                self._histograms[spec][Outcome.SUCCESS].observe(seconds)
        for signal in Signal:
            self._missing[signal] += getattr(result.stream, signal) is None

    def lines(self, spec: MetricSpec, labels: str) -> Iterator[str]:
        """Yield the samples of one of STREAM_METRICS; `labels` are those of the probe."""
        if spec in self._histograms:
            for outcome, histogram in self._histograms[spec].items():
                yield histogram.samples(spec, f'{labels},outcome="{outcome}"')
        elif spec is catalogue.TOKENS:
            for kind in _TOKEN_KINDS:
                yield format_sample(spec, f'{labels},kind="{kind}"', self._tokens[kind])
        elif spec is catalogue.SIGNAL_MISSING:
            for signal in Signal:
                yield format_sample(spec, f'{labels},signal="{signal}"', self._missing[signal])
        else:
            yield format_sample(spec, labels, self._merged_events)

    def _count(self, stream: StreamResult) -> None:
        self._merged_events += stream.merged_events
        for kind in fields(stream.tokens):
            self._tokens[kind.name] += getattr(stream.tokens, kind.name) or 0
