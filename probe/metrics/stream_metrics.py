"""Metrics of the streams of one probe: times of tokens, and numbers of tokens."""

import copy
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Self

from probe.metrics import catalogue
from probe.metrics.catalogue import MetricSpec
from probe.metrics.exemplar import Exemplar
from probe.metrics.exposition import format_sample
from probe.metrics.histogram import FIRST_TOKEN_BUCKETS, GAP_BUCKETS, TOKEN_BUCKETS, Histogram
from probe.result import STREAM_SIGNALS, Outcome, Result, Signal, StreamResult, TokenCounts

# Bounds of the histograms of successes.
_BOUNDS: Mapping[MetricSpec, Sequence[float]] = {
    catalogue.TIME_TO_FIRST_TOKEN: FIRST_TOKEN_BUCKETS,
    catalogue.TIME_PER_OUTPUT_TOKEN: TOKEN_BUCKETS,
    catalogue.LONGEST_TOKEN_GAP: GAP_BUCKETS,
}

# Histograms that objectives are about.
_SIGNALS: Mapping[MetricSpec, Signal] = {
    catalogue.TIME_TO_FIRST_TOKEN: Signal.TIME_TO_FIRST_TOKEN,
    catalogue.TIME_PER_OUTPUT_TOKEN: Signal.TIME_PER_OUTPUT_TOKEN,
}

STREAM_METRICS = (
    *_BOUNDS,
    catalogue.TOKENS,
    catalogue.SIGNAL_MISSING,
    catalogue.MERGED_EVENTS,
)

# Values of the label `kind`.
_TOKEN_KINDS = tuple(field.name for field in fields(TokenCounts))


class StreamMetrics:
    """Counts the streams of one probe. The caller holds a lock."""

    def __init__(
        self, failure_bounds: Sequence[float], thresholds: Mapping[Signal, Sequence[float]]
    ) -> None:
        """Start at 0.

        `failure_bounds` are those of the latency of failures. `thresholds` are those of objectives
        (seconds), by signal: they become bounds, so that the rules can count good requests.
        """
        self._histograms = {
            spec: {
                Outcome.SUCCESS: Histogram((*bounds, *_thresholds(spec, thresholds))),
                Outcome.FAILURE: Histogram(failure_bounds),
            }
            for spec, bounds in _BOUNDS.items()
        }
        self._missing = Counter[Signal]()
        self._tokens = Counter[str]()
        self._merged_events = 0

    def take_over(self, old: "StreamMetrics", unchanged: Collection[Signal]) -> None:
        """Continue the counts of `old` that keep their meaning.

        Histograms do if they have the same bounds and, if objectives are about them, no objective
        of their signal is new: it is in `unchanged`.
        """
        for spec, histograms in old._histograms.items():
            same_bounds = all(
                self._histograms[spec][outcome].bounds == histogram.bounds
                for outcome, histogram in histograms.items()
            )
            if same_bounds and (spec not in _SIGNALS or _SIGNALS[spec] in unchanged):
                self._histograms[spec] = histograms
        self._missing, self._tokens = old._missing, old._tokens
        self._merged_events = old._merged_events

    def copy(self) -> Self:
        """Return a copy that later results do not change."""
        duplicate = copy.copy(self)
        duplicate._histograms = {
            spec: {outcome: histogram.copy() for outcome, histogram in histograms.items()}
            for spec, histograms in self._histograms.items()
        }
        duplicate._missing, duplicate._tokens = self._missing.copy(), self._tokens.copy()
        return duplicate

    def record(self, result: Result, exemplars: Mapping[Signal, Exemplar]) -> None:
        """Count a result. A failure has its latency in each histogram: it is bad for each signal.

        A success without a value is no event of this signal. `exemplars` are those of the buckets,
        for the signals that have one.
        """
        if result.stream:
            self._count(result.stream)
        if not result.counts:
            return
        if result.failure:
            for spec, histograms in self._histograms.items():
                exemplar = _exemplar(spec, exemplars)
                histograms[Outcome.FAILURE].observe(result.latency, exemplar)
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
                exemplar = _exemplar(spec, exemplars)
                self._histograms[spec][Outcome.SUCCESS].observe(seconds, exemplar)
        for signal in STREAM_SIGNALS:
            self._missing[signal] += result.seconds(signal) is None

    def lines(self, spec: MetricSpec, labels: str, *, with_exemplars: bool) -> Iterator[str]:
        """Yield the samples of one of STREAM_METRICS; `labels` are those of the probe."""
        if spec in self._histograms:
            for outcome, histogram in self._histograms[spec].items():
                yield histogram.samples(
                    spec, f'{labels},outcome="{outcome}"', with_exemplars=with_exemplars
                )
        elif spec is catalogue.TOKENS:
            for kind in _TOKEN_KINDS:
                yield format_sample(spec, f'{labels},kind="{kind}"', self._tokens[kind])
        elif spec is catalogue.SIGNAL_MISSING:
            for signal in STREAM_SIGNALS:
                yield format_sample(spec, f'{labels},signal="{signal}"', self._missing[signal])
        else:
            yield format_sample(spec, labels, self._merged_events)

    def _count(self, stream: StreamResult) -> None:
        self._merged_events += stream.merged_events
        for kind in _TOKEN_KINDS:
            self._tokens[kind] += getattr(stream.tokens, kind) or 0


def _exemplar(spec: MetricSpec, exemplars: Mapping[Signal, Exemplar]) -> Exemplar | None:
    """Return the exemplar for the histogram `spec`, if it is about a signal that has one."""
    return exemplars.get(_SIGNALS[spec]) if spec in _SIGNALS else None


def _thresholds(spec: MetricSpec, thresholds: Mapping[Signal, Sequence[float]]) -> Sequence[float]:
    """Return the thresholds that are bounds of the histogram `spec`."""
    return thresholds[_SIGNALS[spec]] if spec in _SIGNALS else ()
