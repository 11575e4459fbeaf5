"""A soak as a picture, and as the rows that it is drawn from."""

from collections.abc import Sequence
from itertools import pairwise
from math import nan
from pathlib import Path
from typing import Any

from bench.samples import Sample, counted, quantile, since
from bench.soak_plot import Soak
from bench.soak_targets import KINDS

Row = dict[str, Any]

PANELS = (
    ("RSS, MB", ("rss_megabytes",), "linear"),
    ("threads and descriptors", ("threads", "descriptors"), "linear"),
    ("schedule lag and clock correction, ms", ("lag_p50", "lag_p99", "correction_p99"), "log"),
    ("ledger", ("ticks_per_second", "in_flight", "skipped", "unbalanced"), "symlog"),
    ("median latency of healthy probes less what it took, ms", KINDS, "linear"),
)
"""Titles, columns and scales."""


def rows(soak: Soak) -> list[Row]:
    """What happened between each sample and the next, in minutes, MB and milliseconds."""
    start = soak.samples[0].answered
    return [
        {"minute": round((later.answered - start) / 60, 3), **_row(soak, earlier, later)}
        for earlier, later in pairwise(soak.samples)
    ]


def _row(soak: Soak, earlier: Sample, later: Sample) -> Row:
    before, after = earlier.told, later.told
    lag, correction = since(before.lag, after.lag), since(before.correction, after.correction)
    return {
        "rss_megabytes": round(later.resident, 2),
        "threads": later.threads,
        "descriptors": later.descriptors,
        "lag_p50": _milliseconds(quantile(lag, 0.5)),
        "lag_p99": _milliseconds(quantile(lag, 0.99)),
        "correction_p99": _milliseconds(quantile(correction, 0.99)),
        "ticks_per_second": round(
            counted([earlier, later]) / (later.answered - earlier.answered), 1
        ),
        "in_flight": after.in_flight,
        "skipped": sum(after.skipped.values()),
        "unbalanced": len(after.unbalanced),
        **{
            kind: _milliseconds(
                quantile(since(before.latency[kind], after.latency[kind]), 0.5)
                - soak.took.get(kind, nan)
            )
            for kind in KINDS
        },
    }


def _milliseconds(seconds: float) -> float | None:
    """None of NaN, which JSON does not have."""
    return None if seconds != seconds else round(seconds * 1e3, 3)  # noqa: PLR0124


def draw(drawn: Sequence[Row], warm: float, path: Path) -> None:
    """One panel below the other over the same minutes; from `warm` on growth is judged."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - the tests of the verdict do without

    figure = Figure(figsize=(11, 2.4 * len(PANELS)), layout="constrained")
    grid = figure.subplots(len(PANELS), 1, sharex=True)
    minutes = [row["minute"] for row in drawn]
    for axes, (title, columns, scale) in zip(grid, PANELS, strict=True):
        for column in columns:
            values = [nan if row[column] is None else row[column] for row in drawn]
            axes.plot(minutes, values, label=column.replace("_", " "), linewidth=1.2)
        axes.set_yscale(scale)
        axes.set_title(title, fontsize=10, loc="left")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
        if warm < minutes[-1]:
            axes.axvspan(0, warm, color="grey", alpha=0.12)
    grid[0].set_ylim(bottom=0)
    grid[-1].set_xlabel("minutes; grey: warm-up, in which memory may grow")
    figure.savefig(path, dpi=110)
