"""A load test of several shares, from the series that Prometheus has of it."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from probe.load.exporter import DROPPED, PREFIX, SUCCESS, batches_of
from probe.load.measurement import Counts, LatencyHistogram, StepMeasurement, no_requests
from probe.load.objective import LoadObjective, describe
from probe.load.search import SearchResult
from probe.load.step import MIN_CONFIRMATION_SECONDS, Step, StepPlan
from probe.load.stop import StopReason
from probe.load.verdict import Verdict, evaluate
from probe.prometheus.client import PrometheusClient, PrometheusError
from probe.prometheus.promql import quote, selector
from probe.result import Component, Phase, Reason

# A run is found for this long, unless Prometheus has deleted it.
MAX_AGE = "7d"


@dataclass(frozen=True, slots=True)
class _Series:
    """The last value of a series."""

    name: str
    """Without PREFIX."""
    labels: Mapping[str, str]
    value: float


def read_load_test(
    client: PrometheusClient,
    *,
    probe: str,
    objectives: Sequence[LoadObjective],
    start: str | None,
) -> SearchResult:
    """Return the steps of the latest run for `probe`, or of the one that began at `start`.

    `start` is the label `run`. Raises PrometheusError, also if a run is not complete.
    """
    if start is None:
        name = f"{PREFIX}step_complete"
        complete = _query(client, f"last_over_time({selector(name, {'probe': probe})}[{MAX_AGE}])")
        start = max((series.labels["run"] for series in complete), default=None)
    if start is None:
        raise PrometheusError(
            f"{client.url} has no load test of the probe {probe} in the last {MAX_AGE}; does it"
            " scrape the pods with --share?"
        )
    matchers = f'probe={quote(probe)}, run={quote(start)}, __name__=~"{PREFIX}.*"'
    series = _query(client, f"last_over_time({{{matchers}}}[{MAX_AGE}])")
    steps: dict[float, list[_Series]] = defaultdict(list)
    for item in series:
        steps[float(item.labels["rate"])].append(item)
    if not steps:
        raise PrometheusError(
            f"{client.url} has no load test of the probe {probe} that began at {start}"
        )
    _require_all_shares(steps)
    _require_objectives(series, objectives)
    return _result([_step(rate, steps[rate], objectives) for rate in sorted(steps)])


def _query(client: PrometheusClient, expression: str) -> list[_Series]:
    """Return the last value of each series."""
    return [
        _Series(series.labels["__name__"].removeprefix(PREFIX), series.labels, series.value)
        for series in client.instant(expression)
    ]


def _require_all_shares(steps: Mapping[float, Sequence[_Series]]) -> None:
    """Raise PrometheusError unless each share has completed each step."""
    for rate, series in sorted(steps.items()):
        complete = {
            item.labels["share"]: bool(item.value)
            for item in series
            if item.name == "step_complete"
        }
        count = int(next(iter(complete)).partition("/")[2])
        shares = [f"{index}/{count}" for index in range(count)]
        missing = [share for share in shares if not complete.get(share)]
        if missing:
            raise PrometheusError(
                f"the step at {rate:g}/s is not complete: no end of the shares"
                f" {', '.join(missing)}. Wait for their end, or look at their logs"
            )


def _require_objectives(series: Iterable[_Series], objectives: Sequence[LoadObjective]) -> None:
    """Raise PrometheusError unless `objectives` are those of the run."""
    measured = {item.labels["objective"] for item in series if item.name == "events_total"}
    expected = {objective.text for objective in objectives}
    if measured != expected:
        raise PrometheusError(
            f"the run has the objectives {', '.join(sorted(measured))}, not"
            f" {describe(objectives)}; give the same --slo and --errors as to its shares"
        )


def _step(rate: float, series: Sequence[_Series], objectives: Sequence[LoadObjective]) -> Step:
    """Return a step whose counts are the sum of those of all shares."""
    planned = int(max(item.value for item in series if item.name == "counted_seconds"))
    seconds = [no_requests(len(objectives)) for _ in range(planned)]
    seconds[0].add(_whole_counts(series))
    for number, batch in enumerate(batches_of(seconds, planned)):
        _add_batch(batch, number, series, objectives)
    measurement = StepMeasurement(seconds=tuple(seconds), complete_until=planned)
    return Step(
        plan=StepPlan(
            rate=rate,
            warm_up_seconds=0.0,
            min_seconds=planned,
            max_seconds=planned,
            is_confirmation=planned >= MIN_CONFIRMATION_SECONDS,
        ),
        evaluation=evaluate(measurement, objectives, warm_up_seconds=0.0),
    )


def _whole_counts(series: Sequence[_Series]) -> Counts:
    """Return the counts that are known for the whole step only."""
    results = _sums(series, "requests_total", "result")
    dropped, successes = round(results.pop(DROPPED)), round(results.pop(SUCCESS))
    failures = Counter({Reason(name): round(count) for name, count in results.items() if count})
    return Counts(
        offered=round(_sum(series, "offered_total")),
        dropped=dropped,
        completed=successes + failures.total(),
        failures=failures,
        latencies=_histogram(series, "latency_seconds_bucket"),
        latency_seconds=_sum(series, "result_seconds_total"),
        phases={
            Phase(name): seconds
            for name, seconds in _sums(series, "phase_seconds_total", "phase").items()
        },
        components={
            Component(name): seconds
            for name, seconds in _sums(series, "server_seconds_total", "component").items()
        },
        tokens=round(_sum(series, "tokens_total")),
        lags=_histogram(series, "lag_seconds_bucket"),
    )


def _add_batch(
    seconds: Sequence[Counts],
    number: int,
    series: Sequence[_Series],
    objectives: Sequence[LoadObjective],
) -> None:
    """Add the counts of the period `number` to its `seconds`.

    Only the sum of a period is known. Its mean number of requests in flight is that of each second.
    """
    if not seconds:
        return
    batch = [item for item in series if item.labels.get("batch") == str(number)]
    events, bad = (_sums(batch, name, "objective") for name in ("events_total", "bad_total"))
    in_flight_seconds = _sum(batch, "in_flight_seconds_total")
    seconds[0].add(
        Counts(
            events=tuple(round(events[objective.text]) for objective in objectives),
            bad=tuple(round(bad[objective.text]) for objective in objectives),
        )
    )
    for counts in seconds:
        counts.in_flight_seconds += in_flight_seconds / len(seconds)


def _sum(series: Sequence[_Series], name: str) -> float:
    return sum(item.value for item in series if item.name == name)


def _sums(series: Sequence[_Series], name: str, label: str) -> dict[str, float]:
    """Return the sums of the series `name` over all shares, by a label."""
    sums: dict[str, float] = defaultdict(float)
    for item in series:
        if item.name == name:
            sums[item.labels[label]] += item.value
    return sums


def _histogram(series: Sequence[_Series], name: str) -> LatencyHistogram:
    """Return the histogram of all shares. Durations above the last bound have no bucket."""
    histogram, before = LatencyHistogram(), 0.0
    buckets = {float(bound): count for bound, count in _sums(series, name, "le").items()}
    for bound in sorted(buckets):
        if math.isfinite(bound) and buckets[bound] > before:
            histogram.observe(bound, round(buckets[bound] - before))
            before = buckets[bound]
    return histogram


def _result(steps: Sequence[Step]) -> SearchResult:
    """Return the result of `steps`, by ascending rate: the highest rate before one is missed."""
    confirmed = None
    for step in steps:
        if not step.passed:
            break
        if step.verdict is Verdict.MET and step.plan.is_confirmation:
            confirmed = step
    return SearchResult(
        steps=tuple(steps),
        confirmed=confirmed,
        reason=StopReason.CONFIRMED if confirmed else StopReason.NOT_CONFIRMED,
    )
