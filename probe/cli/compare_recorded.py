"""`inference-probe compare` with the requests that Prometheus has recorded."""

import sys
from functools import partial

from probe.cli.command import UsageError
from probe.cli.compare_options import CompareOptions
from probe.cli.progress_line import ProgressLine, bar
from probe.compare.comparison import Comparison
from probe.compare.histograms import compare_histograms
from probe.compare.prometheus_source import UnsuitableSide, read_side
from probe.compare.selection import Selection
from probe.prometheus.client import PrometheusClient
from probe.remote_server import RemoteServer


def compare_recorded(server: RemoteServer, options: CompareOptions, *, now: float) -> Comparison:
    """Return the comparison of recorded requests. `now` is in Unix seconds.

    Raises PrometheusError, and UsageError for a wrong period, and for unknown or ambiguous names.
    """
    if options.last_seconds >= now:
        raise UsageError("--last begins before 1970; write less, such as 2h")
    selections = [
        side.selection(now=now, last_seconds=options.last_seconds) for side in options.sides
    ]
    progress = ProgressLine(sys.stderr)

    def show(selection: Selection, until: float) -> None:
        share = max(0.0, 1 - (selection.end - until) / selection.seconds)
        progress.show(f"{bar(share)} {selection.name}: {share:.0%} of the period")

    with PrometheusClient(server) as client:
        try:
            a, b = (
                read_side(client, selection, options.target_labels, partial(show, selection))
                for selection in selections
            )
        except UnsuitableSide as error:
            raise UsageError(str(error)) from None
        finally:
            progress.show("")
    return compare_histograms(a, b, margins=options.margins)
