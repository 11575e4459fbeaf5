"""`inference-probe load`: find the highest rate at which the objectives of an endpoint hold."""

import argparse
import json
import os
import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from probe.cli.command import EXIT_FAILED, EXIT_OK, UsageError, quote_argument, usage_error
from probe.cli.config_file import LoadedConfig, load_config
from probe.cli.flags import add_config_flags
from probe.cli.load_options import LoadOptions, add_load_flags, read_options
from probe.cli.load_progress import Progress
from probe.cli.load_share import run_share
from probe.clock import Clock, rfc3339
from probe.config.errors import ConfigError
from probe.config.schema import Probe
from probe.config.tls import TlsError
from probe.config.units import format_duration
from probe.daemon.prober_factory import ProberFactory
from probe.load.export_plan import ExportPlan
from probe.load.formatting import format_rate, format_seconds
from probe.load.generator import WHOLE, ProcessGenerator, default_processes
from probe.load.html_report import ReportNotWritten, render_html, write_report
from probe.load.k6_script import render_k6
from probe.load.locust_script import render_locust
from probe.load.measurement import LoadGenerator
from probe.load.objective import LoadObjective
from probe.load.output import render_json, render_text
from probe.load.preflight import PreflightFailed, median_latency
from probe.load.prometheus_source import PrometheusError, read_load_test
from probe.load.report import LoadReport, StepReport
from probe.load.search import Search, SearchOptions, SearchResult
from probe.load.step import Step, StepPlan, required_warm_up, run_step
from probe.load.step_sender import Runner
from probe.load.stop import StopReason
from probe.load.worker_process import LoadGeneratorError
from probe.redaction import redact_config_url
from probe.result import STREAM_SIGNALS

# Duration of each step of an exported script, without --step-duration.
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
        target = _find_target(args, environ, options)
        if args.export:
            print(_script(args.export, target, options), end="")
            return EXIT_OK
        _check_report_file(args.report)
        if options.prometheus_url:
            report = _report(target, options, _read(target, options, options.prometheus_url))
        else:
            _require_permission(target.probe, options, is_allowed=args.yes)
            report = _report(target, options, _measure(target, options, environ))
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """The probe to run, and what must hold. `config` has the probe, and possibly others."""

    config: LoadedConfig
    probe: Probe
    objectives: tuple[LoadObjective, ...]
    """Without the limit of errors."""
    error_limit: LoadObjective | None

    @property
    def all_objectives(self) -> tuple[LoadObjective, ...]:
        return (*self.objectives, *((self.error_limit,) if self.error_limit else ()))


def _find_target(
    args: argparse.Namespace, environ: Mapping[str, str], options: LoadOptions
) -> _Target:
    # --slo is not the objective of a config here: it also applies to the probes of a file.
    config_args = argparse.Namespace(**{**vars(args), "slo": None, "interval": None})
    config = load_config(config_args, environ)
    probe = _find_probe(config, args.probe_name)
    objectives = options.objectives or tuple(map(LoadObjective.of, probe.objectives))
    if not objectives:
        raise UsageError(
            f"the probe {probe.name} has no objective; write one, such as --slo='95% < 500ms'"
        )
    streams = [objective for objective in objectives if objective.signal in STREAM_SIGNALS]
    if streams and probe.stream is None:
        raise UsageError(
            f"--slo: {streams[0].text} needs a stream, and the probe {probe.name} has none; write"
            " `stream` or the `protocol` of a stream in its config"
        )
    ratio = options.max_error_ratio
    return _Target(
        config=config,
        probe=probe,
        objectives=objectives,
        error_limit=None if ratio is None else LoadObjective.error_limit(ratio),
    )


def _find_probe(config: LoadedConfig, name: str | None) -> Probe:
    """Return the probe `name`, or the only one. Raises UsageError."""
    probes = {probe.name: probe for probe in config.settings.probes}
    names = ", ".join(probes)
    if name is None:
        if len(probes) > 1:
            raise UsageError(f"{config.name} has several probes; name one of: {names}")
        return config.settings.probes[0]
    if name not in probes:
        raise UsageError(f"no probe {quote_argument(name)} in {config.name}; there are: {names}")
    return probes[name]


def _script(format_name: str, target: _Target, options: LoadOptions) -> str:
    """Return the script for another load generator. Raises UsageError."""
    step_seconds, warm_up = options.step_seconds or DEFAULT_EXPORT_SECONDS, required_warm_up(0.0)
    if step_seconds <= warm_up:
        raise UsageError(
            f"--step-duration is {format_duration(step_seconds)}, and requests of the first"
            f" {format_duration(warm_up)} of a step do not count; write more, such as 60s"
        )
    plan = ExportPlan(
        probe=target.probe,
        rates=options.rates,
        step_seconds=step_seconds,
        objectives=target.objectives,
        max_error_ratio=options.max_error_ratio,
        arrivals=options.arrivals,
        max_in_flight=options.max_in_flight,
        warm_up_seconds=warm_up,
    )
    return render_k6(plan) if format_name == "k6" else render_locust(plan)


