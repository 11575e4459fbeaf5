"""`inference-probe compare --now`: send requests to both sides, and compare their results."""

import argparse
import random
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from probe.cli.command import UsageError, quote_argument
from probe.cli.compare_options import CompareOptions
from probe.cli.compare_sides import SideArgument
from probe.cli.config_file import LoadedConfig, load_config
from probe.cli.permission import require_permission
from probe.cli.progress_line import ProgressLine, bar
from probe.clock import Clock
from probe.compare.comparison import Comparison, compare_results
from probe.compare.interleaved import (
    MIN_INTERVAL_SECONDS,
    InterleavedRun,
    MeasurementProgress,
    Runner,
    default_interval,
    warm_up,
)
from probe.compare.side_results import SideResults
from probe.config.schema import Probe
from probe.config.units import format_duration
from probe.daemon.prober_factory import ProberFactory
from probe.load.formatting import format_rate
from probe.result import Result
from probe.threads import ThreadCache


class NoResponses(Exception):
    """All of the first requests failed. The message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareTarget:
    """The two probes, and the config that has them."""

    config: LoadedConfig
    probes: tuple[Probe, Probe]


def find_target(
    args: argparse.Namespace, environ: Mapping[str, str], options: CompareOptions
) -> CompareTarget:
    """Return the probes to send requests to. Raises ConfigError and UsageError."""
    flags_of_one_endpoint = dict.fromkeys(("url", "name", "slo", "interval", "json"))
    config = load_config(argparse.Namespace(**vars(args), **flags_of_one_endpoint), environ)
    a, b = (_find_probe(config, side) for side in options.sides)
    return CompareTarget(config=config, probes=(a, b))


def _find_probe(config: LoadedConfig, side: SideArgument) -> Probe:
    if side.month or side.dimension:
        raise UsageError(
            f"{side.text} needs recorded requests: write --prometheus.url instead of --now"
        )
    name = side.probe
    probes = {probe.name: probe for probe in config.settings.probes}
    if name not in probes:
        raise UsageError(
            f"no probe {quote_argument(name)} in {config.name}; there are: {', '.join(probes)}"
        )
    return probes[name]


def compare_now(
    target: CompareTarget,
    options: CompareOptions,
    environ: Mapping[str, str],
    *,
    is_allowed: bool,
) -> Comparison:
    """Send the requests, and return the comparison of what was received.

    Raises UsageError without permission, NoResponses, and TlsError and OSError for files.
    """
    rate = options.rate or 1 / MIN_INTERVAL_SECONDS
    require_permission(
        target.probes,
        f"{2 * options.requests} requests at up to {rate:g} per second",
        warning="--requests and --rate limit the load.",
        is_allowed=is_allowed,
    )
    stopped = _stop_on_signals()
    clock = Clock()
    factory = ProberFactory(environ=environ, base=target.config.base, clock=clock)
    names = [probe.name for probe in target.probes]
    compiled = factory.build(target.config.settings, names)
    runners = [compiled[name].prober.run for name in names]
    progress = ProgressLine(sys.stderr)
    interval = _prepare(runners, options, progress, clock)
    # The same requests are good on both sides.
    thresholds = target.probes[0].strictest_thresholds
    sides = {name: SideResults(name=name, thresholds=thresholds) for name in names}

    def show(state: MeasurementProgress) -> None:
        progress.show(
            f"{bar(state.sent / state.planned)} {state.sent} of {state.planned} requests,"
            f" {state.in_flight} in flight"
        )

    run = InterleavedRun(
        runners,
        rounds=options.requests,
        interval_seconds=interval,
        record=lambda result: sides[result.probe].add(result),
        on_progress=show,
        stopped=stopped,
        executor=ThreadCache("compare"),
        clock=clock,
        rng=random.Random(),
    )
    run.run()
    progress.show("")
    factory.close()
    a, b = (sides[name] for name in names)
    notes = _notes((a, b), is_stopped=stopped.is_set())
    return compare_results(a, b, margins=options.margins, notes=notes)


def _stop_on_signals() -> threading.Event:
    """Return an event that Ctrl-C and SIGTERM set. A second signal ends the process."""
    stopped = threading.Event()

    def stop(_number: int, _frame: object) -> None:
        stopped.set()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    return stopped


def _prepare(
    runners: Sequence[Runner], options: CompareOptions, progress: ProgressLine, clock: Clock
) -> float:
    """Send the first requests, and return the interval between two requests (seconds).

    Raises NoResponses if all of them fail.
    """
    results = warm_up(runners, clock)
    if all(result.failure for result in results):
        raise NoResponses(f"all of the first requests failed: {_failures(results)}")
    interval = 1 / options.rate if options.rate else default_interval(results)
    total = len(runners) * options.requests
    progress.note(
        f"{total} requests at {format_rate(1 / interval)}, in"
        f" {format_duration(float(round(total * interval)))}"
    )
    return interval


def _failures(results: Sequence[Result]) -> str:
    """Return the last failure of each probe."""
    details = {
        result.probe: f"{result.probe}: {result.failure.reason}, {result.failure.detail}"
        for result in results
        if result.failure
    }
    return "; ".join(details.values())


def _notes(sides: Sequence[SideResults], *, is_stopped: bool) -> list[str]:
    notes = []
    if is_stopped:
        notes.append("Interrupted: this is the comparison of the requests until then.")
    notes += [
        f"{side.not_counted} requests of {side.name} are not counted, because this machine"
        " failed or was too busy."
        for side in sides
        if side.not_counted
    ]
    return notes
