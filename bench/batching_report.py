"""The comparison of models with batches as a Markdown table."""

from collections.abc import Iterable
from dataclasses import dataclass

from bench.batching_load import LoadStep
from bench.batching_prediction import SimulatedP95, capacity
from bench.markdown import aligned_table
from probe.config.units import format_duration
from probe.demo.batch_queue import BATCH_ITEM_SECONDS, BATCH_OVERHEAD_SECONDS, BatchSettings
from probe.load.sizing import BatchPlan

HEAD = (
    "batch size, wait",
    "rate",
    "p95 at least (`size`)",
    "p95 simulated",
    "p95 measured",
    "queue",
    "requests in a batch",
    "throughput",
    "capacity",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What was measured at a rate, next to the formula and the simulation."""

    settings: BatchSettings
    step: LoadStep
    plan: BatchPlan
    simulated: SimulatedP95


def render_comparisons(comparisons: Iterable[Comparison], head: str) -> str:
    """Return a line for each rate of each model."""
    return "\n\n".join((head, aligned_table(HEAD, (_row(row) for row in comparisons))))


def _row(row: Comparison) -> tuple[str, ...]:
    step, plan = row.step, row.plan
    start = (
        describe_settings(row.settings),
        f"{step.rate:g}/s",
        "saturated" if plan.is_saturated else _milliseconds(float(plan.min_p95_seconds)),
    )
    if step.is_void:
        return (*start, *("void",) * (len(HEAD) - len(start)))
    return (
        *start,
        _simulated(row),
        _measured(step),
        "grows" if step.ended_early else _milliseconds(step.queue_seconds),
        _batch(row),
        "-" if step.ended_early else f"{step.throughput:.0f}/s",
        f"{float(capacity(row.settings)):.0f}/s",
    )


def describe_settings(settings: BatchSettings) -> str:
    """Return the size of a batch and the maximum wait."""
    if settings.max_batch_size == 1:
        return "1"
    return f"{settings.max_batch_size}, {format_duration(settings.max_wait_seconds)}"


def _simulated(row: Comparison) -> str:
    """Return the median of the runs, and the range of most, for a step of full length."""
    if row.step.ended_early:
        return "grows"
    p95 = row.simulated
    return f"{p95.median * 1000:.0f} ms ({p95.low * 1000:.0f} to {p95.high * 1000:.0f})"


def _measured(step: LoadStep) -> str:
    """Return the percentile. That of a growing queue depends on the duration of the step."""
    if step.ended_early:
        return "grows"
    return _milliseconds(step.p95_seconds)


def _batch(row: Comparison) -> str:
    """Return the mean number of requests in the batch of a request, and its fullness."""
    if row.step.compute_seconds is None:
        return "-"
    size = (row.step.compute_seconds - BATCH_OVERHEAD_SECONDS) / BATCH_ITEM_SECONDS
    return f"{size:.1f} ({size / row.settings.max_batch_size:.0%})"


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.0f} ms"
