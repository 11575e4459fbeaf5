"""The distributions of the errors as a picture."""

from collections.abc import Callable
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.figures import PEER, Accuracy, Figures
from bench.report import percentiles

SMALLEST = 0.001
"""Milliseconds; what is below is drawn there."""

COLOURS = {"new": "tab:blue", "reused": "tab:green", PEER: "tab:red"}


def draw(figures: Figures, path: Path) -> None:
    """One row for each scheme and rate: the error of `wait` on the left, of the total right."""
    rows = list(dict.fromkeys((one.workload.tls, one.workload.rate) for one in figures.accuracies))
    figure = Figure(figsize=(11, 2.8 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), 2, sharex=True, sharey=True, squeeze=False)
    for (tls, rate), (left, right) in zip(rows, grid, strict=True):
        drawn = [
            one
            for one in figures.accuracies
            if (one.workload.tls, one.workload.rate) == (tls, rate) and one.errors
        ]
        place = f"{'TLS' if tls else 'plain'}, {rate}/s"
        _panel(left, f"{place}: error of wait (blackbox: processing)", drawn, lambda of: of.waits)
        _panel(right, f"{place}: error of the whole probe", drawn, lambda of: of.totals)
    for axes in grid[-1]:
        axes.set_xlabel("prober's time less the server's, ms")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, dpi=110)


def _panel(
    axes: Axes, title: str, drawn: list[Accuracy], errors: Callable[[Accuracy], list[float]]
) -> None:
    for one in drawn:
        milliseconds = [max(SMALLEST, error * 1e3) for error in percentiles(errors(one))]
        name = PEER if one.prober == PEER else one.workload.connection
        held = ", GIL held" if one.workload.gil else ""
        label = PEER if one.prober == PEER else f"{one.prober}, {name}{held}"
        style = "--" if one.workload.gil else "-"
        axes.plot(milliseconds, range(101), style, color=COLOURS[name], label=label, linewidth=1.4)
    axes.set_xscale("log")
    axes.set_xlim(SMALLEST, 100)
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_ylabel("% of probes")
    axes.grid(alpha=0.3)
