"""Writes the series of all probes."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from probe.config.settings import Objective, Probe
from probe.metrics import catalogue
from probe.metrics.catalogue import MetricSpec
from probe.metrics.exposition import Exposition, format_labels, format_sample, format_value
from probe.metrics.histogram import Histogram
from probe.metrics.probe_counts import ProbeCounts
from probe.metrics.spending_metrics import SPENDING_METRICS, spending_lines
from probe.metrics.stream_metrics import STREAM_METRICS
from probe.redaction import redact_config_url
from probe.result import SkipReason
from probe.scheduler.accounting import TickCounts

# Values of the label `reason` of inference_probe_suspended.
SUSPENSION_REASONS = ("startup", "paused", "budget", "cold")


def write_probe_series(
    exposition: Exposition, probes: Sequence[ProbeCounts], ticks: Mapping[str, TickCounts]
) -> None:
    """Add the metrics of `probes` to `exposition`; `ticks` are their tick counts by name."""
    _write_ticks(exposition, probes, ticks)
    _write_counts(exposition, probes)


def _write_ticks(
    exposition: Exposition, probes: Sequence[ProbeCounts], ticks: Mapping[str, TickCounts]
) -> None:
    def add(spec: MetricSpec, value: Callable[[TickCounts], int]) -> None:
        exposition.add_family(
            spec,
            (
                format_sample(spec, counts.labels, value(ticks[counts.probe.name]))
                for counts in probes
            ),
        )

    add(catalogue.TICKS, lambda tick_counts: tick_counts.ticks)
    add(catalogue.RUNS, lambda tick_counts: tick_counts.runs)
    add(catalogue.IN_FLIGHT, lambda tick_counts: tick_counts.in_flight)
    exposition.add_family(
        catalogue.SKIPPED,
        (
            format_sample(
                catalogue.SKIPPED,
                f'{counts.labels},reason="{reason}"',
                ticks[counts.probe.name].skipped[reason],
            )
            for counts in probes
            for reason in SkipReason
            if _can_skip(counts.probe, reason) or ticks[counts.probe.name].skipped[reason]
        ),
    )


def _can_skip(probe: Probe, reason: str) -> bool:
    """Return whether ticks of `probe` can be skipped, or be suspended, for this reason."""
    if reason == SkipReason.BUDGET:
        return probe.budget is not None
    return reason != SkipReason.COLD or (probe.cold is not None and probe.cold.probe)


def _write_counts(exposition: Exposition, probes: Sequence[ProbeCounts]) -> None:
    def add(spec: MetricSpec, lines: Callable[[ProbeCounts], Iterable[str]]) -> None:
        exposition.add_family(spec, (line for counts in probes for line in lines(counts)))

    def add_value(spec: MetricSpec, value: Callable[[ProbeCounts], float | None]) -> None:
        add(spec, lambda counts: _value_line(spec, counts, value(counts)))

    def add_histograms(
        spec: MetricSpec,
        label: str,
        items: Callable[[ProbeCounts], Iterable[tuple[str, Histogram]]],
    ) -> None:
        add(
            spec,
            lambda counts: _histogram_lines(
                spec, counts, label, items(counts), with_exemplars=exposition.is_openmetrics
            ),
        )

    add_histograms(catalogue.LATENCY, "outcome", lambda counts: counts.latency.items())
    add(catalogue.DIMENSION_DURATION, _dimension_lines)
    add_histograms(catalogue.PHASE, "phase", lambda counts: counts.phases.items())
    add_histograms(catalogue.SERVER, "component", lambda counts: counts.server.items())
    add(catalogue.COLD_START, _cold_start_lines)
    for spec in STREAM_METRICS:
        add(spec, partial(_stream_lines, spec, with_exemplars=exposition.is_openmetrics))
    for spec in SPENDING_METRICS:
        add(spec, partial(_spending_lines, spec))
    add_value(catalogue.SERVER_IGNORED, lambda counts: counts.server_ignored)
    add_value(catalogue.MERGED, lambda counts: counts.merged_reads)
    add(catalogue.FAILURES, _failure_lines)
    add(catalogue.SUSPENDED, _suspended_lines)
    add_value(catalogue.INTERVAL, lambda counts: counts.probe.interval)
    add_value(catalogue.TIMEOUT, lambda counts: counts.probe.timeout)
    add_value(catalogue.LAST_RUN, lambda counts: counts.last_run)
    add_value(catalogue.LAST_SUCCESS, lambda counts: counts.last_success)
    add_value(catalogue.LAST_SUCCEEDED, lambda counts: counts.succeeded)
    add_value(catalogue.LAST_STATUS_CODE, lambda counts: counts.status)
    add_value(catalogue.CERTIFICATE, lambda counts: counts.certificate.not_after)
    add(catalogue.OBJECTIVE, _objective_lines)
    add(catalogue.OBJECTIVE_THRESHOLD, _objective_threshold_lines)
    add_value(catalogue.SAFE_RATE, _safe_rate)
    add(catalogue.INFO, _info_lines)
    add(catalogue.VERSION_INFO, _version_lines)
    add(catalogue.ALERT_INFO, _alert_info_lines)
    add(catalogue.SLO_ALERT_INFO, _slo_alert_info_lines)


def _value_line(spec: MetricSpec, counts: ProbeCounts, value: float | None) -> list[str]:
    return [] if value is None else [format_sample(spec, counts.labels, value)]


def _histogram_lines(
    spec: MetricSpec,
    counts: ProbeCounts,
    label: str,
    items: Iterable[tuple[str, Histogram]],
    *,
    with_exemplars: bool,
) -> Iterator[str]:
    for value, histogram in items:
        labels = f'{counts.labels},{label}="{value}"'
        yield histogram.samples(spec, labels, with_exemplars=with_exemplars)


def _cold_start_lines(counts: ProbeCounts) -> Iterator[str]:
    if counts.cold_starts:
        yield counts.cold_starts.samples(catalogue.COLD_START, counts.labels)


def _dimension_lines(counts: ProbeCounts) -> Iterable[str]:
    return counts.dimensions.lines(counts.labels) if counts.dimensions else ()


def _stream_lines(spec: MetricSpec, counts: ProbeCounts, *, with_exemplars: bool) -> Iterable[str]:
    if counts.stream is None:
        return ()
    return counts.stream.lines(spec, counts.labels, with_exemplars=with_exemplars)


def _spending_lines(spec: MetricSpec, counts: ProbeCounts) -> Iterable[str]:
    if counts.spending is None:
        return ()
    return spending_lines(spec, counts.probe, counts.labels, counts.spending)


def _failure_lines(counts: ProbeCounts) -> Iterator[str]:
    for reason, count in counts.failures.items():
        yield format_sample(catalogue.FAILURES, f'{counts.labels},reason="{reason}"', count)


def _suspended_lines(counts: ProbeCounts) -> Iterator[str]:
    for reason, is_suspended in counts.suspended.items():
        if not _can_skip(counts.probe, reason):
            continue
        labels = f'{counts.labels},reason="{reason}"'
        yield format_sample(catalogue.SUSPENDED, labels, is_suspended())


def _objective_lines(counts: ProbeCounts) -> Iterator[str]:
    for objective in counts.probe.objectives:
        labels = format_labels(
            {
                "slo": objective.name,
                "signal": objective.signal,
                "threshold": format_value(_threshold(objective)),
                "alert": objective.alert,
            }
        )
        yield format_sample(catalogue.OBJECTIVE, f"{counts.labels},{labels}", objective.target)


def _objective_threshold_lines(counts: ProbeCounts) -> Iterator[str]:
    for objective in counts.probe.objectives:
        if objective.threshold is not None:
            labels = format_labels({"slo": objective.name, "signal": objective.signal})
            yield format_sample(
                catalogue.OBJECTIVE_THRESHOLD, f"{counts.labels},{labels}", objective.threshold
            )


def _threshold(objective: Objective) -> float:
    """Return the largest good value (seconds). Without one, every success is good: +Inf."""
    return float("inf") if objective.threshold is None else objective.threshold


def _safe_rate(counts: ProbeCounts) -> float | None:
    capacity = counts.probe.capacity
    return None if capacity is None else capacity.safe_rate


def _info_lines(counts: ProbeCounts) -> Iterator[str]:
    url = redact_config_url(counts.probe.url.source)
    labels = format_labels({"url": url, **counts.probe.labels})
    yield format_sample(catalogue.INFO, f"{counts.labels},{labels}", 1)


def _version_lines(counts: ProbeCounts) -> Iterator[str]:
    if counts.version is not None:
        labels = format_labels({"version": counts.version})
        yield format_sample(catalogue.VERSION_INFO, f"{counts.labels},{labels}", 1)


def _alert_info_lines(counts: ProbeCounts) -> Iterator[str]:
    labels = format_labels({"down": counts.probe.down, **_alert_labels(counts.probe)})
    yield format_sample(catalogue.ALERT_INFO, f"{counts.labels},{labels}", 1)


def _slo_alert_info_lines(counts: ProbeCounts) -> Iterator[str]:
    """Yield the series of each objective.

    In PromQL a join can add labels of unknown names only if each objective has its own series.
    """
    if alert_labels := _alert_labels(counts.probe):
        for objective in counts.probe.objectives:
            labels = format_labels({"slo": objective.name, **alert_labels})
            yield format_sample(catalogue.SLO_ALERT_INFO, f"{counts.labels},{labels}", 1)


def _alert_labels(probe: Probe) -> dict[str, str]:
    return {name: probe.labels[name] for name in probe.alert_labels}
