"""The distributions of the errors as a plot."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.accuracy_results import BLACKBOX, Accuracy, Results, percentiles
from tools.png import save_with_palette

# The axis is logarithmic: smaller errors are drawn here.
MIN_MILLISECONDS = 0.001

COLORS = {"new": "tab:blue", "reused": "tab:green", BLACKBOX: "tab:red"}


def draw(results: Results, path: Path) -> None:
    """Draw a row for each scheme and rate: the `wait` error on the left, the total on the right."""
    rows = list(dict.fromkeys((a.workload.tls, a.workload.rate) for a in results.accuracies))
    figure = Figure(figsize=(11, 2.8 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), 2, sharex=True, sharey=True, squeeze=False)
    for (tls, rate), (left, right) in zip(rows, grid, strict=True):
        accuracies = [
            accuracy
            for accuracy in results.accuracies
            if (accuracy.workload.tls, accuracy.workload.rate) == (tls, rate) and accuracy.errors
        ]
        workload = f"{'TLS' if tls else 'plain'}, {rate}/s"
        _panel(left, f"{workload}: error of wait", accuracies, lambda a: a.wait_errors)
        _panel(right, f"{workload}: error of the total", accuracies, lambda a: a.total_errors)
    for axes in grid[-1]:
        axes.set_xlabel("reported minus true time, ms")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    buffer = BytesIO()
    figure.savefig(buffer, dpi=110)
    save_with_palette(buffer.getvalue(), path)


def _panel(
    axes: Axes,
    title: str,
    accuracies: list[Accuracy],
    errors: Callable[[Accuracy], list[float]],
) -> None:
    for accuracy in accuracies:
        milliseconds = [
            max(MIN_MILLISECONDS, error * 1e3) for error in percentiles(errors(accuracy))
        ]
        is_blackbox = accuracy.prober == BLACKBOX
        color = COLORS[BLACKBOX if is_blackbox else accuracy.workload.connection]
        suffix = ", GIL held" if accuracy.workload.gil else ""
        label = f"{accuracy.prober}, {accuracy.workload.connection}{suffix}"
        label = BLACKBOX if is_blackbox else label
        style = "--" if accuracy.workload.gil else "-"
        axes.plot(milliseconds, range(101), style, color=color, label=label, linewidth=1.4)
    axes.set_xscale("log")
    axes.set_xlim(MIN_MILLISECONDS, 100)
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_ylabel("% of probes")
    axes.grid(alpha=0.3)
