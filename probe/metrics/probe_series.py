"""Writes the series of all probes."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from operator import attrgetter

from probe.config.settings import Probe
from probe.metrics import catalogue
from probe.metrics.catalogue import MetricSpec
from probe.metrics.exposition import (
    MIN_EXPONENT_VALUE,
    Exposition,
    fill_lines,
    format_labels,
    format_sample,
    format_value,
    lines_template,
)
from probe.metrics.histogram import Histogram
from probe.metrics.probe_counts import ProbeCounts
from probe.metrics.settings_series import SETTINGS_METRICS
from probe.metrics.spending_metrics import SPENDING_METRICS, spending_lines
from probe.metrics.stream_metrics import STREAM_METRICS
from probe.result import SkipReason
from probe.scheduler.accounting import TickCounts
from probe.threads import yield_gil

# Values of the label `reason` of inference_probe_suspended.
SUSPENSION_REASONS = ("startup", "paused", "budget", "cold")


def write_probe_series(
    exposition: Exposition, probes: list[ProbeCounts], ticks: Mapping[str, TickCounts]
) -> None:
    """Add the metrics of `probes` to `exposition`; `ticks` are their tick counts by name.

    `probes` are dropped one by one while the last metric is written.
    """
    _write_ticks(exposition, probes, ticks)
    _write_counts(exposition, probes)


def _write_ticks(
    exposition: Exposition, probes: Sequence[ProbeCounts], ticks: Mapping[str, TickCounts]
) -> None:
    def add(spec: MetricSpec, lines: Callable[[ProbeCounts, TickCounts], str]) -> None:
        _add(exposition, spec, probes, lambda counts: lines(counts, ticks[counts.probe.name]))

    def add_value(spec: MetricSpec, value: Callable[[TickCounts], int]) -> None:
        add(spec, lambda counts, tick_counts: _value_line(spec, counts, value(tick_counts)))

    add_value(catalogue.TICKS, lambda tick_counts: tick_counts.ticks)
    add_value(catalogue.RUNS, lambda tick_counts: tick_counts.runs)
    add_value(catalogue.IN_FLIGHT, lambda tick_counts: tick_counts.in_flight)
    add(catalogue.SKIPPED, _skipped_lines)


def _add(
    exposition: Exposition,
    spec: MetricSpec,
    probes: Iterable[ProbeCounts],
    lines: Callable[[ProbeCounts], str],
) -> None:
    """Add a metric; `lines` returns its lines of one probe, empty if there are none."""
    exposition.add_family(spec, filter(None, map(lines, probes)))


def _skipped_lines(counts: ProbeCounts, tick_counts: TickCounts) -> str:
    skipped = tick_counts.skipped
    reasons = [reason for reason in skipped if skipped[reason] or _can_skip(counts.probe, reason)]
    values = (*map(skipped.__getitem__, reasons),)
    return _lines_by_reason(catalogue.SKIPPED, counts, reasons, values)


def _lines_by_reason(
    spec: MetricSpec, counts: ProbeCounts, reasons: Iterable[str], values: tuple[int, ...]
) -> str:
    """Return the samples of `values`, with the label `reason`."""
    if not values:
        return ""
    head = f'{spec.name}{{{counts.labels},reason="'
    if max(values) >= MIN_EXPONENT_VALUE:
        return "".join(
            f'{head}{reason}"}} {format_value(value)}\n'
            for reason, value in zip(reasons, values, strict=True)
        )
    # A fifth of all samples, so their text is built in one go.
    return fill_lines(_reasons_template(",".join(reasons)), head, values)


@cache
def _reasons_template(reasons: str) -> str:
    """Return the template of the lines of `reasons` (separated by commas)."""
    return lines_template(f'{reason}"}} %d.0' for reason in reasons.split(","))


def _can_skip(probe: Probe, reason: str) -> bool:
    """Return whether ticks of `probe` can be skipped, or be suspended, for this reason."""
    if reason == SkipReason.BUDGET:
        return probe.budget is not None
    return reason != SkipReason.COLD or (probe.cold is not None and probe.cold.probe)


def _write_counts(exposition: Exposition, probes: list[ProbeCounts]) -> None:
    # Few probes have these counts. To ask all of them for each metric would take time, and stop
    # other threads, which get the GIL between two pieces of text.
    having: dict[str, list[ProbeCounts]] = {
        name: list(filter(attrgetter(name), probes))
        for name in ("dimensions", "server", "cold_starts", "stream", "spending")
    }

    def add(
        spec: MetricSpec,
        lines: Callable[[ProbeCounts], str],
        probes: Iterable[ProbeCounts] = probes,
    ) -> None:
        _add(exposition, spec, probes, lines)

    def add_value(spec: MetricSpec, value: Callable[[ProbeCounts], float | None]) -> None:
        add(spec, lambda counts: _value_line(spec, counts, value(counts)))

    def add_histograms(
        spec: MetricSpec,
        label: str,
        items: Callable[[ProbeCounts], Iterable[tuple[str, Histogram]]],
        probes: Iterable[ProbeCounts] = probes,
    ) -> None:
        add(
            spec,
            lambda counts: _histogram_lines(
                spec, counts, label, items(counts), with_exemplars=exposition.is_openmetrics
            ),
            probes,
        )

    add_histograms(catalogue.LATENCY, "outcome", lambda counts: counts.latency.items())
    add(catalogue.DIMENSION_DURATION, _dimension_lines, having["dimensions"])
    add_histograms(catalogue.PHASE, "phase", lambda counts: counts.phases.items())
    add_histograms(
        catalogue.SERVER, "component", lambda counts: counts.server.items(), having["server"]
    )
    add(catalogue.COLD_START, _cold_start_lines, having["cold_starts"])
    for spec in STREAM_METRICS:
        lines = partial(_stream_lines, spec, with_exemplars=exposition.is_openmetrics)
        add(spec, lines, having["stream"])
    for spec in SPENDING_METRICS:
        add(spec, partial(_spending_lines, spec), having["spending"])
    add_value(catalogue.SERVER_IGNORED, lambda counts: counts.server_ignored)
    add_value(catalogue.MERGED, lambda counts: counts.merged_reads)
    add(catalogue.FAILURES, _failure_lines)
    add(catalogue.SUSPENDED, _suspended_lines)
    add_value(catalogue.LAST_RUN, lambda counts: counts.last_run)
    add_value(catalogue.LAST_SUCCESS, lambda counts: counts.last_success)
    add_value(catalogue.LAST_SUCCEEDED, lambda counts: counts.succeeded)
    add_value(catalogue.LAST_STATUS_CODE, lambda counts: counts.status)
    add_value(catalogue.CERTIFICATE, lambda counts: counts.certificate.not_after)
    add(catalogue.VERSION_INFO, _version_line)
    *first, last = enumerate(SETTINGS_METRICS)
    for index, spec in first:
        add(spec, partial(_settings_lines, index))
    add(last[1], partial(_settings_lines, last[0]), yield_gil(_drained(probes)))


def _drained(probes: list[ProbeCounts]) -> Iterator[ProbeCounts]:
    """Yield the probes, and remove each from the list.

    To free the counts of 5,000 probes at once would stop all other threads for 34 ms.
    """
    probes.reverse()
    while probes:
        yield probes.pop()


def _value_line(spec: MetricSpec, counts: ProbeCounts, value: float | None) -> str:
    return "" if value is None else f"{spec.name}{{{counts.labels}}} {format_value(value)}\n"


def _histogram_lines(
    spec: MetricSpec,
    counts: ProbeCounts,
    label: str,
    items: Iterable[tuple[str, Histogram]],
    *,
    with_exemplars: bool,
) -> str:
    return "".join(
        histogram.samples(spec, f'{counts.labels},{label}="{value}"', with_exemplars=with_exemplars)
        for value, histogram in items
    )


def _cold_start_lines(counts: ProbeCounts) -> str:
    if counts.cold_starts is None:
        return ""
    return counts.cold_starts.samples(catalogue.COLD_START, counts.labels)


def _dimension_lines(counts: ProbeCounts) -> str:
    return "".join(counts.dimensions.lines(counts.labels)) if counts.dimensions else ""


def _stream_lines(spec: MetricSpec, counts: ProbeCounts, *, with_exemplars: bool) -> str:
    if counts.stream is None:
        return ""
    return "".join(counts.stream.lines(spec, counts.labels, with_exemplars=with_exemplars))


def _spending_lines(spec: MetricSpec, counts: ProbeCounts) -> str:
    if counts.spending is None:
        return ""
    return "".join(spending_lines(spec, counts.probe, counts.labels, counts.spending))


def _failure_lines(counts: ProbeCounts) -> str:
    failures = counts.failures
    return _lines_by_reason(catalogue.FAILURES, counts, failures, tuple(failures.values()))


def _suspended_lines(counts: ProbeCounts) -> str:
    reasons = [reason for reason in counts.suspended if _can_skip(counts.probe, reason)]
    values = (*[counts.suspended[reason]() for reason in reasons],)
    return _lines_by_reason(catalogue.SUSPENDED, counts, reasons, values)


def _settings_lines(index: int, counts: ProbeCounts) -> str:
    return counts.settings_texts[index]


def _version_line(counts: ProbeCounts) -> str:
    if counts.version is None:
        return ""
    labels = format_labels({"version": counts.version})
    return format_sample(catalogue.VERSION_INFO, f"{counts.labels},{labels}", 1)
