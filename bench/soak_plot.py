"""A soak test over time: as rows, and as a plot of them."""

from collections.abc import Sequence
from io import BytesIO
from itertools import pairwise
from math import isnan, nan
from pathlib import Path
from typing import Any

from bench.metrics_text import increase, quantile
from bench.soak_criteria import Soak
from bench.soak_samples import Sample, count_ticks
from bench.soak_targets import HEALTHY_KINDS
from tools.png import save_with_palette

Row = dict[str, Any]

# Title, columns and scale of each panel.
PANELS = (
    ("memory, MB", ("rss_megabytes", "memory_megabytes"), "linear"),
    ("threads and descriptors", ("threads", "descriptors"), "linear"),
    ("schedule lag and clock correction, ms", ("lag_p50", "lag_p99", "correction_p99"), "log"),
    ("ticks", ("ticks_per_second", "in_flight", "skipped", "unbalanced"), "symlog"),
    ("error of the median latency of healthy probes, ms", HEALTHY_KINDS, "linear"),
)


def rows(soak: Soak) -> list[Row]:
    """Return a row for each pair of consecutive samples, in minutes, MB and milliseconds."""
    start = soak.samples[0].received
    return [
        {"minute": round((later.received - start) / 60, 3), **_row(soak, earlier, later)}
        for earlier, later in pairwise(soak.samples)
    ]


def _row(soak: Soak, earlier: Sample, later: Sample) -> Row:
    before, after = earlier.metrics, later.metrics
    lag = increase(before.lag, after.lag)
    correction = increase(before.correction, after.correction)
    seconds = later.received - earlier.received
    return {
        "rss_megabytes": round(later.rss_megabytes, 2),
        "memory_megabytes": round(later.memory_megabytes, 2),
        "threads": later.threads,
        "descriptors": later.descriptors,
        "lag_p50": _milliseconds(quantile(lag, 0.5)),
        "lag_p99": _milliseconds(quantile(lag, 0.99)),
        "correction_p99": _milliseconds(quantile(correction, 0.99)),
        "ticks_per_second": round(count_ticks([earlier, later]) / seconds, 1),
        "in_flight": after.in_flight,
        "skipped": sum(after.skipped.values()),
        "unbalanced": len(after.unbalanced),
        **{
            kind: _milliseconds(
                quantile(increase(before.latency[kind], after.latency[kind]), 0.5)
                - soak.true_medians.get(kind, nan)
            )
            for kind in HEALTHY_KINDS
        },
    }


def _milliseconds(seconds: float) -> float | None:
    # JSON has no NaN.
    return None if isnan(seconds) else round(seconds * 1e3, 3)


def draw(rows: Sequence[Row], warm_up_minutes: float, path: Path) -> None:
    """Draw the panels, with the warm-up in gray."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (the tests do not install matplotlib)

    figure = Figure(figsize=(11, 2.4 * len(PANELS)), layout="constrained")
    grid = figure.subplots(len(PANELS), 1, sharex=True)
    minutes = [row["minute"] for row in rows]
    for axes, (title, columns, scale) in zip(grid, PANELS, strict=True):
        for column in columns:
            values = [nan if row[column] is None else row[column] for row in rows]
            axes.plot(minutes, values, label=column.replace("_", " "), linewidth=1.2)
        axes.set_yscale(scale)
        axes.set_title(title, fontsize=10, loc="left")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
        if warm_up_minutes < minutes[-1]:
            axes.axvspan(0, warm_up_minutes, color="gray", alpha=0.12)
    grid[0].set_ylim(bottom=0)
    grid[-1].set_xlabel("minutes; gray: warm-up, during which memory may grow")
    buffer = BytesIO()
    figure.savefig(buffer, dpi=110)
    save_with_palette(buffer.getvalue(), path)
