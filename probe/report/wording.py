"""Texts that all formats of a report share."""

import math
from collections.abc import Iterator, Mapping, Sequence

from probe import __version__
from probe.clock import DAY_SECONDS, HOUR_SECONDS
from probe.formatting import format_elapsed, format_target, format_threshold, format_time
from probe.history.phase_comparison import FOUR_WEEKS_DAYS, MIN_RESULTS
from probe.history.phase_wording import EARLIER_HOURS, SLOWER_NOTE, slower_sentences
from probe.prometheus.probe_group import ProbeGroup
from probe.prometheus.scrapes import ObjectiveKey
from probe.report.alerts import Page
from probe.report.attainment import MIN_COVERAGE, Status
from probe.report.coverage import MAX_SCRAPE_SECONDS, Coverage
from probe.report.period import Period
from probe.report.phase_comparisons import PhaseComparisons
from probe.report.report import ObjectiveReport, SlaReport
from probe.result import Signal

# Number of hours in the list of the worst ones.
WORST_HOURS = 5

METHOD = (
    "A request is good if it succeeds within the threshold; failures and timeouts are bad."
    " Requests are sent on a fixed schedule, whether or not earlier ones have returned. The counts"
    " are sums of the increases of the scraped counters of all replicas, without extrapolation."
    " The interval of the attainment has a confidence of 95 % (Wilson). Bad requests come together,"
    " so it is as wide as the variance between days requires (with less than 14 days: between"
    " hours)."
)

STATUS_TEXTS = {
    Status.MET: "met",
    Status.MISSED: "missed",
    Status.NOT_ENOUGH_DATA: "not enough data",
}

COVERAGE_NOTE = (
    "Expected: the runs that result from the interval and the configured time of each replica."
    " Absent: the time in which no replica measured, from the last scrape of a process to the start"
    " of the next. It is neither good nor bad. An objective is met only with at least"
    f" {MIN_COVERAGE * 100:g} % of the expected events."
)

TIMES_NOTE = (
    "Percentiles are estimates from the buckets of histograms. They are those of the successes"
    " since the first scrape, so their number can be smaller than that of the good requests."
)

PHASES_NOTE = (
    f"Means of the successes in the last hour of the period with at least {MIN_RESULTS} of them,"
    f" {EARLIER_HOURS}. {SLOWER_NOTE}"
)


def finite_threshold(threshold: float) -> float | None:
    """Return a threshold (seconds); None for availability."""
    return threshold if math.isfinite(threshold) else None


def format_percentage(ratio: float, *, target: float) -> str:
    """Return an attainment as a percentage, with the digits that a comparison with `target` needs.

    It is rounded down, so that a missed target does not look met: `99.87 %`.
    """
    left = round(1 - target, 12)
    digits = 2 if left >= 0.01 or not left else 2 + math.floor(-math.log10(left * 100) + 1e-9)
    scale = 10.0 ** (digits + 2)
    return f"{math.floor(ratio * scale + 1e-6) / 10**digits:.{digits}f} %"


def describe_objective(key: ObjectiveKey, target: float) -> str:
    """Return what an objective requires: `99 % within 500 ms`."""
    if math.isinf(key.threshold):
        return f"{format_target(target)} successful"
    limit = format_threshold(key.threshold)
    if key.signal is Signal.LATENCY:
        return f"{format_target(target)} within {limit}"
    return f"{format_target(target)} with a {key.signal.words} of at most {limit}"


def format_interval(objective: ObjectiveReport) -> str:
    """Return the interval of the attainment: `99.71 % to 99.95 %`."""
    if objective.interval is None:
        return "-"
    bounds = objective.interval.bounds
    lower, upper = (
        format_percentage(bound, target=objective.target) for bound in (bounds.lower, bounds.upper)
    )
    return f"{lower} to {upper}"


def format_counts(counts: Mapping[str, int]) -> str:
    """Return numbers by their names: `http_5xx 34, slow 5`."""
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)


def format_minutes(minutes: float) -> str:
    """Return a duration, with a sign if it is negative: `−1 h 12 min`."""
    sign = "−" if minutes < 0 else ""
    return sign + format_elapsed(abs(minutes) * 60)


def format_pages(pages: Sequence[Page]) -> str:
    """Return the names of alerts and when they fired: `ModelDown 13:05`."""
    return ", ".join(f"{page.alert} {format_time(page.start)[11:16]}" for page in pages)


