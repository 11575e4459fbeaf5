"""`inference-probe compare` with the requests that Prometheus has recorded."""

import sys
from functools import partial

from probe.cli.compare_options import CompareOptions
from probe.cli.progress_line import ProgressLine, bar
from probe.compare.comparison import Comparison
from probe.compare.histograms import compare_histograms
from probe.compare.prometheus_source import read_side, read_threshold
from probe.prometheus.client import PrometheusClient, PrometheusServer


def compare_recorded(
    server: PrometheusServer, options: CompareOptions, *, now: float
) -> Comparison:
    """Return the comparison of recorded requests. `now` is in Unix seconds.

    Raises PrometheusError, and UsageError for a month that has not begun.
    """
    selections = [
        side.selection(now=now, last_seconds=options.last_seconds) for side in options.sides
    ]
    progress = ProgressLine(sys.stderr)

    def show(name: str, part: int, parts: int) -> None:
        progress.show(f"{bar(part / parts)} {name}: {part} of {parts} parts of the period")

    with PrometheusClient(server) as client:
        try:
            threshold = read_threshold(client, selections[0])
            a, b = (
                read_side(client, selection, partial(show, selection.name))
                for selection in selections
            )
        finally:
            progress.show("")
    return compare_histograms(a, b, threshold=threshold, margins=options.margins)
