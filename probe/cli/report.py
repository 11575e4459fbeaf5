"""`inference-probe report`: attainment of the objectives in a period, from Prometheus."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from probe.cli.command import (
    EXIT_FAILED,
    EXIT_NOT_ENOUGH_DATA,
    EXIT_OK,
    UsageError,
    quote_argument,
    usage_error,
)
from probe.cli.flags import FlagAdder
from probe.cli.group_selector import add_selector_flag, read_selector
from probe.cli.prometheus_flags import add_prometheus_flags, read_prometheus_server
from probe.cli.report_progress import ReportProgress
from probe.prometheus.client import PrometheusClient, PrometheusError
from probe.prometheus.probe_group import ProbeGroup, selector_flags
from probe.report.attainment import Status
from probe.report.build import build_report, find_probes
from probe.report.html_report import render_html
from probe.report.json_output import render_json
from probe.report.markdown import render_markdown
from probe.report.period import Period
from probe.report.report import SlaReport

_EPILOG = """\
The counts are sums of the increases of the scraped counters, so Prometheus must retain the period.

Examples:
  inference-probe report --prometheus.url=http://prometheus:9090 --period=2026-11
  inference-probe report --prometheus.url=http://prometheus:9090 --last=30d --previous
  inference-probe report --prometheus.url=http://prometheus:9090 --last=30d --format=html >sla.html
Exit code: 0 all objectives met, 1 one missed, 2 bad usage, 3 not enough data, or no response."""

_EXIT_CODES = {
    Status.MET: EXIT_OK,
    Status.MISSED: EXIT_FAILED,
    Status.NOT_ENOUGH_DATA: EXIT_NOT_ENOUGH_DATA,
}

_RENDERERS: Mapping[str, Callable[[SlaReport], str]] = {
    "markdown": render_markdown,
    "html": lambda report: render_html(report) + "\n",
    "json": lambda report: json.dumps(render_json(report), indent=2) + "\n",
}


def add_arguments(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    """Add the flags, whose variables are in `environ`."""
    parser.epilog = _EPILOG
    period = parser.add_mutually_exclusive_group()
    period.add_argument("--period", metavar="YYYY-MM", help="a month, in UTC")
    period.add_argument("--last", metavar="DURATION", help="the time until now, such as 30d")
    parser.add_argument(
        "--probe",
        action="append",
        metavar="NAME",
        help="only this probe; may be given several times; default: all",
    )
    add_selector_flag(parser)
    parser.add_argument(
        "--previous", action="store_true", help="compare with the period before, which takes longer"
    )
    FlagAdder(parser, environ).add(
        "--format", "output format", default="markdown", choices=tuple(_RENDERERS)
    )
    add_prometheus_flags(parser, environ)


def run(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Print the report for `args`. Return the exit code."""
    now = time.time()
    try:
        period = _period(args, now)
        labels = read_selector(args)
        server = read_prometheus_server(args, environ)
        with PrometheusClient(server) as client, ReportProgress(sys.stderr) as progress:
            groups = _select(find_probes(client, period), args.probe, labels)
            report = build_report(
                client,
                groups,
                period,
                with_previous=args.previous,
                created=now,
                on_progress=progress.show,
            )
    except UsageError as error:
        return usage_error(error)
    except PrometheusError as error:
        print(f"inference-probe: {error}", file=sys.stderr)
        return EXIT_NOT_ENOUGH_DATA
    text = _RENDERERS[args.format](report)
    encoding = sys.stdout.encoding
    print(text.encode(encoding, "replace").decode(encoding), end="")
    return _EXIT_CODES[report.status]


def _period(args: argparse.Namespace, now: float) -> Period:
    if args.period is None and args.last is None:
        raise UsageError("write the period of the report: --period=YYYY-MM, or --last=30d")
    try:
        if args.period is not None:
            return Period.of_month(args.period, now)
        return Period.last(args.last, now)
    except ValueError as error:
        raise UsageError(f"{'--last' if args.period is None else '--period'}: {error}") from None


def _select(
    groups: Sequence[ProbeGroup], names: Sequence[str] | None, labels: Mapping[str, str]
) -> list[ProbeGroup]:
    """Return the probes with these names and labels of the scrape target.

    Raises PrometheusError without data, and UsageError.
    """
    if not groups:
        raise PrometheusError("the server has no data of inference-probe in this period")
    known = sorted({group.probe for group in groups})
    for name in names or ():
        if name not in known:
            raise UsageError(
                f"--probe: no data of a probe {quote_argument(name)} in this period; there are:"
                f" {', '.join(known)}"
            )
    named = [group for group in groups if not names or group.probe in names]
    selected = [group for group in named if group.has_labels(labels)]
    if not selected:
        raise UsageError(
            "--selector: no data of a probe with these labels in this period; there are:"
            f" {selector_flags(named)}"
        )
    return selected