def probe_name(group: ProbeGroup, report: SlaReport) -> str:
    """Return the name of a probe, with its labels if another one has the same name."""
    names = [probe.group.probe for probe in report.probes]
    if names.count(group.probe) == 1:
        return group.probe
    return f"{group.probe} ({', '.join(group.labels.values())})"


def objective_name(objective: ObjectiveReport, report: SlaReport) -> str:
    """Return the probe and the objective, with what it requires if it was changed."""
    name = f"{probe_name(objective.group, report)}: {objective.key.slo}"
    same = [
        item
        for item in report.objectives
        if (item.group, item.key.slo) == (objective.group, objective.key.slo)
    ]
    if len(same) == 1:
        return name
    return f"{name}, {describe_objective(objective.key, objective.target)}"


def title(report: SlaReport) -> str:
    return f"SLA report, {report.period.name}"


def period_text(period: Period) -> str:
    return f"{format_time(period.start)} to {format_time(period.end)}"


def status_sentences(report: SlaReport) -> Iterator[str]:
    """Yield the result, and what limits its meaning."""
    counted = [
        objective
        for objective in report.objectives
        if objective.is_current or objective.status is Status.MISSED
    ]
    if not counted:
        yield "There is no objective with data in this period."
    for status in Status:
        number = sum(objective.status is status for objective in counted)
        if number:
            noun = "objective" if len(counted) == 1 else "objectives"
            yield f"{number} of {len(counted)} {noun}: {STATUS_TEXTS[status]}."
    for probe in report.probes:
        coverage = probe.coverage
        if coverage and coverage.first_scrape - report.period.start > HOUR_SECONDS:
            name = probe_name(probe.group, report)
            yield f"{name}: {first_data_sentence(coverage, report.period)}"
    for warning in report.warnings:
        yield f"Warning of the server: {warning}"


def first_data_sentence(coverage: Coverage, period: Period) -> str:
    """Return when the data begins, and how much of the period it covers."""
    first = f"the first data is of {format_time(coverage.first_scrape)}"
    days, total = (period.end - coverage.start) / DAY_SECONDS, period.seconds / DAY_SECONDS
    covered = f"so the report covers {days:.1f} of {total:.1f} days."
    if coverage.first_scrape - coverage.start <= MAX_SCRAPE_SECONDS:
        return f"{first}, {covered}"
    return f"{first}. Its counters have the requests since {format_time(coverage.start)}, {covered}"


def gap_sentences(report: SlaReport) -> Iterator[str]:
    """Yield the times without scrapes."""
    for probe in report.probes:
        if probe.coverage and probe.coverage.unscraped_seconds:
            seconds = format_elapsed(probe.coverage.unscraped_seconds)
            yield (
                f"{probe_name(probe.group, report)}: Prometheus did not scrape for {seconds} (sum"
                " of all replicas). Requests in this time count at the next scrape."
            )


def phase_sentences(report: SlaReport) -> Iterator[str]:
    """Yield which phases are slower than earlier, and what cannot be compared."""
    for probe in report.probes:
        if probe.coverage:
            name = probe_name(probe.group, report)
            for sentence in _comparison_sentences(probe.phase_comparisons):
                yield f"{name}: {sentence}"


def _comparison_sentences(comparisons: PhaseComparisons | None) -> Iterator[str]:
    if comparisons is None:
        yield (
            f"no hour at the end of the period has {MIN_RESULTS} successes, so the phases are not"
            " compared."
        )
        return
    slower = list(slower_sentences(comparisons.phases))
    yield from slower
    if not slower and any(item.usual or item.four_weeks_ago for item in comparisons.phases):
        yield "no phase is slower than earlier."
    if comparisons.days_without_mean:
        days = [_format_days(days) for days in comparisons.days_without_mean]
        hours = " and ".join(filter(None, (", ".join(days[:-1]), days[-1])))
        yield f"the same hour {hours} before has less than {MIN_RESULTS} successes or no data."


def _format_days(days: int) -> str:
    """Return a number of days: `1 day`, `4 weeks`."""
    if days == FOUR_WEEKS_DAYS:
        return "4 weeks"
    return "1 day" if days == 1 else f"{days} days"


def provenance_sentences(report: SlaReport) -> Iterator[str]:
    """Yield what the report depends on."""
    yield f"inference-probe {__version__}, {format_time(report.created)}, from {report.source}"
    for probe in report.probes:
        versions = ", ".join(probe.daemon_versions) or "unknown"
        name = probe_name(probe.group, report)
        yield f"{name}: config {probe.config_hash}, measured by version {versions}"
    yield f"rules: {report.rules_hash or 'not loaded'}"