def _check_report_file(file: str | None) -> None:
    """Raise UsageError if the report cannot be written: the test takes minutes."""
    if file is None or (Path(file).exists() and not Path(file).is_file()):
        return
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


def _require_permission(probe: Probe, options: LoadOptions, *, is_allowed: bool) -> None:
    """Ask before a test of an endpoint elsewhere. Raises UsageError without the permission."""
    if is_allowed or _is_on_loopback(probe):
        return
    host = urlsplit(redact_config_url(probe.url.source)).netloc or "this endpoint"
    question = f"Send up to {format_rate(options.max_rate)} requests to {host}?"
    if sys.stdin.isatty() and sys.stderr.isatty():
        print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return
        raise UsageError("stopped: no requests were sent")
    raise UsageError(
        f"{host} is not on this machine. A load test can overload it for all of its users. To send"
        f" up to {format_rate(options.max_rate)}, add --yes; --max-rate and --max-requests limit it"
    )


def _is_on_loopback(probe: Probe) -> bool:
    """Return whether the URL is known to be of this machine. With a proxy it is not."""
    host = urlsplit(probe.url.source).hostname or ""
    if probe.proxy or "${" in probe.url.source:
        return False
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _read(target: _Target, options: LoadOptions, url: str) -> SearchResult:
    """Return the result of all shares. Raises PrometheusError."""
    return read_load_test(
        url,
        probe=target.probe.name,
        objectives=target.all_objectives,
        start=None if options.start is None else rfc3339(options.start),
    )


def _measure(target: _Target, options: LoadOptions, environ: Mapping[str, str]) -> SearchResult:
    """Run the load test. Raises PreflightFailed and LoadGeneratorError."""
    clock = Clock()
    probe, config = target.probe, target.config
    progress = Progress(sys.stderr)

    def build_runner() -> Runner:
        factory = ProberFactory(
            environ=environ,
            base=config.base,
            clock=clock,
            max_idle_connections=options.max_in_flight,
        )
        return factory.build(config.settings, [probe.name])[probe.name].prober.run

    share = options.share or WHOLE
    generator = ProcessGenerator(
        build_runner,
        target.all_objectives,
        processes=options.processes or default_processes(options.max_rate / share.count),
        arrivals=options.arrivals,
        timeout_seconds=probe.timeout,
        max_in_flight=options.max_in_flight,
        clock=clock,
        seed=random.SystemRandom().getrandbits(32),
        max_requests=options.max_requests,
        max_tokens=options.max_tokens,
        share=share,
    )
    # The processes are forked before the first request, which starts threads.
    with generator:
        if options.share:
            return run_share(
                generator,
                options,
                probe_name=probe.name,
                timeout_seconds=probe.timeout,
                objectives=target.all_objectives,
                progress=progress,
                clock=clock,
            )
        run_probe = build_runner()
        latency_seconds = median_latency(lambda: run_probe(clock.monotonic()))
        progress.note(
            f"{probe.name}: median latency of single requests {format_seconds(latency_seconds)}"
        )
        search = _search(
            target,
            options,
            generator,
            latency_seconds=latency_seconds,
            progress=progress,
            clock=clock,
        )
        return search.run()


def _report(target: _Target, options: LoadOptions, result: SearchResult) -> LoadReport:
    probe = target.probe
    return LoadReport(
        probe=probe.name,
        url=redact_config_url(probe.url.source),
        objectives=target.all_objectives,
        steps=tuple(map(StepReport.of, result.steps)),
        confirmed=StepReport.of(result.confirmed) if result.confirmed else None,
        reason=result.reason,
        demand=options.demand,
    )


def _search(
    target: _Target,
    options: LoadOptions,
    generator: LoadGenerator,
    *,
    latency_seconds: float,
    progress: Progress,
    clock: Clock,
) -> Search:
    """Return the search. It begins with half the rate of one request after the other."""
    objectives, warm_up = target.all_objectives, required_warm_up(latency_seconds)

    def plan_search(rate: float) -> StepPlan:
        if options.step_seconds:
            return StepPlan.fixed(rate, options.step_seconds, warm_up)
        return StepPlan.search(rate, objectives, warm_up)

    def plan_confirmation(rate: float, seconds_left: float) -> StepPlan:
        return StepPlan.confirmation(rate, objectives, warm_up, seconds_left=seconds_left)

    def run(plan: StepPlan) -> Step:
        step = run_step(generator, plan, objectives, progress.show_step)
        progress.end_step(StepReport.of(step))
        return step

    return Search(
        SearchOptions(
            first_rate=options.first_rate or 0.5 / latency_seconds,
            max_rate=options.max_rate,
            max_seconds=options.max_seconds,
            rates=options.rates,
        ),
        plan_search=plan_search,
        plan_confirmation=plan_confirmation,
        run_step=run,
        now=clock.monotonic_seconds,
    )
