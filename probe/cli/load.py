"""`inference-probe load`: find the highest rate at which the objectives of an endpoint hold."""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from probe.cli.command import EXIT_FAILED, EXIT_OK, UsageError, usage_error
from probe.cli.flags import add_config_flags
from probe.cli.load_options import LoadOptions, add_load_flags, read_options
from probe.cli.load_target import LoadTarget, find_target
from probe.cli.load_test import LoadTest
from probe.cli.permission import require_permission
from probe.cli.prometheus_flags import read_prometheus_server
from probe.clock import rfc3339
from probe.config.errors import ConfigError, TlsError
from probe.load.export_plan import ExportPlan
from probe.load.html_report import ReportNotWritten, render_html, write_report
from probe.load.k6_script import render_k6
from probe.load.locust_script import render_locust
from probe.load.output import render_json, render_text
from probe.load.prometheus_source import read_load_test
from probe.load.report import LoadReport, StepReport
from probe.load.search import SearchResult
from probe.load.single_requests import PreflightFailed
from probe.load.step import MIN_WARM_UP_SECONDS
from probe.load.stop import StopReason
from probe.load.worker_process import LoadGeneratorError
from probe.prometheus.client import PrometheusClient, PrometheusError
from probe.redaction import redact_config_url
from probe.remote_server import RemoteServer

# Duration of each step of an exported script without --step-duration, after its warm-up.
DEFAULT_EXPORT_SECONDS = 60.0

_EPILOG = """\
Requests are sent on time, whatever the earlier ones do, and their latency counts from the time at
which they are due. The rate grows until an objective is missed; bisection narrows the interval;
and a step of up to 3 minutes confirms the result. Failures are bad.

Examples:
  inference-probe load sentiment --config.file=probe.yml
  inference-probe load --url=http://localhost:5000/predict --slo="95% < 120ms" --errors=0.1%
  inference-probe load --url=http://localhost:5000/ --slo="95% < 120ms" --rates=50,100,150,200
  inference-probe load sentiment --report=load.html
  inference-probe load chat --slo="95% time_to_first_token < 250ms" --expected=20/s
Exit code: 0 a rate is confirmed (and is at least --expected), 1 not, 2 bad usage or config."""


def add_arguments(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    """Add the flags. Those of the config and the output format have variables in `environ`."""
    parser.epilog = _EPILOG
    add_config_flags(parser, environ, on_schedule=False)
    add_load_flags(parser, environ)
    parser.add_argument(
        "probe_name", nargs="?", metavar="NAME", help="the probe; default: the only one"
    )


def run(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Run the load test that `args` describe, and print its report."""
    try:
        options = read_options(args)
        target = find_target(args, environ, options)
        if args.export:
            print(_script(args.export, target, options), end="")
            return EXIT_OK
        _check_report_file(args.report)
        if args.from_prometheus:
            server = read_prometheus_server(args, environ, url_flag="--from-prometheus")
            result = _read_shares(target, options, server)
        else:
            _require_permission(target, options, is_allowed=args.yes)
            result = LoadTest(target, options, environ).run()
        report = _report(target, options, result)
    except (ConfigError, UsageError, TlsError, OSError) as error:
        return usage_error(error)
    except (PreflightFailed, LoadGeneratorError, PrometheusError) as error:
        print(f"inference-probe: {error}", file=sys.stderr)
        return EXIT_FAILED
    print(
        json.dumps(render_json(report), indent=2) if args.output == "json" else render_text(report),
        flush=True,
    )
    is_written = args.report is None or _write_html(report, Path(args.report))
    # A share cannot confirm a rate. It succeeds if it has sent all of its requests.
    is_met = report.reason == StopReason.ONE_SHARE if options.share else report.is_met
    return EXIT_OK if is_met and is_written else EXIT_FAILED


def _require_permission(target: LoadTarget, options: LoadOptions, *, is_allowed: bool) -> None:
    max_rate = options.rates[-1] if options.rates else options.max_rate
    require_permission(
        [target.probe],
        f"up to {max_rate:g} requests per second",
        warning="A load test can overload it for all of its users; --max-rate and --max-requests"
        " limit the load.",
        is_allowed=is_allowed,
    )


def _read_shares(target: LoadTarget, options: LoadOptions, server: RemoteServer) -> SearchResult:
    """Return the result of all shares. Raises PrometheusError."""
    with PrometheusClient(server) as client:
        return read_load_test(
            client,
            probe=target.probe.name,
            objectives=target.all_objectives,
            start=None if options.start is None else rfc3339(options.start),
        )


def _report(target: LoadTarget, options: LoadOptions, result: SearchResult) -> LoadReport:
    return LoadReport(
        probe=target.probe.name,
        url=redact_config_url(target.probe.url.source),
        objectives=target.all_objectives,
        steps=tuple(map(StepReport.of, result.steps)),
        confirmed=StepReport.of(result.confirmed) if result.confirmed else None,
        reason=result.reason,
        demand=options.demand,
    )


def _script(format_name: str, target: LoadTarget, options: LoadOptions) -> str:
    """Return the script for another load generator. Raises UsageError for several payloads."""
    if target.probe.payloads:
        raise UsageError(
            f"the probe {target.probe.name} has `payloads`, which exported scripts do not send in"
            " turn; write a probe with one of them as `json`, and export that"
        )
    step_seconds = options.step_seconds or DEFAULT_EXPORT_SECONDS
    plan = ExportPlan(
        probe=target.probe,
        rates=options.rates,
        step_seconds=MIN_WARM_UP_SECONDS + step_seconds,
        objectives=target.objectives,
        max_error_ratio=options.max_error_ratio,
        arrivals=options.arrivals,
        max_in_flight=options.max_in_flight,
        warm_up_seconds=MIN_WARM_UP_SECONDS,
    )
    return render_k6(plan) if format_name == "k6" else render_locust(plan)


def _check_report_file(file: str | None) -> None:
    """Raise UsageError if the report cannot be written: the test takes minutes."""
    if file is None:
        return
    if Path(file).is_dir():
        raise UsageError(f"--report={file}: this is a directory; name a file in it")
    directory = Path(file).absolute().parent
    if not directory.is_dir() or not os.access(directory, os.W_OK):
        raise UsageError(
            f"--report={file}: cannot write to the directory {directory}; name a file in another"
            " one, or create it"
        )


def _write_html(report: LoadReport, file: Path) -> bool:
    """Write the HTML report. Return whether this succeeded; otherwise print why not."""
    try:
        write_report(file, render_html(report, created=datetime.now(UTC)))
    except ReportNotWritten as error:
        print(f"inference-probe: {error}", file=sys.stderr)
        return False
    return True
